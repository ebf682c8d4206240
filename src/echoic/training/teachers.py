"""Teachers: what trained models say to the clips that another learns from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from echoic import models
from echoic.audio import SAMPLE_RATE
from echoic.bundle import Bundle
from echoic.training.recipe import Recipe

logger = logging.getLogger(__name__)


def available_teachers(recipe: Recipe) -> list[str]:
    """Return the recipe's own teachers, without those that are not here or teach something else.

    A recipe for the ten commands is often used for other words: what its teachers know is no use
    then, and no reason to stop. A warning names each that is left out.
    """
    found = []
    for name in recipe.training.teachers:
        try:
            bundle = Bundle.load(name)
        except FileNotFoundError:
            logger.warning("Training without the teacher %s: there is no such model.", name)
            continue
        if bundle.labels != recipe.data.labels:
            logger.warning("Training without the teacher %s: it has other labels.", name)
        else:
            found.append(name)
    return found


def beyond_the_data(
    recipe: Recipe, teachers: Sequence[str | Path], init: str | Path | None, *, name: str
) -> list[str]:
    """Names of models whose knowledge a run has that is not from its data.

    The network's own, ``name``, where it begins with a speech embedding, and those that its
    teachers know of: a card has to say so.
    """
    names = [name] if init and _has_embedding(recipe.to_dict()) else []
    for teacher in teachers:
        names += Bundle.load(teacher).content["training"].get("beyond_the_data", [])
    return list(dict.fromkeys(names))


def _has_embedding(recipe: dict[str, Any]) -> bool:
    return any(row["type"] == "speech_embedding" for row in recipe["model"]["layers"])


class Ensemble:
    """Several models as one teacher: the mean of their probabilities.

    Attributes
    ----------
    hears
        The features of the models, each once; see `batches.heard_by`.
    """

    def __init__(self, bundles: Sequence[Bundle], recipe: Recipe) -> None:
        self.hears = tuple(dict.fromkeys(bundle.features for bundle in bundles))
        self._networks = [
            (self.hears.index(bundle.features), _network(bundle, recipe)) for bundle in bundles
        ]

    def __call__(self, heard: tuple[npt.NDArray[np.float32], ...]) -> npt.NDArray[np.float32]:
        """Say what clips are: what is ``heard`` of them to probabilities, (clips, labels)."""
        answers = [
            softmax(models.answer(np.asarray(network.predict_on_batch(heard[which]))), axis=-1)
            for which, network in self._networks
        ]
        return np.mean(answers, axis=0, dtype=np.float32)


def ensemble(teachers: Sequence[str | Path], recipe: Recipe) -> Ensemble | None:
    """Make one teacher of models; None of none.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        A model has other labels than the recipe.
    """
    bundles = [Bundle.load(teacher) for teacher in teachers]
    for bundle in bundles:
        if bundle.labels != recipe.data.labels:
            raise ValueError(
                f"Expected teacher {bundle.name} to have the labels of the recipe, "
                f"{recipe.data.labels}, received {bundle.labels}."
            )
    return Ensemble(bundles, recipe) if bundles else None


def _network(bundle: Bundle, recipe: Recipe) -> Any:
    network = bundle.keras_model()
    # What is compiled here, for batches of this shape, is only called beside the training.
    frames = bundle.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, bundle.features.n_mfcc)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))
    return network
