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


EMBEDDING = "speech_embedding.keras"
"""What data/make_embedding.py writes: weights that have learned from other data."""


def beyond_the_data(teachers: Sequence[str | Path], init: str | Path | None) -> bool:
    """Whether a run knows what its data never told, so that its card has to say so.

    It does where it begins with Google's speech embedding (`EMBEDDING`), or with a model that
    does, or learns from one.
    """
    models_before = [*teachers]
    if init is not None:
        if Path(init).name == EMBEDDING:
            return True
        models_before += [init] if Path(init).suffix != ".keras" else []
    return any(
        Bundle.load(model).content["training"].get("beyond_the_data", False)
        for model in models_before
    )


class Ensemble:
    """Several models as one teacher: the mean of their probabilities.

    They teach with the priors of their training, also where these were taken out of a model
    afterwards (``training.equal_priors``): so they will be of their student, once it has learned.

    Attributes
    ----------
    hears
        The features of the models, each once; see `batches.heard_by`.
    """

    def __init__(self, bundles: Sequence[Bundle], recipe: Recipe) -> None:
        self.hears = tuple(dict.fromkeys(bundle.features for bundle in bundles))
        self._networks = [
            (
                self.hears.index(bundle.features),
                _network(bundle, recipe),
                np.array(bundle.content["training"].get("log_priors_taken_out") or 0.0),
            )
            for bundle in bundles
        ]

    def __call__(self, heard: tuple[npt.NDArray[np.float32], ...]) -> npt.NDArray[np.float32]:
        """Say what clips are: what is ``heard`` of them to probabilities, (clips, labels)."""
        answers = [
            softmax(
                models.answer(np.asarray(network.predict_on_batch(heard[which]))) + taken_out,
                axis=-1,
            )
            for which, network, taken_out in self._networks
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
