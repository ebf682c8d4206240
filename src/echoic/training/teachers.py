"""Teachers: what trained models say to the clips that another learns from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from echoic import bundle as bundles
from echoic import models
from echoic.audio import SAMPLE_RATE
from echoic.training import embedding
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
            find_teacher(name, recipe)
        except FileNotFoundError:
            reason = "there is no such model"
        except ModuleNotFoundError:
            reason = "it needs pyopen-wakeword (pip install 'echoic[teacher]')"
        except ValueError:
            reason = "it has other labels or features"
        else:
            found.append(name)
            continue
        logger.warning("Training without the teacher %s: %s.", name, reason)
    return found


def ensemble(teachers: Sequence[str | Path], recipe: Recipe) -> Teacher | None:
    """Make one teacher of several: the mean of their probabilities; None of none.

    It may be asked by several threads.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ModuleNotFoundError
        One needs pyopen-wakeword, which is not installed.
    ValueError
        A model has other labels, or hears other features, than the recipe.
    """
    found = [find_teacher(teacher, recipe) for teacher in teachers]
    if not found:
        return None

    def ask(
        waveforms: npt.NDArray[np.float32], coefficients: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        answers = [teacher(waveforms, coefficients) for teacher in found]
        return np.mean(answers, axis=0, dtype=np.float32)

    return ask


def teacher_folder(name: str | Path) -> Path:
    """Return a teacher's folder: a model's, or that of an `EmbeddingTeacher`.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    """
    try:
        return bundles.locate(name, embedding.FILE)
    except FileNotFoundError:
        return bundles.locate(name)


def beyond_the_data(teachers: Sequence[str | Path]) -> list[str]:
    """Names of the teachers that have learned from more than the data: each `EmbeddingTeacher`."""
    folders = [teacher_folder(teacher) for teacher in teachers]
    return [f.resolve().name for f in folders if (f / embedding.FILE).is_file()]


def find_teacher(name: str | Path, recipe: Recipe) -> Teacher:
    """Load one teacher; see `ensemble` for what is raised."""
    folder = teacher_folder(name)
    if (folder / embedding.FILE).is_file():
        listener = embedding.EmbeddingTeacher(folder, batch_size=recipe.training.batch_size)
        _expect(name, "the labels", listener.labels, recipe.data.labels)
        return lambda waveforms, _: listener(waveforms)
    network = _network(bundles.Bundle.load(folder), recipe)
    return lambda _, heard: softmax(models.answer(network.predict_on_batch(heard)), axis=-1)


def _network(bundle: bundles.Bundle, recipe: Recipe) -> Any:
    _expect(bundle.name, "the labels", bundle.labels, recipe.data.labels)
    _expect(bundle.name, "the features", bundle.features, recipe.features)
    network = bundle.keras_model()
    # What is compiled here, on one thread, for batches of this shape, is only called on the others.
    frames = recipe.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, recipe.features.n_mfcc)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))
    return network


def _expect(name: str | Path, what: str, theirs: Any, wanted: Any) -> None:
    if theirs != wanted:
        raise ValueError(
            f"Expected teacher {name} to have {what} of the recipe, {wanted}, received {theirs}."
        )
