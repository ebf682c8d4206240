"""THE definition of echoic's features: log-mel spectrograms and MFCCs, computed by librosa.

    waveform (samples,)
      -> left-padded once with n_fft - hop_length zeros
      -> stft, mel_filters              (frames, n_mels)     power of each frame in each mel band
      -> power_to_db                    (frames, n_mels)     log_mel(): decibels, from floor_db
      -> DCT, unless n_mfcc is 0        (frames, channels)   compute(): the input of a network

Frame k (from 0) is the ``n_fft`` samples that end at sample ``(k + 1) * hop_length``: no frame
depends on the future, on the rest of the clip or on the batch, so a stream has the same frames as
a clip. `frontend.MFCC` mirrors this file as a Keras layer; there is no third implementation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from echoic.audio import Waveform
from echoic.config import FeatureConfig


@lru_cache(maxsize=8)
def mel_filters(config: FeatureConfig) -> npt.NDArray[np.float32]:
    """librosa's mel filter bank, shape (n_fft // 2 + 1, n_mels)."""
    from librosa.filters import mel

    return np.ascontiguousarray(
        mel(
            sr=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.fmin,
            fmax=config.fmax,
        ).T
    )


@lru_cache(maxsize=8)
def window(config: FeatureConfig) -> npt.NDArray[np.float32]:
    """Hann window, right-aligned in the frame, shape (n_fft,)."""
    from librosa.filters import get_window

    hann = get_window("hann", config.win_length, fftbins=True)
    return np.pad(hann, (config.n_fft - config.win_length, 0)).astype(np.float32)


def band_frequencies(config: FeatureConfig) -> npt.NDArray[np.float64]:
    """Centre frequency (Hz) of each mel band, shape (n_mels,)."""
    import librosa

    edges = librosa.mel_frequencies(config.n_mels + 2, fmin=config.fmin, fmax=config.fmax)
    return np.asarray(edges[1:-1], dtype=np.float64)


def log_mel(waveform: Waveform, config: FeatureConfig) -> npt.NDArray[np.float32]:
    """Mel spectrogram in decibels, between ``config.floor_db`` and about +40.

    Parameters
    ----------
    waveform
        Shape (..., samples), float32 in [-1, 1].
    config
        The framing and the mel bands.

    Returns
    -------
    float32 array of shape (..., samples // hop_length, n_mels)

    Raises
    ------
    ValueError
        The waveform is shorter than one hop, or not of a floating dtype.
    """
    import librosa

    waveform = np.asarray(waveform)
    n_frames = config.n_frames(waveform.shape[-1]) if waveform.ndim else 0
    if waveform.dtype.kind != "f" or n_frames == 0:
        raise ValueError(
            f"Expected float32 samples in [-1, 1], at least hop_length = {config.hop_length} of "
            f"them, received dtype {waveform.dtype} and shape {waveform.shape}."
        )
    # librosa makes a frame of every n_fft samples; what is past the last whole hop is no frame yet.
    heard = waveform[..., : n_frames * config.hop_length].astype(np.float32, copy=False)
    pad = [(0, 0)] * (waveform.ndim - 1) + [(config.padding, 0)]
    spectrum = librosa.stft(
        np.pad(heard, pad),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        window=window(config),
        center=False,
    )  # (..., n_fft // 2 + 1, frames)
    # As librosa.feature.melspectrogram, which makes its filters anew at every call.
    power = np.swapaxes(librosa.util.abs2(spectrum), -1, -2) @ mel_filters(config)
    decibels = librosa.power_to_db(power, ref=1.0, amin=config.amin, top_db=None)
    return np.asarray(decibels, dtype=np.float32)


def cepstrum(log_mel: npt.NDArray[np.float32], config: FeatureConfig) -> npt.NDArray[np.float32]:
    """Orthonormal DCT-II over the mel bands: (..., frames, n_mels) to (..., frames, n_mfcc).

    Raises
    ------
    ValueError
        ``config.n_mfcc`` is 0.
    """
    import librosa

    if not config.n_mfcc:
        raise ValueError(
            "Expected FeatureConfig.n_mfcc above 0 for cepstral coefficients, received 0, which "
            "means log-mel. Call features.compute, or set n_mfcc."
        )
    coefficients = librosa.feature.mfcc(S=np.swapaxes(log_mel, -1, -2), n_mfcc=config.n_mfcc)
    return np.ascontiguousarray(np.swapaxes(coefficients, -1, -2), dtype=np.float32)


def mfcc(waveform: Waveform, config: FeatureConfig | None = None) -> npt.NDArray[np.float32]:
    """Mel-frequency cepstral coefficients (Davis and Mermelstein 1980), causal.

    Parameters
    ----------
    waveform
        Shape (..., samples), float32 in [-1, 1]; leading axes are a batch, and a clip gets the
        same coefficients alone and in any batch.
    config
        Defaults to ``FeatureConfig()``.

    Returns
    -------
    float32 array of shape (..., samples // hop_length, n_mfcc)

    Raises
    ------
    ValueError
        The waveform is shorter than one hop, or not of a floating dtype; or ``n_mfcc`` is 0.
    """
    config = config or FeatureConfig()
    return cepstrum(log_mel(waveform, config), config)


def from_log_mel(
    log_mel: npt.NDArray[np.float32], config: FeatureConfig
) -> npt.NDArray[np.float32]:
    """Convert a log-mel spectrogram to the input of a network.

    The MFCC, or the spectrogram itself where ``config.n_mfcc`` is 0: (..., frames, n_mels) to
    (..., frames, channels).
    """
    return cepstrum(log_mel, config) if config.n_mfcc else log_mel


def compute(waveform: Waveform, config: FeatureConfig) -> npt.NDArray[np.float32]:
    """Compute the input of a network: the MFCC, or log-mel where ``config.n_mfcc`` is 0.

    Parameters
    ----------
    waveform
        Shape (..., samples), float32 in [-1, 1].
    config
        The configuration that the network was trained with.

    Returns
    -------
    float32 array of shape (..., samples // hop_length, channels)

    Raises
    ------
    ValueError
        The waveform is shorter than one hop, or not of a floating dtype.
    """
    return from_log_mel(log_mel(waveform, config), config)
