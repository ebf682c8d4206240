"""Batches: examples of a data set, augmented afresh, as features for a network and its teachers.

Batches are made of blocks. A block is a fixed number of consecutive rows of an epoch, the largest
power of two of rows with at most `BLOCK` clips, and what it holds depends on the seed, the epoch
and its number alone. So neither the batch size nor the number of processes or machines that
prepare batches changes what a row holds.

Nothing here imports a training framework: worker processes start soon.
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
from collections.abc import Callable, Iterator, Sequence
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
"""Clips of a block at most: as many as stay in a processor's cache."""

TARGET_DB = 0.0
"""Level to which the loudest band of a faint clip is amplified for a teacher."""

MAX_GAIN_DB = 40.0
"""Largest gain for a teacher; that of digital silence would be infinite."""

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """Rows of an epoch; a row is a sequence of clips without a pause between them.

    Attributes
    ----------
    features
        Input of the network, (rows, clips * frames, channels).
    targets
        Probabilities, (rows, clips, labels + words).
    teacher_inputs
        Input of the teachers, one for each of their features: (rows * clips, frames, channels).
    """

    features: Array
    targets: Array
    teacher_inputs: tuple[Array, ...] = ()

    def rows(self, which: slice) -> Batch:
        """Return some of the rows."""
        clips = self.targets.shape[1]
        start, stop, _ = which.indices(len(self.features))
        return Batch(
            self.features[start:stop],
            self.targets[start:stop],
            tuple(x[start * clips : stop * clips] for x in self.teacher_inputs),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Batch]) -> Batch:
        """Return the rows of several batches as one."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*(part.teacher_inputs for part in parts), strict=True)
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.targets for part in parts]),
            tuple(np.concatenate(column) for column in columns),
        )


@dataclass(frozen=True, kw_only=True)
class Batcher:
    """Prepares blocks of rows.

    Attributes
    ----------
    split
        The examples.
    features
        Features of the network.
    teacher_configs
        Features of the teachers, each once.
    augmentation, epochs, cooldown_strength
        How examples are augmented; from epoch ``epochs`` on it is `AugmentationConfig.scaled`.
    clips_per_sequence
        Clips of a row.
    label_smoothing
        Fraction of a target's probability that all classes share.
    n_words
        Outputs for the word itself, after the labels; 0 for none.
    seed
        Seed of all that is random.
    soft_labels, teacher_weight
        What teachers say of each recording, (recordings, labels), and its weight in the targets.
    """

    split: Split
    features: FeatureConfig
    augmentation: AugmentationConfig
    epochs: int
    cooldown_strength: float = 0.0
    teacher_configs: tuple[FeatureConfig, ...] = ()
    clips_per_sequence: int = 1
    label_smoothing: float = 0.0
    n_words: int = 0
    seed: int = 0
    soft_labels: Array | None = None
    teacher_weight: float = 0.0

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        rows = max(BLOCK // self.clips_per_sequence, 1)
        return 1 << (rows.bit_length() - 1)

    def block(self, indices: Indices, epoch: int, number: int) -> Batch:
        """Prepare a block: augment its examples and compute their features.

        Parameters
        ----------
        indices
            From `Split.draw`: those of the block's clips, row after row.
        epoch, number
            The epoch, and the number of the block in it; with the seed they decide what is random.
        """
        rng = np.random.default_rng([self.seed, epoch, number])
        augment = self.augmentation if epoch < self.epochs else self._cooldown
        config = self.features
        waveforms, labels = self.split.take(indices, rng)
        targets = self._soften(indices, self.targets(labels, self.split.words_of(indices)))
        if augment.mixup_probability:
            waveforms, targets = augmentation.mixup(
                waveforms, targets, probability=augment.mixup_probability, rng=rng
            )
        waveforms = augmentation.augment_waveforms(
            waveforms, augment, noises=self.split.noises, sample_rate=config.sample_rate, rng=rng
        )
        n, n_samples = waveforms.shape
        rows = waveforms.reshape(-1, self.clips_per_sequence * n_samples)
        log_mels = augmentation.augment_log_mels(
            features.log_mel(rows, config).reshape(n, -1, config.n_mels),
            augment,
            band_frequencies=self._band_frequencies,
            floor=config.floor_db,
            rng=rng,
        )
        return Batch(
            features.from_log_mel(log_mels, config).reshape(len(rows), -1, config.channels),
            targets.reshape(len(rows), self.clips_per_sequence, -1),
            tuple(
                teacher_features(theirs, waveforms, log_mels, config)
                for theirs in self.teacher_configs
            ),
        )

    def clean(self, examples: Examples) -> tuple[Array, Array]:
        """Compute the features of fixed examples, each alone and without augmentation.

        Returns
        -------
        features, targets
            (examples, frames, channels) and (examples, 1, labels + words); no word is set.
        """
        blocks = [
            features.compute(examples.waveforms[i : i + BLOCK], self.features)
            for i in range(0, len(examples), BLOCK)
        ]
        no_words = np.full(len(examples), -1)
        targets = self.targets(examples.targets, no_words, smoothing=0.0)
        return np.concatenate(blocks), targets[:, None]

    def targets(self, labels: Indices, words: Indices, *, smoothing: float | None = None) -> Array:
        """Return one-hot label and one-hot word side by side, (n, labels + words), each smoothed.

        A word of -1 sets none.
        """
        share = self.label_smoothing if smoothing is None else smoothing
        of_labels = smooth(np.eye(len(self.split.labels), dtype=np.float32)[labels], share)
        if not self.n_words:
            return of_labels
        one_hot = np.eye(self.n_words + 1, self.n_words, dtype=np.float32)[words]  # last row: 0
        return np.concatenate([of_labels, smooth(one_hot, share)], axis=1)

    def _soften(self, indices: Indices, targets: Array) -> Array:
        """Mix the soft labels of recordings into their targets; silence has none."""
        if self.soft_labels is None:
            return targets
        recorded = indices >= 0
        labels = targets[recorded, : len(self.split.labels)]
        labels += np.float32(self.teacher_weight) * (self.soft_labels[indices[recorded]] - labels)
        targets[recorded, : len(self.split.labels)] = labels
        return targets

    @contextlib.contextmanager
    def worker_pool(
        self, workers: int, *, folder: Path | None = None
    ) -> Iterator[tuple[Executor, Callable[..., Batch]]]:
        """Open a pool of workers, and yield it with the function to submit to it: `block`.

        The workers are ``workers`` processes or, if that is 0, one thread. They have a lower
        priority than the training, whose step is as slow as its slowest thread. Processes share
        the recordings in a file in ``folder`` (default: a temporary one); a file that a killed
        run left there is replaced.
        """
        if not workers:
            with ThreadPoolExecutor(1, initializer=_lower_priority_of_thread) as thread:
                yield thread, self.block
            return
        with contextlib.ExitStack() as stack:
            if folder is None:
                temporary = tempfile.TemporaryDirectory("-echoic", ignore_cleanup_errors=True)
                folder = Path(stack.enter_context(temporary))
            recordings = folder / "waveforms.npy"
            stack.callback(recordings.unlink, missing_ok=True)
            shared = dataclasses.replace(self.split, source=self.split.source.share(recordings))
            with ProcessPoolExecutor(
                workers,
                # A fork would copy the threads of the training framework.
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_Worker.begin,
                initargs=(dataclasses.replace(self, split=shared),),
            ) as processes:
                yield processes, _Worker.block

    @cached_property
    def _cooldown(self) -> AugmentationConfig:
        return self.augmentation.scaled(self.cooldown_strength)

    @cached_property
    def _band_frequencies(self) -> npt.NDArray[np.float64]:
        return features.band_frequencies(self.features)


def smooth(one_hot: Array, share: float) -> Array:
    """Give all classes a share of the probability, (n, classes): Szegedy et al. 2016."""
    return (1 - share) * one_hot + share * one_hot.mean(axis=1, keepdims=True)


# --- features of teachers ------------------------------------------------------------------------


def teacher_features(
    theirs: FeatureConfig, waveforms: Array, log_mels: Array, own: FeatureConfig
) -> Array:
    """Compute the input of a teacher from a student's clips, (clips, frames, channels).

    A teacher with the student's features, but for the floor, gets the augmented spectrograms;
    another computes its own from the waveforms, without masks and microphones. Both are amplified
    (`normalize_level`): what is too faint for a teacher may not be for its student.
    """
    if dataclasses.replace(theirs, floor_db=own.floor_db) != own:
        return clean_teacher_features(theirs, waveforms)
    return _normalized(log_mels, theirs)


def clean_teacher_features(theirs: FeatureConfig, waveforms: Array) -> Array:
    """Compute the input of a teacher from clips, amplified; see `teacher_features`."""
    deeper = dataclasses.replace(theirs, floor_db=max(theirs.floor_db - MAX_GAIN_DB, -120))
    return _normalized(features.log_mel(waveforms, deeper), theirs)


def _normalized(log_mels: Array, config: FeatureConfig) -> Array:
    amplified = np.maximum(normalize_level(log_mels), np.float32(config.floor_db))
    return features.from_log_mel(amplified, config)


def normalize_level(log_mels: Array) -> Array:
    """Amplify faint clips, (clips, frames, n_mels) in decibels, to `TARGET_DB`."""
    lacking = TARGET_DB - log_mels.max(axis=(1, 2), keepdims=True)
    return np.asarray(log_mels + np.clip(lacking, 0, MAX_GAIN_DB), dtype=np.float32)


# --- workers -------------------------------------------------------------------------------------


def usual_workers() -> int:
    """Return half of the processors that this process may use, from 1 to 16."""
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 2
    return min(max(processors // 2, 1), 16)


def _lower_priority_of_thread() -> None:
    if sys.platform == "linux":  # elsewhere niceness is the process's
        os.nice(10)


class _Worker:
    """State and functions of a worker process."""

    batcher: Batcher

    @classmethod
    def begin(cls, batcher: Batcher) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the training process
        threading.Thread(target=cls._end_with_the_training, daemon=True).start()
        if hasattr(os, "nice"):
            os.nice(10)
        threadpool_limits(1)
        cls.batcher = batcher

    @classmethod
    def block(cls, *arguments: Any) -> Batch:
        return cls.batcher.block(*arguments)

    @staticmethod
    def _end_with_the_training() -> None:
        """Exit when the training process is gone: one that was killed cannot end its workers."""
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)
