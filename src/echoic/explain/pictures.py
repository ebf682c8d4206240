"""Pictures of a network's memory.

explanation()   activations and their influence, as `activations.trace` and `attribution` give them
explained()     the same of a recording in a file
recall()        how far back networks remember, as `recall.measure` gives it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.plots.panels import (
    AMPLITUDE,
    NAME_ROW,
    Name,
    draw_bars,
    draw_mfcc,
    draw_posteriors,
    draw_scale,
    draw_waveform,
    feature_axis,
    place_names,
    standardize,
)
from echoic.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    SKY,
    VERMILLION,
    WIDTH,
    Floats,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from echoic.explain.activations import Recurrence, Trace
    from echoic.explain.attribution import Influence
    from echoic.explain.recall import Memory
    from echoic.runtime.bundle import Bundle

GATES = {
    "update": (BLUE, "keeps the past"),
    "reset": (ORANGE, "looks at the past"),
    "forget": (BLUE, "keeps the past"),
    "input": (GREEN, "writes"),
    "output": (ORANGE, "shows"),
}
"""Colour of each gate, and its effect when it is open. The gate that keeps is always blue."""

NETWORKS = {"window": GREY, "rnn": VERMILLION, "gru": BLUE, "lstm": GREEN}
"""Colour of each network in `recall`."""

CONTENDER = 0.25
"""Labels that never exceed this probability are grey and have no name."""

LONGEST, BEFORE, AFTER = 4.0, 2.5, 0.5
"""Seconds shown before and after the decision of a recording longer than ``LONGEST`` (s)."""


def explanation(trace: Trace, influence: Influence | None = None, *, title: str = "") -> Figure:
    """Draw the activations of a network and the influence of each moment on its decision.

    The panels share a time axis. They show the waveform, with the influence behind it in orange;
    the input (MFCC or log-mel); the hidden state of each recurrent layer, a row a unit, similar
    units side by side (see `order_units`); the gates of each layer, the mean over the units as a
    line and the middle half of the units as a band; the probabilities, as bars where the network
    answers once; and the influence. A dashed line marks the time from which the label leads.

    Parameters
    ----------
    trace : activations.Trace
        Activations of a recording.
    influence : attribution.Influence
        Result of `attribution.occlusion` or `attribution.gradient`; without it, no last panel.
    title : str
        Title; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide.
    """
    decision = trace.decision(influence.time if influence else None)
    duration = max(len(trace.waveform) / trace.features.sample_rate, float(trace.times[-1]))
    once = len(trace.times) == 1
    names = []
    if not once:
        names = place_names(
            trace.times, trace.probabilities, trace.labels, duration, shown=CONTENDER
        )
    rows = 1 + max((name.row for name in names), default=-1)
    heights = [0.9, 1.1]
    for layer in trace.recurrent:
        heights += [1.5] + [0.8] * bool(layer.gates)
    heights += [0.2 + 0.18 * len(trace.labels)] if once else [1.4]
    heights += [0.9] if influence else []
    room = 0.42 * len(heights) + 0.3 + 0.17 * len(trace.notes) + rows * NAME_ROW / 72
    with new_figure(WIDTH, sum(heights) + room, title) as figure:
        panels = list(np.atleast_1d(figure.subplots(len(heights), 1, height_ratios=heights)))
        left = iter(panels)
        _draw_sound(next(left), trace, influence)
        _draw_heard(next(left), trace)
        for layer in trace.recurrent:
            _draw_states(next(left), layer)
            if layer.gates:
                _draw_gates(next(left), layer)
        answers = next(left)
        _draw_answers(answers, trace, names, rows)
        if influence:
            _draw_influence(next(left), influence)
        timed = [axes for axes in panels if not (once and axes is answers)]
        for axes in timed:
            axes.set_xlim(0, duration)
            axes.tick_params(labelbottom=axes is timed[-1])
            if not once:
                axes.axvline(decision.since, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        timed[-1].set_xlabel("Time (s)")
        figure.align_ylabels(panels)
        if trace.notes:
            figure.supxlabel("\n".join(trace.notes), x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def explained(
    model: Bundle | str | Path | None, path: str | Path, *, at: float | None = None
) -> Figure:
    """Draw the `explanation` of a recording in a file.

    A recording of up to a clip is padded with zeros, as in `Recognizer.predict`, and its last
    decision is explained. In a longer recording it is the decision at ``at`` (s), by default
    where a word is most probable. A recording of more than four seconds is cut to the seconds
    around the decision; the network's state is reset at the cut.

    Raises
    ------
    FileNotFoundError, AudioError, BundleError, ValueError
        See `audio.read` and `activations.trace`.
    """
    from echoic.explain import activations, attribution
    from echoic.runtime.bundle import Bundle

    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    rate = bundle.features.sample_rate
    waveform = audio.read(path, sample_rate=rate)
    clip = round(rate * bundle.recipe.data.clip_seconds)
    name = Path(path).name
    if len(waveform) <= clip:
        waveform = audio.fix_length(waveform, clip)
    trace = activations.trace(bundle, waveform)
    if at is None and len(waveform) > clip and not trace.notes:
        at = trace.most_certain()
    if at is not None and not 0 <= at <= len(waveform) / rate:
        raise ValueError(
            f"Expected a time from 0 to {len(waveform) / rate:.1f} s, the length of the recording, "
            f"received {at:g}."
        )
    if at is not None and len(waveform) > LONGEST * rate:
        hop = bundle.features.hop_length
        start = max(0, round((at - BEFORE) * rate / hop)) * hop
        trace = activations.trace_network(
            trace.network,
            waveform[start : round((at + AFTER) * rate)],
            features=bundle.features,
            labels=bundle.labels,
        )
        at -= start / rate
        name += f" from {start / rate:.2f} s on"
    influence = attribution.occlusion(trace, at=at)
    decision = trace.decision(at)
    since = "" if trace.notes else f", decided after {decision.since:.2f} s"
    title = f"{name}: {bundle.name} predicts {decision.label!r}{since}"
    return explanation(trace, influence, title=title)


def _draw_sound(axes: Axes, trace: Trace, influence: Influence | None) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes.set_title(
        "Waveform"
        + (", influence in orange" if influence else "")
        + (", decision dashed" if len(trace.times) > 1 else "")
    )
    axes.set_ylabel(AMPLITUDE)
    draw_waveform(axes, trace.waveform, sample_rate=trace.features.sample_rate)
    if influence and (influence.values > 0).any():
        half = float(influence.times[1] - influence.times[0]) / 2 if len(influence.times) > 1 else 0
        low, high = axes.get_ylim()
        axes.imshow(
            np.maximum(influence.values, 0)[None],
            aspect="auto",
            extent=(influence.times[0] - half, influence.times[-1] + half, low, high),
            cmap=LinearSegmentedColormap.from_list("influence", ["white", ORANGE]),
            vmin=0,
            interpolation="bilinear",
            zorder=0,
        )
        axes.set_ylim(low, high)


def _draw_heard(axes: Axes, trace: Trace) -> None:
    axes.set_title("Input of the network")
    axes.set_ylabel(feature_axis(trace.features))
    image = draw_mfcc(axes, standardize(trace.inputs, by=trace.inputs), hop=trace.features.time(0))
    draw_scale(image, cax=axes.inset_axes((1.012, 0, 0.012, 1)))


def _draw_states(axes: Axes, layer: Recurrence) -> None:
    steps, units = layer.states.shape
    axes.set_title(f"Hidden state of {layer.name}")
    axes.set_ylabel("Unit\n(sorted)")
    step = float(layer.times[1] - layer.times[0]) if steps > 1 else float(layer.times[0])
    image = axes.imshow(
        layer.states[:, order_units(layer.states)].T,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(layer.times[0] - step, layer.times[-1], -0.5, units - 0.5),
        cmap="PuOr_r",
        vmin=-1,
        vmax=1,
    )
    axes.set_yticks([0, units - 1], ["1", str(units)])
    scale = axes.figure.colorbar(image, cax=axes.inset_axes((1.012, 0, 0.012, 1)), ticks=[-1, 0, 1])
    scale.set_label("Hidden state")
    scale.outline.set_visible(False)


def _draw_gates(axes: Axes, layer: Recurrence) -> None:
    axes.set_title(f"Gates of {layer.name}")
    axes.set_ylabel("Gate\n(1 = open)")
    for name, values in layer.gates.items():
        colour, meaning = GATES[name]
        low, high = np.percentile(values, (25, 75), axis=1)
        axes.fill_between(layer.times, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(layer.times, values.mean(axis=1), color=colour, label=f"{name}: {meaning}")
    axes.set_ylim(0, 1)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 0.98),
        ncols=3,
        fontsize=8,
        borderaxespad=0,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _draw_answers(axes: Axes, trace: Trace, names: Sequence[Name], rows: int) -> None:
    if len(trace.times) == 1:
        axes.set_title("Probabilities at the end of the clip")
        axes.set_xlabel(f"Probability at {trace.times[0]:.2f} s")
        draw_bars(axes, trace.probabilities[0], trace.labels)
        return
    axes.set_title(
        f"Probabilities (pale grey: labels that stay below {CONTENDER:g})",
        pad=6 + NAME_ROW * rows,
    )
    axes.set_ylabel("Probability")
    draw_posteriors(axes, trace.times, trace.probabilities, trace.labels, names, shown=CONTENDER)


def _draw_influence(axes: Axes, influence: Influence) -> None:
    axes.set_title(
        f"Influence of each moment on {influence.label!r}, by {influence.kind} "
        "(orange: raises it, blue: lowers it)"
    )
    axes.set_ylabel("Log-odds\n(nats)")
    axes.axhline(0, color=PALE, linewidth=0.8)
    for sign, colour in ((1, ORANGE), (-1, SKY)):
        part = np.maximum(sign * influence.values, 0) * sign
        axes.fill_between(influence.times, 0, part, color=colour, linewidth=0)
    axes.plot(influence.times, influence.values, color=INK, linewidth=0.8)


def recall(result: Memory, *, title: str = "") -> Figure:
    """Draw how far back networks remember: accuracy and gradient by distance.

    Parameters
    ----------
    result : recall.Memory
        Result of `recall.measure`.
    title : str
        Title; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with three panels: accuracy in order, accuracy on request, and on a
        logarithmic scale the norm of the gradient with respect to earlier states, relative to the
        last state; dotted before training.
    """
    from matplotlib.ticker import MaxNLocator

    config = result.config
    with new_figure(WIDTH, 5.6, title) as figure:
        grid = figure.add_gridspec(2, 2)
        in_order, on_request = (figure.add_subplot(grid[0, i]) for i in (0, 1))
        gradients = figure.add_subplot(grid[1, :])
        in_order.set_title("All names, in order")
        in_order.set_xlabel("People in the circle")
        on_request.set_title("One name, on request")
        on_request.set_xlabel("People ago")
        for axes, curves, marker in (
            (in_order, result.in_order, "o"),
            (on_request, result.on_request, None),
        ):
            axes.set_ylabel("Accuracy (fraction)")
            axes.axhline(1 / config.names, color=PALE, linewidth=1, zorder=0)
            axes.annotate(
                "chance",
                (0, 1 / config.names),
                (4, -3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="top",
                color=GREY,
                fontsize=8,
            )
            axes.set_ylim(-0.02, 1.04)
            for kind, accuracy in curves.items():
                axes.plot(
                    np.arange(1, 1 + len(accuracy)),
                    accuracy,
                    marker=marker,
                    markersize=4,
                    color=NETWORKS[kind],
                    # Two that are always right are both seen.
                    linewidth=3 if kind == "gru" else 1.5,
                    clip_on=False,
                )
        for axes in (in_order, on_request):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        gradients.set_title("Gradient through time (dotted: before training)")
        gradients.set_xlabel("People ago")
        gradients.set_ylabel("Gradient norm\n(last = 1)")
        gradients.set_yscale("log")
        gradients.yaxis.set_major_formatter("{x:g}")
        for curves, line in ((result.gradients, "-"), (result.fresh_gradients, ":")):
            for kind, norms in curves.items():
                gradients.plot(norms, line, color=NETWORKS[kind])
        handles = [
            in_order.plot([], [], color=colour, label=f"{config.name_of(kind)}")[0]
            for kind, colour in NETWORKS.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def order_units(states: Floats) -> npt.NDArray[np.int64]:
    """Order units so that similar ones are neighbours: (steps, units) to (units,).

    The order is the angle of each unit in the plane of the first two principal components.
    Neighbours rise and fall together.
    """
    centred = np.asarray(states, float) - np.mean(states, axis=0)
    courses, sizes, weights = np.linalg.svd(centred, full_matrices=False)
    weights = sizes[:2, None] * weights[:2]
    # The sign of a component is arbitrary: make the larger part of its time course positive.
    weights *= np.sign(np.sum(courses[:, :2] ** 3, axis=0))[:, None]
    if len(weights) < 2:
        return np.argsort(weights[0], kind="stable")
    return np.argsort(np.arctan2(weights[1], weights[0]), kind="stable")
