"""A report in parts: each says in words, figures and a picture how one thing stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        What else is to be known of it, a few words.
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
        Its interval, or how many it is of; may be empty.
    """

    value: str
    name: str
    note: str = ""


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
        What the figures are, how they were made and how to read them, a few sentences.
    data
        The figures as plain data; fractions are 0 to 1, undefined ones None.
    columns, rows
        The same as a table for people, already formatted; empty where there is none.
    figure
        The same as a picture; None where there is none.
    sounds
        Examples to listen to; empty where there are none.
    tiles
        What says most of it, for the head of a page; empty where nothing does.
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
