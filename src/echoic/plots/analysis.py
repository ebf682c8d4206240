"""Pictures of an analysis: calibration, speakers, open set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echoic import metrics
from echoic.metrics import ReliabilityBin
from echoic.plots.style import BLUE, GREY, ORANGE, PALE, VERMILLION, WIDTH, Floats, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE = "#E6E6E6"
"""Fill of the range that chance alone gives."""

FURTHEST = 8.0
"""Log-odds (nats) beyond which all scores are drawn together: 99.97 %, and 0.03 %."""


def reliability(bins: Sequence[ReliabilityBin], *, title: str = "") -> Figure:
    """Draw accuracy against confidence: a reliability diagram.

    A point a bin, its mean confidence against its accuracy, with the 95 % Wilson interval of
    that. The points of a calibrated recognizer lie on the diagonal, those of an overconfident one
    below it. The lower panel has the number of clips in each bin, on a logarithmic axis.

    Parameters
    ----------
    bins : sequence of ReliabilityBin
        As `metrics.reliability_bins` gives them, at least one.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        Five inches wide, with two panels.

    Raises
    ------
    ValueError
        If there is no bin.
    """
    if not bins:
        raise ValueError(
            "Expected at least one bin, received none. Pass the result of `reliability_bins`."
        )
    sure = 100 * np.array([b.confidence for b in bins])
    right = 100 * np.array([b.accuracy for b in bins])
    ends = 100 * np.array([metrics.wilson_interval(round(b.accuracy * b.n), b.n) for b in bins])
    with new_figure(0.65 * WIDTH, 5.8, title) as figure:
        top, bottom = figure.subplots(2, 1, height_ratios=(3.6, 1), sharex=True)
        top.plot((0, 100), (0, 100), "-", color=PALE, linewidth=1, label="perfect calibration")
        top.fill_between((0, 100), (0, 100), color="#F7F7F7", linewidth=0)
        top.vlines(sure, *ends.T, color=BLUE, alpha=0.35, linewidth=2, label="95 % interval")
        top.plot(
            sure, right, "o-", color=BLUE, linewidth=1, markersize=5, label="a bin", clip_on=False
        )
        top.text(97, 4, "overconfident", ha="right", color=GREY)
        top.text(3, 96, "underconfident", va="top", color=GREY)
        top.set_xlim(0, 100)
        top.set_ylim(0, 102)
        top.set_ylabel("Accuracy (%)")
        bottom.bar(
            [100 * b.lower for b in bins],
            [b.n for b in bins],
            [100 * (b.upper - b.lower) for b in bins],
            align="edge",
            color=BLUE,
            edgecolor="white",
            log=True,
        )
        bottom.set_ylim(bottom=0.7)
        bottom.yaxis.set_major_formatter("{x:,g}")
        bottom.set_xlabel("Confidence (%)")
        bottom.set_ylabel("Clips")
        figure.align_ylabels([top, bottom])
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def speakers(
    right: npt.ArrayLike,
    clips: npt.ArrayLike,
    *,
    chance: npt.ArrayLike,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw the accuracy of each speaker, beside what chance alone would give.

    On the left the speakers from the worst to the best, on a logarithmic axis; a grey band holds
    95 % of such lines where every speaker is served equally well. On the right each speaker's
    accuracy over the number of clips, a larger point for several speakers in one place; by chance
    one in twenty would be outside of the grey funnel. The worst are named.

    Parameters
    ----------
    right, clips : array-like of int, shape (speakers,)
        Clips of each speaker that were right, and all.
    chance : array-like of float, shape (draws, speakers)
        Accuracies that chance alone gave the same numbers of clips, from 0 to 1, in any order.
    names : sequence of str
        Names in the order of the speakers, blank for one that is not named; empty for nobody.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with two panels.

    Raises
    ------
    ValueError
        If the arrays do not fit each other.
    """
    hits, n, drawn = np.asarray(right), np.asarray(clips), np.asarray(chance, float)
    if (
        hits.ndim != 1
        or not hits.size
        or hits.shape != n.shape
        or drawn.ndim != 2
        or drawn.shape[1:] != n.shape
        or not len(drawn)
        or len(names) not in (0, len(n))
    ):
        raise ValueError(
            "Expected right and clips of shape (speakers,), chance of shape (draws, speakers) and "
            f"as many names or none, received shapes {hits.shape}, {n.shape} and {drawn.shape}, "
            f"and {len(names)} names. Pass one of each for every speaker."
        )
    if not ((hits >= 0) & (hits <= n) & (n > 0)).all():
        raise ValueError(
            "Expected clips of at least 1 and right from 0 to clips, received clips from "
            f"{n.min()}, right from {hits.min()} to {hits.max()}. Leave out speakers without clips."
        )
    accuracy = 100 * hits / n
    overall = hits.sum() / n.sum()
    ordered = np.sort(100 * drawn, axis=1)
    low, high = np.quantile(ordered, (0.025, 0.975), axis=0)
    rank = np.arange(1, len(n) + 1)
    floor = max(0.0, 10 * np.floor((min(accuracy.min(), low.min()) - 4) / 10))
    margin = 0.05 * (100 - floor)
    with new_figure(WIDTH, 3.7, title) as figure:
        left, funnel = figure.subplots(1, 2, sharey=True)
        left.set_xscale("log")
        left.fill_between(rank, low, high, color=CHANCE, linewidth=0, label="chance alone (95 %)")
        left.plot(
            rank,
            np.sort(accuracy),
            "o",
            color=BLUE,
            markersize=3.5,
            markeredgewidth=0,
            label="a speaker (right: larger for several)",
        )
        left.set_xlabel("Speakers, worst first (logarithmic)")
        left.set_ylabel("Accuracy (%)")
        left.set_xlim(0.9, max(1.05 * len(n), 2))
        left.xaxis.set_major_formatter("{x:,g}")
        left.xaxis.set_minor_formatter("")
        left.set_ylim(floor - margin, 100 + margin)
        _draw_funnel(funnel, hits, n, overall)
        figure.legend(loc="outside lower center", ncols=3)
        _name(funnel, n, accuracy, names)
    return figure


def open_set(
    positive: npt.ArrayLike,
    negatives: Mapping[str, npt.ArrayLike],
    *,
    threshold: float,
    recall: float = 0.95,
    title: str = "",
) -> Figure:
    """Draw the scores of commands and of other words.

    The share of clips over the largest probability of a command, on an axis that is linear in the
    log-odds, because almost all scores lie close to 0 or to 1. Clips right of the line are
    accepted.

    Parameters
    ----------
    positive : array-like of float, shape (n,)
        Scores of clips of the commands, from 0 to 1.
    negatives : mapping of str to array-like of float
        Scores of other words, by the name of their kind; an empty array is left out.
    threshold : float
        The least score that is accepted, from 0 to 1.
    recall : float
        Fraction of the commands that is accepted there.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with a panel for the commands and one for each kind of other words.

    Raises
    ------
    ValueError
        If there are no scores of commands, or of nothing else, or one is not from 0 to 1.
    """
    kinds = {"commands": np.asarray(positive, float)}
    kinds |= {name: np.asarray(scores, float) for name, scores in negatives.items()}
    if not kinds["commands"].size or not any(scores.size for scores in list(kinds.values())[1:]):
        raise ValueError(
            "Expected scores in positive and negatives, received shapes "
            f"{ {name: scores.shape for name, scores in kinds.items()} }. Pass a score a clip."
        )
    for name, scores in kinds.items():
        if scores.ndim != 1 or not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(
                f"Expected scores from 0 to 1 of shape (n,), received shape {scores.shape}, "
                f"{np.ravel(scores).min():g} to {np.ravel(scores).max():g} for {name!r}. "
                "Pass probabilities."
            )
    kinds = {name: scores for name, scores in kinds.items() if scores.size}
    edges = np.linspace(-FURTHEST, FURTHEST, 33)
    line = float(_log_odds(np.array(threshold)))
    colours = (BLUE, ORANGE, VERMILLION)
    with new_figure(WIDTH, 1.05 * len(kinds) + 0.9, title) as figure:
        panels = figure.subplots(len(kinds), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for number, (axes, (name, scores)) in enumerate(zip(panels, kinds.items(), strict=True)):
            odds = _log_odds(scores)
            weights = np.full(len(odds), 100 / len(odds))
            axes.hist(odds, edges, weights=weights, color=colours[min(number, 2)])
            axes.axvline(line, color=GREY, linewidth=1)
            accepted = np.mean(scores >= threshold)
            clips = f"{len(scores):,} clip{'' if len(scores) == 1 else 's'}"
            axes.set_title(f"{name}, {clips}: {accepted:.1%} accepted")
        panels[0].set_xlim(-FURTHEST, FURTHEST)
        shown = np.array([0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
        panels[-1].set_xticks(_log_odds(shown), [f"{100 * p:g}" for p in shown])
        panels[-1].set_xlabel("Largest probability of a command (%)")
        figure.supylabel("Clips (%)", fontsize=9)
        panels[0].annotate(
            f"threshold: {100 * recall:g} % of the commands are right of it",
            (line, 0.94),
            (-6, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            va="top",
            color=GREY,
        )
    return figure


def _draw_funnel(
    axes: Axes, right: npt.NDArray[np.int64], clips: npt.NDArray[np.int64], p: float
) -> None:
    """Draw accuracies over numbers of clips, and the 95 % range of a binomial of chance p."""
    from matplotlib.ticker import MaxNLocator
    from scipy.stats import binom

    most = int(clips.max())
    grid = np.arange(1, most + max(2, most // 20))
    axes.fill_between(
        grid,
        100 * binom.ppf(0.025, grid, p) / grid,
        100 * binom.ppf(0.975, grid, p) / grid,
        color=CHANCE,
        linewidth=0,
        step="mid",
    )
    axes.axhline(100 * p, color=GREY, linewidth=1, label=f"all speakers: {p:.1%}")
    places, many = np.unique(np.stack([clips, right], axis=1), axis=0, return_counts=True)
    axes.scatter(
        places[:, 0],
        100 * places[:, 1] / places[:, 0],
        12 * many**0.7,
        color=BLUE,
        alpha=0.75,
        linewidth=0,
        zorder=3,
    )
    axes.set_xlabel("Clips of a speaker")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, grid[-1] + 0.5)


def _name(axes: Axes, clips: npt.NDArray[np.int64], accuracy: Floats, names: Sequence[str]) -> None:
    """Write names beside their points, where they do not lie on each other."""
    taken: list[float] = []
    low, high = axes.get_ylim()
    for i in np.argsort(accuracy, kind="stable"):
        if names and names[i] and all(abs(accuracy[i] - y) > 0.055 * (high - low) for y in taken):
            near = clips[i] < 0.6 * axes.get_xlim()[1]
            axes.annotate(
                names[i],
                (clips[i], accuracy[i]),
                (6 if near else -6, 0),
                textcoords="offset points",
                ha="left" if near else "right",
                va="center",
                color=GREY,
                fontsize=8,
            )
            taken.append(float(accuracy[i]))


def _log_odds(p: Floats) -> Floats:
    """Log-odds of a probability (nats), no further than what is drawn."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -0.999 * FURTHEST, 0.999 * FURTHEST)
