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
from echoic.training.feed import Teacher
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
        if (bundle.labels, bundle.features) == (recipe.data.labels, recipe.features):
            found.append(name)
        else:
            logger.warning(
                "Training without the teacher %s: it has other labels or features.", name
            )
    return found


def ensemble(teachers: Sequence[str | Path], recipe: Recipe) -> Teacher | None:
    """Make one teacher of models: the mean of their probabilities; None of none.

    It may be asked by several threads.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        A model has other labels, or hears other features, than the recipe.
    """
    networks = [_network(Bundle.load(teacher), recipe) for teacher in teachers]
    if not networks:
        return None

    def ask(coefficients: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        answers = [models.answer(network.predict_on_batch(coefficients)) for network in networks]
        return np.mean([softmax(logits, axis=-1) for logits in answers], axis=0, dtype=np.float32)

    return ask


def _network(bundle: Bundle, recipe: Recipe) -> Any:
    for what, theirs, wanted in (
        ("the labels", bundle.labels, recipe.data.labels),
        ("the features", bundle.features, recipe.features),
    ):
        if theirs != wanted:
            raise ValueError(
                f"Expected teacher {bundle.name} to have {what} of the recipe, {wanted}, "
                f"received {theirs}."
            )
    network = bundle.keras_model()
    # What is compiled here, on one thread, for batches of this shape, is only called on the others.
    frames = recipe.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, recipe.features.n_mfcc)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))
    return network
