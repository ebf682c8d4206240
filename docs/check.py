"""Check what the site's builder does not: pictures, navigation, docstrings.

    python docs/check.py

Every picture that a page shows must be there, every page must be in the navigation, and every
docstring must be numpydoc whose parameters are those of the signature. Exit status 1 where one is
not.
"""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def main() -> None:
    pages = sorted(DOCS.rglob("*.md"))
    missing = [*pictures_that_are_not_there(pages), *faults_of_docstrings()]
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
    """Pictures that pages, README.md and its like show, and that do not exist."""
    missing = []
    for page in [*pages, ROOT / "README.md", ROOT / "data" / "README.md"]:
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).is_file():
                missing.append(f"{page.relative_to(ROOT)} shows {target}, which is not there")
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
    waiting: list[griffe.Object] = [package]
    while waiting:
        thing = waiting.pop()
        if thing.docstring:
            _ = thing.docstring.parsed
        waiting += [m for m in thing.members.values() if not m.is_alias]
    return sorted(set(faults))


if __name__ == "__main__":
    main()
