"""Networks: a stack of layers, read from a table, from coefficients to logits.

    mfcc (batch, frames, n_mfcc)
      -> normalization with the statistics of the training set, fixed (of the one with which a
         network began that began with another's weights)
      -> the layers of ModelConfig.layers, in order
      -> logits (batch, steps, labels)     a streamable network answers at every step
         or (batch, labels)                a network that needs the whole clip answers once

A streamable network is made of layers that each know one step, so that stepping through a clip
equals running it whole. ``mean``, ``bidirectional`` and ``attention`` need the clip's end before
they can begin: such a network is for clips, and for teaching.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from echoic.config import ModelConfig, Recipe

Tensor = Any


# --- the layers: each takes and gives (batch, steps, channels) -----------------------------------


def conv(
    x: Tensor,
    name: str,
    *,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    separable: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Causal convolution, BatchNorm, ReLU; the input is added where the shape allows it.

    Step j sees the frames that end at ``(j + 1) * strides``: nothing waits for the future, and
    the last frame of a clip is heard whatever the stride.
    """
    if strides > kernel_size:
        raise ValueError(
            f"Expected strides of {name} up to kernel_size = {kernel_size}, received {strides}: "
            "the frames between two steps would never be heard."
        )
    y = layers.ZeroPadding1D((kernel_size - strides, 0), name=f"{name}_pad")(x)
    if separable:
        y = layers.DepthwiseConv1D(kernel_size, strides=strides, use_bias=False, name=f"{name}_dw")(
            y
        )
        y = layers.Conv1D(filters, 1, use_bias=False, name=f"{name}_pw")(y)
    else:
        y = layers.Conv1D(filters, kernel_size, strides=strides, use_bias=False, name=name)(y)
    y = layers.BatchNormalization(name=f"{name}_norm")(y)
    if strides == 1 and x.shape[-1] == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    y = layers.ReLU(name=f"{name}_relu")(y)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


def rnn(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """Elman's network: the state is all the memory there is (Elman 1990)."""
    y = layers.SimpleRNN(units, return_sequences=True, name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


def lstm(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate, Gers et al. 2000)."""
    y = layers.LSTM(units, return_sequences=True, name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


def gru(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """Gated recurrent unit (Cho et al. 2014)."""
    y = layers.GRU(units, return_sequences=True, name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


def dense(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """One fully connected layer with ReLU, the same at every step."""
    y = layers.Dense(units, activation="relu", name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


def mean(x: Tensor, name: str) -> Tensor:
    """Mean over the steps: what is left is a bag of frames, without their order."""
    return layers.GlobalAveragePooling1D(name=name)(x)


def bidirectional(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """A GRU from each end of the clip, ``units`` each way (Schuster and Paliwal 1997)."""
    y = layers.Bidirectional(layers.GRU(units, return_sequences=True), name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


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
    """Convolutions of Google's speech embedding (Lin et al. 2020), which see 76 frames at once.

    Takes spectrograms of 32 bands in bels, (batch, frames, 32); gives 96 channels, one step for
    each 8 frames. Beyond the clip's ends each band goes on at its lowest.
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

    Takes spectrograms of 80 bands, (batch, frames, 80), in bels above `WHISPER_FLOOR`; gives
    ``units`` channels, one step for each two frames. ``dropout`` is that of each branch.
    """
    if x.shape[-1] != 80:
        raise ValueError(f"Expected 80 channels before {name}, received {x.shape[-1]}.")
    loudest = ops.max(x, axis=(1, 2), keepdims=True)
    x = (ops.maximum(x, loudest - 8) + WHISPER_FLOOR + 4) / 4
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


WHISPER_FLOOR = -12.0
"""What `whisper_encoder` takes for nothing (bels): what comes before it gives no less than 0."""


@keras.saving.register_keras_serializable(package="echoic")
class PositionalEncoding(keras.layers.Layer):
    """Tells each step its position: sines and cosines are added to it (Vaswani et al. 2017).

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


def attention(x: Tensor, name: str, *, heads: int, key_dim: int, dropout: float = 0.0) -> Tensor:
    """Multi-head attention over the steps, asked by the middle one (Rybakov et al. 2020)."""
    middle = MiddleStep(name=f"{name}_middle")(x)
    query = layers.Dense(x.shape[-1], name=f"{name}_query")(middle)  # (batch, 1, channels)
    y = layers.MultiHeadAttention(heads, key_dim, name=name)(query, x)
    y = layers.Flatten(name=f"{name}_flatten")(y)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


@keras.saving.register_keras_serializable(package="echoic")
class MiddleStep(keras.layers.Layer):
    """The middle step of a sequence: (batch, steps, channels) to (batch, 1, channels)."""

    def call(self, x: Tensor) -> Tensor:
        middle = ops.shape(x)[1] // 2
        return x[:, middle : middle + 1]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], 1, input_shape[2]


STREAMABLE: dict[str, Callable[..., Tensor]] = {
    "conv": conv,
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "dense": dense,
}
"""Layers that know one step."""

LAYERS: dict[str, Callable[..., Tensor]] = STREAMABLE | {
    "mean": mean,
    "bidirectional": bidirectional,
    "attention": attention,
    "speech_embedding": speech_embedding,
    "whisper_encoder": whisper_encoder,
}
"""All types of rows in ``ModelConfig.layers``."""


def check(recipe: Recipe) -> None:
    """Make sure that a network can be built of a recipe's table and trained as the recipe says.

    Raises
    ------
    ValueError
        A row that `LAYERS` does not know or cannot take; a table that gives a clip no one answer;
        ``training.clips_per_sequence`` above 1 of a network that needs the whole clip, or whose
        steps do not divide the clip.
    """
    check_table(recipe.model)
    kinds = {row["type"] for row in recipe.model.layers}
    if not streamable(recipe.model) and not kinds & {"mean", "attention"}:
        raise ValueError(
            "Expected a layer mean or attention in model.layers, of which one answer comes: "
            f"{', '.join(sorted(kinds - STREAMABLE.keys()))} needs the whole clip, gives none."
        )
    if recipe.training.clips_per_sequence == 1:
        return
    if not streamable(recipe.model):
        raise ValueError(
            "Expected training.clips_per_sequence to be 1 for a network that needs the whole clip, "
            f"received {recipe.training.clips_per_sequence}."
        )
    step = recipe.features.hop_length * stride(recipe.model)
    if round(recipe.data.clip_seconds * recipe.features.sample_rate) % step:
        raise ValueError(
            f"Expected data.clip_seconds to be a whole number of the network's steps of {step} "
            "samples where training.clips_per_sequence is above 1, received "
            f"{recipe.data.clip_seconds}."
        )


def check_table(config: ModelConfig) -> None:
    """Make sure that each row of a table is a layer with settings that it takes.

    Raises
    ------
    ValueError
        A row that `LAYERS` does not know or cannot take.
    """
    for number, row in enumerate(config.layers, start=1):
        _check_row(number, row)


def streamable(config: ModelConfig) -> bool:
    """Whether every layer of a table knows one step."""
    return all(row["type"] in STREAMABLE for row in config.layers)


def stride(config: ModelConfig) -> int:
    """Frames that the network of a table takes for each of its steps."""
    return int(np.prod([row.get("strides", 1) for row in config.layers]))


def _check_row(number: int, row: dict[str, Any]) -> None:
    kind = row["type"]
    if kind not in LAYERS:
        raise ValueError(
            f"Expected the type of layer {number} to be one of {', '.join(LAYERS)}, "
            f"received {kind!r}."
        )
    arguments = list(inspect.signature(LAYERS[kind], eval_str=True).parameters.values())[2:]
    known = {a.name: a.annotation for a in arguments}
    settings = {key: value for key, value in row.items() if key != "type"}
    if unknown := settings.keys() - known.keys():
        raise ValueError(
            f"Layer {number} ({kind}) has no setting {', '.join(sorted(unknown))}; "
            f"it takes {', '.join(sorted(known)) or 'none'}."
        )
    if missing := {a.name for a in arguments if a.default is a.empty} - settings.keys():
        raise ValueError(f"Layer {number} ({kind}) needs {', '.join(sorted(missing))}.")
    for key, value in settings.items():
        kinds = (int, float) if known[key] is float else (known[key],)
        if type(value) not in kinds:
            raise ValueError(
                f"Expected {key} of layer {number} ({kind}) to be {known[key].__name__}, "
                f"received {value!r}."
            )


# --- the network -------------------------------------------------------------------------------


def build(
    config: ModelConfig,
    *,
    n_mfcc: int,
    n_labels: int,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
) -> keras.Model:
    """Build a network with fresh weights.

    Parameters
    ----------
    config
        The table of layers.
    n_mfcc, n_labels
        Channels in, channels out.
    mean, variance
        Of each coefficient over a training set, shape (n_mfcc,); they become part of the model.

    Returns
    -------
    keras.Model
        (batch, frames, n_mfcc) to logits: (batch, frames // stride, n_labels) where the
        network is streamable; (batch, n_labels) after ``mean`` or ``attention``.

    Raises
    ------
    ValueError
        The table is none: see `check_table`.
    """
    check_table(config)
    x = inputs = keras.Input((None, n_mfcc), name="mfcc")
    x = layers.Normalization(
        mean=np.asarray(mean, "float64").tolist(),
        variance=np.asarray(variance, "float64").tolist(),
        name="normalization",
    )(x)
    for number, row in enumerate(config.layers, start=1):
        settings = {key: value for key, value in row.items() if key != "type"}
        x = LAYERS[row["type"]](x, f"{row['type']}_{number}", **settings)
    logits = layers.Dense(n_labels, name="logits")(x)
    return keras.Model(inputs, logits, name="echoic")


def answers_each_step(model: keras.Model) -> bool:
    """Whether a network answers at every step, as those whose layers each know one step do."""
    return len(model.output.shape) == 3


def add_auxiliary_head(model: keras.Model, n_words: int) -> keras.Model:
    """The same network, weights shared, with ``n_words`` more logits after its own.

    They name words that the labels do not tell apart; training uses them, what ships has none.
    """
    if not n_words:
        return model
    words = layers.Dense(n_words, name="words")(model.layers[-1].input)
    return keras.Model(model.input, layers.Concatenate()([model.output, words]), name="learner")


def answer(logits: Tensor) -> Tensor:
    """Return a clip's own logits, (batch, labels): those of the last step, where there are many."""
    return logits[:, -1] if len(logits.shape) == 3 else logits
