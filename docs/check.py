"""Check what the site's builder does not: pictures, navigation, commands, docstrings.

    python docs/check.py

Every picture that a page shows must be there, every page must be in the navigation, every command
and setting that a page names must exist, unless ``git checkout`` stands before it, and every
docstring must be numpydoc with parameters and attributes that exist. Exit status 1 where one is
not.
"""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

OTHERS = ("README.md", "CONTRIBUTING.md", "data/README.md", "models/README.md")
"""Pages that are not the site's."""


def main() -> None:
    pages = sorted(DOCS.rglob("*.md"))
    texts = [*pages, *(ROOT / name for name in OTHERS)]
    missing = [*pictures_that_are_not_there(texts), *unknown_options(texts)]
    missing += [*unknown_settings(texts), *faults_of_docstrings()]
    nav = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    missing += [
        f"{page.relative_to(DOCS)} is not in the navigation of zensical.toml"
        for page in pages
        if f'"{page.relative_to(DOCS).as_posix()}"' not in nav
    ]
    for line in missing:
        print(f"docs/check.py: {line}", file=sys.stderr)
    sys.exit(1 if missing else 0)


def pictures_that_are_not_there(pages: list[Path]) -> list[str]:
    """Pictures that pages show, and that do not exist."""
    missing = []
    for page in pages:
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).is_file():
                missing.append(f"{page.relative_to(ROOT)} shows {target}, which is not there")
    return missing


def unknown_options(pages: list[Path]) -> list[str]:
    """Verbs and options in the commands of pages that the command line does not have."""
    from typer.main import get_command

    from echoic.cli import app

    verbs = {
        verb: {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
        for verb, command in get_command(app).commands.items()  # type: ignore[attr-defined]
    }
    missing = []
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = re.findall(r"(?:^ {4,}.*\n)+", text, re.MULTILINE)
        commands = [
            line.partition(" #")[0]
            for block in blocks
            if "git checkout" not in block
            for line in re.split(r"\n|&&|\|", block)
        ]
        commands += [
            code for code in re.findall(r"`([^`\n]+)`", text) if "git checkout" not in code
        ]
        for command in commands:
            words = command.split()
            while words and "=" in words[0] and not words[0].startswith("-"):
                words = words[1:]  # variables of the environment
            if words[:1] != ["echoic"] or len(words) < 2 or not re.fullmatch("[a-z-]+", words[1]):
                continue
            verb = words[1]
            options = {w.partition("=")[0] for w in words[2:] if re.match(r"--?[a-z]", w)}
            wrong = options - verbs[verb] - {"--help"} if verb in verbs else {verb}
            for name in sorted(wrong):
                missing.append(f"{page.relative_to(ROOT)}: {command.strip()}: no {name}")
    return missing


def unknown_settings(pages: list[Path]) -> list[str]:
    """Keys of a recipe that pages name and that it does not have."""
    import dataclasses

    from echoic import config

    sections = {
        "data": config.DataConfig,
        "features": config.FeatureConfig,
        "model": config.ModelConfig,
        "augmentation": config.AugmentationConfig,
        "training": config.TrainingConfig,
    }
    missing = []
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        text = re.sub(
            r"(?:^ {4,}.*\n)*^ {4,}.*git checkout(?:.*\n)(?:^ {4,}.*\n)*", "", text, flags=re.M
        )
        for section, key in re.findall(rf"[ `'\"]({'|'.join(sections)})\.([a-z_]+)[`=]", text):
            if key not in {field.name for field in dataclasses.fields(sections[section])}:
                missing.append(f"{page.relative_to(ROOT)}: a recipe has no {section}.{key}")
    return missing


def faults_of_docstrings() -> list[str]:
    """What griffe, which reads docstrings for the site, warns of."""
    import griffe

    faults: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            faults.append(record.getMessage().replace(f"{ROOT}/", ""))

    logger = logging.getLogger("griffe")
    logger.addHandler(Collect(logging.WARNING))
    logger.propagate = False
    package = griffe.load("echoic", search_paths=[ROOT / "src"], docstring_parser="numpy")
    waiting: list[Any] = [package]
    while waiting:
        thing = waiting.pop()
        sections = thing.docstring.parsed if thing.docstring else []
        if thing.is_class:
            documented = [a.name for s in sections if s.kind.value == "attributes" for a in s.value]
            faults += [
                f"{thing.path} documents {name}, which it does not have"
                for name in ", ".join(documented).split(", ")
                if name and name not in thing.all_members and f"self.{name}" not in thing.source
            ]
        waiting += [m for m in thing.members.values() if not m.is_alias]
    return sorted(set(faults))


if __name__ == "__main__":
    main()
