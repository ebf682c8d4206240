"""Robustness: accuracy in noise, in rooms, and for clips that are early, fast or faint.

The spoken clips of an evaluation are changed and classified again, one at a time, by
``clip.tflite``. Each clip draws from a seed of its own, so that it meets the same noise, the same
talkers and the same room at every strength, and every call gives the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.audio import SAMPLE_RATE, Waveform
from echoic.augmentation import displace, mix, random_crops, reverberate_with, room_responses
from echoic.data import Examples, noise_files
from echoic.evaluation.clips import Evaluation, Progress
from echoic.evaluation.conditions import babble, pink, play, set_peak
from echoic.evaluation.result import Estimate, accuracy, mean_accuracy, spoken
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer

SNRS = (20.0, 10.0, 5.0, 0.0)
"""Signal-to-noise ratios (dB) over which the mean accuracy in a noise is taken."""

RT60 = (0.2, 0.4, 0.7, 1.0)
"""Reverberation times (s)."""

SHIFTS = tuple(float(shift) for shift in range(-200, 201, 50))
"""Displacements (ms); below 0 a word comes earlier."""

SPEEDS = (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25)
"""How many times faster a clip is played."""

PEAKS = (-40.0, -30.0, -20.0, -10.0, 0.0)
"""Levels of a clip's loudest sample (dBFS)."""

ROOMS = 64
"""Rooms of each reverberation time."""

SEED = 1
"""Of all that is drawn; the rooms of training are of seed 0."""

Noise = Callable[[int, np.random.Generator], Waveform]
"""Makes a noise as long as a clip, for the example of this number."""

Scores = dict[float, Estimate]
"""Accuracy at each strength."""


@dataclass(frozen=True)
class Sweep:
    """One change of clips, at several strengths.

    Attributes
    ----------
    values
        The strengths.
    change
        Makes the changed clip of the example of this number at a strength, (samples,) float32.
    """

    values: tuple[float, ...]
    change: Callable[[int, float, np.random.Generator], Waveform]


@dataclass(frozen=True)
class NoiseScores:
    """Accuracy in one kind of noise.

    Attributes
    ----------
    kind
        Name of the recording, ``pink`` or ``babble``.
    unseen
        Whether it is a recording that training never used.
    scores
        By SNR (dB).
    mean
        Over all SNRs.
    """

    kind: str
    unseen: bool
    scores: Scores
    mean: Estimate


@dataclass(frozen=True)
class Robustness:
    """Accuracy of clips under other conditions; make one with `evaluate_robustness`.

    Attributes
    ----------
    model
        Name of the model.
    protocol
        Which test the clips are from.
    unchanged
        Accuracy of the same clips as they are.
    spoken
        Number of spoken clips in the test, from which the clips were drawn.
    silence
        Whether the test has clips of silence, which were left out.
    noises
        By kind of noise.
    unseen
        Mean over the noises that training never used and all SNRs; None where there are none.
    absent
        Names of recordings that training never used and that are not there.
    sweeps
        ``reverberation`` (s), ``shift`` (ms), ``speed`` (factor) and ``loudness`` (dBFS).
    """

    model: str
    protocol: str
    unchanged: Estimate
    spoken: int
    silence: bool
    noises: tuple[NoiseScores, ...]
    unseen: Estimate | None
    absent: tuple[str, ...]
    sweeps: dict[str, Scores]

    @property
    def unseen_kinds(self) -> tuple[str, ...]:
        """Names of the noises that training never used."""
        return tuple(noise.kind for noise in self.noises if noise.unseen)

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data, by condition."""
        noise = {
            "clean": self.unchanged.report(),
            "kinds": {
                noise.kind: {
                    "unseen": noise.unseen,
                    "conditions": [
                        {"snr": snr, **row.report()} for snr, row in noise.scores.items()
                    ],
                    "mean": noise.mean.report(),
                }
                for noise in self.noises
            },
            "unseen": self.unseen and {**self.unseen.report(), "kinds": list(self.unseen_kinds)},
            "absent": list(self.absent),
        }
        return {
            "noise": noise,
            **{
                name: {
                    "unchanged": self.unchanged.report(),
                    "conditions": [
                        {"value": value, **row.report()} for value, row in scores.items()
                    ],
                }
                for name, scores in self.sweeps.items()
            },
        }


def evaluate_robustness(
    bundle: Bundle,
    evaluation: Evaluation,
    *,
    noises: str | Path | None = None,
    max_clips: int | None = None,
    on_progress: Progress | None = None,
) -> Robustness | None:
    """Evaluate a model on the spoken clips of an evaluation under other conditions.

    Parameters
    ----------
    bundle
        The model that made the evaluation's predictions.
    evaluation
        Its clips are changed; its predictions are those for the clips as they are.
    noises
        The data set whose ``_background_noise_`` holds the recordings that the model's training
        never used. None, or one without them, leaves pink noise and babble.
    max_clips
        Clips in each condition, drawn by a seed and balanced by label; None means all.
    on_progress
        Called with the number of clips that are done, over all conditions, and of all.

    Returns
    -------
    Robustness or None
        None where no clip of the evaluation is spoken.

    Raises
    ------
    ValueError
        ``max_clips`` is below 1.
    AudioError
        A recording of noise cannot be read.
    """
    if max_clips is not None and max_clips < 1:
        raise ValueError(f"Expected max_clips of at least 1, received {max_clips}.")
    examples = evaluation.examples
    chosen = choose(examples, max_clips)
    if not len(chosen):
        return None
    recordings, absent = unseen_recordings(bundle, noises)
    in_noise = _noise_sweeps(examples, recordings)
    others = _other_sweeps(examples)
    sweeps = [*in_noise.values(), *others.values()]
    found = _score(bundle, examples, chosen, sweeps, on_progress)
    scores = dict(zip([*in_noise, *others], found, strict=True))
    n = len(chosen)

    def mean(*kinds: str) -> Estimate:
        values = [row.value for kind in kinds for row in scores[kind].values()]
        return mean_accuracy(np.array(values, np.float64), n)

    every = spoken(examples.targets, examples.labels)
    return Robustness(
        model=bundle.name,
        protocol=evaluation.protocol,
        unchanged=accuracy(examples.targets[chosen], evaluation.predicted[chosen]),
        spoken=int(np.count_nonzero(every)),
        silence=not every.all(),
        noises=tuple(
            NoiseScores(kind, kind in recordings, scores[kind], mean(kind)) for kind in in_noise
        ),
        unseen=mean(*recordings) if recordings else None,
        absent=tuple(absent),
        sweeps={name: scores[name] for name in others},
    )


def choose(examples: Examples, max_clips: int | None) -> npt.NDArray[np.int64]:
    """Draw spoken examples, balanced by label; ascending numbers."""
    every = np.flatnonzero(spoken(examples.targets, examples.labels))
    drawn = np.random.default_rng(SEED).permutation(every)
    if max_clips is None or max_clips >= len(drawn):
        return np.sort(drawn)
    ranks = np.zeros(len(drawn), dtype=np.int64)
    for label in np.unique(examples.targets[drawn]):
        mine = examples.targets[drawn] == label
        ranks[mine] = np.arange(np.count_nonzero(mine))
    return np.sort(drawn[np.argsort(ranks, kind="stable")[:max_clips]])


def unseen_recordings(
    bundle: Bundle, data: str | Path | None
) -> tuple[dict[str, Waveform], list[str]]:
    """Read the noises that a model's training never used, and list those that are not there.

    Raises
    ------
    AudioError
        A recording cannot be read.
    """
    names = list(bundle.recipe.data.unseen_noises)
    paths = {path.stem: path for path in noise_files(Path(data))} if data is not None else {}
    found = {name: audio.read(paths[name]) for name in names if name in paths}
    return found, [name for name in names if name not in paths]


def _noise_sweeps(examples: Examples, recordings: Mapping[str, Waveform]) -> dict[str, Sweep]:
    clips = examples.waveforms
    samples = clips.shape[1]

    def cut(recording: Waveform, number: int, rng: np.random.Generator) -> Waveform:
        return np.asarray(random_crops([recording], 1, samples, rng=rng)[0])

    kinds: dict[str, Noise] = {
        **{name: partial(cut, recording) for name, recording in recordings.items()},
        "pink": lambda number, rng: pink(samples, rng=rng),
    }
    if len(np.unique(examples.targets[spoken(examples.targets, examples.labels)])) > 1:
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
            RT60, lambda i, rt60, rng: reverberate_with(clips[i], rooms[rt60][rng.integers(ROOMS)])
        ),
        "shift": Sweep(
            SHIFTS, lambda i, shift, rng: displace(clips[i], round(shift * SAMPLE_RATE / 1000))
        ),
        "speed": Sweep(SPEEDS, lambda i, speed, rng: play(clips[i], speed)),
        "loudness": Sweep(PEAKS, lambda i, level, rng: set_peak(clips[i], level)),
    }


def _score(
    bundle: Bundle,
    examples: Examples,
    chosen: npt.NDArray[np.int64],
    sweeps: Sequence[Sweep],
    on_progress: Progress | None,
) -> list[Scores]:
    """Classify all clips at each strength of each sweep."""
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
            scores[value] = accuracy(targets, predicted)
        found.append(scores)
    return found
