"""The view in a terminal: level, probabilities, words, hidden state, and the path of the sound."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack

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
from echoic.live.drawing import (
    ASCII,
    CEILING,
    FLOOR,
    UNICODE,
    Glyphs,
    as_ascii,
    bar,
    clock,
    fitting,
    level_share,
)
from echoic.live.heatmap import StateHeatmap
from echoic.live.listener import Activity, Listener, Output
from echoic.live.strip import Strip, span
from echoic.microphone import Block, Event, Source, Status
from echoic.runtime.decoder import Detection

REFRESH_SECONDS = 1 / 12
"""Shortest time (s) between two pictures."""

LOUD, CLIPPED = -12.0, -0.5
"""Peaks (dBFS) from which on the meter warns."""

NOTICE_SECONDS = 10.0
"""Time (s) for which an event that is over is shown."""

FRESH_SECONDS = 0.8
"""Time (s) for which a detection stands out."""

OTHER_ROWS = 7
"""Rows beside the bars and what wraps: frame, state, level, strip."""

SPACES = 2
"""Rows around the bars, the legend above them and an empty one below; left out where they would
leave fewer than three bars."""

MEMORY_BAR_WIDTH = 6
"""Fewest columns of a bar beside the memory."""

RECENT_WIDTH = 26
"""Columns of the list of recent words; in less than twice that there is only the strip."""

STATES = {
    "opening": ("opening", "yellow"),
    "live": ("listening", "green"),
    "muted": ("muted", "yellow"),
    "lost": ("lost", "red"),
    "frozen": ("hangs", "red"),
    "closed": ("ended", "dim"),
}


class View(Output):
    """Draws a listener and its source; ``console.print(view)`` draws the present state.

    As an output it is redrawn in place, at most twelve times a second, until it is closed; the
    last picture stays.

    Parameters
    ----------
    listener
        Source of the probabilities.
    source
        Source of the sound's state.
    name
        Of the model.
    console
        To draw on; None draws only on request.
    heatmap
        The network's hidden state, drawn in place of the list of recent words: beside each label
        the mean of its units, over the strip, on the same axis of time. None draws none.
    """

    def __init__(
        self,
        listener: Listener,
        source: Source,
        *,
        name: str,
        console: Console | None = None,
        heatmap: StateHeatmap | None = None,
    ) -> None:
        self._listener = listener
        self._source = source
        self._name = name
        self._heatmap = heatmap
        self._detections: deque[Detection] = deque(maxlen=64)
        self._events: deque[Event] = deque(maxlen=1)
        self._activity: Activity | None = None
        self._strip = Strip()
        self._drawn = 0.0
        self._live: Live | None = None
        self._stack = ExitStack()
        if console:
            self._live = Live(self, console=console, auto_refresh=False)
            self._live.start()
            self._stack.enter_context(discarded_stderr())  # PortAudio and ALSA write to it

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        self._detections.extend(detections)
        if self._heatmap:
            for posterior in self._listener.posteriors:
                if posterior.state is not None:
                    self._heatmap.add(posterior.time, posterior.state)
        self._strip.add(block)
        if self._live and time.monotonic() - self._drawn >= REFRESH_SECONDS:
            self._draw()

    def on_event(self, event: Event) -> None:
        self._events.append(event)
        self._draw()

    def on_status(self, activity: Activity) -> None:
        self._activity = activity
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
        if self._activity:
            style = "bold red" if self._activity.event == "failed" else "bold cyan"
            line = Text(f"{self._activity.time:.1f} s  {self._activity}", style=style)
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
        if self._heatmap:
            color = console.color_system in ("truecolor", "256")
            parts += self._memory(rows, width, status.time, glyphs, color=color, spaced=spaced)
        else:
            parts += self._words(rows, width, status.time, glyphs, spaced=spaced)
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
            yield Segment("".join(map(as_ascii, segment.text)), segment.style, segment.control)

    def _event(self, status: Status) -> Event | None:
        if not self._events:
            return None
        (event,) = self._events
        over = status.state in ("live", "closed") and status.time - event.time > NOTICE_SECONDS
        return None if over else event

    def _words(
        self, rows: int, width: int, now: float, glyphs: Glyphs, *, spaced: bool
    ) -> list[RenderableType]:
        """The bars, beside them the list of recent words where it has room, and the strip."""
        left = width - RECENT_WIDTH if width >= 2 * RECENT_WIDTH else width + 2
        bars = self._bars(rows, left - 2, now, glyphs)
        heads = [Text(self._legend(left - 2, glyphs), style="dim", no_wrap=True)]
        body: RenderableType = bars
        if left < width:
            body = _beside([bars, self._recent(rows, now)], left)
            heads.append(Text(f"{'time':>8}  {'detected':<10}    p", style="dim", no_wrap=True))
        margin = self._name_width() + 1
        return [
            *([_beside(heads, left) if len(heads) > 1 else heads[0]] if spaced else []),
            body,
            *([""] if spaced else []),
            *self._strip_lines(width, margin, now, glyphs),
        ]

    def _memory(
        self, rows: int, width: int, now: float, glyphs: Glyphs, *, color: bool, spaced: bool
    ) -> list[RenderableType]:
        """The bars, beside them the hidden state, and the strip under that."""
        assert self._heatmap
        left = max(min(width // 3, 34), self._name_width() + 6 + MEMORY_BAR_WIDTH) + 2
        cells = width - left
        first, _ = span(cells, now)
        moments = self._heatmap.moments(first, cells)
        bars = self._bars(rows, left - 2, now, glyphs).split("\n")
        ascii_only = glyphs is ASCII
        lines: list[RenderableType] = []
        for line, label in zip(bars, self._shown(rows), strict=True):
            heat = self._heatmap.row(moments[:, label], color=color, ascii_only=ascii_only)
            lines.append(Text.assemble(line, "  ", heat, no_wrap=True))
        head = Text(set_cell_size(self._legend(left - 2, glyphs), left), style="dim", no_wrap=True)
        head.append_text(self._heatmap.legend(cells, color=color, ascii_only=ascii_only))
        return [
            *([head] if spaced else []),
            *lines,
            *([""] if spaced else []),
            *self._strip_lines(width, left, now, glyphs),
        ]

    def _strip_lines(self, width: int, margin: int, now: float, glyphs: Glyphs) -> list[Text]:
        """The strip, each line with its name in a margin."""
        room = margin - 1
        names = (
            fitting([f"loudness {FLOOR:.0f} to {CEILING:.0f} dBFS", "loudness", "sound"], room),
            fitting(["words detected", "words"], room),
            fitting(["time (min:s)", "time"], room),
        )
        strip = self._strip.draw(width - margin, now, self._detections, glyphs)
        return [
            Text.assemble((set_cell_size(name, margin), "dim"), line, no_wrap=True)
            for name, line in zip(names, strip, strict=True)
        ]

    def _legend(self, width: int, glyphs: Glyphs) -> str:
        """Describe the bars and their marks."""
        start = " " * (self._name_width() + 1)
        texts = ("probability p ({} detection threshold)", "prob. ({} threshold)", "{} threshold")
        return fitting([start + text.format(glyphs.mark) for text in texts], width)

    def _name_width(self) -> int:
        """Columns of the labels' names."""
        return min(max(map(cell_len, self._listener.labels)), 12)

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
        name_width = self._name_width()
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
            lines.append_text(bar(p, bar_width, style, glyphs, mark=mark))
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
            lines.append(f"{clock(d.time, tenths=True):>8}  ", style="dim")
            lines.append(
                f"{set_cell_size(d.label, 10)} ", style="bold green" if is_fresh else "bold"
            )
            lines.append(f"{d.confidence:4.0%}", style="" if is_fresh else "dim")
        return lines

    def _path(self, status: Status, glyphs: Glyphs) -> Text:
        rate = f"{status.device_rate:,} Hz"
        if status.resampling:
            rate += f" {glyphs.arrow} {SAMPLE_RATE:,} Hz"
        items = [
            (rate, False),
            (f"latency {1e3 * status.latency:.0f} ms", False),
            (f"backlog {1e3 * status.backlog:.0f} ms", status.backlog > 0.5),
            (_dropped(status, glyphs), status.dropped > 0),
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


def _state(status: Status, glyphs: Glyphs) -> Table:
    word, style = STATES[status.state]
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(
        Text(f"{glyphs.dot} {word}", style=style),
        Text(status.device),
        clock(status.time, tenths=True),
    )
    return grid


def _beside(columns: Sequence[RenderableType], left: int) -> Table:
    """Two columns, the first ``left`` wide with the space between."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=left - 2, no_wrap=True)
    grid.add_column(width=RECENT_WIDTH)
    grid.add_row(*columns)
    return grid


def _meter(status: Status, width: int, glyphs: Glyphs) -> Text:
    """The level: a bar for its mean, a mark for its peak, and both in dBFS."""
    level = status.level
    style = "red" if level.peak >= CLIPPED else "yellow" if level.peak >= LOUD else "green"
    figures = f" {level.rms:4.0f} dBFS, peak {glyphs.mark} {level.peak:3.0f}"
    if width < 2 * RECENT_WIDTH:
        figures = f" {level.rms:4.0f} dBFS"
    room = width - len("level ") - len(figures)
    text = Text("level ", style="")
    text.append_text(bar(level_share(level.rms), room, style, glyphs, mark=level_share(level.peak)))
    text.append(figures, style=style if level.peak >= CLIPPED else "dim")
    return text


def _dropped(status: Status, glyphs: Glyphs) -> str:
    text = f"dropped {status.dropped / SAMPLE_RATE:.1f} s"
    return f"{text} ({glyphs.hole})" if status.dropped else text
