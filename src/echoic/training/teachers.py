"""Teachers: what trained models say to the clips that another learns from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from echoic import audio, batches, models
from echoic.audio import SAMPLE_RATE
from echoic.bundle import FILE, Bundle, card
from echoic.bundle.card import BEYOND
from echoic.labels import SILENCE, UNKNOWN
from echoic.speech_commands import Split
from echoic.training.feed import Teacher
from echoic.training.recipe import Recipe, TrainingConfig

logger = logging.getLogger(__name__)


def available_teachers(recipe: Recipe) -> list[str]:
    """Return the recipe's own teachers, without those that are not here or cannot teach it.

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
        if _can_teach(bundle, recipe):
            found.append(name)
        else:
            logger.warning(
                "Training without the teacher %s: it knows none of the words, or has no %s.",
                name,
                UNKNOWN,
            )
    return found


def _can_teach(bundle: Bundle, recipe: Recipe) -> bool:
    """Whether it knows a word of the recipe's, and also when nobody says one of them."""
    no_word, labels = {SILENCE, UNKNOWN}, set(recipe.data.labels)
    both = labels & set(bundle.labels)
    return bool(both - no_word) and labels & no_word <= both


def beyond_the_data(teachers: Sequence[str | Path], init: str | Path | None) -> list[str]:
    """From whom a run knows what its data never told, so that its card has to say so.

    Names of `BEYOND`: where it begins with one of them, or with a model that did, or learns from
    one.
    """
    models_before = [*teachers]
    found = set()
    if init is not None:
        file = Path(init)
        if file.suffix != ".keras":
            models_before.append(init)
        elif file.stem in BEYOND:
            found.add(file.stem)
        elif file.with_name(FILE).is_file():  # the network of a model, which tells
            models_before.append(file.parent)
    for model in models_before:
        found.update(card.beyond_the_data(Bundle.load(model).content))
    return sorted(found)


def in_words_of(
    student: Sequence[str],
    teacher: Sequence[str],
    said: npt.NDArray[np.float32],
    answers: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Say with a student's labels what a teacher said with its own.

    A label that both have keeps its probability; what is left is ``_unknown_``, or, where the
    student has no such label, what the true answer says. A word that the teacher has no name for
    is left to the true answer: it would take "nope" for "no" and never learn better.

    Parameters
    ----------
    student, teacher
        Labels of both.
    said
        Probabilities by the teacher, (clips, its labels).
    answers
        The true ones, (clips, the student's labels).

    Returns
    -------
    np.ndarray
        Probabilities, (clips, the student's labels), float32.
    """
    if list(student) == list(teacher):
        return said
    both = [label for label in student if label in teacher]
    told = np.zeros_like(answers)
    told[:, [student.index(x) for x in both]] = said[:, [teacher.index(x) for x in both]]
    left = 1 - told.sum(axis=1, keepdims=True)
    if UNKNOWN in student:
        told[:, [student.index(UNKNOWN)]] += left
    else:
        told += left * answers
    new = [i for i, label in enumerate(student) if label not in teacher]
    return told + answers[:, new].sum(axis=1, keepdims=True) * (answers - told)


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
            (self.hears.index(bundle.features), bundle.labels, _teacher(bundle, recipe))
            for bundle in bundles
        ]
        self._labels = recipe.data.labels

    def __call__(
        self, heard: tuple[npt.NDArray[np.float32], ...], answers: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Say what clips are: what is ``heard`` of them to probabilities, (clips, labels).

        The true ``answers``, (clips, labels), tell words apart that a teacher has no name for
        (`in_words_of`).
        """
        said = [
            in_words_of(self._labels, labels, teacher(heard[which]), answers)
            for which, labels, teacher in self._teachers
        ]
        return np.mean(said, axis=0, dtype=np.float32)


def ask_once(teacher: Teacher, split: Split, training: TrainingConfig) -> npt.NDArray[np.float32]:
    """Ask what each recording is, as it is (`batches.heard_alone`): (clips, labels).

    What slow teachers can afford: augmented anew, a clip is another one in every epoch.
    """
    n, size = len(split.clips), training.batch_size
    right = np.eye(len(split.labels), dtype=np.float32)[split.targets]
    right = batches.smooth(right, training.label_smoothing)
    said = np.empty_like(right)
    begun = time.monotonic()
    for start in range(0, n, size):
        # Teachers expect whole batches: the last is filled up with clips from the beginning.
        batch = np.arange(start, start + size) % n
        waveforms = audio.to_float32(split.waveforms[batch])
        heard = tuple(batches.heard_alone(features, waveforms) for features in teacher.hears)
        said[batch] = teacher(heard, right[batch])
        if start == 0 and (minutes := (time.monotonic() - begun) * n / size / 60) > 1:
            logger.warning(
                "The teachers are asked about %s recordings, once, for some %.0f minutes; then "
                "training begins.",
                f"{n:,}",
                minutes,
            )
    return said


def ensemble(teachers: Sequence[str | Path], recipe: Recipe) -> Ensemble | None:
    """Make one teacher of models; None of none.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        A model knows none of the recipe's words, or has no ``_unknown_``.
    """
    bundles = [Bundle.load(teacher) for teacher in teachers]
    for bundle in bundles:
        if not _can_teach(bundle, recipe):
            raise ValueError(
                f"Expected teacher {bundle.name} to know a word of the recipe, and {SILENCE} and "
                f"{UNKNOWN} as it does: {recipe.data.labels}; received {bundle.labels}."
            )
    return Ensemble(bundles, recipe) if bundles else None


def _teacher(
    bundle: Bundle, recipe: Recipe
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return what says, to coefficients, the probabilities of a model as its training left it.

    What was taken from its logits afterwards, for equal priors, comes back: of its student's it is
    taken once. The priors are the student's too where it has the same labels, and near them else.
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
