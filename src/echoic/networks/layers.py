"""The table of layers: the types of rows in ``ModelConfig.layers``, each with its one-step form.

A layer is one function from (batch, steps, channels) to the same; its keyword arguments are the
settings of a row. A layer streams where every Keras layer that it is made of has a one-step form:
it is in `STATELESS`, or in `STEPS` with its states. `streaming.Step` walks a network by these two
tables, so a new layer is one function and, where it looks back in a new way, one entry in `STEPS`.
``mean``, ``bidirectional``, ``attention`` and the pretrained encoders need the whole clip.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from echoic.networks.pretrained import speech_embedding, whisper_encoder

Tensor = Any
States = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


class OneStep(NamedTuple):
    """The one-step form of a Keras layer that looks back.

    Attributes
    ----------
    states
        The layer to the shape of each state by name, for a batch of one.
    step
        The layer, the next steps (1, steps, channels) and the states to the output for these
        steps and the states after them. A state starts at zeros.
    """

    states: Callable[[Any], Shapes]
    step: Callable[[Any, Tensor, States], tuple[Tensor, States]]


STATELESS = (
    layers.Activation,
    layers.Add,
    layers.BatchNormalization,
    layers.Conv1D,
    layers.Dense,
    layers.DepthwiseConv1D,
    layers.Dropout,
    layers.Normalization,
    layers.ReLU,
)
"""Keras layers whose output at a step depends on the input of that step alone."""


# --- layers that stream --------------------------------------------------------------------------


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
    """Causal convolution, BatchNorm, ReLU; a residual connection where the shape allows it.

    Step j sees the frames that end at ``(j + 1) * strides``: it never waits for the future, and
    it includes the last frame of a clip whatever the stride.
    """
    if strides > kernel_size:
        raise ValueError(
            f"Expected strides of {name} up to kernel_size = {kernel_size}, received {strides}: "
            "the frames between two steps would never be seen."
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


def _padding_states(pad: layers.ZeroPadding1D) -> Shapes:
    """The frames that the next kernel still sees; named after the convolution."""
    before = pad.padding[0]
    name = pad.name.removesuffix("_pad")
    return {name: (1, before, pad.input.shape[-1])} if before else {}


def _padding_step(pad: layers.ZeroPadding1D, x: Tensor, states: States) -> tuple[Tensor, States]:
    for name, (_, before, _) in _padding_states(pad).items():
        x = ops.concatenate([states[name], x], axis=1)
        return x, {name: x[:, -before:]}
    return x, {}


def rnn(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """Simple recurrent network: its output is all its memory (Elman 1990)."""
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


def _recurrent(*names: str) -> OneStep:
    """One step of a recurrent layer whose cell has states of these names."""

    def states(layer: Any) -> Shapes:
        return {f"{layer.name}_{name}": (1, layer.units) for name in names}

    def step(layer: Any, x: Tensor, before: States) -> tuple[Tensor, States]:
        memory = [before[name] for name in states(layer)]
        outputs = []
        for i in range(x.shape[1]):
            y, memory = layer.cell(x[:, i], memory, training=False)
            outputs.append(y)
        return ops.stack(outputs, axis=1), dict(zip(states(layer), memory, strict=True))

    return OneStep(states, step)


def dense(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """One fully connected layer with ReLU, the same at every step."""
    y = layers.Dense(units, activation="relu", name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


STEPS: Mapping[type[keras.layers.Layer], OneStep] = {
    layers.ZeroPadding1D: OneStep(_padding_states, _padding_step),
    layers.SimpleRNN: _recurrent("h"),
    layers.GRU: _recurrent("h"),
    layers.LSTM: _recurrent("h", "c"),
}
"""Keras layers that look back, each with its one-step form."""


# --- layers that need the whole clip -------------------------------------------------------------


def mean(x: Tensor, name: str) -> Tensor:
    """Mean over the steps: a bag of frames, whose order is lost."""
    return layers.GlobalAveragePooling1D(name=name)(x)


def bidirectional(x: Tensor, name: str, *, units: int, dropout: float = 0.0) -> Tensor:
    """A GRU from each end of the clip, ``units`` each way (Schuster and Paliwal 1997)."""
    y = layers.Bidirectional(layers.GRU(units, return_sequences=True), name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(y)


def attention(x: Tensor, name: str, *, heads: int, key_dim: int, dropout: float = 0.0) -> Tensor:
    """Multi-head attention over the steps; the middle step is the query (Rybakov et al. 2020)."""
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


# --- the table -----------------------------------------------------------------------------------

STREAMABLE: dict[str, Callable[..., Tensor]] = {
    "conv": conv,
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "dense": dense,
}
"""Types of rows that stream."""

LAYERS: dict[str, Callable[..., Tensor]] = STREAMABLE | {
    "mean": mean,
    "bidirectional": bidirectional,
    "attention": attention,
    "speech_embedding": speech_embedding,
    "whisper_encoder": whisper_encoder,
}
"""All types of rows in ``ModelConfig.layers``."""


def check_row(number: int, row: dict[str, Any]) -> None:
    """Raise a ValueError where a row of the table does not fit the signature of its layer."""
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
