"""Knowledge distillation (Hinton et al. 2015): trained models as teachers of another."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.special import softmax

from echoic import audio, networks
from echoic.audio import SAMPLE_RATE
from echoic.config import Recipe, TrainingConfig
from echoic.data import Split
from echoic.labels import SILENCE, UNKNOWN
from echoic.reports.card import PRETRAINED
from echoic.runtime.bundle import FILE, Bundle, find
from echoic.training import batcher
from echoic.training.batcher import Array
from echoic.training.loader import Teacher
from echoic.training.soft_labels import SUFFIX, SoftLabels

logger = logging.getLogger(__name__)

Model = Bundle | SoftLabels
"""A teacher: a model, or the soft labels that one gave to recordings."""


def find_teacher(name: str | Path) -> Model:
    """Load a model or, if there is none, the file of its soft labels.

    ``name`` is a path, or a name in ``models/``.

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
    """Return the recipe's own teachers that exist and can teach it; a warning names each other.

    A recipe for the ten commands is often used for other words, which its teachers do not know.
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
                "Training without the teacher %s: there are only soft labels of recordings, for "
                "training.cache_teacher = true.",
                name,
            )
        else:
            found.append(name)
    return found


def _can_teach(teacher: Model, recipe: Recipe) -> bool:
    """Whether it has a word of the recipe's, and the labels for no word that the recipe has."""
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
        A model knows none of the recipe's words, or has no ``_unknown_``; or there are only soft
        labels, and ``training.cache_teacher`` is off.
    """
    found = [find_teacher(name) for name in teachers]
    for teacher in found:
        if not _can_teach(teacher, recipe):
            raise ValueError(
                f"Expected teacher {teacher.name} to know a word of the recipe, and {SILENCE} and "
                f"{UNKNOWN} as it does: {recipe.data.labels}; received {teacher.labels}. Choose "
                "another teacher."
            )
        if isinstance(teacher, SoftLabels) and not recipe.training.cache_teacher:
            raise ValueError(
                f"Expected training.cache_teacher = true for teacher {teacher.name}, of which "
                "there are only soft labels of recordings, received false. Set it, or name a model."
            )
    return found


def teacher_name(teacher: Model) -> str:
    """Return the name of a teacher's folder, or of the file of its soft labels."""
    return teacher.name if isinstance(teacher, SoftLabels) else teacher.path.resolve().name


def pretrained_sources(teachers: Sequence[Model], initial_weights: str | Path | None) -> list[str]:
    """Return the pretrained networks that a run learns from: names of `PRETRAINED`.

    It learns from them through its initial weights and its teachers, and through what those
    learned from; the card must name them.
    """
    models_before = [*teachers]
    found = set()
    if initial_weights is not None:
        file = Path(initial_weights)
        if file.suffix != ".keras":
            models_before.append(Bundle.load(initial_weights))
        elif file.stem in PRETRAINED:
            found.add(file.stem)
        elif file.with_name(FILE).is_file():  # the network of a model's folder
            models_before.append(Bundle.load(file.parent))
    for model in models_before:
        if isinstance(model, SoftLabels):
            found.update(model.pretrained_sources)
        else:
            found.update(model.training.pretrained_sources)
    return sorted(found)


def map_labels(
    student: Sequence[str], teacher: Sequence[str], probabilities: Array, targets: Array
) -> Array:
    """Convert a teacher's probabilities to a student's labels.

    A label that both have keeps its probability; the rest goes to ``_unknown_``, or to the target
    if the student has no such label. A word that the teacher has no label for keeps its target:
    the teacher would call "nope" "no".

    Parameters
    ----------
    student, teacher
        Labels of both.
    probabilities
        By the teacher, (clips, its labels).
    targets
        Probabilities, (clips, the student's labels).

    Returns
    -------
    float32 array of shape (clips, the student's labels)
    """
    if list(student) == list(teacher):
        return probabilities
    both = [label for label in student if label in teacher]
    mapped = np.zeros_like(targets)
    mapped[:, [student.index(x) for x in both]] = probabilities[:, [teacher.index(x) for x in both]]
    rest = 1 - mapped.sum(axis=1, keepdims=True)
    if UNKNOWN in student:
        mapped[:, [student.index(UNKNOWN)]] += rest
    else:
        mapped += rest * targets
    new = [i for i, label in enumerate(student) if label not in teacher]
    return mapped + targets[:, new].sum(axis=1, keepdims=True) * (targets - mapped)


class Ensemble:
    """Several teachers as one: the mean of their probabilities.

    Attributes
    ----------
    feature_configs
        The features of the models, each once; see `batcher.teacher_features`.
    """

    def __init__(self, teachers: Sequence[Model], recipe: Recipe) -> None:
        bundles = [teacher for teacher in teachers if isinstance(teacher, Bundle)]
        self.feature_configs = tuple(dict.fromkeys(bundle.features for bundle in bundles))
        self._networks = [
            (
                self.feature_configs.index(bundle.features),
                bundle.labels,
                _load_network(bundle, recipe),
            )
            for bundle in bundles
        ]
        self._kept = [teacher for teacher in teachers if isinstance(teacher, SoftLabels)]
        self._labels = recipe.data.labels
        self._training = recipe.training

    def __call__(self, inputs: tuple[Array, ...], targets: Array) -> Array:
        """Return soft labels of clips, (clips, labels).

        Parameters
        ----------
        inputs
            Features of the clips, one array for each of ``feature_configs``.
        targets
            (clips, labels), for words that a teacher has no label for (`map_labels`).
        """
        soft = [
            map_labels(self._labels, labels, network(inputs[which]), targets)
            for which, labels, network in self._networks
        ]
        return np.mean(soft, axis=0, dtype=np.float32)

    def soft_labels(self, split: Split) -> Array:
        """Return the soft labels of each recording as it is, (recordings, labels).

        The mean of the teachers that know a recording; the target where none does.
        """
        targets = _targets(split, self._training)
        total, count = np.zeros_like(targets), np.zeros((len(targets), 1), dtype=np.float32)
        if n := len(self._networks):
            total += n * cache_teacher(self, split, self._training)
            count += n
        for kept in self._kept:
            probabilities, known = kept.of_split(split)
            mapped = map_labels(split.labels, kept.labels, probabilities, targets)
            total += known[:, None] * mapped
            count += known[:, None]
            if not known.all():
                logger.warning(
                    "Teacher %s has no soft labels of %s of the %s recordings: those of other "
                    "teachers count.",
                    kept.name,
                    f"{np.count_nonzero(~known):,}",
                    f"{len(known):,}",
                )
        return np.where(count, total / np.maximum(count, 1), targets)


def cache_teacher(teacher: Teacher, split: Split, training: TrainingConfig) -> Array:
    """Run a teacher once on each recording as it is: (recordings, labels).

    Slow teachers can afford that; augmented clips are new ones in every epoch.
    """
    n, size = len(split.source), training.batch_size
    targets = _targets(split, training)
    soft = np.empty_like(targets)
    begun = time.monotonic()
    for start in range(0, n, size):
        # Teachers are compiled for whole batches: clips from the beginning fill up the last.
        batch = np.arange(start, start + size) % n
        waveforms = audio.to_float32(split.source.read(batch))
        inputs = tuple(
            batcher.clean_teacher_features(config, waveforms) for config in teacher.feature_configs
        )
        soft[batch] = teacher(inputs, targets[batch])
        if start == 0 and (minutes := (time.monotonic() - begun) * n / size / 60) > 1:
            logger.warning(
                "Running the teachers on each of %s recordings takes about %.0f minutes.",
                f"{n:,}",
                minutes,
            )
    return soft


def _targets(split: Split, training: TrainingConfig) -> Array:
    one_hot = np.eye(len(split.labels), dtype=np.float32)[split.targets]
    return batcher.smooth(one_hot, training.label_smoothing)


def _load_network(bundle: Bundle, recipe: Recipe) -> Callable[[Array], Array]:
    """Return a function from features to the probabilities of a model as its training left it.

    A logit adjustment is undone: the student's own is applied once, after its training. Its
    priors are those of the teacher's training where both have the same labels, and near them else.
    """
    network = networks.load(bundle)
    adjustment = np.array(bundle.training.logit_adjustment or 0.0, np.float32)
    # Compile here for batches of this shape; beside the training it is only called.
    frames = bundle.features.n_frames(round(recipe.data.clip_seconds * SAMPLE_RATE))
    shape = (recipe.training.batch_size, frames, bundle.features.channels)
    network.predict_on_batch(np.zeros(shape, dtype=np.float32))

    def probabilities(features: Array) -> Array:
        logits = networks.clip_logits(np.asarray(network.predict_on_batch(features)))
        return np.asarray(softmax(logits + adjustment, axis=-1))

    return probabilities
