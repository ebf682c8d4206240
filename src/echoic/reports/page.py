"""A report as one page: an HTML file that needs nothing beside it, no script and no network.

Texts from outside, such as names of files and labels, are escaped by the template; pictures and
recordings are part of the file. The page suits a wide screen, a phone, paper, light and dark.
"""

from __future__ import annotations

import base64
import io
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from echoic import audio, plots
from echoic.reports.sections import Section, Sound
from echoic.reports.templates import render

FILE = "index.html"
"""The page's name in its folder."""

_KEY = re.compile(r"[A-Za-z][\w-]*")
_NUMBER = re.compile(r"[×+−–-]?\s*[\d.,]+.*|–?")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The head of a page.

    Attributes
    ----------
    figure
        The headline figure, already formatted.
    name
        What it is.
    interval
        Its interval, already formatted.
    level
        The figure as a fraction, 0 to 1; None draws no scale.
    protocol
        Which test it is from, a sentence.
    warnings
        What a reader must know first.
    command
        What makes this page again.
    """

    figure: str
    name: str
    interval: str
    level: float | None = None
    protocol: str
    warnings: tuple[str, ...] = ()
    command: str = ""


class Block(NamedTuple):
    """A paragraph, or a command."""

    text: str
    is_command: bool


class Span(NamedTuple):
    """A part of a paragraph, or code."""

    text: str
    is_code: bool


class Picture(NamedTuple):
    """A PNG file as the page shows it: its content in base64 and its size in CSS pixels."""

    content: str
    width: int
    height: int
    alt: str


def write_page(
    folder: str | Path, *, title: str, summary: Summary, sections: Sequence[Section]
) -> Path:
    """Write a report as ``index.html``: one file, with its pictures and recordings inside.

    Parameters
    ----------
    folder
        Made where it is not there.
    title
        What the report is about: the name of a model.
    summary
        The head of the page.
    sections
        Its parts, in order.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        Two sections have the same key, or one has a key that no link can name.
    """
    keys = [section.key for section in sections]
    if len(set(keys)) < len(keys) or not all(map(_KEY.fullmatch, keys)):
        raise ValueError(
            "Expected sections with keys of letters, digits, - and _, each of its own, "
            f"received {keys}."
        )
    page = render(
        "page.html.j2",
        {"blocks": blocks, "spans": spans, "picture": picture, "numeric": numeric, "wav": sound},
        title=title,
        summary=summary,
        sections=sections,
        tiles=[(tile, section.key) for section in sections for tile in section.tiles],
    )
    path = Path(folder) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def wav(waveform: audio.Waveform) -> bytes:
    """Return a waveform as the content of a 16-bit WAV file."""
    import soundfile

    content = io.BytesIO()
    samples = audio.to_int16(waveform)
    soundfile.write(content, samples, audio.SAMPLE_RATE, subtype="PCM_16", format="WAV")
    return content.getvalue()


# --- what the template asks for ----------------------------------------------------------------


def blocks(text: str) -> list[Block]:
    """Part a text by empty lines; a block whose lines begin with four spaces is a command."""
    found = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            found.append(Block("\n".join(line[4:] for line in lines), is_command=True))
        else:
            found.append(Block(" ".join(block.split()), is_command=False))
    return found


def spans(text: str) -> list[Span]:
    """Part a text by backticks, between which it is code."""
    parts = re.split(r"`([^`]+)`", text)
    return [Span(part, bool(i % 2)) for i, part in enumerate(parts) if part]


def picture(section: Section) -> Picture:
    """Return a section's figure for the page; letters are as large in every picture."""
    assert section.figure is not None
    content = plots.png(section.figure)
    # The size is in the header of a PNG file; a page has 96 pixels an inch.
    width, height = (round(x * 96 / plots.DPI) for x in struct.unpack(">II", content[16:24]))
    title = section.figure.get_suptitle().replace("\n", " ") or section.title
    same = " The table below has the same figures." if section.rows else ""
    return Picture(base64.b64encode(content).decode(), width, height, f"{title}.{same}")


def numeric(section: Section) -> list[bool]:
    """Return which columns of a section's table hold numbers; the first never does."""
    columns = zip(*section.rows, strict=True)
    return [i > 0 and all(map(_NUMBER.fullmatch, cells)) for i, cells in enumerate(columns)]


def sound(recording: Sound) -> str:
    """Return a recording as a WAV file in base64."""
    return base64.b64encode(wav(recording.waveform)).decode()
