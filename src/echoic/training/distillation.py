"""Teachers: what trained models say to the clips that another learns from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from echoic import audio, networks
from echoic.audio import SAMPLE_RATE
from echoic.config import Recipe, TrainingConfig
from echoic.data import Split
from echoic.labels import SILENCE, UNKNOWN
from echoic.reports.card import PRETRAINED
from echoic.runtime.bundle import FILE, Bundle, find
from echoic.training import batcher
from echoic.training.loader import Teacher
from echoic.training.soft_labels import SUFFIX, SoftLabels

logger = logging.getLogger(__name__)

Model = Bundle | SoftLabels
"""What teaches: a model, which can be asked anything, or what one said of recordings."""


def find_teacher(name: str | Path) -> Model:
    """Load a model or, where it is not, the file of its answers: a path, or a name in ``models/``.

    Raises
    ------
    FileNotFoundError
        There is neither.
    BundleError, ValueError
        It is damaged.
    """
    if Path(name).suffix == SUFFIX:
        return SoftLabels.load(find(name) or Path(name))
    try:
        return Bundle.load(name)
    except FileNotFoundError:
        if (kept := find(f"{name}{SUFFIX}")) is None:
            raise
        return SoftLabels.load(kept)


def available_teachers(recipe: Recipe) -> list[str]:
    """Return the recipe's own teachers, without those that are not here or cannot teach it.

    A recipe for the ten commands is often used for other words: what its teachers know is no use
    then, and no reason to stop. A warning names each that is left out.
    """
    found = []
    for name in recipe.training.teachers:
        try:
            teacher = find_teacher(name)
        except FileNotFoundError:
            logger.warning("Training without the teacher %s: there is no such model.", name)
            continue
        if not _can_teach(teacher, recipe):
            logger.warning(
                "Training without the teacher %s: it knows none of the words, or has no %s.",
                name,
                UNKNOWN,
            )
        elif isinstance(teacher, SoftLabels) and not recipe.training.cache_teacher:
            logger.warning(
                "Training without the teacher %s: there are only its answers to recordings as "
                "they are (training.cache_teacher).",
                name,
            )
        else:
            found.append(name)
    return found


def _can_teach(teacher: Model, recipe: Recipe) -> bool:
    """Whether it knows a word of the recipe's, and also when nobody says one of them."""
    no_word, labels = {SILENCE, UNKNOWN}, set(recipe.data.labels)
    both = labels & set(teacher.labels)
    return bool(both - no_word) and labels & no_word <= both


def load_teachers(teachers: Sequence[str | Path], recipe: Recipe) -> list[Model]:
    """Load teachers for a recipe.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        A model knows none of the recipe's words, or has no ``_unknown_``; or there are only its
        answers, and the recipe asks about clips (``training.cache_teacher`` is off).
    """
    found = [find_teacher(name) for name in teachers]
    for teacher in found:
        if not _can_teach(teacher, recipe):
            raise ValueError(
                f"Expected teacher {teacher.name} to know a word of the recipe, and {SILENCE} and "
                f"{UNKNOWN} as it does: {recipe.data.labels}; received {teacher.labels}."
            )
        if isinstance(teacher, SoftLabels) and not recipe.training.cache_teacher:
            raise ValueError(
                f"Expected training.cache_teacher, for of teacher {teacher.name} there are only answers "
                "to recordings as they are; received training.cache_teacher = false."
            )
    return found


def pretrained_sources(teachers: Sequence[Model], initial_weights: str | Path | None) -> list[str]:
    """From whom a run knows what its data never told, so that its card has to say so.

    Names of `PRETRAINED`: where it begins with one of them, or with a model that did, or learns from
    one.
    """
    models_before = [*teachers]
    found = set()
    if initial_weights is not None:
        file = Path(initial_weights)
        if file.suffix != ".keras":
            models_before.append(Bundle.load(initial_weights))
        elif file.stem in PRETRAINED:
            found.add(file.stem)
        elif file.with_name(FILE).is_file():  # the network of a model, which tells
            models_before.append(Bundle.load(file.parent))
    for model in models_before:
        if isinstance(model, SoftLabels):
            found.update(model.pretrained_sources)
        else:
            found.update(model.training.pretrained_sources)
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
    """Several teachers as one: the mean of their probabilities.

    Attributes
    ----------
    hears
        The features of the models, each once; see `batcher.teacher_features`.
    """

    def __init__(self, teachers: Sequence[Model], recipe: Recipe) -> None:
        bundles = [teacher for teacher in teachers if isinstance(teacher, Bundle)]
        self.hears = tuple(dict.fromkeys(bundle.features for bundle in bundles))
        self._networks = [
            (self.hears.index(bundle.features), bundle.labels, _teacher(bundle, recipe))
            for bundle in bundles
        ]
        self._kept = [teacher for teacher in teachers if isinstance(teacher, SoftLabels)]
        self._labels = recipe.data.labels
        self._training = recipe.training

    def __call__(
        self, heard: tuple[npt.NDArray[np.float32], ...], answers: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Say what clips are: what is ``heard`` of them to probabilities, (clips, labels).

        The true ``answers``, (clips, labels), tell words apart that a teacher has no name for
        (`in_words_of`).
        """
        said = [
            in_words_of(self._labels, labels, teacher(heard[which]), answers)
            for which, labels, teacher in self._networks
        ]
        return np.mean(said, axis=0, dtype=np.float32)

    def soft_targets(self, split: Split) -> npt.NDArray[np.float32]:
        """Return what each recording is to the teachers, as it is: probabilities, (clips, labels).

        It is the mean of those that can tell; where none can, the right answer.
        """
        right = _right(split, self._training)
        total, told = np.zeros_like(right), np.zeros((len(right), 1), dtype=np.float32)
        if n := len(self._networks):
            total += n * cache_teacher(self, split, self._training)
            told += n
        for kept in self._kept:
            said, known = kept.about(split)
            total += known[:, None] * in_words_of(split.labels, kept.labels, said, right)
            told += known[:, None]
            if not known.all():
                logger.warning(
                    "Teacher %s tells nothing of %s of the %s recordings: what others say counts.",
                    kept.name,
                    f"{np.count_nonzero(~known):,}",
                    f"{len(known):,}",
                )
        return np.where(told, total / np.maximum(told, 1), right)


def cache_teacher(
    teacher: Teacher, split: Split, training: TrainingConfig
) -> npt.NDArray[np.float32]:
    """Ask what each recording is, as it is (`batcher.features_alone`): (clips, labels).

    What slow teachers can afford: augmented anew, a clip is another one in every epoch.
    """
    n, size = len(split.clips), training.batch_size
    right = _right(split, training)
    said = np.empty_like(right)
    begun = time.monotonic()
    for start in range(0, n, size):
        # Teachers expect whole batches: the last is filled up with clips from the beginning.
        batch = np.arange(start, start + size) % n
        waveforms = audio.to_float32(split.waveforms[batch])
        heard = tuple(batcher.features_alone(features, waveforms) for features in teacher.hears)
        said[batch] = teacher(heard, right[batch])
        if start == 0 and (minutes := (time.monotonic() - begun) * n / size / 60) > 1:
            logger.warning(
                "What each of %s recordings is to the teachers: asked once, for some %.0f minutes.",
                f"{n:,}",
                minutes,
            )
    return said


def _right(split: Split, training: TrainingConfig) -> npt.NDArray[np.float32]:
    one_hot = np.eye(len(split.labels), dtype=np.float32)[split.targets]
    return batcher.smooth(one_hot, training.label_smoothing)


def _teacher(
    bundle: Bundle, recipe: Recipe
) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return what says, to coefficients, the probabilities of a model as its training left it.

    What was taken from its logits afterwards, for equal priors, comes back: of its student's it is
    taken once. The priors are the student's too where it has the same labels, and near them else.
    """
    network = networks.load(bundle)
    adjustment = np.array(bundle.training.logit_adjustment or 0.0, np.float32)
    # What is compiled here, for batches of this shape, is only called beside the training.
    frames = bundle.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, bundle.features.channels)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))

    def probabilities(coefficients: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits = networks.clip_logits(np.asarray(network.predict_on_batch(coefficients)))
        return np.asarray(softmax(logits + adjustment, axis=-1))

    return probabilities
