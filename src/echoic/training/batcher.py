"""Batches: examples of a data set, augmented afresh, as a network and its teachers hear them.

No training framework is needed here, so that processes beside the training prepare batches soon
after they are started.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from echoic import augmentation, features
from echoic.config import AugmentationConfig, FeatureConfig
from echoic.data import Examples, Split

BLOCK = 32
"""Clips that go through the features together: as many as stay in a processor's cache."""

TARGET_DB = 0.0
"""What the loudest band of a faint clip is brought to before a teacher hears it."""

MAX_GAIN_DB = 40.0
"""The most that a clip is amplified for a teacher; digital silence would have no end."""

Array = npt.NDArray[np.float32]


class Prepared(NamedTuple):
    """A batch before the teachers have their say.

    Attributes
    ----------
    coefficients
        What the network hears, (rows, clips * frames, n_mfcc).
    answers
        Probabilities, (rows, clips, labels + words).
    heard
        What the teachers hear, for each of their features: (rows * clips, frames, n_mfcc).
    """

    coefficients: Array
    answers: Array
    heard: tuple[Array, ...]


@dataclass(frozen=True, kw_only=True)
class Batcher:
    """Prepares batches; what is in one depends on the seed, the epoch and its number alone.

    Attributes
    ----------
    split
        Where the examples are from.
    features
        Of the network.
    taught_by
        Features of the teachers, each once.
    augmentation, epochs, cooldown_strength
        How examples are augmented, and that from epoch ``epochs`` on it is `scaled`.
    context
        Clips that are played without a pause in a row.
    label_smoothing
        Part of an answer's probability that all share.
    n_words
        Outputs that name the word itself, beside the labels; 0 for none.
    seed
        Of all that is random.
    soft_targets, teacher_weight
        What teachers said of each recording, (clips, labels), and how much of its answer that is.
    """

    split: Split
    features: FeatureConfig
    augmentation: AugmentationConfig
    epochs: int
    cooldown_strength: float = 0.0
    taught_by: tuple[FeatureConfig, ...] = ()
    clips_per_sequence: int = 1
    label_smoothing: float = 0.0
    n_words: int = 0
    seed: int = 0
    soft_targets: Array | None = None
    teacher_weight: float = 0.0

    def batch(self, indices: npt.NDArray[np.int64], epoch: int, *key: int) -> Prepared:
        """Augment the examples and compute their features; epoch and key seed what is random."""
        rng = np.random.default_rng([self.seed, epoch, *key])
        augment = self.augmentation if epoch < self.epochs else self._cooldown
        size = max(BLOCK // self.clips_per_sequence, 1) * self.clips_per_sequence
        blocks = [
            self._block(indices[start : start + size], augment, rng)
            for start in range(0, len(indices), size)
        ]
        coefficients, answers, heard = zip(*blocks, strict=True)
        return Prepared(
            np.concatenate(coefficients),
            np.concatenate(answers),
            tuple(np.concatenate(parts) for parts in zip(*heard, strict=True)),
        )

    def _block(
        self, indices: npt.NDArray[np.int64], augment: AugmentationConfig, rng: np.random.Generator
    ) -> Prepared:
        config = self.features
        waveforms, targets = self.split.take(indices, rng)
        answers = self.answers(targets, self.split.words_of(indices), self.label_smoothing)
        if self.soft_targets is not None:
            recorded = indices >= 0  # the others are silence or forged
            labels = answers[recorded, : len(self.split.labels)]
            soft = self.soft_targets[indices[recorded]]
            labels += np.float32(self.teacher_weight) * (soft - labels)
            answers[recorded, : len(self.split.labels)] = labels
        if augment.mixup_probability:  # else it draws nothing: runs without it stay the same
            waveforms, answers = augmentation.mixup(
                waveforms, answers, probability=augment.mixup_probability, rng=rng
            )
        waveforms = augmentation.augment_waveforms(
            waveforms,
            augment,
            noises=self.split.noises,
            sample_rate=config.sample_rate,
            rng=rng,
        )
        n, n_samples = waveforms.shape
        played = waveforms.reshape(-1, self.clips_per_sequence * n_samples)
        log_mels = augmentation.augment_log_mels(
            features.log_mel(played, config).reshape(n, -1, config.n_mels),
            augment,
            band_frequencies=self._band_frequencies,
            floor=config.floor_db,
            rng=rng,
        )
        return Prepared(
            features.from_log_mel(log_mels, config).reshape(len(played), -1, config.channels),
            answers.reshape(len(played), self.clips_per_sequence, -1),
            tuple(
                teacher_features(theirs, waveforms, log_mels, config) for theirs in self.taught_by
            ),
        )

    def clean(self, examples: Examples) -> tuple[Array, Array]:
        """Features of fixed examples as they are, each alone, and their answers.

        Returns
        -------
        coefficients, answers
            (examples, frames, n_mfcc) and (examples, 1, labels + words); no word is named.
        """
        blocks = [
            features.compute(examples.waveforms[i : i + BLOCK], self.features)
            for i in range(0, len(examples), BLOCK)
        ]
        nothing = np.full(len(examples), -1)
        return np.concatenate(blocks), self.answers(examples.targets, nothing)[:, None]

    def answers(
        self,
        targets: npt.NDArray[np.int64],
        words: npt.NDArray[np.int64],
        smoothing: float = 0.0,
    ) -> Array:
        """One-hot label and one-hot word side by side, (n, labels + words), each smoothed."""
        labels = smooth(np.eye(len(self.split.labels), dtype=np.float32)[targets], smoothing)
        if not self.n_words:
            return labels
        # The last row, that of -1, has no one: a clip whose word nobody asks for.
        one_hot = np.eye(self.n_words + 1, self.n_words, dtype=np.float32)[words]
        return np.concatenate([labels, smooth(one_hot, smoothing)], axis=1)

    @contextlib.contextmanager
    def beside(
        self, workers: int, *, folder: Path | None = None
    ) -> Iterator[tuple[Executor, Callable[..., Prepared]]]:
        """Where batches are prepared beside a training, and the function to submit there: `batch`.

        In ``workers`` processes, or, where that is 0, in a thread. A step of training is as slow
        as the slowest of its threads, so what prepares has a lower priority than they, where there
        is such a thing. Processes share the recordings, a gigabyte, in a file in ``folder``
        (default: a temporary one); one that a killed run has left there is replaced.
        """
        if not workers:
            with ThreadPoolExecutor(1, initializer=_give_way_as_a_thread) as thread:
                yield thread, self.batch
            return
        with contextlib.ExitStack() as stack:
            if folder is None:
                temporary = tempfile.TemporaryDirectory("-echoic", ignore_cleanup_errors=True)
                folder = Path(stack.enter_context(temporary))
            recordings = folder / "waveforms.npy"
            stack.callback(recordings.unlink, missing_ok=True)
            np.save(recordings, self.split.waveforms)
            light = dataclasses.replace(self.split, waveforms=self.split.waveforms[:0])
            with ProcessPoolExecutor(
                workers,
                # A copy of this process would have the threads of the training framework in it.
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_Worker.begin,
                initargs=(dataclasses.replace(self, split=light), recordings),
            ) as processes:
                yield processes, _Worker.batch

    @cached_property
    def _cooldown(self) -> AugmentationConfig:
        return self.augmentation.scaled(self.cooldown_strength)

    @cached_property
    def _band_frequencies(self) -> npt.NDArray[np.float64]:
        return features.band_frequencies(self.features)


def teacher_features(
    theirs: FeatureConfig, waveforms: Array, log_mels: Array, own: FeatureConfig
) -> Array:
    """Return what a teacher hears of a student's clips, (clips, frames, n_mfcc).

    One that hears as its student does, but for the floor, hears the masks and microphones among
    the augmentations too; another hears the clips without them. Faint clips are amplified
    (`normalize_level`): what is too faint for a teacher need not be for its student.
    """
    if dataclasses.replace(theirs, floor_db=own.floor_db) != own:
        return features_alone(theirs, waveforms)
    return _normalized_cepstrum(log_mels, theirs)


def features_alone(theirs: FeatureConfig, waveforms: Array) -> Array:
    """Return what a teacher hears of clips, (clips, frames, n_mfcc); see `teacher_features`."""
    deeper = dataclasses.replace(theirs, floor_db=max(theirs.floor_db - MAX_GAIN_DB, -120))
    return _normalized_cepstrum(features.log_mel(waveforms, deeper), theirs)


def _normalized_cepstrum(log_mels: Array, config: FeatureConfig) -> Array:
    loud = np.maximum(normalize_level(log_mels), np.float32(config.floor_db))
    return features.from_log_mel(loud, config)


def normalize_level(log_mels: Array) -> Array:
    """Amplify the faint of some clips, (clips, frames, n_mels) in decibels, to `TARGET_DB`."""
    lacking = TARGET_DB - log_mels.max(axis=(1, 2), keepdims=True)
    return np.asarray(log_mels + np.clip(lacking, 0, MAX_GAIN_DB), dtype=np.float32)


def smooth(one_hot: Array, share: float) -> Array:
    """Give every class its part of a share of the probability, (n, classes).

    Szegedy et al. 2016.
    """
    return (1 - share) * one_hot + share * one_hot.mean(axis=1, keepdims=True)


# --- beside the training -------------------------------------------------------------------------


def usual_workers() -> int:
    """Half of the processors that this process may use, from 1 to 16."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 2
    return min(max(processors // 2, 1), 16)


def _give_way_as_a_thread() -> None:
    if sys.platform == "linux":  # elsewhere niceness is the process's
        os.nice(10)


class _Worker:
    """What a process beside the training does; there is one maker in each."""

    maker: Batcher

    @classmethod
    def begin(cls, maker: Batcher, recordings: Path) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training to answer
        threading.Thread(target=cls._end_with_the_training, daemon=True).start()
        if hasattr(os, "nice"):
            os.nice(10)
        threadpool_limits(1)
        waveforms = np.asarray(np.load(recordings, mmap_mode="r"))
        cls.maker = dataclasses.replace(
            maker, split=dataclasses.replace(maker.split, waveforms=waveforms)
        )

    @classmethod
    def batch(cls, *arguments: Any) -> Prepared:
        return cls.maker.batch(*arguments)

    @staticmethod
    def _end_with_the_training() -> None:
        """Leave when the process that trains is gone, killed for example: nobody else would say."""
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)
