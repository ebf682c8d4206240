"""Activations: every array between the waveform and the probabilities.

    trace = activations.trace("gru-12", waveform)
    trace.recurrent[0].states      (steps, units)   hidden state of the first recurrent layer
    trace.recurrent[0].gates       {"update": ..., "reset": ...}, each (steps, units)
    trace.decision()               the label, its probability, and since when it leads

This module steps the recurrent layers by hand, with the equations of the textbooks. Keras's own
output of each layer is in `Trace.outputs`; the two agree within 1e-5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from echoic import audio, networks
from echoic import features as front_end
from echoic.config import FeatureConfig
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime.bundle import Bundle

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recurrence:
    """States and gates of a recurrent layer.

    Attributes
    ----------
    name
        Name of the layer, with the direction of a bidirectional one: ``bidirectional_2 backward``.
    kind
        ``"rnn"``, ``"gru"`` or ``"lstm"``.
    times
        Time (s) of each step, shape (steps,).
    states
        Hidden state after each step, shape (steps, units).
    gates
        By name, each of shape (steps, units), from 0 to 1. GRU: ``update`` (1 keeps the old state,
        0 replaces it) and ``reset`` (0 hides the old state from the candidate). LSTM: ``input``
        (1 writes), ``forget`` (1 keeps), ``output`` (1 shows). A SimpleRNN has no gates.
    candidates
        Candidate state of each step, shape (steps, units), from -1 to 1. A SimpleRNN's candidate
        is its state.
    cells
        Cell state of an LSTM, shape (steps, units), unbounded; None for other layers.
    """

    name: str
    kind: str
    times: npt.NDArray[np.float64]
    states: Floats
    gates: Mapping[str, Floats]
    candidates: Floats
    cells: Floats | None = None


@dataclass(frozen=True)
class Decision:
    """The most probable label at one step.

    Attributes
    ----------
    label, probability
        The most probable label, and its probability.
    step, time
        The step, and its time (s).
    since
        Time (s) from which that label is the most probable at every step until ``time``.
    """

    label: str
    probability: float
    step: int
    time: float
    since: float


@dataclass(frozen=True, eq=False)
class Trace:
    """A waveform, a network, and the arrays between them; float32 unless stated.

    Attributes
    ----------
    network
        The Keras model, (batch, frames, channels) to logits.
    features, labels
        Front end and labels of the network.
    waveform
        Shape (samples,).
    inputs
        Input of the network, shape (frames, channels): the MFCC, or the log-mel spectrogram where
        ``features.n_mfcc`` is 0.
    outputs
        Output of each layer by the layer's name, in order: shape (steps, channels), or
        (channels,) after the layer that pools the steps.
    recurrent
        Each recurrent layer, in order.
    logits, probabilities
        Shape (steps, labels); a network that pools the clip has one step.
    times
        Time (s) of each of these steps, float64 of shape (steps,).
    notes
        Sentences on what this network cannot show; empty for a streamable network.
    """

    network: Any = field(repr=False)
    features: FeatureConfig
    labels: tuple[str, ...]
    waveform: audio.Waveform
    inputs: Floats
    outputs: Mapping[str, Floats]
    recurrent: tuple[Recurrence, ...]
    logits: Floats
    probabilities: Floats
    times: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def decision(self, at: float | None = None) -> Decision:
        """Return the most probable label at the last step until ``at`` (s), by default the last.

        Raises
        ------
        ValueError
            ``at`` is before the end of the first step.
        """
        end = (
            len(self.times) if at is None else int(np.searchsorted(self.times, at + 1e-9, "right"))
        )
        if end == 0:
            raise ValueError(
                f"Expected a time from {self.times[0]:g} s on, where the first step ends, "
                f"received {at:g}."
            )
        answers = self.probabilities[:end].argmax(axis=1)
        others = np.flatnonzero(answers != answers[-1])
        first = int(others[-1]) + 1 if len(others) else 0
        return Decision(
            label=self.labels[answers[-1]],
            probability=float(self.probabilities[end - 1, answers[-1]]),
            step=end - 1,
            time=float(self.times[end - 1]),
            since=float(self.times[first]),
        )

    def most_certain(self) -> float:
        """Return the time (s) at which any word, silence and unknown aside, is most probable."""
        words = [i for i, x in enumerate(self.labels) if x not in (SILENCE, UNKNOWN)]
        return float(self.times[self.probabilities[:, words].max(axis=1).argmax()])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all arrays by name, for ``np.savez``: ``inputs``, ``gru_2/states`` and so on."""
        named: dict[str, npt.NDArray[Any]] = {"waveform": self.waveform, "inputs": self.inputs}
        named |= {f"{name}/output": output for name, output in self.outputs.items()}
        for layer in self.recurrent:
            named |= {f"{layer.name}/times": layer.times, f"{layer.name}/states": layer.states}
            named |= {f"{layer.name}/{gate}": values for gate, values in layer.gates.items()}
            named[f"{layer.name}/candidates"] = layer.candidates
            if layer.cells is not None:
                named[f"{layer.name}/cells"] = layer.cells
        return named | {
            "logits": self.logits,
            "probabilities": self.probabilities,
            "times": self.times,
        }


def trace(
    model: Bundle | str | Path | None, waveform: npt.ArrayLike, *, sample_rate: int | None = None
) -> Trace:
    """Run a model over a waveform and keep all activations.

    Parameters
    ----------
    model
        A `Bundle`, a model's folder, or a name in ``models/``; None means the default model.
    waveform
        Shape (samples,), float32 in [-1, 1] or int16, at least one step long. `trace` adds no
        zeros; `Recognizer.predict` pads what is shorter than a clip.
    sample_rate
        Sample rate (Hz); None means 16,000.

    Raises
    ------
    FileNotFoundError, BundleError
        See `Bundle.load`.
    AudioError, ValueError
        See `audio.as_waveform` and `trace_network`.
    """
    bundle = model if isinstance(model, Bundle) else Bundle.load(model)
    samples = audio.as_waveform(
        waveform, sample_rate=sample_rate, target_rate=bundle.features.sample_rate
    )
    network = networks.load(bundle)
    return trace_network(network, samples, features=bundle.features, labels=bundle.labels)


def trace_network(
    network: keras.Model,
    waveform: audio.Waveform,
    *,
    features: FeatureConfig,
    labels: tuple[str, ...],
) -> Trace:
    """Trace a Keras network that is not in a model's folder.

    Parameters
    ----------
    network
        Network from `networks.build`.
    waveform
        Shape (samples,), float32 in [-1, 1].
    features, labels
        Front end and labels of the network.

    Raises
    ------
    ValueError
        The waveform is shorter than the network's first step, or a recurrent layer has
        activations other than tanh and sigmoid.
    """
    inputs = front_end.compute(waveform, features)
    stride = _strides(network)
    if len(inputs) < max(stride.values()):
        raise ValueError(
            f"Expected at least {max(stride.values()) * features.hop_length} samples, the length "
            f"of the network's first step, received {len(waveform)}. Append zeros."
        )
    inner = [layer for layer in network.layers if not isinstance(layer, layers.InputLayer)]
    taps = [(layer.input, layer.output) for layer in inner]
    activations = keras.Model(network.input, taps)(inputs[None], training=False)
    outputs: dict[str, Floats] = {}
    recurrent: list[Recurrence] = []
    for layer, (given, output) in zip(inner, activations, strict=True):
        outputs[layer.name] = ops.convert_to_numpy(output)[0]
        if isinstance(layer, layers.RNN | layers.Bidirectional):
            x = ops.convert_to_numpy(given)[0]
            recurrent += _both_ways(layer, x, _times(len(x), stride[layer.name], features))
    logits = outputs[inner[-1].name]
    once = logits.ndim == 1
    logits = logits[None] if once else logits
    exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return Trace(
        network=network,
        features=features,
        labels=tuple(labels),
        waveform=waveform,
        inputs=inputs,
        outputs=outputs,
        recurrent=tuple(recurrent),
        logits=logits,
        probabilities=exponential / exponential.sum(axis=-1, keepdims=True),
        times=np.array([features.time(len(inputs) - 1)])
        if once
        else _times(len(logits), stride[inner[-1].name], features),
        notes=_notes(inner),
    )


def recur(
    layer: layers.RNN, x: Floats, *, times: npt.NDArray[np.float64] | None = None
) -> Recurrence:
    """Step a recurrent layer by hand.

    Parameters
    ----------
    layer
        Keras ``SimpleRNN``, ``GRU`` or ``LSTM``, built, with tanh and sigmoid.
    x
        Input of the layer, shape (steps, channels).
    times
        Time (s) of each step; None means the steps' numbers.

    Raises
    ------
    ValueError
        Another type of layer, or other activations.
    """
    usual = (keras.activations.tanh, keras.activations.sigmoid)
    activations = (layer.activation, getattr(layer, "recurrent_activation", usual[1]))
    kind = {layers.SimpleRNN: "rnn", layers.GRU: "gru", layers.LSTM: "lstm"}.get(type(layer))
    if kind is None or activations != usual:
        raise ValueError(
            "Expected a SimpleRNN, a GRU or an LSTM with tanh and sigmoid, received "
            f"{type(layer).__name__} with {', '.join(a.__name__ for a in activations)}."
        )
    steps = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[kind](layer, x)
    rows = list(steps)
    stacked = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return Recurrence(
        name=layer.name,
        kind=kind,
        times=np.arange(len(x), dtype=np.float64) if times is None else times,
        states=stacked.pop("states"),
        candidates=stacked.pop("candidates"),
        cells=stacked.pop("cells", None),
        gates=stacked,
    )


# --- the cells, a step at a time: @ multiplies matrices, * elements ------------------------------


def _rnn(layer: layers.SimpleRNN, x: Floats) -> Iterator[dict[str, Floats]]:
    kernel, recurrent, bias, _ = _weights(layer)
    h = np.zeros(layer.units, np.float32)
    for row in x @ kernel + bias:
        h = np.tanh(row + h @ recurrent)
        yield {"states": h, "candidates": h}


def _gru(layer: layers.GRU, x: Floats) -> Iterator[dict[str, Floats]]:
    kernel, recurrent, bias, inner_bias = _weights(layer)
    n = 2 * layer.units
    h = np.zeros(layer.units, np.float32)
    for row in x @ kernel + bias:
        gates = _sigmoid(row[:n] + h @ recurrent[:, :n] + inner_bias[:n])
        update, reset = np.split(gates, 2)
        if layer.reset_after:  # Keras's default, for which the second bias is there
            past = reset * (h @ recurrent[:, n:] + inner_bias[n:])
        else:
            past = (reset * h) @ recurrent[:, n:]
        candidate = np.tanh(row[n:] + past)
        h = update * h + (1 - update) * candidate
        yield {"states": h, "candidates": candidate, "update": update, "reset": reset}


def _lstm(layer: layers.LSTM, x: Floats) -> Iterator[dict[str, Floats]]:
    kernel, recurrent, bias, _ = _weights(layer)
    h = c = np.zeros(layer.units, np.float32)
    for row in x @ kernel + bias:
        i, f, g, o = np.split(row + h @ recurrent, 4)
        write, keep, candidate, show = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = keep * c + write * candidate
        h = show * np.tanh(c)
        gates = {"input": write, "forget": keep, "output": show}
        yield {"states": h, "candidates": candidate, "cells": c, **gates}


def _weights(layer: layers.RNN) -> tuple[Floats, Floats, Floats, Floats]:
    """Kernel, recurrent kernel, and the bias of each; zeros for a bias that the layer lacks."""
    kernel, recurrent, *rest = (ops.convert_to_numpy(w) for w in layer.cell.get_weights())
    biases = np.zeros((2, kernel.shape[1]), np.float32)
    if rest:
        biases[: np.atleast_2d(rest[0]).shape[0]] = rest[0]
    return kernel, recurrent, biases[0], biases[1]


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=x.dtype)  # never overflows


# --- about networks ------------------------------------------------------------------------------


def _strides(network: keras.Model) -> dict[str, int]:
    """Frames for each step of a layer's input; for the last layer, of its output."""
    stride, before = 1, {}
    for layer in network.layers:
        before[layer.name] = stride
        if isinstance(layer, layers.Conv1D | layers.DepthwiseConv1D):
            stride *= int(np.ravel(layer.strides)[0])
    return before


def _times(steps: int, stride: int, config: FeatureConfig) -> npt.NDArray[np.float64]:
    return np.array([config.time((j + 1) * stride - 1) for j in range(steps)])


def _both_ways(layer: layers.Layer, x: Floats, times: npt.NDArray[np.float64]) -> list[Recurrence]:
    """One recurrence for a plain layer, two for a bidirectional one, in the order of time."""
    if not isinstance(layer, layers.Bidirectional):
        return [recur(layer, x, times=times)]
    forward = recur(layer.forward_layer, x, times=times)
    backward = recur(layer.backward_layer, x[::-1], times=times)
    return [
        replace(forward, name=f"{layer.name} forward"),
        replace(
            backward,
            name=f"{layer.name} backward",
            states=backward.states[::-1],
            gates={name: gate[::-1] for name, gate in backward.gates.items()},
            candidates=backward.candidates[::-1],
            cells=None if backward.cells is None else backward.cells[::-1],
        ),
    ]


def _notes(inner: list[layers.Layer]) -> tuple[str, ...]:
    notes = []
    for layer in inner:
        if isinstance(layer, layers.GlobalAveragePooling1D):
            notes.append(
                f"{layer.name} takes the mean over the clip: the network answers once, at the end, "
                "and the order of the frames is lost."
            )
        elif isinstance(layer, layers.Bidirectional):
            notes.append(
                f"{layer.name} reads the clip in both directions: its backward states depend on "
                "the future, so they are no memory of the past."
            )
        elif isinstance(layer, layers.MultiHeadAttention):
            notes.append(
                f"{layer.name} attends to the whole clip: the network answers once, at the end, "
                "and carries no state from step to step."
            )
    return tuple(notes)
