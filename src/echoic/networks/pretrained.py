"""Pretrained parts: encoders of speech that others have trained, as layers of a network.

Both take log-mel spectrograms in bels (decibels / 10), on the scale of their own training; the
recipes ``embedding`` and ``whisper`` set ``n_mfcc = 0``, and the normalization in the file of
pretrained weights converts decibels to bels. ``data/make_embedding.py`` and
``data/make_whisper.py`` write those files.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Tensor = Any

SOURCES = {
    "speech_embedding": ("data/make_embedding.py", "data/speech_embedding.keras"),
    "whisper_encoder": ("data/make_whisper.py", "data/whisper.keras"),
}
"""Types of layers with pretrained weights: the script that writes them, and its file."""

EMBEDDING = (
    # filters, kernels and the pool after them: each (time, bands)
    (24, ((3, 3), (1, 3), (3, 1)), (2, 2)),
    (48, ((1, 3), (3, 1), (1, 3), (3, 1)), (1, 2)),
    (72, ((1, 3), (3, 1), (1, 3), (3, 1)), (2, 2)),
    (96, ((1, 3), (3, 1), (1, 3), (3, 1)), (1, 2)),
    (96, ((1, 3), (3, 1), (1, 3), (3, 1)), (2, 2)),
)
"""Convolutions of `speech_embedding`."""


def speech_embedding(x: Tensor, name: str) -> Tensor:
    """Convolutions of Google's speech embedding (Lin et al. 2020), with a context of 76 frames.

    Takes log-mel spectrograms of 32 bands in bels, (batch, frames, 32); gives 96 channels, one
    step for each 8 frames. Beyond the ends of the clip each band continues at its minimum.
    """
    if x.shape[-1] != 32:
        raise ValueError(f"Expected 32 channels before {name}, received {x.shape[-1]}.")
    quiet = ops.min(x, axis=1, keepdims=True)
    x = layers.Concatenate(axis=1, name=f"{name}_pad")([*[quiet] * 22, x, *[quiet] * 10])
    x = layers.Reshape((-1, 32, 1), name=f"{name}_image")(x)
    number = 0
    for filters, kernels, pool in EMBEDDING:
        for kernel in kernels:
            number += 1
            if kernel[1] > 1:
                x = layers.ZeroPadding2D((0, 1), name=f"{name}_pad_{number}")(x)
            x = layers.Conv2D(filters, kernel, name=f"{name}_conv_{number}")(x)
            x = ops.maximum(ops.leaky_relu(x, 0.2), -0.4)
        x = layers.MaxPooling2D(pool)(x)
    x = layers.Conv2D(96, (3, 1), use_bias=False, name=f"{name}_conv_{number + 1}")(x)
    return layers.Reshape((-1, 96), name=name)(x)


def whisper_encoder(
    x: Tensor, name: str, *, units: int, heads: int, blocks: int, dropout: float = 0.0
) -> Tensor:
    """Encoder of Whisper (Radford et al. 2022): two convolutions, then ``blocks`` of a transformer.

    Takes log-mel spectrograms of 80 bands in bels, (batch, frames, 80); gives ``units`` channels,
    one step for each two frames. ``dropout`` is that of each branch.
    """
    if x.shape[-1] != 80:
        raise ValueError(f"Expected 80 channels before {name}, received {x.shape[-1]}.")
    loudest = ops.max(x, axis=(1, 2), keepdims=True)
    x = (ops.maximum(x, loudest - 8) + 4) / 4
    for number, strides in enumerate((1, 2), start=1):
        x = layers.ZeroPadding1D(1, name=f"{name}_pad_{number}")(x)
        x = layers.Conv1D(units, 3, strides, activation="gelu", name=f"{name}_conv_{number}")(x)
    x = PositionalEncoding(name=f"{name}_positions")(x)

    def normalized(x: Tensor, label: str) -> Tensor:
        return layers.LayerNormalization(epsilon=1e-5, name=f"{name}_{label}")(x)

    for number in range(1, blocks + 1):
        attend = layers.MultiHeadAttention(heads, units // heads, name=f"{name}_attention_{number}")
        y = normalized(x, f"attention_norm_{number}")
        x += layers.Dropout(dropout)(attend(y, y))
        y = normalized(x, f"mlp_norm_{number}")
        y = layers.Dense(4 * units, activation="gelu", name=f"{name}_expand_{number}")(y)
        y = layers.Dense(units, name=f"{name}_project_{number}")(y)
        x += layers.Dropout(dropout)(y)
    return normalized(x, "norm")


@keras.saving.register_keras_serializable(package="echoic")
class PositionalEncoding(keras.layers.Layer):
    """Adds a sinusoidal encoding of its position to each step (Vaswani et al. 2017).

    (batch, steps, channels) to the same; half of the channels get sines of wavelengths from 2 pi
    to 20,000 pi steps, the others cosines of the same.
    """

    def call(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        rates = np.exp(-np.log(10_000) / (half - 1) * np.arange(half)).astype("float32")
        positions = ops.cast(ops.arange(ops.shape(x)[1]), "float32")
        angles = positions[:, None] * rates
        return x + ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
