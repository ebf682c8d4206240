"""Draw docs/layers.svg: the layers of echoic, and every import between them.

    python docs/layers.py             write the picture
    python docs/layers.py --check     fail where the picture is out of date

The layers are those of the import-linter contract in ``pyproject.toml``; the imports are read
from the source with ``ast``. Both are text, so nothing of echoic is imported, and the same source
gives the same bytes. Exit status 1 where an import breaks the order.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "echoic"
PICTURE = ROOT / "docs" / "layers.svg"

ROW, NAME_WIDTH, HEAD = 22, 132, 104
"""Height of a row, width of the names, height of the column heads (px)."""

COLOURS = {"ground": "#f1f1f1", "to listen": "#dcebf7", "to train, measure and see": "#fbe8d3"}
DOT, WRONG = "#1f4e79", "#c00000"


def layers(pyproject: Path = ROOT / "pyproject.toml") -> list[list[str]]:
    """Names of the modules of each layer, the lowest layer first.

    import-linter writes the highest layer first; ``|`` and ``:`` stand between the modules of one
    layer, brackets around one that may be absent.
    """
    tool = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts = [c for c in tool["contracts"] if c["type"] == "layers"]
    contract = max(contracts, key=lambda c: len(c["layers"]))  # others may order a part
    rows = [re.split(r"[|:]", row) for row in contract["layers"]]
    names = [[n.strip().strip("()").removeprefix(f"{PACKAGE}.") for n in row] for row in rows]
    return names[::-1]


def storeys(rows: list[list[str]], pyproject: Path = ROOT / "pyproject.toml") -> dict[str, str]:
    """The storey of each module: what may not import TensorFlow listens, but for the ground."""
    tool = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]
    listens = {
        name.removeprefix(f"{PACKAGE}.")
        for contract in tool["contracts"]
        if contract["type"] == "forbidden" and "tensorflow" in contract["forbidden_modules"]
        for name in contract["source_modules"]
    }
    found, ground = {}, True
    for row in rows:
        # The ground is everything below the first layer that is a package.
        ground = ground and not any((ROOT / "src" / PACKAGE / name).is_dir() for name in row)
        for name in row:
            second = "to listen" if name in listens else "to train, measure and see"
            found[name] = "ground" if ground else second
    return found


def imports(names: list[str], source: Path = ROOT / "src" / PACKAGE) -> Counter[tuple[str, str]]:
    """How many files of one module import another: (importer, imported) to a number."""
    counts: Counter[tuple[str, str]] = Counter()
    for path in sorted(source.rglob("*.py")):
        parts = (PACKAGE, *path.relative_to(source).with_suffix("").parts)
        importer = module_of(".".join(parts), names)
        if importer is None:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {module_of(name, names) for name in imported_names(tree, parts)}
        counts.update((importer, name) for name in imported if name not in (None, importer))
    return counts


def imported_names(tree: ast.Module, parts: tuple[str, ...]) -> list[str]:
    """Dotted names of everything that a file imports, also inside functions and for types."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: -node.level]) if node.level else ""
            start = ".".join(filter(None, (base, node.module)))
            found += [f"{start}.{alias.name}" for alias in node.names]
    return found


def module_of(dotted: str, names: list[str]) -> str | None:
    """The module among ``names`` that holds a dotted name; None for any other."""
    for name in sorted(names, key=len, reverse=True):
        if f"{dotted}.".startswith(f"{PACKAGE}.{name}."):
            return name
    return None


def draw() -> tuple[str, list[str]]:
    """The picture, and the imports that break the order of the layers."""
    rows = layers()
    names = [name for row in rows for name in row]
    level = {name: number for number, row in enumerate(rows) for name in row}
    storey, counts = storeys(rows), imports(names)
    wrong = [f"{a} imports {b}" for a, b in sorted(counts) if level[a] <= level[b]]

    left = NAME_WIDTH
    matrix = ROW * len(names)
    width, height = max(left + matrix + 40, 640), HEAD + matrix + 96
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        "<title>The layers of echoic, and every import between them</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for i, name in enumerate(names):
        y, x = HEAD + ROW * i, left + ROW * i + ROW // 2
        colour = COLOURS[storey[name]]
        out += [
            f'<rect x="0" y="{y}" width="{width}" height="{ROW}" fill="{colour}"/>',
            f'<text x="8" y="{y + 15}" font-weight="bold">{escape(name)}</text>',
            f'<text transform="translate({x + 4} {HEAD - 8}) rotate(-60)">{escape(name)}</text>',
            f'<rect x="{left + ROW * i + 1}" y="{y + 1}" width="{ROW - 2}" height="{ROW - 2}" '
            'fill="#8a8a8a" opacity="0.35"/>',
        ]
    for i in range(1, len(names)):
        if level[names[i]] != level[names[i - 1]]:
            y = HEAD + ROW * i
            out.append(f'<path d="M0 {y}H{width}" stroke="#ffffff" stroke-width="2"/>')
    for (importer, imported), files in sorted(counts.items()):
        x = left + ROW * names.index(imported) + ROW // 2
        y = HEAD + ROW * names.index(importer) + ROW // 2
        colour = WRONG if level[importer] <= level[imported] else DOT
        out.append(
            f'<circle cx="{x}" cy="{y}" r="{min(3 + files, 8)}" fill="{colour}">'
            f"<title>{escape(importer)} imports {escape(imported)} (files: {files})</title>"
            "</circle>"
        )
    y = HEAD + matrix + 20
    out += [
        f'<circle cx="14" cy="{y - 4}" r="5" fill="{DOT}"/>',
        f'<text x="28" y="{y}">The module of the row imports the module of the column; the more '
        "files do, the larger the dot.</text>",
        f'<text x="28" y="{y + 18}">No dot lies right of the grey diagonal, so there are no '
        "circles. White lines divide the layers.</text>",
    ]
    x = 8
    for kind, colour in COLOURS.items():
        out += [
            f'<rect x="{x}" y="{y + 34}" width="14" height="14" fill="{colour}" stroke="#999"/>',
            f'<text x="{x + 20}" y="{y + 46}">{escape(kind)}</text>',
        ]
        x += 60 + 8 * len(kind)
    out.append(
        f'<text x="8" y="{y + 68}" fill="#555">Drawn by docs/layers.py from pyproject.toml and the '
        "source.</text>"
    )
    return "\n".join([*out, "</svg>", ""]), wrong


def main() -> None:
    picture, wrong = draw()
    for line in wrong:
        print(f"docs/layers.py: {line}, against the layers of pyproject.toml", file=sys.stderr)
    if "--check" in sys.argv[1:]:
        if not PICTURE.is_file() or PICTURE.read_text(encoding="utf-8") != picture:
            sys.exit(f"{PICTURE} is out of date: run python docs/layers.py")
    else:
        PICTURE.write_text(picture, encoding="utf-8", newline="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
