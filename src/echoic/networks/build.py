"""From the table of a recipe to a network.

    features (batch, frames, channels)
      -> normalization with the statistics of the training set, fixed (of the initial weights,
         where a network has some)
      -> the layers of ModelConfig.layers, in order
      -> logits (batch, steps, labels)     of a streamable network, one for each step
         or (batch, labels)                of a network that needs the whole clip

A streamable network consists of layers with a one-step form, so that stepping through a clip
equals running it whole.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from echoic.config import ModelConfig, Recipe
from echoic.networks.layers import LAYERS, STREAMABLE, check_row

Tensor = Any


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
        check_row(number, row)


def streamable(config: ModelConfig) -> bool:
    """Whether every layer of a table knows one step."""
    return all(row["type"] in STREAMABLE for row in config.layers)


def stride(config: ModelConfig) -> int:
    """Frames that the network of a table takes for each of its steps."""
    return int(np.prod([row.get("strides", 1) for row in config.layers]))


def build(
    config: ModelConfig,
    *,
    channels: int,
    n_labels: int,
    mean: npt.ArrayLike,
    variance: npt.ArrayLike,
) -> keras.Model:
    """Build a network with fresh weights.

    Parameters
    ----------
    config
        The table of layers.
    channels, n_labels
        Channels of the input (`FeatureConfig.channels`) and of the output.
    mean, variance
        Of each channel over a training set, shape (channels,); they become part of the model.

    Returns
    -------
    keras.Model
        (batch, frames, channels) to logits: (batch, frames // stride, n_labels) where the
        network is streamable; (batch, n_labels) after ``mean`` or ``attention``.

    Raises
    ------
    ValueError
        A row that is no layer: see `check_table`.
    """
    check_table(config)
    x = inputs = keras.Input((None, channels), name="features")
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


def outputs_each_step(model: keras.Model) -> bool:
    """Whether a network gives logits at every step, as one of layers with a one-step form does."""
    return len(model.output.shape) == 3


def add_auxiliary_head(model: keras.Model, n_words: int) -> keras.Model:
    """Append ``n_words`` logits to a network's own; the weights are shared.

    They name words that the labels do not tell apart. Training uses them; what ships has none.
    """
    if not n_words:
        return model
    words = layers.Dense(n_words, name="words")(model.layers[-1].input)
    return keras.Model(model.input, layers.Concatenate()([model.output, words]), name="learner")


def clip_logits(logits: Tensor) -> Tensor:
    """Return the logits of each clip, (batch, labels): of the last step, if there are many."""
    return logits[:, -1] if len(logits.shape) == 3 else logits
