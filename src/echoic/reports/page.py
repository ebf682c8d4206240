"""A report as one page: an HTML file that needs nothing beside it, no script and no network.

Whatever comes from outside, such as names of files and labels, is escaped; pictures and sounds
are part of the file. It is made for a wide screen, a phone, paper, light and dark.
"""

from __future__ import annotations

import base64
import io
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from echoic import audio, plots
from echoic.reports.sections import Section, Sound, Tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "index.html"
"""The page's name in its folder."""

_KEY = re.compile(r"[A-Za-z][\w-]*")
_NUMBER = re.compile(r"[×+−–-]?\s*[\d.,]+.*|–?")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What stands at the head of a page.

    Attributes
    ----------
    figure
        The figure that it is all about, already formatted.
    name
        What that is.
    interval
        Where it may lie.
    protocol
        Which test it is from, a sentence.
    warnings
        What a reader must know before.
    command
        What makes this page again.
    """

    figure: str
    name: str
    interval: str
    protocol: str
    warnings: tuple[str, ...] = ()
    command: str = ""


def write_page(
    folder: str | Path, *, title: str, summary: Summary, sections: Sequence[Section]
) -> Path:
    """Write a report as ``index.html``: one file, with its pictures and sounds inside.

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
    tiles = "".join(_tile(tile, s.key) for s in sections for tile in s.tiles)
    page = _PAGE.substitute(
        title=escape(title),
        style=_STYLE,
        links="".join(f'<li><a href="#{s.key}">{escape(s.title)}</a></li>' for s in sections),
        figure=escape(summary.figure),
        name=escape(summary.name),
        interval=escape(summary.interval),
        protocol=_inline(summary.protocol),
        warnings=_warnings(summary.warnings),
        tiles=f'<ul class="tiles">{tiles}</ul>' if tiles else "",
        sections="\n".join(map(_section, sections)),
        command=f"<pre><code>{escape(summary.command)}</code></pre>" if summary.command else "",
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


# --- parts of the page -------------------------------------------------------------------------


def _section(section: Section) -> str:
    key = section.key
    parts = [
        f'<section id="{key}" aria-labelledby="{key}-title">',
        f'<h2 id="{key}-title">{escape(section.title)}</h2>',
        _paragraphs(section.text),
    ]
    if section.figure is not None:
        parts.append(_picture(section, section.figure))
    if section.rows:
        parts.append(_table(section))
    if section.sounds:
        parts.append(f'<ul class="sounds">{"".join(map(_sound, section.sounds))}</ul>')
    return "\n".join([*parts, "</section>"])


def _paragraphs(text: str) -> str:
    """Paragraphs are parted by empty lines; lines that begin with four spaces are a command."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            code = "\n".join(line[4:] for line in lines)
            parts.append(f"<pre><code>{escape(code)}</code></pre>")
        else:
            parts.append(f"<p>{_inline(' '.join(block.split()))}</p>")
    return "\n".join(parts)


def _inline(text: str) -> str:
    """Escape a text; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _picture(section: Section, figure: Figure) -> str:
    content = plots.png(figure)
    # Of the header of a PNG file. At 96 pixels an inch letters are as large in every picture.
    width, height = (round(x * 96 / plots.DPI) for x in struct.unpack(">II", content[16:24]))
    drawn = figure.get_suptitle().replace("\n", " ") or section.title
    alt = f"{drawn}. The table below has the same figures." if section.rows else f"{drawn}."
    return (
        f'<figure><img src="data:image/png;base64,{base64.b64encode(content).decode()}" '
        f'width="{width}" height="{height}" alt="{escape(alt)}"></figure>'
    )


def _table(section: Section) -> str:
    columns = list(zip(*section.rows, strict=True))
    numeric = [i > 0 and all(map(_NUMBER.fullmatch, cells)) for i, cells in enumerate(columns)]
    classes = [' class="n"' if is_numeric else "" for is_numeric in numeric]
    head = "".join(
        f'<th scope="col"{c}>{escape(name)}</th>'
        for name, c in zip(section.columns, classes, strict=True)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(
            f"<td{c}>{escape(cell)}</td>" for cell, c in zip(row[1:], classes[1:], strict=True)
        )
        + "</tr>"
        for row in section.rows
    )
    name = escape(f"Table: {section.title}")
    return (
        # What may be scrolled must be reachable by the keyboard.
        f'<div class="table" role="region" aria-label="{name}" tabindex="0"><table>'
        f"<caption>Table: {escape(section.title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _sound(sound: Sound) -> str:
    content = base64.b64encode(wav(sound.waveform)).decode()
    return (
        f'<li><p class="said">{_inline(sound.title)}</p>'
        f'<audio controls preload="metadata" aria-label="{escape(sound.name)}" '
        f'src="data:audio/wav;base64,{content}"></audio>'
        f'<p class="note">{_inline(sound.note)}</p>'
        f'<p class="file">{escape(sound.name)}</p></li>'
    )


def _tile(tile: Tile, key: str) -> str:
    return (
        f'<li><span class="value">{escape(tile.value)}</span>'
        f'<span class="what"><a href="#{key}">{escape(tile.name)}</a></span>'
        f'<span class="note">{escape(tile.note)}</span></li>'
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    rows = "".join(f"<li>{_inline(warning)}</li>" for warning in warnings)
    return f'<aside aria-label="Warnings"><h2>Before you read on</h2><ul>{rows}</ul></aside>'


_STYLE = """
:root { color-scheme: light dark;
  --paper: #fdfcfa; --ink: #1d2125; --soft: #5c646c; --line: #dcdad5; --panel: #f4f2ed;
  --accent: #00639c; --warn: #9a4a00; --warn-panel: #fdf3e6;
  --serif: Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #15181b; --ink: #e6e4df; --soft: #a2a9b0; --line: #33383d; --panel: #1e2226;
  --accent: #6bbdf0; --warn: #f0b060; --warn-panel: #2b2217; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1.5rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 var(--serif); -webkit-text-size-adjust: 100%; }
a { color: var(--accent); text-underline-offset: .15em; text-decoration-thickness: .06em; }
:focus-visible { outline: .15rem solid var(--accent); outline-offset: .15rem; }
.skip { position: absolute; left: -99rem; padding: .5rem 1rem; background: var(--paper); }
.skip:focus { left: 1rem; top: 1rem; z-index: 1; }
.page { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
header, main, footer { max-width: 52rem; }
.over { margin: 0; font: 600 .8125rem/1.4 var(--sans); letter-spacing: .08em;
  text-transform: uppercase; color: var(--soft); }
h1 { margin: .2rem 0 1.6rem; font-size: clamp(1.9rem, 5vw, 2.6rem); line-height: 1.15;
  font-weight: 700; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .6rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.005em; }
p { margin: 0 0 1rem; max-width: 44rem; }
code { font: .88em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
pre { margin: 0 0 1rem; padding: .7rem 1rem; overflow-x: auto; background: var(--panel);
  border-radius: .4rem; line-height: 1.4; }
pre code { font-size: .82rem; white-space: pre-wrap; }
.headline { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.2rem;
  padding: 1.2rem 0 .4rem; border-top: .2rem solid var(--ink); }
.headline .value { font-size: clamp(3rem, 11vw, 4.8rem); line-height: 1; font-weight: 700;
  letter-spacing: -.03em; font-variant-numeric: tabular-nums lining-nums; }
.headline .what { font: 600 1.0625rem/1.4 var(--sans); }
.headline .interval { display: block; font-weight: 400; color: var(--soft); }
.protocol { color: var(--soft); margin: .6rem 0 1.6rem; }
aside { margin: 0 0 1.6rem; padding: .8rem 1.1rem; background: var(--warn-panel);
  border-left: .25rem solid var(--warn); border-radius: 0 .4rem .4rem 0; }
aside h2 { margin: 0 0 .2rem; font: 600 .9375rem/1.5 var(--sans); color: var(--warn); }
aside ul { margin: 0; padding-left: 1.1rem; font-size: .9688rem; line-height: 1.5; }
ul.tiles { list-style: none; margin: 0 0 1rem; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
ul.tiles li { display: flex; flex-direction: column; padding: .9rem 1rem; background: var(--panel);
  border-radius: .5rem; }
.tiles .value { font-size: 1.7rem; line-height: 1.2; font-weight: 700;
  font-variant-numeric: tabular-nums lining-nums; }
.tiles .what { font: 600 .875rem/1.4 var(--sans); margin: .15rem 0; }
.tiles a { text-decoration: none; }
.tiles a:hover { text-decoration: underline; }
.note { font: .8125rem/1.45 var(--sans); color: var(--soft); }
nav { margin: 2rem 0; font: .9063rem/1.5 var(--sans); }
nav h2 { margin: 0 0 .3rem; font: 600 .8125rem/1.4 var(--sans); letter-spacing: .08em;
  text-transform: uppercase; color: var(--soft); }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.1rem; }
nav a { display: inline-block; padding: .2rem 0; text-decoration: none; }
nav a:hover { text-decoration: underline; }
section { margin-top: 2.6rem; padding-top: 1.8rem; border-top: .06rem solid var(--line); }
figure { margin: 1.2rem 0; padding: .6rem; background: #fff; border: .06rem solid var(--line);
  border-radius: .5rem; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.table { margin: 1.2rem 0; overflow-x: auto; }
table { border-collapse: collapse; min-width: 60%; font: .9063rem/1.45 var(--sans);
  font-variant-numeric: tabular-nums lining-nums; }
caption { padding: 0 .7rem .4rem 0; text-align: left; font-size: .8125rem; color: var(--soft); }
th, td { padding: .32rem 1.1rem .32rem 0; text-align: left; vertical-align: baseline;
  border-bottom: .06rem solid var(--line); }
th:last-child, td:last-child { padding-right: .2rem; }
thead th { font-weight: 600; color: var(--soft); vertical-align: bottom;
  border-bottom: .09rem solid var(--soft); }
tbody th { font-weight: 500; }
td.n { white-space: nowrap; }
.n { text-align: right; }
ul.sounds { list-style: none; margin: 1.2rem 0; padding: 0; display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); }
ul.sounds li { padding: .8rem .9rem; background: var(--panel); border-radius: .5rem; min-width: 0; }
.sounds p { margin: 0; }
.sounds .said { font: 1rem/1.4 var(--sans); }
.sounds audio { display: block; width: 100%; height: 2.4rem; margin: .5rem 0 .4rem; }
.file { font: .75rem/1.4 ui-monospace, Menlo, Consolas, monospace; color: var(--soft);
  overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: 1.2rem; border-top: .06rem solid var(--line);
  font: .875rem/1.5 var(--sans); color: var(--soft); }
footer pre { margin-top: .6rem; color: var(--ink); }
@media (min-width: 68rem) {
  .page { display: grid; grid-template-columns: 12rem minmax(0, 52rem); column-gap: 4rem; }
  header, main, footer { grid-column: 2; }
  nav { grid-column: 1; grid-row: 1 / span 3; margin: 0; }
  nav > div { position: sticky; top: 2.5rem; }
  nav ul { flex-direction: column; gap: .1rem; } }
@media (max-width: 34rem) { .page { padding: 1.5rem 1rem 3rem; } body { font-size: 1rem; }
  ul.tiles { grid-template-columns: repeat(auto-fill, minmax(9.2rem, 1fr)); }
  figure { padding: .2rem; } }
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --panel: #fff;
    --accent: #000; --warn: #000; --warn-panel: #fff; }
  body { font-size: 10.5pt; } nav, .sounds audio, .skip { display: none; }
  .page { padding: 0; } ul.tiles li, ul.sounds li { border: .06rem solid var(--line); }
  figure, tr, .tiles li, .sounds li, aside { break-inside: avoid; } h2 { break-after: avoid; }
  .table { overflow: visible; } figure { border: 0; padding: 0; } }
"""

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="echoic">
<title>$title: how often is it right?</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<a class="skip" href="#content">Skip to the report</a>
<div class="page">
<header>
<p class="over">echoic, a report on a model</p>
<h1>$title</h1>
<div class="headline"><span class="value">$figure</span>
<span class="what">$name <span class="interval">$interval</span></span></div>
<p class="protocol">$protocol</p>
$warnings
$tiles
</header>
<nav aria-label="Sections"><div><h2>In this report</h2><ul>$links</ul></div></nav>
<main id="content" tabindex="-1">
$sections
</main>
<footer>
<p>Fractions in <code>report.json</code>, beside this page, are the same figures from 0 to 1; the
pictures lie there as PNG files. Intervals are of 95 % and take the clips as independent where
nothing else is said.</p>
$command
</footer>
</div>
</body>
</html>
"""
)
