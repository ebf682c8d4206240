"""A network's memory, made visible: every number between the sound and the answer.

    trace = inspect.trace("gru-12", waveform)
    trace.recurrent[0].states      (steps, units)   what the first recurrent layer remembers
    trace.recurrent[0].gates       {"update": ..., "reset": ...}, each (steps, units)
    trace.decision()               what was answered, and since when
    inspect.occlusion(trace)       which moments the answer leaned on

The recurrent layers are stepped here by hand, a step at a time, with the equations that the
textbooks print; Keras's own output of each layer stands beside, and the two agree within 1e-5.
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
from echoic.config import FeatureConfig
from echoic.features import mfcc as cepstral_coefficients
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime.bundle import Bundle

Floats = npt.NDArray[np.float32]

BATCH = 64
"""Occluded copies of a recording that are run at once."""


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A recurrent layer at work.

    Attributes
    ----------
    name
        Of the layer; of a bidirectional one with the direction, as in ``bidirectional_2 backward``.
    kind
        ``"rnn"``, ``"gru"`` or ``"lstm"``.
    times
        Instant (s) of each step, shape (steps,).
    states
        The hidden state after each step, shape (steps, units): what is handed on.
    gates
        By name, each of shape (steps, units), from 0 to 1. GRU: ``update`` (1 keeps the old state,
        0 replaces it) and ``reset`` (0 hides the old state from the candidate). LSTM: ``input``
        (1 writes), ``forget`` (1 keeps), ``output`` (1 shows). None of a SimpleRNN.
    candidates
        What each step proposes to remember, shape (steps, units), from -1 to 1; a SimpleRNN's is
        its state.
    cells
        LSTM's second state, shape (steps, units), without bounds; None of the others.
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
    """An answer, at an instant.

    Attributes
    ----------
    label, probability
        The most probable label there.
    step, time
        The step, and its instant (s).
    since
        The instant (s) from which on that label was the most probable at every step until
        ``time``: when the decision was made.
    """

    label: str
    probability: float
    step: int
    time: float
    since: float


@dataclass(frozen=True, eq=False)
class Influence:
    """How much a decision leaned on each moment before it.

    Attributes
    ----------
    kind
        ``"occlusion"`` or ``"gradient"``.
    label, time
        Of the decision: what was answered, and when (s).
    times
        The moments (s), shape (n,).
    values
        Shape (n,). Occlusion: by how many nats the log-odds of ``label``, log(p / (1 - p)), fall
        when the moment is hidden; below 0 it spoke against the label. Gradient: the norm of the
        derivative of the log-odds by the standardized coefficients of the frame, which is in
        nats a standard deviation.
    """

    kind: str
    label: str
    time: float
    times: npt.NDArray[np.float64]
    values: Floats


@dataclass(frozen=True, eq=False)
class Trace:
    """A sound, a network, and everything in between; float32 where nothing else is said.

    Attributes
    ----------
    network
        The Keras model, (batch, frames, n_mfcc) to logits.
    features, labels
        How it hears, and what its outputs mean.
    waveform
        Shape (samples,).
    mfcc
        Shape (frames, n_mfcc): what the network hears.
    outputs
        What each layer of the network gives, by the layer's name, in order; of shape (steps,
        channels), or (channels,) once the steps are summed up.
    recurrent
        Each recurrent layer, step by step, in order.
    logits, probabilities
        Shape (steps, labels); one step of a network that answers once.
    times
        Instant (s) of each step of those, float64 of shape (steps,).
    notes
        What this network cannot show, in words; empty of a streamable one.
    """

    network: Any = field(repr=False)
    features: FeatureConfig
    labels: tuple[str, ...]
    waveform: audio.Waveform
    mfcc: Floats
    outputs: Mapping[str, Floats]
    recurrent: tuple[Recurrence, ...]
    logits: Floats
    probabilities: Floats
    times: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def decision(self, at: float | None = None) -> Decision:
        """Return the answer at the last step until ``at`` (s); None means the last of all.

        Raises
        ------
        ValueError
            No step is over at that instant.
        """
        end = (
            len(self.times) if at is None else int(np.searchsorted(self.times, at + 1e-9, "right"))
        )
        if end == 0:
            raise ValueError(
                f"Expected an instant from {self.times[0]:g} s on, when the first step is over, "
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
        """Return the instant (s) at which a word, silence and unknown aside, is most probable."""
        words = [i for i, x in enumerate(self.labels) if x not in (SILENCE, UNKNOWN)]
        return float(self.times[self.probabilities[:, words].max(axis=1).argmax()])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything by name, for ``np.savez``: ``mfcc``, ``gru_2/states`` and so on."""
        named: dict[str, npt.NDArray[Any]] = {"waveform": self.waveform, "mfcc": self.mfcc}
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
    """Run a model over a sound and keep everything.

    Parameters
    ----------
    model
        A `Bundle`, a model's folder, a name in ``models/``; None means the default model.
    waveform
        Shape (samples,), float32 in [-1, 1] or int16, of any length from one step on. It is taken
        as it is: `Recognizer.predict` puts zeros after what is shorter than a clip.
    sample_rate
        In Hz; None means 16,000.

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
    """Trace a network that is no model's folder yet.

    Parameters
    ----------
    network
        From `networks.build`.
    waveform
        Shape (samples,), float32 in [-1, 1].
    features, labels
        How it hears, and what its outputs mean.

    Raises
    ------
    ValueError
        The waveform is shorter than the network's first step, or a recurrent layer has other
        activations than Keras's usual ones.
    """
    mfcc = cepstral_coefficients(waveform, features)
    stride = _strides(network)
    if len(mfcc) < max(stride.values()):
        raise ValueError(
            f"Expected at least {max(stride.values()) * features.hop_length} samples, which are "
            f"the network's first step, received {len(waveform)}."
        )
    inner = [layer for layer in network.layers if not isinstance(layer, layers.InputLayer)]
    taps = [(layer.input, layer.output) for layer in inner]
    heard = keras.Model(network.input, taps)(mfcc[None], training=False)
    outputs: dict[str, Floats] = {}
    recurrent: list[Recurrence] = []
    for layer, (given, output) in zip(inner, heard, strict=True):
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
        mfcc=mfcc,
        outputs=outputs,
        recurrent=tuple(recurrent),
        logits=logits,
        probabilities=exponential / exponential.sum(axis=-1, keepdims=True),
        times=np.array([features.time(len(mfcc) - 1)])
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
        A Keras ``SimpleRNN``, ``GRU`` or ``LSTM``, built, with its usual activations.
    x
        Its input, shape (steps, channels).
    times
        Instant (s) of each step; the numbers of the steps, where none are given.

    Raises
    ------
    ValueError
        Another layer, or other activations.
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


def occlusion(
    trace: Trace,
    *,
    at: float | None = None,
    label: str | None = None,
    width: float = 0.1,
    reach: float = 4.0,
) -> Influence:
    """Hide one moment after the other and see how the answer suffers.

    A hidden frame has the mean coefficients of the training set: the sound of nothing in
    particular, zeros after the network's normalization.

    Parameters
    ----------
    trace
        What happened.
    at
        The instant (s) of the decision; None means the last step.
    label
        Whose odds are watched; None means the decision's own.
    width
        Length (s) of what is hidden, centred on each frame in turn.
    reach
        How far back (s) to go from the decision. The cost grows with it.

    Returns
    -------
    Influence
        At every frame within ``reach`` before the decision, and after it where the network hears
        that too. Values near 0 long before: forgotten.

    Raises
    ------
    ValueError
        See `Trace.decision`; or there is no such label.
    """
    decision, target = _target(trace, at, label)
    heard = trace.mfcc
    if not trace.notes:  # causal: what comes after the decision cannot matter
        heard = heard[: round(decision.time / trace.features.time(0))]
    hop = trace.features.time(0)
    half = max(round(width / hop) - 1, 0) / 2
    frames = np.arange(max(0, len(heard) - round(reach / hop)), len(heard))
    mean, _ = _statistics(trace.network, heard.shape[1])
    falls = []
    for start in range(0, len(frames), BATCH):
        centres = frames[start : start + BATCH]
        hidden = np.abs(np.arange(len(heard)) - centres[:, None]) <= half
        copies = np.where(hidden[:, :, None], mean, heard).astype(np.float32)
        logits = trace.network(copies, training=False)
        falls.append(ops.convert_to_numpy(_log_odds(networks.clip_logits(logits), target)))
    untouched = ops.convert_to_numpy(_log_odds(trace.logits[decision.step], target))
    return Influence(
        kind="occlusion",
        label=trace.labels[target],
        time=decision.time,
        times=_centres(len(heard), trace.features)[frames],
        values=np.asarray(untouched - np.concatenate(falls), dtype=np.float32),
    )


def gradient(trace: Trace, *, at: float | None = None, label: str | None = None) -> Influence:
    """Differentiate the answer by every frame: how much would a small change have mattered?

    Parameters
    ----------
    trace
        What happened.
    at, label
        As `occlusion` takes them.

    Returns
    -------
    Influence
        At every frame of the recording; exactly 0 where a causal network had answered before.

    Raises
    ------
    ValueError
        See `Trace.decision`; or there is no such label; or Keras runs on another backend than
        TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Expected Keras to run on TensorFlow for a gradient, received "
            f"{keras.backend.backend()}. Take `occlusion`, or set KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    decision, target = _target(trace, at, label)
    x = tf.constant(trace.mfcc[None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = trace.network(x, training=False)
        row = logits[:, decision.step] if len(logits.shape) == 3 else logits
        log_odds = _log_odds(row, target)
    slope = tape.gradient(log_odds, x)[0].numpy()
    _, deviation = _statistics(trace.network, trace.mfcc.shape[1])
    return Influence(
        kind="gradient",
        label=trace.labels[target],
        time=decision.time,
        times=_centres(len(trace.mfcc), trace.features),
        values=np.linalg.norm(slope * deviation, axis=1).astype(np.float32),
    )


# --- the cells, a step at a time: @ is a product of matrices, * one of elements ------------------


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
    """Kernel, recurrent kernel, and the bias of each; zeros for a bias that there is not."""
    kernel, recurrent, *rest = (ops.convert_to_numpy(w) for w in layer.cell.get_weights())
    biases = np.zeros((2, kernel.shape[1]), np.float32)
    if rest:
        biases[: np.atleast_2d(rest[0]).shape[0]] = rest[0]
    return kernel, recurrent, biases[0], biases[1]


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=x.dtype)  # never overflows


# --- about networks ------------------------------------------------------------------------------


def _strides(network: keras.Model) -> dict[str, int]:
    """Frames that each layer takes for one of its inputs' steps; for the last, of its own."""
    stride, before = 1, {}
    for layer in network.layers:
        before[layer.name] = stride
        if isinstance(layer, layers.Conv1D | layers.DepthwiseConv1D):
            stride *= int(np.ravel(layer.strides)[0])
    return before


def _times(steps: int, stride: int, config: FeatureConfig) -> npt.NDArray[np.float64]:
    return np.array([config.time((j + 1) * stride - 1) for j in range(steps)])


def _centres(n_frames: int, config: FeatureConfig) -> npt.NDArray[np.float64]:
    """Middle (s) of the hop that each frame is the first to hear."""
    return np.array([config.time(k) for k in range(n_frames)]) - config.time(0) / 2


def _both_ways(layer: layers.Layer, x: Floats, times: npt.NDArray[np.float64]) -> list[Recurrence]:
    """One recurrence of a plain layer, two of a bidirectional one, all in the order of time."""
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
                f"{layer.name} takes the mean over the clip: it answers once, at the end, and "
                "the order of the frames is lost."
            )
        elif isinstance(layer, layers.Bidirectional):
            notes.append(
                f"{layer.name} reads the clip from both ends: its backward states know what is "
                "still to come, so they are no memory of the past."
            )
        elif isinstance(layer, layers.MultiHeadAttention):
            notes.append(
                f"{layer.name} looks at the whole clip at once: it answers once, at the end, and "
                "hands no state from step to step."
            )
    return tuple(notes)


def _statistics(network: keras.Model, n_mfcc: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation that the network's normalization knows, (n_mfcc,) each."""
    for layer in network.layers:
        if isinstance(layer, layers.Normalization):
            mean, variance = (ops.convert_to_numpy(v) for v in (layer.mean, layer.variance))
            return mean.reshape(-1), np.sqrt(variance).reshape(-1)
    return np.zeros(n_mfcc, np.float32), np.ones(n_mfcc, np.float32)


def _target(trace: Trace, at: float | None, label: str | None) -> tuple[Decision, int]:
    decision = trace.decision(at)
    wanted = decision.label if label is None else label
    if wanted not in trace.labels:
        raise ValueError(
            f"Expected one of the labels {', '.join(trace.labels)}, received {wanted!r}."
        )
    return decision, trace.labels.index(wanted)


def _log_odds(logits: Any, target: int) -> Any:
    """log(p / (1 - p)) of a label in nats, (..., labels) to (...): no ceiling near certainty."""
    others = np.delete(np.arange(logits.shape[-1]), target)
    return logits[..., target] - ops.logsumexp(ops.take(logits, others, axis=-1), axis=-1)
