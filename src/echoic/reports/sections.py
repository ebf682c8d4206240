"""The parts of a report: a section has a text, a table, a picture, recordings and tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from echoic.audio import Waveform


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A recording to listen to.

    Attributes
    ----------
    name
        Its file.
    title
        What it is an example of, a few words.
    note
        A few more words.
    waveform
        Shape (samples,), float32.
    """

    name: str
    title: str
    note: str
    waveform: Waveform


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One figure at a glance.

    Attributes
    ----------
    value
        The figure, already formatted.
    name
        What it is, a few words.
    note
        Its interval, or how many clips it is of; may be empty.
    better
        Which direction is better.
    level
        The figure as a fraction, 0 to 1: its place on the scale of the tile. None draws no scale.
    reference
        What it compares with, by a name, on the same scale; None where there is nothing.
    """

    value: str
    name: str
    note: str = ""
    better: Literal["higher", "lower"]
    level: float | None = None
    reference: tuple[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a report.

    Attributes
    ----------
    key
        Its name in ``report.json`` and in the page's links.
    title
        What it is about, a few words.
    text
        What the figures are, how they were measured and how to read them. Paragraphs are parted
        by empty lines, code stands between backticks, and lines that begin with four spaces are a
        command.
    data
        The figures as plain data; fractions are 0 to 1, undefined ones None.
    columns, rows
        The same as a table for people, already formatted; empty where there is none.
    figure
        The same as a picture; None where there is none.
    sounds
        Examples to listen to; empty where there are none.
    tiles
        The most important figures, for the head of a page; empty where there are none.
    """

    key: str
    title: str
    text: str
    data: Any
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    figure: Figure | None = None
    sounds: tuple[Sound, ...] = ()
    tiles: tuple[Tile, ...] = ()
