"""One step of a network at a time, its memory in plain sight.

Two kinds of layers look back: the padding before a causal convolution, which stands for the frames
that the kernel still sees, and the recurrent cells. Their memory becomes an explicit state, which
starts at zeros. Every other layer treats each step by itself and is called as it is, so stepping
through a clip equals running it whole.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Tensor = Any
States = dict[str, Tensor]

RECURRENT: dict[type[keras.layers.Layer], tuple[str, ...]] = {
    layers.SimpleRNN: ("h",),
    layers.GRU: ("h",),
    layers.LSTM: ("h", "c"),
}
"""Recurrent layers, with the names of their states."""

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
"""Layers whose every step depends on what is given to that step alone."""


class Step:
    """A streamable network as a function of one step and its states.

    Parameters
    ----------
    model
        From `models.build`: (batch, frames, n_mfcc) to logits (batch, frames // stride, labels).

    Attributes
    ----------
    frames
        Frames of coefficients that one step takes: the network's stride.
    states
        Name of each state, with its shape for a batch of one: ``conv_1`` (1, frames, channels),
        ``gru_6_h`` (1, units), and so on.

    Raises
    ------
    ValueError
        A layer needs the whole clip.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.frames = 1
        self.states: dict[str, tuple[int, ...]] = {}
        for layer in model.layers[1:]:
            if type(layer) in RECURRENT:
                self.states |= dict.fromkeys(_state_names(layer), (1, layer.units))
            elif isinstance(layer, layers.ZeroPadding1D):
                if layer.padding[0]:
                    name = _padding_name(layer)
                    self.states[name] = (1, layer.padding[0], layer.input.shape[-1])
            elif isinstance(layer, STATELESS):
                self.frames *= int(np.prod(getattr(layer, "strides", 1)))
            else:
                raise ValueError(
                    f"Expected a network whose layers each know one step, received "
                    f"{layer.name} ({type(layer).__name__}), which needs the whole clip. Train a "
                    "recipe that streams: gru, lstm, crnn or rnn."
                )

    def __call__(self, frames: Tensor, states: States) -> tuple[Tensor, States]:
        """Take one step.

        Parameters
        ----------
        frames
            The next ``self.frames`` frames, shape (1, frames, n_mfcc).
        states
            What the last step gave; before the first, zeros in the shapes of ``self.states``.

        Returns
        -------
        logits
            Shape (1, labels).
        states
            For the next step.
        """
        after: States = {}
        values = {id(self.model.input): frames}
        for layer in self.model.layers[1:]:
            given = layer.input
            x = [values[id(t)] for t in given] if isinstance(given, list) else values[id(given)]
            values[id(layer.output)] = self._run(layer, x, states, after)
        return values[id(self.model.output)][:, -1], after

    def _run(self, layer: keras.layers.Layer, x: Tensor, states: States, after: States) -> Tensor:
        if isinstance(layer, layers.ZeroPadding1D):
            if not layer.padding[0]:
                return x
            name = _padding_name(layer)
            x = ops.concatenate([states[name], x], axis=1)
            after[name] = x[:, -layer.padding[0] :]
            return x
        if type(layer) in RECURRENT:
            names = _state_names(layer)
            memory = [states[name] for name in names]
            outputs = []
            for i in range(x.shape[1]):
                y, memory = layer.cell(x[:, i], memory, training=False)
                outputs.append(y)
            after.update(zip(names, memory, strict=True))
            return ops.stack(outputs, axis=1)
        return layer(x, training=False) if isinstance(layer, _TRAINED_OTHERWISE) else layer(x)


_TRAINED_OTHERWISE = (layers.BatchNormalization, layers.Dropout)


def _padding_name(layer: keras.layers.Layer) -> str:
    return str(layer.name.removesuffix("_pad"))


def _state_names(layer: keras.layers.Layer) -> list[str]:
    return [f"{layer.name}_{state}" for state in RECURRENT[type(layer)]]
