"""Teachers: what trained models say to the clips that another learns from."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from echoic import features, models
from echoic.audio import SAMPLE_RATE
from echoic.bundle import Bundle
from echoic.training.feed import Teacher
from echoic.training.recipe import Recipe

logger = logging.getLogger(__name__)

COMFORTABLE_DB = 0.0
"""What the loudest band of a faint clip is brought to before a teacher hears it."""

MOST_DB = 40.0
"""The most that a clip is amplified for a teacher; digital silence would have no end."""


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
        if _differences(bundle, recipe):
            logger.warning(
                "Training without the teacher %s: it has other labels or features.", name
            )
        else:
            found.append(name)
    return found


def ensemble(teachers: Sequence[str | Path], recipe: Recipe) -> Teacher | None:
    """Make one teacher of models: the mean of their probabilities; None of none.

    A teacher hears faint clips at a comfortable level: what is too faint for it need not be for
    its student. It may be asked by several threads.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        A model has other labels than the recipe, or hears other features, but for their floor.
    """
    bundles = [Bundle.load(teacher) for teacher in teachers]
    networks = [(bundle.features, _network(bundle, recipe)) for bundle in bundles]
    if not networks:
        return None

    def ask(log_mels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        loud = comfortable(log_mels)
        answers = []
        for config, network in networks:
            heard = features.cepstrum(np.maximum(loud, np.float32(config.floor_db)), config)
            answers.append(softmax(models.answer(network.predict_on_batch(heard)), axis=-1))
        return np.mean(answers, axis=0, dtype=np.float32)

    return ask


def comfortable(log_mels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Amplify the faint of some clips, (clips, frames, n_mels) in decibels, to `COMFORTABLE_DB`."""
    lacking = COMFORTABLE_DB - log_mels.max(axis=(1, 2), keepdims=True)
    return np.asarray(log_mels + np.clip(lacking, 0, MOST_DB), dtype=np.float32)


def _differences(bundle: Bundle, recipe: Recipe) -> list[tuple[str, Any, Any]]:
    """Return what keeps a model from teaching: what it is, the model's, the recipe's.

    The floor of its features does not: a teacher hears with its own.
    """
    hears = dataclasses.replace(bundle.features, floor_db=recipe.features.floor_db)
    pairs = (
        ("labels", bundle.labels, recipe.data.labels),
        ("features", hears, recipe.features),
    )
    return [(what, theirs, wanted) for what, theirs, wanted in pairs if theirs != wanted]


def _network(bundle: Bundle, recipe: Recipe) -> Any:
    for what, theirs, wanted in _differences(bundle, recipe):
        raise ValueError(
            f"Expected teacher {bundle.name} to have the {what} of the recipe, {wanted}, "
            f"received {theirs}."
        )
    network = bundle.keras_model()
    # What is compiled here, on one thread, for batches of this shape, is only called on the others.
    frames = recipe.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, recipe.features.n_mfcc)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))
    return network
