"""The data loader: batch after batch for every epoch, prepared beside the training."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from echoic.config import FeatureConfig, Recipe
from echoic.data import Examples, Split
from echoic.training.batcher import Array, Batch, Batcher, Indices

InputsAndTargets = tuple[Array, Array]
"""What Keras fits on: features, (rows, clips * frames, channels), and targets, (rows, clips,
labels + words)."""


class Teacher(Protocol):
    """A function from clips to soft labels, (clips, labels).

    It is called with the features of the clips, one array for each of ``feature_configs``, and
    with their targets, (clips, labels), for words that it has no name for.
    """

    @property
    def feature_configs(self) -> tuple[FeatureConfig, ...]: ...

    def __call__(self, inputs: tuple[Array, ...], targets: Array) -> Array: ...


class DataLoader:
    """Turns one split of a data set into batches of features and targets.

    A row of a batch is ``training.clips_per_sequence`` clips without a pause, so that a network
    learns to recognize a word after another as well as after nothing. Targets are one-hot but for
    ``training.label_smoothing`` and mixup. ``training.teacher_weight`` of a target is what a
    teacher says.

    Parameters
    ----------
    split
        The examples.
    recipe
        How they become batches.
    teacher
        Gives soft labels of every augmented clip.
    soft_labels
        Those of each recording as it is, (recordings, labels):
        ``training.cache_teacher``.
    workers
        Processes that prepare batches; 0: a thread of this process.
    folder
        Where the processes share the recordings; see `Batcher.worker_pool`.
    """

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        *,
        teacher: Teacher | None = None,
        soft_labels: Array | None = None,
        workers: int = 0,
        folder: Path | None = None,
    ) -> None:
        self.split = split
        self.recipe = recipe
        self.teacher = teacher
        self.workers = workers
        self.folder = folder
        training = recipe.training
        self.batcher = Batcher(
            split=split,
            features=recipe.features,
            teacher_configs=teacher.feature_configs if teacher else (),
            augmentation=recipe.augmentation,
            epochs=training.epochs,
            cooldown_strength=training.cooldown_strength,
            clips_per_sequence=training.clips_per_sequence,
            label_smoothing=training.label_smoothing,
            n_words=self.n_words,
            seed=training.seed,
            soft_labels=soft_labels,
            teacher_weight=training.teacher_weight,
        )
        n_rows = len(self.draw(0))
        self.batch_rows = min(training.batch_size // training.clips_per_sequence, n_rows)
        self.steps_per_epoch = n_rows // self.batch_rows

    @property
    def batch_size(self) -> int:
        """Clips of a batch."""
        return self.batch_rows * self.batcher.clips_per_sequence

    @property
    def n_words(self) -> int:
        """Outputs for the word itself, after the labels: ``training.auxiliary_loss_weight``."""
        return self.split.n_words if self.recipe.training.auxiliary_loss_weight else 0

    def draw(self, epoch: int) -> Indices:
        """Draw the examples of an epoch: indices by row, (rows, clips).

        Clips that do not fill a row are left out; rows that do not fill a batch are not used.
        """
        drawn = self.split.draw(
            np.random.default_rng([self.recipe.training.seed, epoch]),
            synthetic_unknown_fraction=self.recipe.data.synthetic_unknown_fraction,
        )
        clips = self.recipe.training.clips_per_sequence
        return drawn[: len(drawn) // clips * clips].reshape(-1, clips)

    def batch(self, epoch: int, number: int) -> InputsAndTargets:
        """Prepare one batch of an epoch."""
        return self.rows(epoch, number * self.batch_rows, (number + 1) * self.batch_rows)

    def rows(self, epoch: int, start: int, stop: int) -> InputsAndTargets:
        """Prepare any consecutive rows of an epoch.

        A machine that prepares its own rows of each batch gets what one machine would have.
        """
        drawn = self.draw(epoch)

        def block(number: int) -> Batch:
            return self.batcher.block(self._block_indices(drawn, number), epoch, number)

        parts = [block(number).rows(rows) for number, rows in self._blocks(start, stop)]
        return self.teach(Batch.concatenate(parts))

    def teach(self, batch: Batch) -> InputsAndTargets:
        """Mix the teacher's soft labels into the targets of a batch."""
        features, targets, inputs = batch
        if self.teacher:
            labels = targets[..., : len(self.split.labels)]
            soft = self.teacher(inputs, labels.reshape(-1, labels.shape[-1]))
            labels += self.recipe.training.teacher_weight * (soft.reshape(labels.shape) - labels)
        return features, targets

    def clean(self, examples: Examples) -> InputsAndTargets:
        """Compute features and targets of fixed examples, each alone and without augmentation."""
        return self.batcher.clean(examples)

    def statistics(self, *, batches: int = 16) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return mean and variance of each channel, (channels,), over the first batches."""
        drawn = self.draw(0)
        stop = min(batches, self.steps_per_epoch) * self.batch_rows
        blocks = [
            self.batcher.block(self._block_indices(drawn, number), 0, number).rows(rows)
            for number, rows in self._blocks(0, stop)
        ]
        frames = [block.features.reshape(-1, block.features.shape[-1]) for block in blocks]
        stacked = np.concatenate(frames).astype(np.float64)
        return stacked.mean(axis=0), stacked.var(axis=0)

    def priors(self) -> npt.NDArray[np.float64]:
        """Return the fraction of each label in an epoch, (labels,)."""
        rows = self.draw(0)[: self.steps_per_epoch * self.batch_rows]
        targets = self.split.targets_of(rows.ravel())
        return np.bincount(targets, minlength=len(self.split.labels)) / len(targets)

    @contextlib.contextmanager
    def batches(self, *, first_epoch: int = 0) -> Iterator[Iterator[InputsAndTargets]]:
        """Yield an endless iterator of batches, prepared by workers until the context ends.

        A second thread would hardly prepare more than one: both would wait for the interpreter's
        lock at each of a batch's thousands of small steps. So it takes processes.

        Raises
        ------
        ChildProcessError
            At the end of the context: a worker process ended before.
        """
        broken: list[BrokenProcessPool] = []
        with (
            # The threads of linear algebra would slow the training down.
            threadpool_limits(1, user_api="blas"),
            self.batcher.worker_pool(self.workers, folder=self.folder) as (pool, prepare),
            ThreadPoolExecutor(1) as teaching,
        ):

            def submit(*arguments: Any) -> Future[Batch]:
                return pool.submit(prepare, *arguments)

            def prepared() -> Iterator[InputsAndTargets]:
                waiting: deque[Future[InputsAndTargets]] = deque()
                try:
                    for parts in self._submitted(submit, first_epoch):
                        waiting.append(teaching.submit(self._assemble, parts))
                        if len(waiting) > max(8, 2 * self.workers):
                            yield waiting.popleft().result()
                except BrokenProcessPool as error:
                    broken.append(error)
                    raise

            # A thread of a training framework may still wait for a batch when the context ends;
            # what it waits for is cancelled.
            try:
                yield prepared()
            except Exception:
                if not broken:
                    raise
            finally:
                pool.shutdown(cancel_futures=True)
                teaching.shutdown(cancel_futures=True)
        if broken:
            raise ChildProcessError(
                "Expected the processes that prepare batches to last, but one ended, perhaps for "
                "lack of memory. All whole epochs are saved: go on with --resume, and fewer "
                "--workers."
            ) from broken[0]

    def _submitted(
        self, submit: Callable[..., Future[Batch]], first_epoch: int
    ) -> Iterator[list[tuple[Future[Batch], slice]]]:
        """Submit each block once; yield for each batch its blocks, with its rows of each."""
        for epoch in range(first_epoch, 2**31):
            drawn = self.draw(epoch)
            futures: dict[int, Future[Batch]] = {}
            for start in range(0, self.steps_per_epoch * self.batch_rows, self.batch_rows):
                blocks = self._blocks(start, start + self.batch_rows)
                futures = {
                    n: futures.get(n) or submit(self._block_indices(drawn, n), epoch, n)
                    for n, _ in blocks
                }
                yield [(futures[n], rows) for n, rows in blocks]

    def _assemble(self, parts: list[tuple[Future[Batch], slice]]) -> InputsAndTargets:
        return self.teach(Batch.concatenate([future.result().rows(rows) for future, rows in parts]))

    def _blocks(self, start: int, stop: int) -> list[tuple[int, slice]]:
        """Return the blocks that hold the rows from start to stop, with these rows in each."""
        size = self.batcher.block_rows
        return [
            (n, slice(max(start - n * size, 0), min(stop - n * size, size)))
            for n in range(start // size, -(-stop // size))
        ]

    def _block_indices(self, drawn: Indices, number: int) -> Indices:
        size = self.batcher.block_rows
        return drawn[number * size : (number + 1) * size].ravel()
