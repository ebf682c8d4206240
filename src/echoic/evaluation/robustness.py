"""Other conditions: how often is it still right in noise, in a room, early, fast or faint?

The spoken clips of an evaluation are changed and heard again, one at a time, by the file that
ships. Each clip draws from a seed of its own, so that it meets the same noise, the same talkers
and the same room at every strength, and every call gives the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echoic import audio, augmentation, metrics, plots
from echoic.audio import SAMPLE_RATE, Waveform
from echoic.augmentation import TALKERS, random_crops, room_responses
from echoic.data import Examples, noise_files
from echoic.evaluation.clips import Evaluation, Progress, accuracy_report
from echoic.evaluation.scores import DIGITS
from echoic.labels import BACKGROUND_NOISE, SILENCE
from echoic.reports.sections import Section, Tile
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SNRS = (20.0, 10.0, 5.0, 0.0)
"""Ratios of speech to noise (dB), over which the mean accuracy in a noise is taken."""

RT60 = (0.2, 0.4, 0.7, 1.0)
"""Reverberation times (s)."""

SHIFTS = tuple(float(shift) for shift in range(-200, 201, 50))
"""Displacements (ms); below 0 a word comes earlier."""

SPEEDS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25)
"""How many times faster a clip is played."""

PEAKS = (-40.0, -30.0, -20.0, -10.0, 0.0)
"""Levels of a clip's loudest sample (dBFS)."""

ROOM = 0.7
"""The one of them that stands for all at the head of a page."""

ROOMS = 64
"""Rooms of each reverberation time."""

SEED = 1
"""Of all that is drawn; the rooms of training are of seed 0."""

Noise = Callable[[int, np.random.Generator], Waveform]
"""Makes a noise as long as a clip, for the example of this number."""

Scores = dict[float, dict[str, Any]]
"""Accuracy, number of clips and interval at each strength: see `clips.score`."""


@dataclass(frozen=True)
class Sweep:
    """One thing that is done to clips, at several strengths.

    Attributes
    ----------
    values
        The strengths.
    change
        Makes what is heard of the example of this number at this strength, (samples,) float32.
    """

    values: tuple[float, ...]
    change: Callable[[int, float, np.random.Generator], Waveform]


# --- what is done to a clip --------------------------------------------------------------------


def mix(clip: Waveform, noise: Waveform, snr: float) -> Waveform:
    """Add noise at a ratio (dB) of the mean powers over the clip, as training does.

    Digital silence has no power to compare with: neither a clip nor a noise of that is changed.
    """
    clip_power, noise_power = (
        float(np.mean(np.square(w, dtype=np.float64))) for w in (clip, noise)
    )
    if not noise_power:
        return clip
    factor = np.sqrt(clip_power / noise_power / 10 ** (snr / 10))
    return clip + np.float32(factor) * noise


def reverberate(clip: Waveform, response: Waveform) -> Waveform:
    """Hear a clip in a room with this impulse response; what rings on after its end is cut off."""
    from scipy.signal import fftconvolve

    return np.asarray(fftconvolve(clip, response)[: len(clip)], dtype=np.float32)


def displace(clip: Waveform, samples: int) -> Waveform:
    """Move a clip later, or earlier below 0; zeros come in, what leaves at the end is lost."""
    result = np.zeros_like(clip)
    if samples >= 0:
        result[samples:] = clip[: len(clip) - samples]
    else:
        result[:samples] = clip[-samples:]
    return result


def play(clip: Waveform, speed: float) -> Waveform:
    """Play a clip faster or slower around its middle, resampled by soxr; the pitch goes with it."""
    played = audio.resample(clip, round(speed * SAMPLE_RATE), SAMPLE_RATE)
    missing = len(clip) - len(played)
    if missing >= 0:
        return np.pad(played, (missing // 2, missing - missing // 2))
    return played[-missing // 2 :][: len(clip)]


def set_peak(clip: Waveform, level: float) -> Waveform:
    """Bring the loudest sample to a level (dBFS), in the 16 bits of a file or a sound card."""
    peak = float(np.abs(clip).max())
    if not peak:
        return clip
    return audio.to_float32(audio.to_int16(clip * (10 ** (level / 20) / peak)))


# --- noises ------------------------------------------------------------------------------------


def pink(n: int, *, rng: np.random.Generator) -> Waveform:
    """Make pink noise, (n,) float32 of unit power: the same power in each octave above 20 Hz."""
    frequencies = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum = rng.standard_normal((2, len(frequencies))) / np.sqrt(np.maximum(frequencies, 20))
    noise = np.fft.irfft(spectrum[0] + 1j * spectrum[1], n)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), dtype=np.float32)


def babble(examples: Examples, number: int, *, rng: np.random.Generator) -> Waveform:
    """Let `TALKERS` other clips talk at once: (samples,) float32.

    None has the label of the example of this number. Each is equally loud and begins anywhere, for
    all words lie in the middle of their clips.

    Raises
    ------
    ValueError
        No spoken clip has another label.
    """
    others = spoken(examples)
    others = others[examples.targets[others] != examples.targets[number]]
    if not len(others):
        raise ValueError(
            f"Expected spoken clips of another label than that of example {number}, received none."
        )
    talk = examples.waveforms[rng.choice(others, TALKERS)]
    return augmentation.babble(talk, talkers=TALKERS, rng=rng)


def unseen_recordings(
    bundle: Bundle, data: str | Path | None
) -> tuple[dict[str, Waveform], list[str]]:
    """Read the recordings of noise that a model's training kept out; name those that are not there.

    Raises
    ------
    AudioError
        One of them cannot be read.
    """
    names = list(bundle.recipe.data.unseen_noises)
    paths = {path.stem: path for path in noise_files(Path(data))} if data is not None else {}
    found = {name: audio.read(paths[name]) for name in names if name in paths}
    return found, [name for name in names if name not in paths]


# --- listening ---------------------------------------------------------------------------------


def spoken(examples: Examples) -> npt.NDArray[np.int64]:
    """Numbers of the examples in which something is said."""
    if SILENCE not in examples.labels:
        return np.arange(len(examples))
    return np.flatnonzero(examples.targets != examples.labels.index(SILENCE))


def choose(examples: Examples, limit: int | None) -> npt.NDArray[np.int64]:
    """Draw spoken examples, as many of each label as can be; ascending numbers."""
    drawn = np.random.default_rng(SEED).permutation(spoken(examples))
    if limit is None or limit >= len(drawn):
        return np.sort(drawn)
    ranks = np.zeros(len(drawn), dtype=np.int64)
    for label in np.unique(examples.targets[drawn]):
        mine = examples.targets[drawn] == label
        ranks[mine] = np.arange(np.count_nonzero(mine))
    return np.sort(drawn[np.argsort(ranks, kind="stable")[:limit]])


def evaluate_robustness(
    bundle: Bundle,
    evaluation: Evaluation,
    *,
    noises: str | Path | None = None,
    limit: int | None = None,
    on_progress: Progress | None = None,
) -> list[Section]:
    """Hear the spoken clips of an evaluation again under other conditions.

    Parameters
    ----------
    bundle
        The model that gave the evaluation's answers.
    evaluation
        Its examples are changed; its answers are those to the clips as they are.
    noises
        The data set in whose ``_background_noise_`` the recordings are that the model's training
        kept out. None, or one without them, leaves the noises that are made here.
    limit
        Clips in each condition, drawn by a seed and balanced by label; None means all.
    on_progress
        Called with the number of clips that have been heard, over all conditions, and of all.

    Returns
    -------
    list of Section
        ``noise``, ``reverberation``, ``shift``, ``speed`` and ``loudness``; none where no clip of
        the evaluation is spoken. Each accuracy has its Wilson interval.

    Raises
    ------
    ValueError
        A limit below 1.
    AudioError
        A recording of noise cannot be read.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"Expected a limit of at least 1 clip, received {limit}.")
    examples = evaluation.examples
    chosen = choose(examples, limit)
    if not len(chosen):
        return []
    recordings, absent = unseen_recordings(bundle, noises)
    in_noise = _noise_sweeps(examples, recordings)
    others = _other_sweeps(examples)
    sweeps = [*in_noise.values(), *others.values()]
    heard = _hear(bundle, examples, chosen, sweeps, on_progress)
    scores = dict(zip([*in_noise, *others], heard, strict=True))
    every = _Conditions(
        name=bundle.name,
        protocol=evaluation.protocol,
        unchanged=accuracy_report(examples.targets[chosen], evaluation.predicted[chosen]),
        which=_which(examples, chosen),
        lowest=min(row["interval"][0] for key in others for row in scores[key].values()),
    )
    return [
        _noise_section(
            every, {kind: scores[kind] for kind in in_noise}, unseen=list(recordings), absent=absent
        ),
        every.section(
            "reverberation",
            "In a room",
            scores["reverberation"],
            text="Heard in synthetic rooms: a direct sound, then noise that decays by 60 dB within "
            "the reverberation time, 0 to 15 dB fainter than the direct sound. A furnished room "
            "has 0.3 to 0.6 s, a bare one or a hall 1 s. Training hears rooms of the same make, "
            "but none of these.",
            column="reverberation time",
            axis="Reverberation time (s)",
            shown="{:g} s",
            tiles=(_tile(scores["reverberation"][ROOM], "in a reverberant room", f"{ROOM:g} s"),),
        ),
        every.section(
            "shift",
            "Earlier or later",
            scores["shift"],
            text="Moved within its second: zeros come in at one side, and what leaves at the other "
            "is lost, which may be a part of the word. A recognizer that has learned where words "
            "lie in the clips of this data set would fall off on both sides.",
            column="shift",
            axis="Shift (ms); below 0 the word comes earlier",
            shown="{:+g} ms",
        ),
        every.section(
            "speed",
            "Slower or faster",
            scores["speed"],
            text="Played slower or faster around the middle of the clip, and with that lower or "
            "higher, as a tape would be; resampled by soxr. A slower clip loses its ends.",
            column="speed",
            axis="Speed (1 is as spoken)",
            shown="× {:g}",
        ),
        every.section(
            "loudness",
            "Fainter or louder",
            scores["loudness"],
            text="Brought to a level, which is that of the loudest sample, and rounded to 16 bits, "
            "as in a file or from a sound card. Full scale is 0 dBFS; at -40 dBFS a hundredth of "
            "it is in use.",
            column="peak",
            axis="Peak (dBFS)",
            shown="{:g} dBFS",
        ),
    ]


def _noise_sweeps(examples: Examples, recordings: Mapping[str, Waveform]) -> dict[str, Sweep]:
    clips = examples.waveforms
    samples = clips.shape[1]

    def cut(recording: Waveform, number: int, rng: np.random.Generator) -> Waveform:
        return np.asarray(random_crops([recording], 1, samples, rng=rng)[0])

    kinds: dict[str, Noise] = {
        **{name: partial(cut, recording) for name, recording in recordings.items()},
        "pink": lambda number, rng: pink(samples, rng=rng),
    }
    if len(np.unique(examples.targets[spoken(examples)])) > 1:
        kinds["babble"] = lambda number, rng: babble(examples, number, rng=rng)

    def sweep(noise: Noise) -> Sweep:
        return Sweep(SNRS, lambda i, snr, rng: mix(clips[i], noise(i, rng), snr))

    return {kind: sweep(noise) for kind, noise in kinds.items()}


def _other_sweeps(examples: Examples) -> dict[str, Sweep]:
    clips = examples.waveforms
    rooms = {
        rt60: room_responses((rt60, rt60), SAMPLE_RATE, count=ROOMS, seed=SEED) for rt60 in RT60
    }
    return {
        "reverberation": Sweep(
            RT60, lambda i, rt60, rng: reverberate(clips[i], rooms[rt60][rng.integers(ROOMS)])
        ),
        "shift": Sweep(
            SHIFTS, lambda i, shift, rng: displace(clips[i], round(shift * SAMPLE_RATE / 1000))
        ),
        "speed": Sweep(SPEEDS, lambda i, speed, rng: play(clips[i], speed)),
        "loudness": Sweep(PEAKS, lambda i, level, rng: set_peak(clips[i], level)),
    }


def _hear(
    bundle: Bundle,
    examples: Examples,
    chosen: npt.NDArray[np.int64],
    sweeps: Sequence[Sweep],
    on_progress: Progress | None,
) -> list[Scores]:
    """Score each sweep at each of its strengths."""
    recognizer = Recognizer(bundle)
    targets = examples.targets[chosen]
    total = len(chosen) * sum(len(sweep.values) for sweep in sweeps)
    done = 0
    found = []
    for sweep in sweeps:
        scores: Scores = {}
        for value in sweep.values:
            predicted = np.empty(len(chosen), dtype=np.int64)
            for place, number in enumerate(chosen):
                clip = sweep.change(number, value, np.random.default_rng([SEED, number]))
                predicted[place] = recognizer.probabilities(clip[None])[0].argmax()
                done += 1
                if on_progress and (done % 50 == 0 or done == total):
                    on_progress(done, total)
            scores[value] = accuracy_report(targets, predicted)
        found.append(scores)
    return found


# --- sections ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Conditions:
    """What all sections share: the model, the test, the clips as they are, a common scale."""

    name: str
    protocol: str
    unchanged: dict[str, Any]
    which: str
    lowest: float

    def figure(
        self, curves: Mapping[str, Scores], *, title: str, axis: str, lowest: float | None = None
    ) -> Figure:
        """Draw the scores of each kind, for a title that says what was done."""
        (first, *_) = curves.values()
        values = sorted(first)
        return plots.sweep(
            values,
            {kind: [_point(scores[v]) for v in values] for kind, scores in curves.items()},
            unchanged=_point(self.unchanged),
            axis=axis,
            lowest=lowest,
            title=f"{title}: {self.name} on {self.protocol}, {self.unchanged['n']:,} spoken clips",
        )

    def section(
        self,
        key: str,
        title: str,
        scores: Scores,
        *,
        text: str,
        column: str,
        axis: str,
        shown: str,
        tiles: tuple[Tile, ...] = (),
    ) -> Section:
        """Tell of one sweep."""
        return Section(
            key=key,
            title=title,
            text=f"{text}\n\n{self.which}",
            data={
                "unchanged": self.unchanged,
                "conditions": [{"value": value, **row} for value, row in scores.items()],
            },
            columns=(column, "accuracy", "95 % interval", "points"),
            rows=(
                ("as they are", *self._cells(self.unchanged)[:2], ""),
                *((shown.format(value), *self._cells(row)) for value, row in scores.items()),
            ),
            figure=self.figure({title: scores}, title=title, axis=axis, lowest=self.lowest),
            tiles=tiles,
        )

    def _cells(self, row: dict[str, Any]) -> tuple[str, ...]:
        low, high = row["interval"]
        points = 100 * (row["accuracy"] - self.unchanged["accuracy"])
        return (f"{row['accuracy']:.1%}", f"{low:.1%} – {high:.1%}", f"{points:+.1f}")


def _noise_section(
    every: _Conditions, kinds: dict[str, Scores], *, unseen: list[str], absent: list[str]
) -> Section:
    clean = every.unchanged
    means = {kind: _mean([scores], clean["n"]) for kind, scores in kinds.items()}
    rows = [
        (
            kind,
            *(f"{scores[snr]['accuracy']:.1%}" for snr in SNRS),
            f"{means[kind]['accuracy']:.1%}",
        )
        for kind, scores in kinds.items()
    ]
    text = (
        "Mixed with noise at a ratio of speech to noise (SNR) that is the ratio of the mean powers "
        "over the clip, as in training. Each clip meets the same stretch of noise at every ratio. "
    )
    over = None
    tiles: tuple[Tile, ...] = ()
    if unseen:
        over = {**_mean([kinds[kind] for kind in unseen], clean["n"]), "kinds": unseen}
        tiles = (_tile(over, "in noises never heard", "mean of 20 to 0 dB"),)
        low, high = over["interval"]
        means_of = " and ".join((", ".join(unseen[:-1]), unseen[-1]) if unseen[1:] else unseen)
        text += (
            f"Training never heard {means_of}: in {'them' if unseen[1:] else 'it'} the mean "
            f"accuracy over the ratios of 20, 10, 5 and 0 dB is {over['accuracy']:.1%} (95 % "
            f"interval {low:.1%} – {high:.1%}). "
        )
        if unseen[1:]:
            parts = [[kinds[kind][snr]["accuracy"] for kind in unseen] for snr in SNRS]
            rows.append(
                (
                    "mean of the unseen",
                    *(f"{np.mean(part):.1%}" for part in parts),
                    f"{over['accuracy']:.1%}",
                )
            )
    elif not absent:
        text += "The training of this model kept no recording of noise out. "
    if absent:
        text += (
            f"The recordings that training kept out, {', '.join(absent)}, are not there: name the "
            f"data set that has them in its {BACKGROUND_NOISE} with --data. "
        )
    text += "Pink noise is computed, and training heard its like. "
    if "babble" in kinds:
        text += (
            f"Babble is {TALKERS} other clips of this test at once, none of the clip's own label; "
            "training heard none of these clips, but perhaps babble of its own. "
        )
    return Section(
        key="noise",
        title="In noise",
        text=f"{text.strip()}\n\n{every.which}",
        data={
            "clean": clean,
            "kinds": {
                kind: {
                    "unseen": kind in unseen,
                    "conditions": [{"snr": snr, **row} for snr, row in scores.items()],
                    "mean": means[kind],
                }
                for kind, scores in kinds.items()
            },
            "unseen": over,
            "absent": absent,
        },
        columns=("noise", *(f"{snr:g} dB" for snr in SNRS), "mean"),
        rows=(*rows, ("none (clean)", *("" for _ in SNRS), f"{clean['accuracy']:.1%}")),
        figure=every.figure(kinds, title="In noise", axis="Ratio of speech to noise (dB)"),
        tiles=tiles,
    )


def _mean(kinds: Sequence[Scores], n: int) -> dict[str, Any]:
    """Mean accuracy over all strengths; the clips are the same ones: an interval for n of them."""
    accuracy = float(np.mean([row["accuracy"] for scores in kinds for row in scores.values()]))
    low, high = metrics.wilson_interval(round(accuracy * n), n)
    return {
        "accuracy": round(accuracy, DIGITS),
        "n": n,
        "interval": [round(low, DIGITS), round(high, DIGITS)],
    }


def _tile(row: dict[str, Any], name: str, note: str) -> Tile:
    low, high = row["interval"]
    return Tile(value=f"{row['accuracy']:.1%}", name=name, note=f"{low:.1%} – {high:.1%}, {note}")


def _point(row: dict[str, Any]) -> tuple[float, float, float]:
    low, high = row["interval"]
    return row["accuracy"], low, high


def _which(examples: Examples, chosen: npt.NDArray[np.int64]) -> str:
    """Say which clips were heard."""
    every = len(spoken(examples))
    silence = " Silence is left out." if every < len(examples) else ""
    if len(chosen) == every:
        return f"Clips: all {every:,} that are spoken, unknown words among them.{silence}"
    return (
        f"Clips: {len(chosen):,} of the {every:,} that are spoken, drawn by a seed and balanced by "
        "label, so that the accuracy of the clips as they are may differ from that of all."
        f"{silence}"
    )
