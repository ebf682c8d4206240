"""One step of a network at a time, with its memory as explicit states.

`layers.STEPS` says which Keras layers look back, and how they take one step with explicit states.
All others are in `layers.STATELESS` and are called as they are, so stepping through a clip equals
running it whole. States start at zeros.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from echoic.networks.layers import STATELESS, STEPS

Tensor = Any
States = dict[str, Tensor]


class Step:
    """A streamable network as a function of one step and its states.

    Parameters
    ----------
    model
        From `networks.build`: (batch, frames, channels) to (batch, frames // stride, labels).

    Attributes
    ----------
    frames
        Frames that one step takes: the network's stride.
    states
        Shape of each state by name, for a batch of one: ``conv_1`` (1, frames, channels),
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
            if type(layer) in STEPS:
                self.states |= STEPS[type(layer)].states(layer)
            elif isinstance(layer, STATELESS):
                self.frames *= int(np.prod(getattr(layer, "strides", 1)))
            else:
                raise ValueError(
                    "Expected a network of layers with a one-step form, received "
                    f"{layer.name} ({type(layer).__name__}), which needs the whole clip. Train a "
                    "recipe that streams: gru, lstm, crnn or rnn."
                )

    def __call__(self, frames: Tensor, states: States) -> tuple[Tensor, States]:
        """Take one step.

        Parameters
        ----------
        frames
            The next ``self.frames`` frames, shape (1, frames, channels).
        states
            The states that the last step returned; before the first, zeros in the shapes of
            ``self.states``.

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
            if type(layer) in STEPS:
                y, memory = STEPS[type(layer)].step(layer, x, states)
                after |= memory
            else:
                y = _infer(layer, x)
            values[id(layer.output)] = y
        return values[id(self.model.output)][:, -1], after


def _infer(layer: keras.layers.Layer, x: Tensor) -> Tensor:
    """Call a layer in inference mode; only some layers take ``training``."""
    takes_training = "training" in inspect.signature(layer.call).parameters
    return layer(x, training=False) if takes_training else layer(x)
