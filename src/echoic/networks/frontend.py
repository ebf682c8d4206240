"""The front end inside a graph: `features.compute` as a Keras layer, so that a file takes sound.

It takes librosa's filter bank, window and DCT and repeats librosa's arithmetic with `keras.ops`;
the two agree within 1e-2 (float32, on coefficients that span hundreds).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops

from echoic import features
from echoic.config import FeatureConfig


@keras.saving.register_keras_serializable(package="echoic")
class MFCC(keras.layers.Layer):
    """Waveforms (batch, samples) to features (batch, samples // hop_length, channels).

    The name is that of saved files; with ``n_mfcc = 0`` the layer gives log-mel without the DCT.

    Parameters
    ----------
    config
        The FeatureConfig that `features.compute` takes.

    Raises
    ------
    ValueError
        ``n_fft`` is not a power of two: TFLite converts the transform and then cannot run it.
    """

    def __init__(self, config: FeatureConfig, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "trainable": False})
        if config.n_fft & (config.n_fft - 1):
            raise ValueError(
                f"Expected FeatureConfig.n_fft to be a power of two, received {config.n_fft}: "
                "TFLite has no other transform. Use the next power of two and set win_length."
            )
        self.config = config
        self._window = features.window(config)  # (n_fft,)
        self._mel = features.mel_filters(config)  # (n_fft // 2 + 1, n_mels)
        identity = np.eye(config.n_mels, dtype=np.float32)
        self._dct = features.cepstrum(identity, config) if config.n_mfcc else None

    def call(self, waveform: Any) -> Any:
        config = self.config
        padded = ops.pad(waveform, [(0, 0), (config.padding, 0)])
        return self.frames(padded)

    def frames(self, padded: Any) -> Any:
        """Compute features of samples that have their left context before them already."""
        config = self.config
        # (batch, frames, n_fft)
        framed = ops.extract_sequences(padded, config.n_fft, config.hop_length)
        real, imaginary = ops.rfft(framed * self._window)
        power = ops.square(real) + ops.square(imaginary)  # (batch, frames, n_fft // 2 + 1)
        mel = ops.matmul(power, self._mel)  # (batch, frames, n_mels)
        decibels = 10.0 / np.log(10.0) * ops.log(ops.maximum(mel, config.amin))
        if self._dct is None:
            return decibels
        return ops.matmul(decibels, self._dct)  # (batch, frames, n_mfcc)

    @property
    def states(self) -> dict[str, tuple[int, ...]]:
        """Shape of each state of a stream by name, for a batch of one; they start at zeros."""
        return {"waveform": (1, self.config.padding)}

    def step(self, samples: Any, states: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Compute the features of the next samples of a stream.

        Parameters
        ----------
        samples
            Shape (1, samples), whole hops.
        states
            The states that the last step returned.

        Returns
        -------
        features
            Shape (1, frames, channels).
        states
            The samples that the next frame still sees.
        """
        padding = self.config.padding
        x = ops.concatenate([states["waveform"], samples], axis=1)
        return self.frames(x), {"waveform": x[:, -padding:] if padding else x[:, :0]}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, samples = input_shape
        frames = None if samples is None else self.config.n_frames(samples)
        return batch, frames, self.config.channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "config": asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MFCC:
        return cls(**{**config, "config": FeatureConfig(**config["config"])})
