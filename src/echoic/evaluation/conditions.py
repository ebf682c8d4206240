"""Conditions: how clips become noisy, fast or faint."""

from __future__ import annotations

import numpy as np

from echoic import audio, augmentation
from echoic.audio import SAMPLE_RATE, Waveform
from echoic.augmentation import TALKERS
from echoic.data import Examples
from echoic.evaluation.result import spoken


def play(clip: Waveform, speed: float) -> Waveform:
    """Play a clip faster or slower around its middle, resampled by soxr; the pitch goes with it."""
    played = audio.resample(clip, round(speed * SAMPLE_RATE), SAMPLE_RATE)
    missing = len(clip) - len(played)
    if missing >= 0:
        return np.pad(played, (missing // 2, missing - missing // 2))
    return played[-missing // 2 :][: len(clip)]


def set_peak(clip: Waveform, level: float) -> Waveform:
    """Bring the loudest sample to a level (dBFS) and round to 16 bits, as a sound card does."""
    peak = float(np.abs(clip).max())
    if not peak:
        return clip
    return audio.to_float32(audio.to_int16(clip * (10 ** (level / 20) / peak)))


def pink(n: int, *, rng: np.random.Generator) -> Waveform:
    """Make pink noise, (n,) float32 of unit power: the same power in each octave above 20 Hz."""
    frequencies = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum = rng.standard_normal((2, len(frequencies))) / np.sqrt(np.maximum(frequencies, 20))
    noise = np.fft.irfft(spectrum[0] + 1j * spectrum[1], n)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), dtype=np.float32)


def babble(examples: Examples, number: int, *, rng: np.random.Generator) -> Waveform:
    """Mix `TALKERS` other clips: (samples,) float32.

    None has the label of the example of this number. All are equally loud and begin anywhere,
    because words lie in the middle of their clips.

    Raises
    ------
    ValueError
        No spoken clip has another label.
    """
    others = np.flatnonzero(spoken(examples.targets, examples.labels))
    others = others[examples.targets[others] != examples.targets[number]]
    if not len(others):
        raise ValueError(
            "Expected spoken clips of another label than that of example "
            f"{number}, received none: leave babble out."
        )
    talk = examples.waveforms[rng.choice(others, TALKERS)]
    return augmentation.babble(talk, talkers=TALKERS, rng=rng)
