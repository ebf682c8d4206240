"""Augmentation: the same word in another room, through another microphone, at another moment.

Every transformation takes a batch and a random generator and returns a new batch; the same seed
gives the same result. Transformations of waveforms, (batch, samples) float32, follow the order of
the physical world: another voice (mixup), the speaker (speed_perturb), the moment (shift), the
room (reverberate), the background (add_noise), the level (gain). Transformations of log-mel
spectrograms, (batch, frames, n_mels) in decibels, model the microphone (random_eq), a narrow line
(low_pass) and missing parts (mask). `mix` and `reverberate_with` do the same to single clips at a
given strength; the evaluation of robustness uses them too.
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
"""Talkers in babble: too many for one of them to be understood."""


# --- waveforms ---------------------------------------------------------------------------------


def augment_waveforms(
    waveforms: Array,
    config: AugmentationConfig,
    *,
    noises: Sequence[Array],
    sample_rate: int,
    rng: np.random.Generator,
) -> Array:
    """Apply all transformations of waveforms but mixup; same shape and dtype."""
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
    waveforms: Array, targets: Array, *, probability: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Mix some of the clips with another clip of the batch, and their targets alike.

    Mixup (Zhang et al. 2018) of waveforms: the other clip gets a share drawn evenly from 0 to a
    half. It is first scaled to the power of the clip that it joins, so that the share is that of
    the sound (Tokozume et al. 2018). ``targets`` are probabilities, (batch, n).
    """
    chosen = np.flatnonzero(rng.random(len(waveforms)) < probability)
    n = len(waveforms)
    others = (chosen + rng.integers(1, max(n, 2), len(chosen))) % n  # never itself
    shares = rng.uniform(0, 0.5, (len(chosen), 1)).astype(np.float32)
    levels = np.sqrt(_power(waveforms[chosen]) / (_power(waveforms[others]) + 1e-12))
    mixed, mixed_targets = waveforms.copy(), targets.copy()
    joining = waveforms[others] * levels.astype(np.float32)[:, None]
    mixed[chosen] += shares * (joining - waveforms[chosen])
    mixed_targets[chosen] += shares * (targets[others] - targets[chosen])
    return mixed, mixed_targets


def speed_perturb(
    waveforms: Array, factors: Range, *, probability: float, rng: np.random.Generator
) -> Array:
    """Play some of the clips faster or slower around their middle; the pitch changes alike.

    Linear interpolation loses 1 dB at 4 kHz, less than any microphone, and takes a fifth of the
    time of a good resampler.
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
    """Shift each clip by up to ``most`` samples either way; zeros fill the side."""
    most = min(most, waveforms.shape[1])
    offsets = rng.integers(-most, most, len(waveforms), endpoint=True)
    result = np.zeros_like(waveforms)
    for row, clip, offset in zip(result, waveforms, offsets, strict=True):
        row[:] = displace(clip, offset)
    return result


def displace(clip: Array, samples: int) -> Array:
    """Move a clip later, or earlier below 0; zeros fill one side, the other is cut off."""
    result = np.zeros_like(clip)
    if samples >= 0:
        result[samples:] = clip[: len(clip) - samples]
    else:
        result[:samples] = clip[-samples:]
    return result


def room_responses(rt60: Range, sample_rate: int, *, count: int = ROOMS, seed: int = 0) -> Array:
    """Make synthetic room impulse responses, shape (count, samples), each of unit energy.

    A direct sound, then noise that decays by 60 dB within the reverberation time (Polack 1988),
    at a direct-to-reverberant ratio of 0 to 15 dB. Training uses those of seed 0.
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
    """Place some of the clips in a random room with a reverberation time (s) in ``rt60``."""
    chosen = np.flatnonzero(rng.random(len(waveforms)) < probability)
    rooms = rng.integers(ROOMS, size=len(chosen))
    result = waveforms.copy()
    if len(chosen):
        responses = _training_rooms(rt60, sample_rate)[rooms]
        result[chosen] = reverberate_with(waveforms[chosen], responses)
    return result


def reverberate_with(waveforms: Array, responses: Array) -> Array:
    """Convolve each waveform, (..., samples), with the impulse response of its room, (..., taps).

    The result has the shape of the waveforms: what rings on after the end is cut off.
    """
    from scipy.signal import fftconvolve

    n = waveforms.shape[-1]
    return np.asarray(fftconvolve(waveforms, responses, axes=-1)[..., :n], dtype=np.float32)


@lru_cache(maxsize=4)
def _training_rooms(rt60: Range, sample_rate: int) -> Array:
    return room_responses(rt60, sample_rate)


def add_noise(
    waveforms: Array,
    noises: Sequence[Array],
    snr: Range,
    *,
    probability: float,
    rng: np.random.Generator,
) -> Array:
    """Mix some of the clips with a random crop of a random noise, at an SNR (dB) in ``snr``.

    A clip of digital silence has no power; its noise gets a level of -60 to -20 dBFS.
    """
    result = waveforms.copy()
    levels = rng.uniform(-60, -20, len(waveforms))
    ratios = rng.uniform(*snr, len(waveforms))
    chosen = np.flatnonzero(rng.random(len(waveforms)) < probability)
    crops = _crops(noises, len(chosen), waveforms.shape[1], rng=rng)
    for i, crop in zip(chosen, crops, strict=True):
        result[i] = mix(waveforms[i], crop, ratios[i], silence_db=levels[i])
    return result


def mix(clip: Array, noise: Array, snr_db: float, *, silence_db: float | None = None) -> Array:
    """Add noise to a clip at a signal-to-noise ratio, that of the mean powers over the clip.

    Parameters
    ----------
    clip, noise
        Waveforms of one length, (samples,) float32.
    snr_db
        The ratio (dB).
    silence_db
        Level (dBFS) of the noise where the clip is digital silence, which has no power. None
        leaves such a clip as it is.

    Returns
    -------
    float32 array of shape (samples,)
        Noise that is digital silence changes nothing.
    """
    noise_power = float(_power(noise))
    wanted = float(_power(clip)) / 10 ** (snr_db / 10)
    if not wanted and silence_db is not None:
        wanted = 10 ** (silence_db / 10)
    if not (wanted and noise_power):
        return clip.copy()
    return np.asarray(clip + noise * np.float32(np.sqrt(wanted / noise_power)), dtype=np.float32)


def _power(waveforms: Array) -> npt.NDArray[np.float64]:
    """Mean power of each waveform, (...,)."""
    return np.asarray(np.mean(np.square(waveforms, dtype=np.float64), axis=-1))


def random_crops(noises: Sequence[Array], count: int, n: int, *, rng: np.random.Generator) -> Array:
    """Cut ``n`` samples from anywhere in the noises, ``count`` times: shape (count, n).

    Every second is as likely as any other; a noise shorter than a crop is repeated.
    """
    crops = np.empty((count, n), dtype=np.float32)
    for row, crop in zip(crops, _crops(noises, count, n, rng=rng), strict=True):
        row[:] = crop
    return crops


def _crops(
    noises: Sequence[Array], count: int, n: int, *, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield `random_crops` one by one as views, not to be written to."""
    starts = np.array([max(len(noise) - n, 0) + 1 for noise in noises])
    ends = np.cumsum(starts)
    places = rng.integers(ends[-1], size=count)
    for place, which in zip(places, np.searchsorted(ends, places, side="right"), strict=True):
        start = place - (ends[which] - starts[which])
        found = noises[which][start : start + n]
        yield found if len(found) == n else np.resize(found, n)


def synthetic_noise(n: int, *, sample_rate: int, rng: np.random.Generator) -> Array:
    """Synthesize a noise, shape (n,), at a level of -20 dBFS.

    Broadband noise of a random colour; every second pulses, as wheels and engines do, and every
    third has a gliding tone with harmonics, as of motors and animals.
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
    """Mix several talkers to babble at a level of -20 dBFS, shape (k * samples,).

    The clips, (talkers * k, samples), are k of each talker in a row. All clips get the same
    level, and each talker begins at a random moment.
    """
    levels = np.maximum(np.sqrt(_power(clips)), 1e-4).astype(np.float32)
    speech = (clips / levels[:, None]).reshape(talkers, -1)
    total = np.sum([np.roll(talk, rng.integers(len(talk))) for talk in speech], axis=0)
    return np.asarray(0.1 * total / total.std(), dtype=np.float32)


def gain(waveforms: Array, decibels: Range, *, rng: np.random.Generator) -> Array:
    """Change the level of each clip by a gain (dB); samples beyond full scale clip."""
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

    ``band_frequencies`` (Hz) has shape (n_mels,); ``floor`` (dB) is `FeatureConfig.floor_db`, the
    least value that a band can have.
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
    """Add a smooth random frequency response (dB) to each clip: that of another microphone."""
    batch, _, n_mels = log_mels.shape
    # The first five cosines over the bands, as in the cepstrum: a tilt, a bow, a wave.
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
    """Low-pass some of the clips at a frequency (Hz) in ``cutoffs``, by 48 dB an octave."""
    chosen = rng.random(len(log_mels)) < probability
    cutoff = rng.uniform(*cutoffs, (len(log_mels), 1))
    octaves = np.log2(np.maximum(band_frequencies, 1.0) / cutoff)  # above the cut-off
    loss = np.where(chosen[:, None], 48 * np.maximum(octaves, 0), 0).astype(np.float32)
    return np.asarray(log_mels - loss[:, None], dtype=np.float32)


def mask(
    log_mels: Array, *, count: int, longest: int, axis: int, rng: np.random.Generator
) -> Array:
    """Mask stretches of time (axis 1) or frequency (axis 2): SpecAugment (Park et al. 2019).

    A masked stretch becomes the mean of its clip, so that masks carry no loudness.
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
