"""The hidden state as a heatmap: what a recurrent network carries from step to step, by label.

A terminal cannot show hundreds of units. Each unit speaks for one label more than for the others
(`StreamingRecognizer.influence`). The units of a label are a group, and a row shows a group's mean.
So the rows are the labels, in their order, and a row that stays bright after its word shows that
the word is remembered.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from echoic.live.drawing import fitting

CELL_SECONDS = 0.2
"""Sound (s) in a character of the heatmap and of the strip below it."""

HALVES = 2
"""Moments in a character, where there are colours."""

FULL = 0.6
"""Mean of a group's states, of at most 1, at which its colour is full."""

NEGATIVE, ZERO, POSITIVE = (150, 110, 255), (28, 26, 32), (255, 150, 30)
"""Colours (red, green, blue, 0 to 255): violet for negative and orange for positive states."""

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", ".:-=+*%#"
"""Without colours: from negative to positive."""


class StateHeatmap:
    """Keeps the hidden state of the last minutes, averaged over the units of each label.

    Parameters
    ----------
    influence
        From `StreamingRecognizer.influence`, (units, labels).

    Attributes
    ----------
    groups
        For each unit the label that it speaks for, (units,) int64.
    """

    def __init__(self, influence: npt.NDArray[np.float32]) -> None:
        self.groups = influence.argmax(axis=1)
        counts = np.bincount(self.groups, minlength=influence.shape[1])
        members = self.groups[:, None] == np.arange(influence.shape[1])
        self._mean = members / np.maximum(counts, 1)
        self._empty = counts == 0
        self._kept: deque[tuple[int, npt.NDArray[np.float64]]] = deque(maxlen=2048)

    def add(self, time: float, state: npt.NDArray[np.float32]) -> None:
        """Take the state (units,) after the step that ends at ``time`` (s).

        Of several states within a moment the latest is kept.
        """
        moment = int(time / CELL_SECONDS * HALVES - 1e-6)
        if self._kept and self._kept[-1][0] == moment:
            self._kept.pop()
        means = state @ self._mean
        means[self._empty] = np.nan
        self._kept.append((moment, means))

    def moments(self, first: int, n_cells: int) -> npt.NDArray[np.float64]:
        """Return means from the cell ``first`` on, (2 * n_cells, labels); NaN where unknown."""
        values = np.full((HALVES * n_cells, self._mean.shape[1]), np.nan)
        for moment, means in self._kept:
            if 0 <= (at := moment - HALVES * first) < len(values):
                values[at] = means
        return values

    def row(
        self, values: npt.NDArray[np.float64], *, color: bool, ascii_only: bool = False
    ) -> Text:
        """Draw one label's means, (2 * n_cells,), as n_cells characters."""
        text = Text(no_wrap=True)
        for left, right in values.reshape(-1, HALVES):
            latest = left if np.isnan(right) else right
            if not color or ascii_only:
                text.append(_character(latest, ASCII if ascii_only else BLOCKS))
            elif np.isnan(latest):
                text.append(" ")
            elif np.isnan(left):
                text.append("▐", Style(color=_color(right)))
            else:
                behind = None if np.isnan(right) else _color(right)
                text.append("▌", Style(color=_color(left), bgcolor=behind))
        return text

    def legend(self, width: int, *, color: bool, ascii_only: bool = False) -> Text:
        """Describe the rows and their colours in at most ``width`` columns."""
        scale = Text(no_wrap=True)
        for value in (-FULL, 0.0, FULL):
            swatch = np.full(HALVES, value)
            scale.append_text(self.row(swatch, color=color, ascii_only=ascii_only))
            scale.append(f" {value:+.1f}  " if value else " 0  ", style="dim")
        scale.rstrip()
        captions = (
            f"memory: mean state of {len(self.groups)} units by label  ",
            f"memory: {len(self.groups)} units by label  ",
            "memory  ",
        )
        caption = fitting(captions, width - cell_len(scale.plain))
        if caption:
            return Text(caption, style="dim", no_wrap=True).append_text(scale)
        return Text(fitting([c.rstrip() for c in captions], width), style="dim", no_wrap=True)


def _color(value: float) -> str:
    share = min(abs(value) / FULL, 1.0)
    end = POSITIVE if value > 0 else NEGATIVE
    return "#" + "".join(
        f"{round(z + share * (e - z)):02x}" for z, e in zip(ZERO, end, strict=True)
    )


def _character(value: float, ladder: str) -> str:
    if np.isnan(value):
        return " "
    share = (min(max(value / FULL, -1.0), 1.0) + 1) / 2
    return ladder[min(int(share * len(ladder)), len(ladder) - 1)]
