"""Pictures of sweeps: accuracy over the strength of a change of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echoic.plots.style import GREY, PALE, PALETTE, WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "D", "^", "v", "P")


def sweep(
    values: Sequence[float],
    curves: Mapping[str, npt.ArrayLike],
    *,
    unchanged: tuple[float, float, float],
    axis: str,
    lowest: float | None = None,
    title: str = "",
) -> Figure:
    """Draw accuracy over the strength of a change of the clips.

    A curve a kind, each point with its interval. The accuracy of the same clips unchanged is a
    dashed line, with its interval as a band. Points of several curves stand a little beside each
    other, so that no interval hides another.

    Parameters
    ----------
    values : sequence of float, shape (n,)
        Strengths, ascending or descending, such as signal-to-noise ratios in dB.
    curves : mapping of str to array-like of float, shape (n, 3)
        Accuracy and the two ends of its interval at each strength, from 0 to 1; by kind.
    unchanged : (float, float, float)
        The same of the unchanged clips.
    axis : str
        Name of the strengths, with their unit.
    lowest : float, optional
        Accuracy at the foot of the axis, from 0 to 1; None fits it to the curves. Give several
        pictures the same one, and they can be compared.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide.

    Raises
    ------
    ValueError
        If there are no curves or values, a shape differs, or an accuracy is not from 0 to 1.
    """
    points = {kind: np.asarray(curve, dtype=float) for kind, curve in curves.items()}
    shapes = {kind: curve.shape for kind, curve in points.items()}
    if not points or not len(values) or set(shapes.values()) != {(len(values), 3)}:
        raise ValueError(
            f"Expected at least one of curves, each of shape (n, 3) for n = {len(values)} "
            f"values, n at least 1, received shapes {shapes}. Pass accuracy, lower and upper "
            "end of its interval for each value."
        )
    every = np.concatenate([*points.values(), np.asarray([unchanged], dtype=float)])
    if not ((every >= 0) & (every <= 1)).all():
        raise ValueError(
            f"Expected accuracies from 0 to 1, received {every.min():g} to {every.max():g}. "
            "Divide the clips that were right by all clips."
        )
    low = float(every.min()) if lowest is None else lowest
    foot = min(np.floor(20 * low) * 5, 95.0)
    step = float(np.abs(np.diff(values)).min()) if len(values) > 1 else 1.0
    places = np.asarray(values, dtype=float)
    beside = 0.08 * step * (np.arange(len(points)) - (len(points) - 1) / 2)
    with new_figure(WIDTH, 3.8 if len(points) > 1 else 2.8, title) as figure:
        axes = figure.add_subplot()
        accuracy, lower, upper = (100 * x for x in unchanged)
        axes.axhspan(lower, upper, color="#F2F2F2", linewidth=0, zorder=0)
        axes.axhline(
            accuracy, color=GREY, linestyle="--", linewidth=1, zorder=1, label="unchanged clips"
        )
        for (kind, curve), offset, colour, marker in zip(
            points.items(), beside, cycle(PALETTE), cycle(MARKERS), strict=False
        ):
            height, bottom, top = 100 * curve.T
            axes.vlines(places + offset, bottom, top, color=colour, linewidth=1, alpha=0.6)
            axes.plot(
                places + offset, height, "-", marker=marker, markersize=5, color=colour, label=kind
            )
        axes.annotate(
            f"unchanged\n{accuracy:.1f} %",
            (1, accuracy),
            (4, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            color=GREY,
            va="center",
        )
        axes.set_xticks(places, [f"{value:g}" for value in values])
        axes.set_ylim(foot, 100 + 0.06 * (100 - foot))
        axes.grid(axis="y", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlabel(axis)
        axes.set_ylabel("Accuracy (%)")
        axes.plot(
            [], [], "-", color=GREY, linewidth=1, alpha=0.6, label="95 % interval (bar, band)"
        )
        handles, names = axes.get_legend_handles_labels()
        figure.legend(
            handles[1:] + handles[:1],
            names[1:] + names[:1],
            loc="outside lower center",
            ncols=min(len(points) + 2, 4),
        )
    return figure
