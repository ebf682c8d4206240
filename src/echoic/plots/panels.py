"""Panels of several pictures, and the checks of their data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from echoic.labels import SILENCE, UNKNOWN
from echoic.plots.style import GREY, INK, LINES, PALE, PALETTE, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

    from echoic.config import FeatureConfig

SHOWN = 0.05  # A label that never exceeds this probability stays grey and unnamed.
AMPLITUDE = "Amplitude\n(full scale = 1)"
MFCC = "MFCC\n(coefficient)"
LOG_MEL = "Log-mel\n(band)"
DEVIATIONS = "Standard deviations\nfrom the mean"


def feature_axis(config: FeatureConfig) -> str:
    """Name the axis of a network's features: MFCC, or log-mel bands where there is no DCT."""
    return MFCC if config.n_mfcc else LOG_MEL


def draw_waveform(axes: Axes, waveform: npt.NDArray[np.float32], *, sample_rate: int) -> None:
    seconds = np.arange(len(waveform)) / sample_rate
    axes.plot(seconds, waveform, color=INK, linewidth=0.5)
    axes.set_ylim(-half_height(waveform), half_height(waveform))


def half_height(waveform: npt.NDArray[np.float32]) -> float:
    """Half the height of a waveform's axis; of digital silence it is not nothing."""
    return 1.05 * max(float(np.abs(waveform).max()), 0.01)


def standardize(mfcc: Floats, *, by: Floats) -> Floats:
    """Subtract the mean of each coefficient of `by`, (frames, n_mfcc), divide by its deviation."""
    # A coefficient that is constant but for rounding stays so: its deviation spans hundreds.
    deviation = np.maximum(by.std(axis=0), 1e-3)
    return np.asarray((mfcc - by.mean(axis=0)) / deviation)


def draw_mfcc(axes: Axes, standardized: Floats, *, hop: float) -> AxesImage:
    frames, n_mfcc = standardized.shape
    return axes.imshow(
        standardized.T,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(0, frames * hop, -0.5, n_mfcc - 0.5),
        cmap="RdBu_r",
        vmin=-2.5,
        vmax=2.5,
    )


def draw_scale(image: AxesImage, **place: Any) -> None:
    scale = image.axes.figure.colorbar(image, ticks=[-2, 0, 2], **place)
    scale.set_label(DEVIATIONS)
    scale.outline.set_visible(False)


class Look(NamedTuple):
    """How a label is drawn."""

    colour: str
    line: str = "-"
    width: float = 1.6  # points


def looks(posteriors: Floats, labels: Sequence[str], shown: float = SHOWN) -> dict[int, Look]:
    """Give each label that ever exceeds `shown` its look, the most probable first."""
    peaks = posteriors.max(axis=0)
    found: dict[int, Look] = {}
    words = 0
    for label in (int(i) for i in np.argsort(-peaks, kind="stable") if peaks[i] > shown):
        if labels[label] in (SILENCE, UNKNOWN):
            found[label] = Look("black" if labels[label] == SILENCE else GREY, "-", 1.0)
        else:
            rounds, colour = divmod(words, len(PALETTE))
            found[label] = Look(PALETTE[colour], LINES[rounds % len(LINES)])
            words += 1
    return found


def draw_bars(axes: Axes, posterior: Floats, labels: Sequence[str]) -> None:
    seen = looks(posterior[np.newaxis], labels)
    colours = [seen[i].colour if i in seen else PALE for i in range(len(labels))]
    axes.barh(range(len(labels)), posterior, color=colours)
    for i in seen:
        inside = posterior[i] > 0.9
        axes.annotate(
            f"{posterior[i]:.2f}",
            (posterior[i], i),
            (-4 if inside else 4, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center_baseline",
            color="white" if inside else INK,
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(labels) - 0.5, -0.5)


# Names over the probabilities

NAME_SIZE, NAME_ROW = 9.0, 13.0  # Points.
PANEL = 6.0  # Inches that the panel is wide at least; a wider one only leaves more room.


class Name(NamedTuple):
    """A name over the highest point of a curve."""

    text: str
    look: Look
    time: float  # Of the point, in seconds.
    probability: float
    x: float  # Of the name's centre, in seconds.
    row: int  # From the panel upwards.


def place_names(
    instants: Floats,
    posteriors: Floats,
    labels: Sequence[str],
    duration: float,
    *,
    shown: float = SHOWN,
) -> list[Name]:
    """Place a name over each coloured curve, in the lowest row where it meets no other.

    Of posteriors that are 0 where a label is not meant, only what is meant is named.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    bold = FontProperties(family="DejaVu Sans", weight="bold")
    seen = looks(posteriors, labels, shown)
    highest = {label: int(np.argmax(posteriors[:, label])) for label in seen}
    first = sorted((index, label) for label, index in highest.items())
    again = sorted(
        (index, label)
        for label in seen
        if labels[label] not in (SILENCE, UNKNOWN)
        for index in _peaks(posteriors[:, label])
        if index != highest[label]
    )
    names: list[Name] = []
    taken: list[list[tuple[float, float]]] = []  # Of each row, the spans in seconds.
    for index, label in first + again:
        text = labels[label]
        points = TextPath((0, 0), text, size=NAME_SIZE, prop=bold).get_extents().width
        half = (points / 2 + 4) / (72 * PANEL) * duration
        time = float(instants[index])
        x = min(max(time, half), max(duration - half, half))
        free = [all(x + half <= a or b <= x - half for a, b in spans) for spans in taken]
        row = free.index(True) if True in free else len(taken)
        if row == len(taken):
            if index != highest[label]:
                continue  # A repeated name is not worth another row.
            taken.append([])
        taken[row].append((x - half, x + half))
        names.append(Name(text, seen[label], time, float(posteriors[index, label]), x, row))
    return names


def _peaks(values: Floats) -> list[int]:
    """Index of the highest point of each stretch over one half."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values > 0.5, [False]]).astype(int)))
    return [int(a + np.argmax(values[a:b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def draw_posteriors(
    axes: Axes,
    instants: Floats,
    posteriors: Floats,
    labels: Sequence[str],
    names: Sequence[Name],
    *,
    shown: float = SHOWN,
    meant: Floats | None = None,
) -> list[Line2D]:
    """Draw probabilities over time and name what is likely.

    Returns
    -------
    list of Line2D
        An entry of the legend for each coloured label, in the vocabulary's order, and one for the
        others where there are any.
    """
    seen = looks(posteriors if meant is None else meant, labels, shown)
    for label in range(posteriors.shape[1]):
        if label not in seen:
            axes.plot(instants, posteriors[:, label], color=PALE, linewidth=0.8, clip_on=False)
    # The most probable last, for it lies on top.
    for label, look in reversed(seen.items()):
        axes.plot(
            instants,
            posteriors[:, label],
            look.line,
            color=look.colour,
            linewidth=look.width,
            clip_on=False,
        )
    for name in names:
        colour = name.look.colour
        axes.plot(name.time, name.probability, "o", color=colour, markersize=4, clip_on=False)
        leader = [name.probability, 1.04]
        axes.plot([name.time] * 2, leader, color=colour, linewidth=0.6, clip_on=False)
        axes.annotate(
            name.text,
            (name.x, 1),
            (0, 4 + NAME_ROW * name.row),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="baseline",
            color=colour,
            fontsize=NAME_SIZE,
            fontweight="bold",
        )
    axes.set_ylim(-0.02, 1.04)
    entries = []
    for label in sorted(seen):
        look = seen[label]
        (entry,) = axes.plot([], [], look.line, color=look.colour, linewidth=look.width)
        entry.set_label(labels[label])
        entries.append(entry)
    if len(seen) < len(labels):
        entries += axes.plot([], [], color=PALE, linewidth=0.8, label="other labels")
    return entries


# Checks


def check_clip(
    waveform: npt.NDArray[np.float32], mfcc: Floats, *, sample_rate: int, hop_length: int
) -> None:
    if sample_rate < 1 or hop_length < 1:
        raise ValueError(
            "`sample_rate` (Hz) and `hop_length` (samples) must be at least 1. "
            f"Received: sample_rate={sample_rate}, hop_length={hop_length}. "
            "Take both from the feature config."
        )
    if waveform.ndim != 1 or not waveform.size or not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(
            "`waveform` must be a float array of shape (samples,), with at least one sample. "
            f"Received: dtype={waveform.dtype}, shape={waveform.shape}. "
            "Average the channels, and divide int16 by 32768."
        )
    check_finite("waveform", waveform)
    frames = len(waveform) // hop_length
    if mfcc.ndim != 2 or not mfcc.size or len(mfcc) != frames:
        raise ValueError(
            f"`mfcc` must have a shape (frames, n_mfcc), here with {frames} frames, at least "
            f"one: {len(waveform)} samples // hop_length={hop_length}. "
            f"Received: shape={mfcc.shape}. Compute it from this waveform, time first."
        )
    check_finite("mfcc", mfcc)


def check_posteriors(instants: Floats, posteriors: Floats, labels: Sequence[str]) -> None:
    if (
        instants.ndim != 1
        or not posteriors.size
        or posteriors.shape != (len(instants), len(labels))
    ):
        raise ValueError(
            "`times` must have a shape (n,) and `probabilities` (n, labels), with n at least 1. "
            f"Received: times.shape={instants.shape}, probabilities.shape={posteriors.shape}, "
            f"{len(labels)} labels. Pass one row of probabilities for each instant."
        )
    check_finite("times", instants)
    check_finite("probabilities", posteriors)
    if (np.diff(instants) <= 0).any() or instants[0] < 0:
        raise ValueError(
            "`times` must ascend, in seconds from the waveform's start. "
            f"Received: {instants[0]:g} to {instants[-1]:g}, not ascending from 0. "
            "Subtract the start of the waveform from the stream's clock."
        )
    if posteriors.min() < 0 or posteriors.max() > 1 + 1e-6:
        raise ValueError(
            "`probabilities` must be between 0 and 1. "
            f"Received: {posteriors.min():g} to {posteriors.max():g}. "
            "Take the softmax of logits."
        )


def check_finite(name: str, values: Floats) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(
            f"`{name}` must be finite. Received: {int(np.sum(~finite))} of {values.size} values "
            "are NaN or infinite. Find out where they come from before drawing them."
        )
