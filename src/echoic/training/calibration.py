"""Adjustments of a trained network's logits, folded into the weights of its last layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from echoic import metrics, networks


def calibrate(model: keras.Model, features: Any, targets: Any) -> float:
    """Divide a network's logits by the temperature that fits best (Guo et al. 2017).

    The temperature with the least cross-entropy on these clips is folded into the last layer, so
    that every runtime gives calibrated probabilities; no clip's top label changes.

    Parameters
    ----------
    model
        A network with a last layer ``logits``.
    features
        (clips, frames, channels).
    targets
        One-hot, (clips, 1, labels or more).

    Returns
    -------
    float
        The temperature.
    """
    logits = networks.clip_logits(model.predict(features, batch_size=128, verbose=0))
    logits = np.asarray(logits, dtype=np.float64)
    labels = targets[:, 0, : logits.shape[1]].argmax(axis=1)
    temperature = metrics.best_temperature(logits, labels)
    layer = model.get_layer("logits")
    layer.set_weights([weights / temperature for weights in layer.get_weights()])
    return temperature


def adjust_logits(model: keras.Model, priors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Subtract the logarithm of the training priors from a network's logits (Menon et al. 2021).

    Training has many unknown words, to learn them; that is no reason to expect one. A label with
    a prior of 0 stays as it is.

    Parameters
    ----------
    model
        A network with a last layer ``logits``.
    priors
        Fraction of each label in training, (labels,).

    Returns
    -------
    numpy.ndarray
        What was subtracted, (labels,); its mean is 0.
    """
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    logs = np.log(np.where(priors > 0, priors, 1))
    logs -= logs.mean()
    layer.set_weights([kernel, bias - logs])
    return logs
