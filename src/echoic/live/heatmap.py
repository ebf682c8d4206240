"""The trail of the hidden state: what a recurrent network carries from step to step, by label.

Hundreds of units are too many for a terminal. Each speaks for some label more than for the others,
see `StreamingRecognizer.influence`; those that speak for the same are a group, and a group's mean
is a row of the picture. So the rows are the labels, in their order, and a row that stays bright
after its word is the word remembered.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from rich.style import Style
from rich.text import Text

CELL_SECONDS = 0.2
"""Sound (s) that a character of the strips stands for."""

HALVES = 2
"""Moments that a character shows in colour."""

FULL = 0.6
"""Mean of a group's states, of at most 1, from which on its colour is full."""

NEGATIVE, ZERO, POSITIVE = (150, 110, 255), (28, 26, 32), (255, 150, 30)
"""Colours (red, green, blue, 0 to 255): violet for negative and orange for positive states."""

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", ".:-=+*%#"
"""Without colour: from negative to positive."""


class StateHeatmap:
    """Keeps the state of the last minutes, averaged over the units that speak for each label.

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
        self._nobody = counts == 0
        self._kept: deque[tuple[int, npt.NDArray[np.float64]]] = deque(maxlen=2048)

    def add(self, time: float, state: npt.NDArray[np.float32]) -> None:
        """Take the state (units,) after the step that ends at ``time`` (s); the latest counts."""
        moment = int(time / CELL_SECONDS * HALVES - 1e-6)
        if self._kept and self._kept[-1][0] == moment:
            self._kept.pop()
        means = state @ self._mean
        means[self._nobody] = np.nan
        self._kept.append((moment, means))

    def moments(self, first: int, n_cells: int) -> npt.NDArray[np.float64]:
        """Means from the cell ``first`` on, (2 * n_cells, labels); NaN where nothing is known."""
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
