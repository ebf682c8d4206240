"""Sections of robustness: noise, reverberation, shift, speed and loudness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from echoic import plots
from echoic.augmentation import TALKERS
from echoic.evaluation.result import Estimate
from echoic.evaluation.robustness import SNRS, Robustness, Scores
from echoic.labels import BACKGROUND_NOISE
from echoic.reports.format import count, listing, percent, percents, points
from echoic.reports.sections import Section, Tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOM = 0.7
"""Reverberation time (s) whose accuracy stands at the head of a page."""


class Condition(NamedTuple):
    """How a sweep is described.

    Attributes
    ----------
    title, text
        Of its section.
    column
        Heading of the strengths in the table.
    axis
        Label of the strengths in the picture, with their unit.
    form
        Format of a strength in the table.
    """

    title: str
    text: str
    column: str
    axis: str
    form: str


CONDITIONS = {
    "reverberation": Condition(
        "Reverberation",
        "Synthetic rooms: a direct sound, then noise that decays by 60 dB within the "
        "reverberation time, 0 to 15 dB below the direct sound. A furnished room has 0.3 to "
        "0.6 s, a bare one or a hall 1 s. Training uses rooms of the same make, but none of these.",
        "reverberation time",
        "Reverberation time (s)",
        "{:g} s",
    ),
    "shift": Condition(
        "Shift",
        "Clips are moved within their second: zeros fill one side, and the other is cut off, "
        "which may cut a part of the word. A model that has learned where words lie in the clips "
        "of this data set would lose accuracy on both sides.",
        "shift",
        "Shift (ms); below 0 the word comes earlier",
        "{:+g} ms",
    ),
    "speed": Condition(
        "Speed",
        "Clips are played slower or faster around their middle, and with that lower or higher, "
        "as a tape would be; resampled by soxr. A slower clip loses its ends.",
        "speed",
        "Speed (1 is as spoken)",
        "× {:g}",
    ),
    "loudness": Condition(
        "Loudness",
        "The loudest sample of each clip is brought to a level, and all are rounded to 16 bits, "
        "as in a file or from a sound card. Full scale is 0 dBFS; at -40 dBFS a hundredth of it "
        "is in use.",
        "peak",
        "Peak (dBFS)",
        "{:g} dBFS",
    ),
}


def robustness_sections(robustness: Robustness) -> list[Section]:
    """Make sections of robustness.

    Returns
    -------
    list of Section
        ``noise``, ``reverberation``, ``shift``, ``speed`` and ``loudness``.
    """
    return [noise(robustness), *(_sweep(robustness, key) for key in CONDITIONS)]


def noise(robustness: Robustness) -> Section:
    """Show the accuracy in each kind of noise over the SNR."""
    clean, unseen = robustness.unchanged, robustness.unseen_kinds
    kinds = {noise.kind: noise.scores for noise in robustness.noises}
    rows = [
        (
            noise.kind,
            *(percent(noise.scores[snr].value) for snr in SNRS),
            percent(noise.mean.value),
        )
        for noise in robustness.noises
    ]
    text = (
        "Noise is added at a signal-to-noise ratio (SNR), that of the mean powers over the clip, "
        "as in training. Each clip meets the same stretch of noise at every SNR. "
    )
    tiles: tuple[Tile, ...] = ()
    if (over := robustness.unseen) and over.value is not None:
        tiles = (_tile(robustness, over, "accuracy in unseen noises", "mean of 20 to 0 dB"),)
        text += (
            f"Training never used {listing(unseen)}: the mean accuracy over the SNRs of 20, 10, 5 "
            f"and 0 dB is {percent(over.value)} (95 % interval {percents(over.interval)}). "
        )
        if len(unseen) > 1:
            means = [np.mean([kinds[kind][snr].value for kind in unseen]) for snr in SNRS]
            rows.append(
                ("mean of the unseen", *(percent(float(x)) for x in means), percent(over.value))
            )
    elif not robustness.absent:
        text += "Training kept no recording of noise out. "
    if robustness.absent:
        text += (
            f"The recordings that training never used, {', '.join(robustness.absent)}, are not "
            f"there: pass --data with a data set that has them in its {BACKGROUND_NOISE}. "
        )
    text += "Pink noise is computed, and training used its like. "
    if "babble" in kinds:
        text += (
            f"Babble is {TALKERS} other clips of this test at once, none of the clip's own label; "
            "training used none of these clips, but perhaps babble of its own. "
        )
    return Section(
        key="noise",
        title="Noise",
        text=f"{text.strip()}\n\n{_clips(robustness)}",
        data=robustness.report()["noise"],
        columns=("noise", *(f"{snr:g} dB" for snr in SNRS), "mean"),
        rows=(*rows, ("none (clean)", *("" for _ in SNRS), percent(clean.value))),
        figure=_figure(robustness, kinds, title="Noise", axis="Signal-to-noise ratio (dB)"),
        tiles=tiles,
    )


def _sweep(robustness: Robustness, key: str) -> Section:
    """Show the accuracy over the strength of one change."""
    scores, condition = robustness.sweeps[key], CONDITIONS[key]
    unchanged = robustness.unchanged
    tiles: tuple[Tile, ...] = ()
    if key == "reverberation":
        tiles = (
            _tile(robustness, scores[ROOM], "accuracy in a reverberant room", f"RT60 {ROOM:g} s"),
        )
    return Section(
        key=key,
        title=condition.title,
        text=f"{condition.text}\n\n{_clips(robustness)}",
        data=robustness.report()[key],
        columns=(condition.column, "accuracy", "95 % interval", "points"),
        rows=(
            ("unchanged", percent(unchanged.value), percents(unchanged.interval), ""),
            *(
                (
                    condition.form.format(value),
                    percent(row.value),
                    percents(row.interval),
                    points((row.value or 0) - (unchanged.value or 0)),
                )
                for value, row in scores.items()
            ),
        ),
        figure=_figure(
            robustness,
            {condition.title: scores},
            title=condition.title,
            axis=condition.axis,
            lowest=min(
                row.interval[0]
                for sweep in robustness.sweeps.values()
                for row in sweep.values()
                if row.interval
            ),
        ),
        tiles=tiles,
    )


def _figure(
    robustness: Robustness,
    curves: Mapping[str, Scores],
    *,
    title: str,
    axis: str,
    lowest: float | None = None,
) -> Figure:
    (first, *_) = curves.values()
    values = sorted(first)
    return plots.sweep(
        values,
        {kind: [_point(scores[value]) for value in values] for kind, scores in curves.items()},
        unchanged=_point(robustness.unchanged),
        axis=axis,
        lowest=lowest,
        title=f"{title}: {robustness.model} on {robustness.protocol}, "
        f"{count(robustness.unchanged.n)} spoken clips",
    )


def _tile(robustness: Robustness, estimate: Estimate, name: str, note: str) -> Tile:
    assert estimate.value is not None  # there are clips
    clean = robustness.unchanged.value
    return Tile(
        value=percent(estimate.value),
        name=name,
        note=f"{percents(estimate.interval)}, {note}",
        better="higher",
        level=estimate.value,
        reference=None if clean is None else ("the same clips, clean", clean),
    )


def _point(estimate: Estimate) -> tuple[float, float, float]:
    assert estimate.value is not None  # there are clips
    assert estimate.interval is not None
    return (estimate.value, *estimate.interval)


def _clips(robustness: Robustness) -> str:
    """Say which clips were changed."""
    n, every = robustness.unchanged.n, robustness.spoken
    silence = " Silence is left out." if robustness.silence else ""
    if n == every:
        return f"Clips: all {count(every)} spoken ones, unknown words among them.{silence}"
    return (
        f"Clips: {count(n)} of the {count(every)} spoken ones, drawn by a seed and balanced by "
        f"label, so that their accuracy may differ from that of all.{silence}"
    )
