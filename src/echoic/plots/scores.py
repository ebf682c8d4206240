"""Pictures of figures: confusion matrix, learning curves, DET curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echoic import metrics
from echoic.plots.style import BLUE, GREY, INK, PALE, VERMILLION, WIDTH, Floats, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(confusion: npt.ArrayLike, *, labels: Sequence[str], title: str = "") -> Figure:
    """Draw a confusion matrix.

    A cell holds its number of clips, blank for none. Its darkness is the square root of its share
    of the row, because otherwise only the diagonal would show. The shares on the diagonal, the
    recall of each label, stand on the right.

    Parameters
    ----------
    confusion : array-like of int, shape (n_labels, n_labels)
        Counts, rows true and columns predicted, as `sklearn.metrics.confusion_matrix` gives them.
    labels : sequence of str
        Names of the rows and columns.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        As large as the number of labels needs.

    Raises
    ------
    ValueError
        If `confusion` is not a square matrix of counts, or there is not a name for each row.
    """
    counts = np.asarray(confusion)
    if (
        counts.ndim != 2
        or not counts.size
        or counts.shape[0] != counts.shape[1]
        or not np.issubdtype(counts.dtype, np.integer)
        or counts.min() < 0
    ):
        raise ValueError(
            "Expected confusion to hold counts, integers from 0, in a shape (n_labels, n_labels), "
            f"received {counts.dtype} of shape {counts.shape}. "
            "Pass the result of `sklearn.metrics.confusion_matrix`, not normalized."
        )
    n = len(counts)
    if len(labels) != n:
        raise ValueError(
            f"Expected labels of the {n} rows of confusion, received {len(labels)} labels. "
            "Pass the vocabulary of the predictions."
        )
    clips = counts.sum(axis=1)
    shares = counts / np.maximum(clips[:, None], 1)
    darkness = np.sqrt(shares)
    cell = 0.27 if n > 20 else 0.46  # inches
    digit = 0.64  # Width of a digit as a fraction of the font's size.
    size = min(9.0, 0.7 * 72 * cell / (digit * len(str(counts.max()))))
    side = max(n * cell, 2.0)
    with new_figure(side + 2.2, side + 1.5, title) as figure:
        axes = figure.add_subplot()
        axes.imshow(darkness, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.argwhere(counts):
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center_baseline",
                fontsize=size,
                color="white" if darkness[row, column] > 0.55 else INK,
            )
        axes.set_xlabel("Predicted label")
        figure.supxlabel(
            "Number of clips; the darker a cell, the larger its share of the row",
            fontsize=8,
            color=GREY,
        )
        axes.set_ylabel("True label")
        axes.set_xticks(range(n), labels, rotation=90)
        axes.set_yticks(range(n), labels)
        # Minor ticks lie between the cells, to part them by pale lines.
        axes.set_xticks(np.arange(1, n) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, n) - 0.5, minor=True)
        axes.grid(which="minor", color="#EEEEEE")
        right = axes.secondary_yaxis("right")
        right.set_ylabel("Recall (share of the row)", labelpad=8)
        recall = zip(np.diagonal(shares), clips, strict=True)
        right.set_yticks(range(n), [f"{share:.1%}" if of else "n/a" for share, of in recall])
        for each in (axes, right):
            each.tick_params(which="both", length=0)
            each.spines[:].set_visible(False)
    return figure


def history(epochs: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Draw learning curves: loss and accuracy by epoch, training against validation.

    The best epoch is the one that training keeps: that of the highest validation accuracy, among
    equals that of the lowest validation loss, then the first. Without validation none is marked.

    Parameters
    ----------
    epochs : mapping of str to sequence of float
        A Keras history: any of ``loss`` and ``val_loss`` in nats, ``accuracy`` and
        ``val_accuracy`` from 0 to 1, each a value an epoch; other keys are ignored. A value that
        is not finite leaves a gap.
    title : str
        What was trained; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with a panel for the loss and one for the accuracy, as far as given.

    Raises
    ------
    ValueError
        If none of the keys is there, or their values are none or differ in number.
    """
    panels = [
        (key, label)
        for key, label in (("loss", "Loss (nats)"), ("accuracy", "Accuracy (fraction)"))
        if {key, f"val_{key}"} & epochs.keys()
    ]
    curves = {
        key: np.where(np.isfinite(epochs[key]), epochs[key], np.nan)
        for key in ("loss", "accuracy", "val_loss", "val_accuracy")
        if key in epochs
    }
    lengths = {key: len(values) for key, values in curves.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(
            "Expected epochs to hold loss, accuracy, val_loss or val_accuracy, with equally many "
            f"values, at least one, received keys {list(epochs)}, of them usable {lengths}. "
            "Pass `model.fit(...).history`."
        )
    number = np.arange(1, 1 + max(lengths.values()))
    best = _best_epoch(curves)
    with new_figure(WIDTH, 3.2, title) as figure:
        for axes, (key, label) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            axes.set_xlabel("Epoch")
            axes.set_ylabel(label)
            axes.set_xlim(0.5, len(number) + 0.5)
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            for curve, colour, meaning in (
                (key, GREY, "training"),
                (f"val_{key}", BLUE, "validation"),
            ):
                if curve in curves:
                    # With points, for a line needs two epochs without a gap between them.
                    size = 6 if len(number) <= 60 else 2
                    axes.plot(
                        number, curves[curve], ".-", color=colour, label=meaning, markersize=size
                    )
            if best is not None and f"val_{key}" in curves:
                value = curves[f"val_{key}"][best]
                axes.axvline(best + 1, color=PALE, linewidth=1, zorder=0)
                axes.plot(best + 1, value, "o", color=VERMILLION, label=f"best epoch ({best + 1})")
                axes.set_title(f"Validation at epoch {best + 1}: {value:.3f}")
        # Panels may differ in their curves; a meaning is listed once.
        meanings: dict[str, Any] = {}
        for axes in figure.axes:
            handles, names = axes.get_legend_handles_labels()
            meanings |= zip(names, handles, strict=True)
        figure.legend(list(meanings.values()), list(meanings), loc="outside lower center", ncols=3)
    return figure


def det_curve(
    false_accepts: Sequence[int],
    miss_rates: Sequence[float],
    *,
    hours: float,
    thresholds: Sequence[float],
    repeats: int = 1,
    chosen: tuple[int, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw misses against false accepts: the detection error trade-off (Martin 1997).

    A point a threshold, over false accepts an hour on a logarithmic axis, with the exact 95 %
    interval of that rate. Without a false accept there is no rate: such points are hollow and
    stand in a grey margin, left of the rate of one in all the hours.

    Parameters
    ----------
    false_accepts : sequence of int, shape (n,)
        Number of false accepts at each threshold.
    miss_rates : sequence of float, shape (n,)
        Fraction of the words that were missed, from 0 to 1.
    hours : float
        In which the false accepts were counted, above 0.
    thresholds : sequence of float, shape (n,)
        From 0 to 1, ascending.
    repeats : int
        How often the same recordings are in these hours: the intervals are as wide as of one time.
    chosen : (int, float), optional
        False accepts and miss rate of the settings in use.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide.

    Raises
    ------
    ValueError
        If the sequences are empty or differ in length, or a value is outside its range.

    References
    ----------
    A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    counts, misses = np.asarray(false_accepts), 100 * np.asarray(miss_rates, float)
    if (
        counts.ndim != 1
        or not counts.size
        or not counts.shape == misses.shape == (len(thresholds),)
    ):
        raise ValueError(
            "Expected false_accepts, miss_rates and thresholds of shape (n,), n at least 1, "
            f"received shapes {counts.shape}, {misses.shape} and ({len(thresholds)},). "
            "Pass one of each for each point."
        )
    if not ((misses >= 0) & (misses <= 100)).all():
        raise ValueError(
            f"Expected miss_rates from 0 to 1, received {misses.min() / 100:g} to "
            f"{misses.max() / 100:g}. Divide the misses by the words."
        )
    intervals = np.array(
        [metrics.poisson_interval(round(count / repeats), hours / repeats) for count in counts]
    )
    least = 1 / hours  # One false accept in all hours.
    left = least / 4

    def place(count: npt.ArrayLike) -> Floats:
        """Put none in the middle of the margin."""
        return np.where(np.asarray(count) > 0, np.asarray(count) / hours, least / 2)

    shown = place(counts)
    with new_figure(WIDTH, 4.2, title) as figure:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        right = 1.6 * max(float(intervals.max()), 4 * least)
        axes.set_xlim(left, right)
        axes.axvspan(left, least / 2**0.5, color="#F2F2F2", linewidth=0)
        axes.hlines(misses, np.maximum(intervals[:, 0], left), intervals[:, 1], color=PALE)
        axes.plot(shown, misses, "-", color=BLUE, linewidth=1)
        some = counts > 0
        axes.plot(shown[some], misses[some], "o", color=BLUE, label="a threshold, its value beside")
        hollow = axes.plot(shown[~some], misses[~some], "o", color=BLUE, markerfacecolor="white")
        if not some.all():
            hollow[0].set_label("a threshold without a false accept")
        top = 1.25 * max(float(misses.max()), 100 * chosen[1] if chosen else 0.0, 1.0)
        last = (np.inf, -1.0)
        # As far to the side as a name is wide: names that would lie on each other are left out.
        apart = (right / left) ** 0.07
        for x, y, threshold in zip(shown, misses, thresholds, strict=True):
            if not last[0] / apart < x < last[0] * apart or abs(y - last[1]) > 0.05 * top:
                axes.annotate(
                    f"{threshold:g}",
                    (x, y),
                    (5, 5),
                    textcoords="offset points",
                    color=GREY,
                    fontsize=8,
                )
                last = (float(x), float(y))
        if chosen:
            axes.plot(
                place(chosen[0]),
                100 * chosen[1],
                "D",
                color=VERMILLION,
                markersize=8,
                label="the model's settings",
            )
        axes.set_ylim(0, top)
        axes.plot([], [], "-", color=PALE, label="95 % interval")
        axes.set_xlabel("False accepts per hour (logarithmic)")
        axes.set_ylabel("Missed words (%)")
        axes.text(
            least / 2,
            0.98,
            f"no false\naccept in\n{hours:.2g} h",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            color=GREY,
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(loc="upper right")
    return figure


def _best_epoch(curves: Mapping[str, Floats]) -> int | None:
    """Index of the best epoch, None where validation never gave a finite value."""
    n = max(len(values) for values in curves.values())
    nothing = np.full(n, np.nan)
    accuracy = np.nan_to_num(curves.get("val_accuracy", nothing), nan=-np.inf)
    loss = np.nan_to_num(curves.get("val_loss", nothing), nan=np.inf)
    if np.isinf(accuracy).all() and np.isinf(loss).all():
        return None
    return int(np.lexsort((loss, -accuracy))[0])
