"""A strip of the last seconds: loudness, words and times, scrolling by."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from rich.text import Text

from echoic.audio import SAMPLE_RATE
from echoic.live.drawing import Glyphs, clock, level_share
from echoic.live.heatmap import CELL_SECONDS
from echoic.microphone import Block
from echoic.runtime.decoder import Detection

TICK_SECONDS = 5
"""Distance (s) of the times under the strip."""


class Strip:
    """Keeps the loudness of the last seconds; a column is `CELL_SECONDS` of sound."""

    def __init__(self) -> None:
        self._loudness: deque[tuple[int, float]] = deque(maxlen=512)

    def add(self, block: Block) -> None:
        """Take the next block."""
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

    def draw(
        self, width: int, now: float, detections: Iterable[Detection], glyphs: Glyphs
    ) -> list[Text]:
        """Draw three lines: loudness, words that end where they were detected, and times.

        Parameters
        ----------
        width
            Columns.
        now
            Instant (s) at the right end, once the strip is full.
        detections
            In the order of time.
        """
        first, last = span(width, now)
        sound, words, ticks = Text(no_wrap=True), [" "] * width, [" "] * width
        powers = dict(self._loudness)
        for column in range(first, last + 1):
            power = powers.get(column)
            if power is None:
                # What is not there yet is no hole.
                missing = (column + 1) * CELL_SECONDS <= now
                sound.append(glyphs.hole if missing else " ", style="red")
            else:
                share = level_share(10 * float(np.log10(max(power, 1e-12))))
                step = min(int(share * len(glyphs.up)), len(glyphs.up) - 1)
                sound.append(glyphs.up[step], style="cyan" if step else "dim cyan")
        free = 0
        for d in detections:
            column = int(d.time / CELL_SECONDS - 1e-6) - first
            start = max(column - len(d.label) + 1, free)
            if column >= 0 and start + len(d.label) <= width:
                words[start : start + len(d.label)] = d.label
                free = start + len(d.label) + 1
        in_sight = int(first * CELL_SECONDS) // TICK_SECONDS * TICK_SECONDS
        for tick in range(in_sight, int(now) + 1, TICK_SECONDS):
            start, text = round(tick / CELL_SECONDS) - first, clock(tick)
            if 0 <= start <= width - len(text):
                ticks[start : start + len(text)] = text
        return [
            sound,
            Text("".join(words), style="bold green", no_wrap=True),
            Text("".join(ticks), style="dim", no_wrap=True),
        ]


def span(width: int, now: float) -> tuple[int, int]:
    """Return the first and last column of a strip: from the beginning, then scrolling."""
    last = max(int(np.ceil(now / CELL_SECONDS - 1e-6)) - 1, width - 1)
    return last - width + 1, last
