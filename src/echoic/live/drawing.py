"""Primitives of the view: glyphs, bars, the scale of levels, clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

FLOOR, CEILING = -60.0, 0.0
"""Ends of the scale of levels (dBFS)."""


@dataclass(frozen=True)
class Glyphs:
    """Characters to draw with.

    Attributes
    ----------
    across, up
        Parts of a full cell in order, from the left and from the bottom.
    mark
        A value to reach in a bar.
    dot, arrow, between
        Signs in lines of text.
    hole
        Missing sound.
    """

    across: str
    up: str
    mark: str
    dot: str
    hole: str
    arrow: str
    between: str


UNICODE = Glyphs("▏▎▍▌▋▊▉█", "▁▂▃▄▅▆▇█", "┊", "●", "×", "→", "·")
ASCII = Glyphs("#", ".:-=+*#", "|", "*", "x", "->", "-")


def bar(share: float, width: int, style: str, glyphs: Glyphs, *, mark: float | None) -> Text:
    """Draw a bar.

    Parameters
    ----------
    share
        Its length as a share of the width, 0 to 1.
    width
        Columns.
    mark
        A value on the same scale that is marked where the bar does not reach it; None marks none.
    """
    parts = len(glyphs.across)
    eighths = round(min(max(share, 0.0), 1.0) * width * parts)
    full, part = divmod(eighths, parts)
    cells = glyphs.across[-1] * full + (glyphs.across[part - 1] if part else "")
    text = Text(cells, style=style, no_wrap=True)
    text.append(" " * (width - len(cells)))
    if mark is not None and (at := min(int(mark * width), width - 1)) >= len(cells):
        text = text[:at] + Text(glyphs.mark, style="dim") + text[at + 1 :]
    return text


def as_ascii(character: str) -> str:
    """Return an ASCII character, or several, as wide as another one."""
    if character.isascii():
        return character
    return {"\N{NO-BREAK SPACE}": " ", "…": "~"}.get(character, "?" * cell_len(character))


def level_share(decibels: float) -> float:
    """Place a level (dBFS) on the scale from `FLOOR` to `CEILING`: 0 to 1."""
    return min(max((decibels - FLOOR) / (CEILING - FLOOR), 0.0), 1.0)


def clock(seconds: float, *, tenths: bool = False) -> str:
    """Write a time (s) as minutes and seconds, and hours where there are any."""
    units = round(seconds * 10) if tenths else round(seconds) * 10
    minutes, rest = divmod(units, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:" if hours else f"{minutes}:"
    return text + (f"{rest / 10:04.1f}" if tenths else f"{rest // 10:02}")


def fitting(texts: Sequence[str], width: int) -> str:
    """Return the first text that is at most ``width`` columns wide; none is the empty text."""
    return next((text for text in texts if cell_len(text) <= width), "")
