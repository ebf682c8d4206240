"""Write the pages of docs/api/ but for the first: a page a group of modules, from the source tree.

    python docs/api.py

The builder makes the content of each ``::: module`` line from docstrings. Git ignores the pages.
Exit status 1 where a module belongs to no page.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "echoic"

PAGES = {
    "recognition": (
        "Recognition",
        "Clips and streams in, words out: LiteRT only.",
        ("runtime",),
    ),
    "live": (
        "Microphone and live loop",
        "A device or a file as an iterator of blocks, the loop around it, and what acts on words.",
        ("microphone", "live", "assistant", "doctor"),
    ),
    "configuration": (
        "Configuration and features",
        "Settings, the definition of the features, and the ground below them.",
        ("config", "validation", "features", "audio", "labels", "files", "timeouts"),
    ),
    "data": (
        "Data and augmentation",
        "Archives, layouts, splits and sources; changes to waveforms and spectrograms.",
        ("data", "augmentation"),
    ),
    "networks": (
        "Networks",
        "The table of layers, one step of each, and the features as a layer.",
        ("networks",),
    ),
    "training": (
        "Training",
        "A recipe and a data set in, a model's folder out.",
        ("training", "own_words"),
    ),
    "evaluation": (
        "Evaluation",
        "Compute only; [Plots and reports](reports.md) show.",
        ("evaluation", "metrics"),
    ),
    "reports": (
        "Plots and reports",
        "Pictures of arrays; sections, page and card of a result.",
        ("plots", "reports"),
    ),
    "explanation": (
        "Explanation",
        "Activations, gates, recall, the ice breaker.",
        ("explain",),
    ),
    "export": (
        "Export",
        "One network to a family of verified TFLite files.",
        ("export",),
    ),
}
"""Pages by file name: title, first line, and modules in order; those that are not there are left
out."""

SPARED = {"__init__", "__main__", "cli"}
"""On no page: the command line has one of its own, docs/cli.md, without its functions."""


def main() -> None:
    paths = [*SOURCE.glob("*.py"), *(p.parent for p in SOURCE.glob("*/__init__.py"))]
    left = {p.stem for p in paths} - SPARED
    for file, (title, first, modules) in PAGES.items():
        lines = [f"# {title}", "", first]
        for module in modules:
            lines += [line for name in family(module) for line in ("", *directive(name))]
            left.discard(module)
        text = "\n".join([*lines, ""])
        (ROOT / "docs" / "api" / f"{file}.md").write_text(text, encoding="utf-8", newline="\n")
    for module in sorted(left):
        print(f"docs/api.py: no page has echoic.{module}: add it to PAGES", file=sys.stderr)
    sys.exit(1 if left else 0)


def family(module: str) -> list[str]:
    """A module and, of a package, its public modules, each as ``echoic.name``."""
    folder = SOURCE / module
    if folder.is_dir():
        parts = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
        return [f"echoic.{module}", *(f"echoic.{module}.{part}" for part in parts)]
    return [f"echoic.{module}"] if folder.with_suffix(".py").is_file() else []


def directive(name: str) -> list[str]:
    """Lines that let the builder show a module; of a package that only re-exports, its text."""
    file = ROOT / "src" / name.replace(".", "/") / "__init__.py"
    if not file.is_file():
        return [f"::: {name}"]
    body = ast.parse(file.read_text(encoding="utf-8")).body
    if any(isinstance(part, ast.ClassDef | ast.FunctionDef) for part in body):
        return [f"::: {name}"]
    return [f"::: {name}", "    options:", "      members: false"]


if __name__ == "__main__":
    main()
