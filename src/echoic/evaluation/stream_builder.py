"""Streams of words at known times in noise, and the files of those times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from echoic.audio import SAMPLE_RATE, Waveform
from echoic.augmentation import random_crops
from echoic.data import Examples
from echoic.labels import SILENCE

SPEECH_LEVEL = -26.0
"""Level of a word (dBFS): the nominal level of active speech in ITU-T P.56."""

AUDIBLE = 25.0
"""How far (dB) below its loudest part a word is still audible."""

_SECTION, _FADE = 5.0, 0.1
"""Noise changes this often, and takes this long to do so (s)."""


class Word(NamedTuple):
    """A word in a stream: the beginning and the end of what is audible of it (s), its label."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Stream:
    """A recording whose words are known.

    Attributes
    ----------
    waveform
        float32 in [-1, 1], shape (samples,).
    truth
        Its words in the order of their times; ``_unknown_`` ones are there to be ignored.
    sample_rate
        Samples a second (Hz).
    """

    waveform: Waveform
    truth: tuple[Word, ...]
    sample_rate: int = SAMPLE_RATE

    @property
    def duration(self) -> float:
        """Length (s)."""
        return len(self.waveform) / self.sample_rate


def build_stream(
    examples: Examples,
    *,
    noises: Sequence[Waveform] = (),
    snr_db: float | None = None,
    gap: tuple[float, float] = (0.2, 1.5),
    words: int | None = None,
    seed: int = 0,
    sample_rate: int = SAMPLE_RATE,
) -> Stream:
    """Play clips one after another, in random order, with random gaps, in noise.

    Each word has a level of -26 dBFS over its audible part, and the noise one that lies ``snr_db``
    below: the ratio is exact for each word but for the noise's own ups and downs within the five
    seconds after which it changes. Clips are whole, with the room noise that they were recorded
    in, and are faded in and out over 10 ms. Examples of ``_silence_`` are left out, for they are
    noise; ``_unknown_`` words are in the stream as distractors.

    Parameters
    ----------
    examples
        Clips with their labels.
    noises
        Background noises, any number of samples each.
    snr_db
        Ratio of speech to noise (dB); None adds no noise.
    gap
        Shortest and longest time (s) between two clips, and before the first and after the last.
    words
        How many clips to draw, without repetition; None means all.
    seed
        The same seed gives the same stream.
    sample_rate
        Samples a second (Hz) of clips and noises.

    Raises
    ------
    ValueError
        No word among the examples, a gap that is no range, or a ratio without a noise.
    """
    low, high = gap
    if not 0 <= low <= high:
        raise ValueError(f"Expected a gap as (shortest, longest) in seconds, received {gap}.")
    if snr_db is not None and not len(noises):
        raise ValueError(f"Expected noises for a ratio of {snr_db} dB, received none.")
    rng = np.random.default_rng(seed)
    spoken = np.array([label != SILENCE for label in examples.labels])[examples.targets]
    # A clip without a sound is no word that anybody could hear.
    spoken &= examples.waveforms.any(axis=1)
    chosen = rng.permutation(np.flatnonzero(spoken))[:words]
    if not len(chosen):
        raise ValueError(
            f"Expected examples with at least one word, received {len(examples)} without."
        )
    gaps = np.rint(rng.uniform(low, high, len(chosen) + 1) * sample_rate).astype(np.int64)
    length = examples.waveforms.shape[1]
    starts = np.cumsum(gaps[:-1]) + np.arange(len(chosen)) * length
    waveform = np.zeros(int(starts[-1] + length + gaps[-1]), dtype=np.float32)
    fade = min(sample_rate // 100, length // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    level = np.float32(10 ** (SPEECH_LEVEL / 20))
    truth = []
    for i, start in zip(chosen.tolist(), starts.tolist(), strict=True):
        clip = examples.waveforms[i].copy()
        first, last = audible(clip, sample_rate=sample_rate)
        clip *= level / np.sqrt(np.mean(np.square(clip[first:last])))
        clip[:fade] *= ramp
        clip[len(clip) - fade :] *= ramp[::-1]
        waveform[start : start + length] = clip
        label = examples.labels[examples.targets[i]]
        truth.append(Word((start + first) / sample_rate, (start + last) / sample_rate, label))
    if snr_db is not None:
        noise = _background(noises, len(waveform), sample_rate=sample_rate, rng=rng)
        waveform += noise * np.float32(10 ** ((SPEECH_LEVEL - snr_db) / 20))
    return Stream(np.clip(waveform, -1, 1), tuple(truth), sample_rate)


def audible(waveform: Waveform, *, sample_rate: int = SAMPLE_RATE) -> tuple[int, int]:
    """Return the first sample of what is audible of a word, and the one after its last.

    By energy in windows of 20 ms: audible is what lies within 25 dB of the loudest one and at
    least 10 dB above the room, whose level is taken to be that which two windows in five do not
    exceed. In a loud room the loudest 6 dB are audible whatever the room. A click at the end of a
    recording counts as part of the word, and the faint end of an "s" may not; what that does to
    a mean of delays is tens of milliseconds.
    """
    width = max(sample_rate // 50, 1)
    energy = np.cumsum(np.square(np.append(0, waveform), dtype=np.float64))
    width = min(width, len(waveform))
    power = (energy[width:] - energy[:-width]) / width
    peak = power.max()
    room = min(10 * np.quantile(power, 0.4), peak / 4)
    loud = np.flatnonzero(power >= max(peak * 10 ** (-AUDIBLE / 10), room))
    return int(loud[0]), int(loud[-1]) + width


def write_truth(path: str | Path, truth: Sequence[Word]) -> None:
    """Write words as lines of start, end (s) and label, separated by tabs: ``stream.tsv``."""
    lines = [f"{word.start:.3f}\t{word.end:.3f}\t{word.label}\n" for word in truth]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def read_truth(path: str | Path) -> tuple[Word, ...]:
    """Read what `write_truth` wrote, ordered by time.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        A line that is not start, end and label, or an end that is not after its start.
    """
    truth = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            start, end, label = line.split("\t")
            word = Word(float(start), float(end), label.strip())
        except ValueError:
            word = Word(0, 0, "")
        if not (0 <= word.start < word.end < np.inf and word.label):
            raise ValueError(
                f"Expected start, end (s) and label, separated by tabs, in line {number} of "
                f"{path}, received {line!r}."
            )
        truth.append(word)
    return tuple(sorted(truth))


def _background(
    noises: Sequence[Waveform], n: int, *, sample_rate: int, rng: np.random.Generator
) -> Waveform:
    """Make ``n`` samples of noise of unit power, every five seconds another cut of another one."""
    section, fade = round(_SECTION * sample_rate), round(_FADE * sample_rate)
    # Sine and cosine: the power stays the same while one noise gives way to another.
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    track = np.zeros(n + section + fade, dtype=np.float32)
    for start in range(0, n, section):
        cut = random_crops(noises, 1, section + fade, rng=rng)[0]
        # What is all but digital silence is left so: it would become the noise of its own bits.
        cut /= max(float(np.sqrt(np.mean(np.square(cut)))), 1e-4)
        if start:
            cut[:fade] *= ramp
        cut[section:] *= ramp[::-1]
        track[start : start + section + fade] += cut
    return track[:n]
