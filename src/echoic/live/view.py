"""The view in a terminal: what the model hears, how sure it is, and how the sound comes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from echoic.audio import SAMPLE_RATE
from echoic.files import discarded_stderr
from echoic.live.heatmap import CELL_SECONDS, StateHeatmap
from echoic.live.listener import Listener, Output
from echoic.microphone import Block, Event, Source, Status
from echoic.runtime.decoder import Detection

REFRESH_SECONDS = 1 / 12
"""Shortest time (s) between two pictures."""

TICK_SECONDS = 5
"""Distance (s) of the times under the strip."""

FLOOR, CEILING = -60.0, 0.0
"""Ends of the level meter (dBFS)."""

LOUD, CLIPPED = -12.0, -0.5
"""Peaks (dBFS) from which the meter warns."""

NOTICE_SECONDS = 10.0
"""How long (s) an event that is over stays in sight."""

FRESH_SECONDS = 0.8
"""How long (s) a word stands out."""

OTHER_ROWS = 7
"""Rows of the picture beside the bars and what wraps: the frame, state, level, strip."""

SPACES = 2
"""Rows around the bars, which are left out where they would leave fewer than three bars."""

MEMORY_BAR_WIDTH = 6
"""Columns that a bar beside the memory has at least."""

RECENT_WIDTH = 26
"""Columns of the list of recent words; with less than twice that, there is only the strip."""

STATES = {
    "opening": ("opening", "yellow"),
    "live": ("listening", "green"),
    "muted": ("muted", "yellow"),
    "lost": ("lost", "red"),
    "frozen": ("hangs", "red"),
    "closed": ("ended", "dim"),
}


@dataclass(frozen=True)
class Glyphs:
    """Characters to draw with: parts of a full cell in order, and marks."""

    across: str
    up: str
    mark: str
    dot: str
    hole: str
    arrow: str
    between: str


UNICODE = Glyphs("▏▎▍▌▋▊▉█", "▁▂▃▄▅▆▇█", "┊", "●", "×", "→", "·")
ASCII = Glyphs("#", ".:-=+*#", "|", "*", "x", "->", "-")


class View(Output):
    """Draws a listener and its source; ``console.print(view)`` shows the moment.

    As an output it is redrawn in place, at most twelve times a second, until it is closed; the
    last picture stays.

    Parameters
    ----------
    listener
        Gives the probabilities.
    source
        Gives the state of the sound.
    name
        The model's.
    console
        To draw on; None means that somebody else prints the view.
    trail
        Draw the network's hidden state, too, in place of the list of recent words: beside each
        label the units that speak for it, over the strip, on the same axis of time.
    """

    def __init__(
        self,
        listener: Listener,
        source: Source,
        *,
        name: str,
        console: Console | None = None,
        trail: StateHeatmap | None = None,
    ) -> None:
        self._listener = listener
        self._source = source
        self._name = name
        self._trail = trail
        self._detections: deque[Detection] = deque(maxlen=64)
        self._events: deque[Event] = deque(maxlen=1)
        self._announced: tuple[float, str] | None = None
        self._loudness: deque[tuple[int, float]] = deque(maxlen=512)
        self._drawn = 0.0
        self._live: Live | None = None
        self._stack = ExitStack()
        if console:
            self._live = Live(self, console=console, auto_refresh=False)
            self._live.start()
            self._stack.enter_context(discarded_stderr())  # PortAudio and ALSA write to it

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        self._detections.extend(detections)
        if self._trail:
            for posterior in self._listener.posteriors:
                if posterior.state is not None:
                    self._trail.add(posterior.time, posterior.state)
        position = round(block.time * SAMPLE_RATE)
        samples = block.samples
        size = round(CELL_SECONDS * SAMPLE_RATE)
        while len(samples):
            column, inside = divmod(position, size)
            part, samples = samples[: size - inside], samples[size - inside :]
            position += len(part)
            power = float(np.mean(np.square(part)))
            if self._loudness and self._loudness[-1][0] == column:
                power = max(power, self._loudness.pop()[1])
            self._loudness.append((column, power))
        if self._live and time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self._draw()

    def on_event(self, event: Event) -> None:
        self._events.append(event)
        self._draw()

    def on_status(self, time: float, state: str) -> None:
        self._announced = (time, state)
        self._draw()

    def close(self) -> None:
        if self._live:
            self._draw()
            self._live.stop()
        self._stack.close()

    def _draw(self) -> None:
        if self._live:
            self._live.refresh()
            self._drawn = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs = ASCII if options.ascii_only else UNICODE
        status = self._source.status
        width = max(options.max_width - 4, 20)
        path = self._path(status, glyphs)
        wrapping = [path]
        parts: list[RenderableType] = [_state(status, glyphs), _meter(status, width, glyphs)]
        if self._announced:
            since, state = self._announced
            line = Text(f"{since:.1f} s  {state}", style="bold cyan")
            wrapping.append(line)
            parts.append(line)
        if event := self._event(status):
            style = "dim" if event.kind == "live" else "yellow"
            notice = Text(f"{event.time:.1f} s  {event.message}", style=style)
            wrapping.append(notice)
            parts.append(notice)
        height = (options.height or console.height) - OTHER_ROWS
        height -= sum(len(text.wrap(console, width)) for text in wrapping)
        spaced = height >= SPACES + 3
        rows = min(len(self._listener.labels), max(height - SPACES if spaced else height, 1))
        space = [""] if spaced else []
        if self._trail:
            color = console.color_system in ("truecolor", "256")
            parts += self._memory(rows, width, status.time, glyphs, color=color, spaced=spaced)
        else:
            parts += [
                *space,
                self._words(rows, width, status.time, glyphs),
                *space,
                *self._strip(width, status.time, glyphs),
            ]
        parts.append(path)
        panel = Panel(
            Group(*parts),
            title=Text(f"echoic {self._name}", style="bold"),
            title_align="left",
            subtitle=Text(f"Ctrl-C ends {glyphs.between} no audio leaves this machine"),
            subtitle_align="right",
            border_style="dim",
            width=options.max_width,
        )
        if not options.ascii_only:
            yield panel
            return
        # Names of devices and words are whatever they are; a terminal must not end the listening.
        for segment in console.render(panel, options):
            yield Segment("".join(map(_as_ascii, segment.text)), segment.style, segment.control)

    def _event(self, status: Status) -> Event | None:
        if not self._events:
            return None
        (event,) = self._events
        over = status.state in ("live", "closed") and status.time - event.time > NOTICE_SECONDS
        return None if over else event

    def _words(self, rows: int, width: int, now: float, glyphs: Glyphs) -> RenderableType:
        if width < 2 * RECENT_WIDTH:
            return self._bars(rows, width, now, glyphs)
        left = width - RECENT_WIDTH
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=left - 2, no_wrap=True)
        grid.add_column(width=RECENT_WIDTH)
        grid.add_row(self._bars(rows, left - 2, now, glyphs), self._recent(rows, now))
        return grid

    def _memory(
        self, rows: int, width: int, now: float, glyphs: Glyphs, *, color: bool, spaced: bool
    ) -> list[RenderableType]:
        """The bars with the trail beside them, and the strip under the trail."""
        assert self._trail
        names = min(max(map(cell_len, self._listener.labels)), 12)
        left = max(min(width // 3, 34), names + 6 + MEMORY_BAR_WIDTH) + 2
        cells = width - left
        first, _ = _span(cells, now)
        moments = self._trail.moments(first, cells)
        bars = self._bars(rows, left - 2, now, glyphs).split("\n")
        lines: list[RenderableType] = []
        for bar, label in zip(bars, self._shown(rows), strict=True):
            heat = self._trail.row(moments[:, label], color=color, ascii_only=glyphs is ASCII)
            lines.append(Text.assemble(bar, "  ", heat, no_wrap=True))
        caption = f"memory: {len(self._trail.groups)} units, by their word"
        head = Text(" " * left, no_wrap=True, overflow="ellipsis").append(caption, style="dim")
        head.truncate(width, overflow="ellipsis")
        strip = self._strip(cells, now, glyphs)
        margins = (set_cell_size(name, left) for name in ("sound", "words", "time"))
        return [
            *([head] if spaced else []),
            *lines,
            *([""] if spaced else []),
            *(
                Text.assemble((margin, "dim"), line, no_wrap=True)
                for margin, line in zip(margins, strip, strict=True)
            ),
        ]

    def _shown(self, rows: int) -> Sequence[int]:
        """The labels, or the most probable ones where not all have room."""
        probabilities = self._listener.probabilities
        if rows >= len(probabilities):
            return range(len(probabilities))
        best: list[int] = np.argsort(-probabilities, kind="stable")[:rows].tolist()
        return best

    def _bars(self, rows: int, width: int, now: float, glyphs: Glyphs) -> Text:
        labels, thresholds = self._listener.labels, self._listener.thresholds
        probabilities = self._listener.probabilities
        name_width = min(max(map(cell_len, labels)), 12)
        bar_width = width - name_width - 6
        fresh = {d.label for d in self._detections if now - d.time < FRESH_SECONDS}
        lines = Text()
        for row, i in enumerate(self._shown(rows)):
            label, p = labels[i], float(probabilities[i])
            mark = thresholds.get(label)
            style = "bold green" if label in fresh else "dim" if mark is None else "cyan"
            name_style = style if mark is None or label in fresh else ""
            lines.append("\n" if row else "")
            lines.append(f"{set_cell_size(label, name_width)} ", style=name_style)
            lines.append_text(_bar(p, bar_width, style, glyphs, mark=mark))
            lines.append(f" {p:4.0%}", style=name_style if p >= 0.005 else "dim")
        return lines

    def _recent(self, rows: int, now: float) -> Text:
        if not self._detections:
            words = ", ".join(self._listener.thresholds)
            hint = Text(f"Say one of: {words}", style="dim")
            hint.truncate(rows * RECENT_WIDTH * 3 // 4, overflow="ellipsis")
            return hint
        lines = Text(no_wrap=True)
        newest_first = list(self._detections)[::-1][:rows]
        for row, d in enumerate(newest_first):
            is_fresh = now - d.time < FRESH_SECONDS
            lines.append("\n" if row else "")
            lines.append(f"{_clock(d.time, tenths=True):>8}  ", style="dim")
            lines.append(
                f"{set_cell_size(d.label, 10)} ", style="bold green" if is_fresh else "bold"
            )
            lines.append(f"{d.confidence:4.0%}", style="" if is_fresh else "dim")
        return lines

    def _strip(self, width: int, now: float, glyphs: Glyphs) -> list[Text]:
        """Loudness, words where they were decided, and times, scrolling by."""
        first, last = _span(width, now)
        sound, words, ticks = Text(no_wrap=True), [" "] * width, [" "] * width
        powers = dict(self._loudness)
        for column in range(first, last + 1):
            power = powers.get(column)
            if power is None:
                # What is not there yet is no hole.
                missing = (column + 1) * CELL_SECONDS <= now
                sound.append(glyphs.hole if missing else " ", style="red")
            else:
                share = _share(10 * float(np.log10(max(power, 1e-12))))
                step = min(int(share * len(glyphs.up)), len(glyphs.up) - 1)
                sound.append(glyphs.up[step], style="cyan" if step else "dim cyan")
        free = 0
        for d in self._detections:
            column = int(d.time / CELL_SECONDS - 1e-6) - first
            start = max(column - len(d.label) + 1, free)
            if column >= 0 and start + len(d.label) <= width:
                words[start : start + len(d.label)] = d.label
                free = start + len(d.label) + 1
        in_sight = int(first * CELL_SECONDS) // TICK_SECONDS * TICK_SECONDS
        for tick in range(in_sight, int(now) + 1, TICK_SECONDS):
            start, text = round(tick / CELL_SECONDS) - first, _clock(tick)
            if 0 <= start <= width - len(text):
                ticks[start : start + len(text)] = text
        return [
            sound,
            Text("".join(words), style="bold green", no_wrap=True),
            Text("".join(ticks), style="dim", no_wrap=True),
        ]

    def _path(self, status: Status, glyphs: Glyphs) -> Text:
        rate = f"{status.device_rate:,} Hz"
        if status.device_rate != SAMPLE_RATE:
            rate += f" {glyphs.arrow} {SAMPLE_RATE:,} Hz"
        items = [
            (rate, False),
            (f"latency {1e3 * status.latency:.0f} ms", False),
            (f"backlog {1e3 * status.backlog:.0f} ms", status.backlog > 0.5),
            (f"dropped {status.dropped / SAMPLE_RATE:.1f} s", status.dropped > 0),
        ]
        for count, what in (
            (status.overflows, "overflows"),
            (status.restarts, "restarts"),
            (self._listener.resets, "resets"),
        ):
            if count:
                items.append((f"{what} {count}", True))
        text = Text()
        for i, (item, alarming) in enumerate(items):
            # Lines break between items, not inside them.
            text.append(f" {glyphs.between} " if i else "", style="dim")
            text.append(
                item.replace(" ", "\N{NO-BREAK SPACE}"), style="yellow" if alarming else "dim"
            )
        return text


def _span(width: int, now: float) -> tuple[int, int]:
    """First and last cell of a strip: from the beginning, then scrolling."""
    last = max(int(np.ceil(now / CELL_SECONDS - 1e-6)) - 1, width - 1)
    return last - width + 1, last


def _state(status: Status, glyphs: Glyphs) -> Table:
    word, style = STATES[status.state]
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(
        Text(f"{glyphs.dot} {word}", style=style),
        Text(status.device),
        _clock(status.time, tenths=True),
    )
    return grid


def _meter(status: Status, width: int, glyphs: Glyphs) -> Text:
    level = status.level
    style = "red" if level.peak >= CLIPPED else "yellow" if level.peak >= LOUD else "green"
    text = Text("level ", style="")
    bar = _bar(_share(level.rms), width - 14, style, glyphs, mark=_share(level.peak))
    text.append_text(bar)
    text.append(f" {level.rms:4.0f} dB", style=style if level.peak >= CLIPPED else "dim")
    return text


def _bar(share: float, width: int, style: str, glyphs: Glyphs, *, mark: float | None) -> Text:
    """A bar of ``share`` of the width, and a mark where it is to get to or once was."""
    parts = len(glyphs.across)
    eighths = round(min(max(share, 0.0), 1.0) * width * parts)
    full, part = divmod(eighths, parts)
    cells = glyphs.across[-1] * full + (glyphs.across[part - 1] if part else "")
    text = Text(cells, style=style, no_wrap=True)
    text.append(" " * (width - len(cells)))
    if mark is not None and (at := min(int(mark * width), width - 1)) >= len(cells):
        text = text[:at] + Text(glyphs.mark, style="dim") + text[at + 1 :]
    return text


def _as_ascii(character: str) -> str:
    if character.isascii():
        return character
    return {"\N{NO-BREAK SPACE}": " ", "…": "~"}.get(character, "?" * cell_len(character))


def _share(decibels: float) -> float:
    return min(max((decibels - FLOOR) / (CEILING - FLOOR), 0.0), 1.0)


def _clock(seconds: float, *, tenths: bool = False) -> str:
    """Minutes and seconds, and hours where there are any."""
    units = round(seconds * 10) if tenths else round(seconds) * 10
    minutes, rest = divmod(units, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:" if hours else f"{minutes}:"
    return text + (f"{rest / 10:04.1f}" if tenths else f"{rest // 10:02}")
