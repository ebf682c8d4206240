"""Initial weights: another model's or a pretrained file's, and the statistics of normalization."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from echoic import networks
from echoic.config import Recipe
from echoic.files import atomic
from echoic.networks.pretrained import SOURCES
from echoic.runtime.bundle import Bundle
from echoic.training.loader import DataLoader

logger = logging.getLogger(__name__)

Statistics = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def find_initial_weights(initial_weights: str | Path) -> Path:
    """Return the folder of a model, or a Keras file.

    Raises
    ------
    FileNotFoundError
        There is neither.
    """
    file = Path(initial_weights)
    if file.suffix != ".keras":
        return Bundle.load(initial_weights).path.resolve()
    if not file.is_file():
        raise FileNotFoundError(f"Expected a Keras file or a model, received {file}: no such file.")
    return file


def load_initial_weights(initial_weights: str | Path) -> keras.Model:
    """Load the network whose weights a run begins with."""
    found = find_initial_weights(initial_weights)
    return networks.load(found / "model.keras" if found.is_dir() else found)


def warn_of_random_weights(recipe: Recipe) -> None:
    """Name each layer of a recipe that has pretrained weights and begins without them."""
    for row in recipe.model.layers:
        if row["type"] in SOURCES:
            script, file = SOURCES[row["type"]]
            logger.warning(
                "A %s with random weights: %s writes pretrained ones (--initial-weights %s).",
                row["type"],
                script,
                file,
            )


def load_matching_weights(model: keras.Model, other: keras.Model) -> None:
    """Copy the weights of each layer that both networks have by the same name and shapes.

    Raises
    ------
    ValueError
        There is no such layer.
    """
    theirs = {layer.name: layer.get_weights() for layer in other.layers}
    copied = 0
    for layer in model.layers:
        mine, found = layer.get_weights(), theirs.get(layer.name, [])
        if mine and [w.shape for w in mine] == [w.shape for w in found]:
            layer.set_weights(found)
            copied += 1
    if not copied:
        raise ValueError(
            "Expected initial weights of a network with layers of the recipe, received one with "
            f"{', '.join(theirs)}. Choose another model, or none."
        )


def normalization(loader: DataLoader, initial: keras.Model | None, file: Path) -> Statistics:
    """Return mean and variance of each channel; a resumed run reads them from ``file``.

    Those of the initial network, which its layers were trained with, or else of the data.
    """
    if not file.exists():
        found = _normalization_of(initial, loader.recipe.features.channels) or loader.statistics()
        with atomic(file) as partial:
            partial.write_text(json.dumps([array.tolist() for array in found]))
    mean, variance = json.loads(file.read_text())
    return np.array(mean), np.array(variance)


def _normalization_of(network: keras.Model | None, channels: int) -> Statistics | None:
    """Return the statistics in a network with as many channels, else None."""
    for layer in network.layers if network else ():
        if layer.name == "normalization":
            mean, variance = (np.array(layer.get_config()[key]) for key in ("mean", "variance"))
            if mean.shape == (channels,):
                return mean, variance
    return None
