"""Waveforms: read from files, checked, resampled, cut to length.

Everywhere in echoic a waveform is a float32 array of shape (samples,) in [-1, 1], mono, at
16,000 Hz. This module makes any other sound one, or refuses it with a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Samples a second of every waveform inside echoic (Hz)."""

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au"})
"""File names that are taken for recordings when a folder is searched."""

LOUDEST = 10.0
"""Peak of a float waveform that is surely in another scale, not just too loud."""

QUALITY = "HQ"
"""soxr's quality of every resampling: flat to 7 kHz, where fricatives are, with aliases under
-100 dB. The quicker "LQ" takes 13 dB from 7 kHz."""

Waveform = npt.NDArray[np.float32]


class AudioError(ValueError):
    """A sound that cannot be made into a waveform; the message says why and what to do."""


def read(path: str | Path, *, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """Read any recording that libsndfile knows as a mono waveform.

    Parameters
    ----------
    path
        WAV, FLAC, Ogg, Opus, MP3, AIFF, ...; any rate, any number of channels, any sample format.
    sample_rate
        Samples a second of the result (Hz); channels are averaged, then resampled by soxr.

    Returns
    -------
    float32 array of shape (samples,)
        Of a WAV, AIFF, AU or MP3 file that was cut short, what is left: nothing in it says that it
        was longer. FLAC and Ogg files that were cut short are refused.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    AudioError
        The file is empty, is not audio, is damaged, or holds NaN or infinity.
    """
    import soundfile

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"No such recording: {path}")
    if path.is_dir():
        raise AudioError(f"{path} is a folder, not a recording.")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is an empty file (0 bytes).")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, TypeError, MemoryError) as error:
        # TypeError: a raw file, without a header; MemoryError: a header that claims terabytes.
        raise AudioError(f"{path} is not a recording that libsndfile can read: {error}") from error
    if not len(samples):
        raise AudioError(f"{path} holds no samples.")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    try:
        return as_waveform(mono, sample_rate=rate, target_rate=sample_rate)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error


def write(path: str | Path, waveform: Waveform, *, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a waveform as a 16-bit PCM WAV file; what exceeds [-1, 1] is clipped.

    Raises
    ------
    OSError
        It cannot be written.
    """
    import soundfile

    try:
        soundfile.write(path, to_int16(waveform), sample_rate, subtype="PCM_16", format="WAV")
    except soundfile.LibsndfileError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def as_waveform(
    samples: npt.ArrayLike, *, sample_rate: int | None = None, target_rate: int = SAMPLE_RATE
) -> Waveform:
    """Check an array of samples and make it a waveform.

    Parameters
    ----------
    samples
        Shape (samples,), float32 or float64 in [-1, 1], or int16.
    sample_rate
        Samples a second (Hz) of what is given; None means ``target_rate``.
    target_rate
        Samples a second (Hz) of the result.

    Raises
    ------
    AudioError
        Another shape, dtype or scale, no samples, or NaN or infinity among them.
    """
    array = np.asarray(samples)
    if array.dtype not in (np.int16, np.float32, np.float64):
        raise AudioError(
            f"Expected samples of dtype float32 (in [-1, 1]) or int16, received {array.dtype}. "
            "Convert them, and mind the scale: full scale of int16 is 32,768."
        )
    if array.ndim == 0:
        raise AudioError(f"Expected samples of shape (samples,), received the number {array}.")
    if array.ndim != 1:
        raise AudioError(
            f"Expected samples of shape (samples,), received shape {array.shape}. "
            "Mix the channels down first, for example with samples.mean(axis=1)."
        )
    if array.size == 0:
        raise AudioError("Expected at least one sample, received none.")
    if array.dtype == np.int16:
        waveform = to_float32(array)
    else:
        waveform = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(waveform).all():
        raise AudioError(
            f"Expected finite samples, received {np.count_nonzero(~np.isfinite(waveform))} "
            "that are NaN or infinite. Look at what recorded or computed them."
        )
    if (peak := float(np.abs(waveform).max())) > LOUDEST:
        raise AudioError(
            f"Expected floating samples in [-1, 1], received a peak of {peak:,.0f}. Integers that "
            "became floats must be divided by their full scale, 32,768 for int16."
        )
    return resample(waveform, target_rate if sample_rate is None else sample_rate, target_rate)


def resample(waveform: Waveform, sample_rate: int, target_rate: int) -> Waveform:
    """Change the number of samples a second of a whole waveform; see `Resampler`."""
    if sample_rate == target_rate:
        return waveform
    resampler = Resampler(sample_rate, target_rate)
    return np.concatenate([resampler.process(waveform), resampler.flush()])


class Resampler:
    """Changes the number of samples a second of a stream, block by block, by soxr.

    Files, streams and microphones all use it. How the sound is cut into blocks makes no difference
    to the result, and a stream that was flushed is as long as the same sound resampled at once.

    Parameters
    ----------
    sample_rate
        Samples a second (Hz) of what is given.
    target_rate
        Samples a second (Hz) of the result; the same rate passes the blocks through.

    Attributes
    ----------
    delay : float
        Longest time (s) that a sample is held back: 0.04 from 44,100 and 48,000 Hz to 16,000 Hz,
        0.12 from 8,000 Hz. It delays when a sample is given, not where it is in the result.

    Raises
    ------
    AudioError
        A rate that is not above 0 Hz.
    """

    def __init__(self, sample_rate: float, target_rate: float = SAMPLE_RATE) -> None:
        for rate in (sample_rate, target_rate):
            if isinstance(rate, bool | str) or not rate > 0:
                raise AudioError(f"Expected a sample rate above 0 Hz, received {rate!r}.")
        self.sample_rate = sample_rate
        self.target_rate = target_rate
        self.delay = _delay(sample_rate, target_rate)
        self.reset()

    def process(self, samples: Waveform) -> Waveform:
        """Take the next block, float32 (samples,), and return what is ready, maybe nothing."""
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples), dtype=np.float32)

    def flush(self) -> Waveform:
        """End the stream and return what was held back; the next block begins another stream."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self.reset()
        return np.asarray(rest, dtype=np.float32)

    def reset(self) -> None:
        """Forget what is held back and begin another stream."""
        self._stream = _soxr_stream(self.sample_rate, self.target_rate)


def _soxr_stream(sample_rate: float, target_rate: float) -> Any:
    """A stream of soxr's; None where there is nothing to do."""
    if sample_rate == target_rate:
        return None
    import soxr

    return soxr.ResampleStream(sample_rate, target_rate, 1, dtype="float32", quality=QUALITY)


@cache
def _delay(sample_rate: float, target_rate: float) -> float:
    """Measure how much (s) soxr holds back at most, in half a second of blocks of a millisecond."""
    stream = _soxr_stream(sample_rate, target_rate)
    if stream is None:
        return 0.0
    block = np.zeros(max(round(sample_rate / 1000), 1), np.float32)
    given, longest = 0, 0.0
    for n_blocks in range(1, round(0.5 * sample_rate / len(block)) + 1):
        given += len(stream.resample_chunk(block))
        longest = max(longest, n_blocks * len(block) / sample_rate - given / target_rate)
    return longest


def fix_length(waveform: Waveform, length: int) -> Waveform:
    """Cut the end off, or append zeros, so that the waveform has ``length`` samples."""
    if len(waveform) >= length:
        return waveform[:length]
    return np.pad(waveform, (0, length - len(waveform)))


def to_float32(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Scale int16 to float32 in [-1, 1): the value 32,768 stands for full scale."""
    return np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)


def to_int16(waveform: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int16]:
    """Scale [-1, 1] to int16, rounding to nearest and clipping what exceeds the range.

    ``to_int16(to_float32(samples))`` gives back every int16 unchanged.
    """
    return np.clip(np.rint(waveform * 32768), -32768, 32767).astype(np.int16)


def through_opus(waveform: Waveform, *, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """Encode a waveform with Opus and decode it again; the length stays the same."""
    import io

    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, sample_rate, format="OGG", subtype="OPUS")
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    return fix_length(decoded, len(waveform))


def is_recording(path: Path) -> bool:
    """Is this a file that is named like a recording, and not hidden (``._yes.wav``)?"""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def find(paths: list[Path]) -> Iterator[Path]:
    """Yield the recordings among files and, sorted, in folders and the folders below them.

    A file that is named is always yielded, whatever its suffix: the reader will judge it.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(filter(is_recording, path.rglob("*")))
        else:
            yield path
