"""Augmentation: the same word said in another room, into another microphone, at another moment.

Every transformation takes a batch and a random generator and gives a new batch; the same seed
gives the same result. Those on waveforms, (batch, samples) float32, happen in the order in which
the world does them: another voice (mixup), the speaker (speed), the moment (shift), the room
(reverberate), the place (add_noise), the gain. Those on log-mel spectrograms, (batch, frames,
n_mels) in decibels, stand for the microphone (channel: a filter is an addition in decibels) and
for what may be missing (mask).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from echoic.config import AugmentationConfig

Array = npt.NDArray[np.float32]
Range = tuple[float, float]

ROOMS = 128
"""Number of synthetic rooms."""

TALKERS = 6
"""How many talk at once in babble: too many for one of them to be understood."""


# --- waveforms ---------------------------------------------------------------------------------


def augment_waveforms(
    waveforms: Array,
    config: AugmentationConfig,
    *,
    noises: Sequence[Array],
    sample_rate: int,
    rng: np.random.Generator,
) -> Array:
    """Apply what happens to a clip alone, in the order of the world; same shape and dtype."""
    w = speed_perturb(
        waveforms, config.speed_perturb, probability=config.speed_perturb_probability, rng=rng
    )
    w = shift(w, round(config.shift * sample_rate), rng=rng)
    w = reverberate(
        w,
        config.rt60,
        probability=config.reverberation_probability,
        sample_rate=sample_rate,
        rng=rng,
    )
    if noises:
        w = add_noise(w, noises, config.snr, probability=config.noise_probability, rng=rng)
    return gain(w, config.gain, rng=rng)


def mixup(
    waveforms: Array, answers: Array, *, probability: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Let another clip of the batch be heard through some of the clips, and in their answers.

    Mixup (Zhang et al. 2018) of waveforms: the other has a share of up to a half, evenly. It is
    first made as loud as the clip it joins, so that the share says how much is heard of each
    (Tokozume et al. 2018). ``answers`` are probabilities, (batch, n).
    """
    chosen = np.flatnonzero(rng.random(len(waveforms)) < probability)
    n = len(waveforms)
    others = (chosen + rng.integers(1, max(n, 2), len(chosen))) % n  # never itself
    shares = rng.uniform(0, 0.5, (len(chosen), 1)).astype(np.float32)
    levels = np.sqrt(_power(waveforms[chosen]) / (_power(waveforms[others]) + 1e-12))
    mixed, mixed_answers = waveforms.copy(), answers.copy()
    joining = waveforms[others] * levels.astype(np.float32)[:, None]
    mixed[chosen] += shares * (joining - waveforms[chosen])
    mixed_answers[chosen] += shares * (answers[others] - answers[chosen])
    return mixed, mixed_answers


def speed_perturb(
    waveforms: Array, factors: Range, *, probability: float, rng: np.random.Generator
) -> Array:
    """Play some clips faster or slower, around their middle; the pitch changes with the speed.

    Linear interpolation: its loss of 1 dB at 4 kHz is less than that of any microphone, and it
    takes a fifth of the time of a good resampler.
    """
    n = waveforms.shape[1]
    result = waveforms.copy()
    rates = rng.uniform(*factors, len(waveforms))
    places = np.arange(n, dtype=np.float64)
    for i in np.flatnonzero(rng.random(len(waveforms)) < probability):
        played = (places - n / 2) * rates[i] + n / 2
        result[i] = np.interp(played, places, waveforms[i], left=0, right=0)
    return result


def shift(waveforms: Array, most: int, *, rng: np.random.Generator) -> Array:
    """Displace each clip by up to ``most`` samples either way; zeros come in from the side."""
    most = min(most, waveforms.shape[1])
    offsets = rng.integers(-most, most, len(waveforms), endpoint=True)
    result = np.zeros_like(waveforms)
    for row, clip, offset in zip(result, waveforms, offsets, strict=True):
        if offset >= 0:
            row[offset:] = clip[: len(clip) - offset]
        else:
            row[:offset] = clip[-offset:]
    return result


def room_responses(rt60: Range, sample_rate: int, *, count: int = ROOMS, seed: int = 0) -> Array:
    """Synthetic room impulse responses, shape (count, samples), each of unit energy.

    A direct sound, then noise that decays by 60 dB within the reverberation time (Polack 1988),
    at a direct-to-reverberant ratio of 0 to 15 dB. Training hears those of seed 0.
    """
    rng = np.random.default_rng(seed)
    n = round(0.5 * max(rt60) * sample_rate)  # past -30 dB the tail no longer matters
    seconds = np.arange(n) / sample_rate
    times = rng.uniform(*rt60, (count, 1))
    tail = rng.standard_normal((count, n)) * 10 ** (-3 * seconds / times)
    gap = rng.integers(round(0.001 * sample_rate), round(0.01 * sample_rate), count)
    tail[np.arange(n) < gap[:, None]] = 0
    ratio = rng.uniform(0, 15, (count, 1))  # dB
    tail *= 10 ** (-ratio / 20) / np.linalg.norm(tail, axis=1, keepdims=True)
    tail[:, 0] = 1
    return np.asarray(tail / np.linalg.norm(tail, axis=1, keepdims=True), dtype=np.float32)


def reverberate(
    waveforms: Array,
    rt60: Range,
    *,
    probability: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> Array:
    """Hear some of the clips in a room with a reverberation time (s) in the range ``rt60``."""
    from scipy import fft

    n = waveforms.shape[1]
    chosen = np.flatnonzero(rng.random(len(waveforms)) < probability)
    picks = rng.integers(ROOMS, size=len(chosen))
    result = waveforms.copy()
    if len(chosen):
        spectra, length = _room_spectra(rt60, sample_rate, n)
        wet = fft.irfft(fft.rfft(waveforms[chosen], length) * spectra[picks], length)
        result[chosen] = wet[:, :n]
    return result


@lru_cache(maxsize=4)
def _room_spectra(rt60: Range, sample_rate: int, n: int) -> tuple[npt.NDArray[np.complex64], int]:
    """Transforms of the room responses, and a length at which convolution does not wrap."""
    from scipy import fft

    responses = room_responses(rt60, sample_rate)
    length = fft.next_fast_len(n + responses.shape[1], real=True)
    return fft.rfft(responses, length), length


def add_noise(
    waveforms: Array,
    noises: Sequence[Array],
    snr: Range,
    *,
    probability: float,
    rng: np.random.Generator,
) -> Array:
    """Mix some of the clips with a random cut of a random noise.

    The ratio (dB) is that of the mean powers over the clip. A clip of digital silence has no
    power to compare with; it gets the noise at a level of -60 to -20 dBFS.
    """
    result = waveforms.copy()
    levels = rng.uniform(-60, -20, len(waveforms))
    ratios = rng.uniform(*snr, len(waveforms))
    chosen = np.flatnonzero(rng.random(len(waveforms)) < probability)
    cuts = _cuts(noises, len(chosen), waveforms.shape[1], rng=rng)
    for i, cut in zip(chosen, cuts, strict=True):
        power = _power(result[i]) or 10 ** ((levels[i] + ratios[i]) / 10)
        wanted = power / 10 ** (ratios[i] / 10)
        result[i] += cut * np.float32(np.sqrt(wanted / (_power(cut) + 1e-12)))
    return result


def _power(waveforms: Array) -> npt.NDArray[np.float64]:
    """Mean power of each waveform, (...,)."""
    energy = np.einsum("...j,...j->...", waveforms, waveforms)
    return energy.astype(np.float64) / waveforms.shape[-1]


def random_crops(noises: Sequence[Array], count: int, n: int, *, rng: np.random.Generator) -> Array:
    """Cut ``n`` samples from anywhere in the noises, ``count`` times: shape (count, n).

    Every second is as likely as any other; a noise that is shorter than a cut is repeated.
    """
    cuts = np.empty((count, n), dtype=np.float32)
    for row, cut in zip(cuts, _cuts(noises, count, n, rng=rng), strict=True):
        row[:] = cut
    return cuts


def _cuts(
    noises: Sequence[Array], count: int, n: int, *, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield `random_crops` one by one, without a copy: none is to be written to."""
    starts = np.array([max(len(noise) - n, 0) + 1 for noise in noises])
    ends = np.cumsum(starts)
    places = rng.integers(ends[-1], size=count)
    for place, which in zip(places, np.searchsorted(ends, places, side="right"), strict=True):
        start = place - (ends[which] - starts[which])
        found = noises[which][start : start + n]
        yield found if len(found) == n else np.resize(found, n)


def synthetic_noise(n: int, *, sample_rate: int, rng: np.random.Generator) -> Array:
    """Make a noise that no microphone has recorded, shape (n,), of a level of -20 dBFS.

    Broadband noise of a random colour; half of it comes in beats, as from wheels and engines, and
    every third is mixed with a gliding tone and its harmonics, as from motors and animals.
    """
    frequencies = np.fft.rfftfreq(n, 1 / sample_rate)
    slope = rng.uniform(-0.3, 1.2)  # -0.3 is bluish, 0 white, 0.5 pink, 1 brown
    spectrum = rng.standard_normal(len(frequencies)) * np.exp(
        2j * np.pi * rng.random(len(frequencies))
    )
    noise = np.fft.irfft(spectrum / np.maximum(frequencies, 20) ** slope, n)
    noise /= noise.std()
    seconds = np.arange(n) / sample_rate
    if rng.random() < 0.5:
        beats = rng.uniform(0.7, 9) * seconds % 1
        noise *= rng.uniform(0, 0.3) + np.exp(-rng.uniform(2, 12) * beats)
    if rng.random() < 0.33:
        glide = 1 + rng.uniform(0, 0.4) * np.sin(2 * np.pi * rng.uniform(0.1, 2) * seconds)
        phase = 2 * np.pi * np.cumsum(rng.uniform(50, 700) * glide) / sample_rate
        harmonics = np.arange(1, 9)[:, None]
        tone = (np.sin(harmonics * phase) / harmonics ** rng.uniform(0.5, 2)).sum(axis=0)
        swell = np.sin(np.pi * rng.uniform(0.3, 2) * seconds) ** 2
        noise += rng.uniform(0.5, 4) * tone * swell / tone.std()
    return (0.1 * noise / noise.std()).astype(np.float32)


def babble(clips: Array, *, talkers: int, rng: np.random.Generator) -> Array:
    """Let several talk at once, at a level of -20 dBFS.

    The clips, (talkers * k, samples), are k for each talker, one after the other, all equally
    loud, from a random moment on: shape (k * samples,).
    """
    levels = np.maximum(np.sqrt(_power(clips)), 1e-4).astype(np.float32)
    said = (clips / levels[:, None]).reshape(talkers, -1)
    total = np.sum([np.roll(talk, rng.integers(len(talk))) for talk in said], axis=0)
    return np.asarray(0.1 * total / total.std(), dtype=np.float32)


def gain(waveforms: Array, decibels: Range, *, rng: np.random.Generator) -> Array:
    """Change the level of each clip; what then exceeds full scale clips, as in a real input."""
    factors = 10 ** (rng.uniform(*decibels, (len(waveforms), 1)) / 20)
    louder = waveforms * factors.astype(np.float32)
    return np.clip(louder, -1, 1, out=louder)


# --- log-mel spectrograms ----------------------------------------------------------------------


def augment_log_mels(
    log_mels: Array,
    config: AugmentationConfig,
    *,
    band_frequencies: npt.NDArray[np.float64],
    floor: float,
    rng: np.random.Generator,
) -> Array:
    """Apply all transformations of spectrograms.

    ``band_frequencies`` (Hz) has shape (n_mels,); ``floor`` (dB) is `FeatureConfig.floor_db`,
    under which no microphone brings a band.
    """
    m = random_eq(log_mels, config.random_eq, rng=rng)
    m = low_pass(
        m,
        config.bandwidth,
        probability=config.bandwidth_probability,
        band_frequencies=band_frequencies,
        rng=rng,
    )
    m = np.maximum(m, np.float32(floor))
    m = mask(m, count=config.time_masks, longest=config.time_mask, axis=1, rng=rng)
    return mask(m, count=config.frequency_masks, longest=config.frequency_mask, axis=2, rng=rng)


def random_eq(log_mels: Array, deviation: float, *, rng: np.random.Generator) -> Array:
    """Hear each clip through another microphone: a smooth random response, in decibels."""
    batch, _, n_mels = log_mels.shape
    # The first few cosines over the bands: a tilt, a bow, a wave; as in the cepstrum itself.
    phase = np.pi * (np.arange(n_mels) + 0.5) / n_mels
    shapes = np.cos(np.arange(1, 6)[:, None] * phase)  # (5, n_mels)
    weights = rng.standard_normal((batch, 5)) * deviation * np.sqrt(2 / 5)
    response = (weights @ shapes).astype(np.float32)
    return np.asarray(log_mels + response[:, None], dtype=np.float32)


def low_pass(
    log_mels: Array,
    cutoffs: Range,
    *,
    probability: float,
    band_frequencies: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> Array:
    """Cut some of the clips off above a frequency (Hz), falling by 48 dB an octave."""
    chosen = rng.random(len(log_mels)) < probability
    cutoff = rng.uniform(*cutoffs, (len(log_mels), 1))
    octaves = np.log2(np.maximum(band_frequencies, 1.0) / cutoff)  # above the cut-off
    loss = np.where(chosen[:, None], 48 * np.maximum(octaves, 0), 0).astype(np.float32)
    return np.asarray(log_mels - loss[:, None], dtype=np.float32)


def mask(
    log_mels: Array, *, count: int, longest: int, axis: int, rng: np.random.Generator
) -> Array:
    """SpecAugment (Park et al. 2019): hide stretches of time (axis 1) or frequency (axis 2).

    A hidden stretch becomes the mean of its clip, so that masks say nothing about loudness.
    """
    size = log_mels.shape[axis]
    places = np.arange(size)
    hidden = np.zeros((len(log_mels), size), dtype=bool)
    for _ in range(count):
        lengths = rng.integers(0, min(longest, size), len(log_mels), endpoint=True)
        starts = rng.integers(0, size - lengths, endpoint=True)
        hidden |= (places >= starts[:, None]) & (places < (starts + lengths)[:, None])
    hidden = hidden[:, :, None] if axis == 1 else hidden[:, None, :]
    return np.where(hidden, log_mels.mean(axis=(1, 2), keepdims=True), log_mels)
