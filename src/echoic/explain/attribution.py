"""Attribution: which moments a decision leaned on.

influence = attribution.occlusion(trace)    hide one moment after the other
influence = attribution.gradient(trace)     differentiate the decision by each frame
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from echoic import networks
from echoic.config import FeatureConfig
from echoic.explain.activations import Decision, Floats, Trace

BATCH = 64
"""Occluded copies of a recording that the network runs at once."""


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence of each moment on a decision.

    Attributes
    ----------
    kind
        ``"occlusion"`` or ``"gradient"``.
    label, time
        Label and time (s) of the decision.
    times
        Time (s) of each moment, shape (n,).
    values
        Shape (n,). Occlusion: fall (nats) of the log-odds of ``label``, log(p / (1 - p)), when
        the moment is hidden; a negative value speaks against the label. Gradient: norm of the
        derivative of the log-odds with respect to the standardized input of the frame (nats a
        standard deviation).
    """

    kind: str
    label: str
    time: float
    times: npt.NDArray[np.float64]
    values: Floats


def occlusion(
    trace: Trace,
    *,
    at: float | None = None,
    label: str | None = None,
    width: float = 0.1,
    reach: float = 4.0,
) -> Influence:
    """Hide one moment after the other and measure how the log-odds fall.

    A hidden frame is the mean of the training set: zeros after the network's normalization. A
    network without a normalization gets the mean of the recording.

    Parameters
    ----------
    trace
        Activations of a recording.
    at
        Time (s) of the decision; None means the last step.
    label
        Label whose log-odds are measured; None means the decision's label.
    width
        Length (s) of the hidden moment, centred on each frame in turn.
    reach
        Time (s) before the decision to cover. The cost grows with it.

    Returns
    -------
    Influence
        One value for each frame within ``reach`` before the decision, and after it where the
        network is not causal.

    Raises
    ------
    ValueError
        ``at`` is before the first step (see `Trace.decision`), or ``label`` is no label.
    """
    decision, target = _target(trace, at, label)
    heard = trace.inputs
    if not trace.notes:  # causal: what comes after the decision cannot matter
        heard = heard[: round(decision.time / trace.features.time(0))]
    hop = trace.features.time(0)
    half = max(round(width / hop) - 1, 0) / 2
    frames = np.arange(max(0, len(heard) - round(reach / hop)), len(heard))
    mean, _ = _statistics(trace.network, heard)
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
    """Differentiate the log-odds of a decision with respect to every frame.

    Parameters
    ----------
    trace
        Activations of a recording.
    at, label
        As in `occlusion`.

    Returns
    -------
    Influence
        One value for each frame; exactly 0 after the decision of a causal network.

    Raises
    ------
    ValueError
        ``at`` is before the first step (see `Trace.decision`), ``label`` is no label, or Keras
        does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Expected Keras to run on TensorFlow for a gradient, received "
            f"{keras.backend.backend()}. Call `occlusion`, or set KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    decision, target = _target(trace, at, label)
    x = tf.constant(trace.inputs[None])
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = trace.network(x, training=False)
        row = logits[:, decision.step] if len(logits.shape) == 3 else logits
        log_odds = _log_odds(row, target)
    slope = tape.gradient(log_odds, x)[0].numpy()
    _, deviation = _statistics(trace.network, trace.inputs)
    return Influence(
        kind="gradient",
        label=trace.labels[target],
        time=decision.time,
        times=_centres(len(trace.inputs), trace.features),
        values=np.linalg.norm(slope * deviation, axis=1).astype(np.float32),
    )


def _centres(n_frames: int, config: FeatureConfig) -> npt.NDArray[np.float64]:
    """Middle (s) of the hop that each frame adds."""
    return np.array([config.time(k) for k in range(n_frames)]) - config.time(0) / 2


def _statistics(network: keras.Model, inputs: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each channel: the network's own, else the recording's."""
    for layer in network.layers:
        if isinstance(layer, layers.Normalization):
            mean, variance = (ops.convert_to_numpy(v) for v in (layer.mean, layer.variance))
            return mean.reshape(-1), np.sqrt(variance).reshape(-1)
    return inputs.mean(axis=0), inputs.std(axis=0)


def _target(trace: Trace, at: float | None, label: str | None) -> tuple[Decision, int]:
    decision = trace.decision(at)
    wanted = decision.label if label is None else label
    if wanted not in trace.labels:
        raise ValueError(
            f"Expected one of the labels {', '.join(trace.labels)}, received {wanted!r}."
        )
    return decision, trace.labels.index(wanted)


def _log_odds(logits: Any, target: int) -> Any:
    """log(p / (1 - p)) of a label (nats), (..., labels) to (...); exact near certainty."""
    others = np.delete(np.arange(logits.shape[-1]), target)
    return logits[..., target] - ops.logsumexp(ops.take(logits, others, axis=-1), axis=-1)
