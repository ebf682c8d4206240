"""Teachers: what trained models say to the clips that another learns from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

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

    Attributes
    ----------
    hears
        The features of the models, each once; see `batches.heard_by`.
    """

    def __init__(self, bundles: Sequence[Bundle], recipe: Recipe) -> None:
        self.hears = tuple(dict.fromkeys(bundle.features for bundle in bundles))
        self._teachers = [
            (self.hears.index(bundle.features), _teacher(bundle, recipe)) for bundle in bundles
        ]

    def __call__(self, heard: tuple[npt.NDArray[np.float32], ...]) -> npt.NDArray[np.float32]:
        """Say what clips are: what is ``heard`` of them to probabilities, (clips, labels)."""
        answers = [teacher(heard[which]) for which, teacher in self._teachers]
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


def _teacher(
    bundle: Bundle, recipe: Recipe
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return what says, to coefficients, the probabilities of a model as its training left it.

    What was taken from its logits afterwards, for equal priors, comes back: of its student's, which
    learns from clips with the same priors, it is taken once.
    """
    network = bundle.keras_model()
    adjustment = np.array(bundle.content["training"].get("logit_adjustment") or 0.0, np.float32)
    # What is compiled here, for batches of this shape, is only called beside the training.
    frames = bundle.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, bundle.features.n_mfcc)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))

    def probabilities(coefficients: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits = models.answer(np.asarray(network.predict_on_batch(coefficients)))
        return np.asarray(softmax(logits + adjustment, axis=-1))

    return probabilities
