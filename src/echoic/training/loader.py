"""The feed: batches for an epoch after another, prepared beside the training.

What a batch holds depends on the seed, the epoch and its number alone, so a run that was killed
and resumed hears exactly what the run that was left alone hears, however many processes prepare.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from echoic import data as datasets
from echoic.config import FeatureConfig, Recipe
from echoic.training.batcher import Batcher, Prepared

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Coefficients, (rows, clips * frames, n_mfcc); answers, (rows, clips, labels + words)."""


class Teacher(Protocol):
    """SoftLabels to clips, (clips, labels): to coefficients, once for each of ``hears``.

    It is told the true answers, (clips, labels), for words that it has no name for.
    """

    @property
    def hears(self) -> tuple[FeatureConfig, ...]: ...

    def __call__(
        self, heard: tuple[npt.NDArray[np.float32], ...], answers: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]: ...


class DataLoader:
    """Turns one side of a data set into batches of (coefficients, answers).

    A row of a batch is ``training.clips_per_sequence`` clips played without a pause, so that a network learns
    to hear a word after another as well as after nothing. The answers are one-hot but for
    ``training.label_smoothing``, and mixed where the clips are (`augmentation.mixup`);
    ``training.teacher_weight`` of those in labels is what a ``teacher`` says to the same clip
    (`batches.teacher_features`), or the ``soft_targets`` of its recording, (clips, labels)
    (``training.cache_teacher``). Of ``workers`` see `batches`, of ``folder`` `Batcher.beside`.
    """

    def __init__(
        self,
        split: datasets.Split,
        recipe: Recipe,
        *,
        teacher: Teacher | None = None,
        soft_targets: npt.NDArray[np.float32] | None = None,
        workers: int = 0,
        folder: Path | None = None,
    ) -> None:
        self.split = split
        self.recipe = recipe
        self.teacher = teacher
        self.workers = workers
        self.folder = folder
        self.maker = Batcher(
            split=split,
            features=recipe.features,
            taught_by=self.teacher.hears if self.teacher else (),
            augmentation=recipe.augmentation,
            epochs=recipe.training.epochs,
            cooldown_strength=recipe.training.cooldown_strength,
            clips_per_sequence=recipe.training.clips_per_sequence,
            label_smoothing=recipe.training.label_smoothing,
            n_words=self.n_words,
            seed=recipe.training.seed,
            soft_targets=soft_targets,
            teacher_weight=recipe.training.teacher_weight,
        )

    def epoch(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Draw an epoch's examples, cut into batches; what does not fill one is left over."""
        size = self.recipe.training.batch_size
        drawn = self.split.draw(
            np.random.default_rng([self.recipe.training.seed, epoch]),
            synthetic_unknown_fraction=self.recipe.data.synthetic_unknown_fraction,
        )
        size = min(size, len(drawn))
        size -= size % self.recipe.training.clips_per_sequence
        return [drawn[i : i + size] for i in range(0, len(drawn) - size + 1, size)]

    def batch(self, indices: npt.NDArray[np.int64], epoch: int, *key: int) -> Batch:
        """Prepare one batch; epoch and key seed what is random."""
        return self._teach(self.maker.batch(indices, epoch, *key))

    def clean(self, examples: datasets.Examples) -> Batch:
        """Features of fixed examples as they are, each alone, without augmentation."""
        return self.maker.clean(examples)

    def statistics(self, *, batches: int = 16) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Mean and variance of each coefficient, (n_mfcc,), as training will hear them."""
        frames = [
            self.maker.batch(indices, 0, number).coefficients.reshape(
                -1, self.recipe.features.channels
            )
            for number, indices in enumerate(self.epoch(0)[:batches])
        ]
        stacked = np.concatenate(frames).astype(np.float64)
        return stacked.mean(axis=0), stacked.var(axis=0)

    def priors(self) -> npt.NDArray[np.float64]:
        """Part of an epoch that each label has, (labels,)."""
        targets = self.split.targets_of(np.concatenate(self.epoch(0)))
        return np.bincount(targets, minlength=len(self.split.labels)) / len(targets)

    @contextlib.contextmanager
    def batches(self, *, first_epoch: int = 0) -> Iterator[Iterator[Batch]]:
        """Batches for ever, prepared beside the training until the context ends.

        ``workers`` processes prepare them, or, where that is 0, a thread of this one. A second
        thread would hardly prepare more: the two would wait for the interpreter's lock, which is
        handed over at every one of a batch's thousands of small steps.

        Raises
        ------
        ChildProcessError
            At the end of the context: one of the processes ended before.
        """
        broken: list[BrokenProcessPool] = []
        with (
            # Linear algebra's own threads would stand in the way of the training's.
            threadpool_limits(1, user_api="blas"),
            self.maker.beside(self.workers, folder=self.folder) as (pool, make),
            ThreadPoolExecutor(1) as asking,
        ):

            def prepared() -> Iterator[Batch]:
                waiting: deque[Future[Batch]] = deque()
                try:
                    for epoch in range(first_epoch, 2**31):
                        for number, indices in enumerate(self.epoch(epoch)):
                            made = pool.submit(make, indices, epoch, number)
                            waiting.append(asking.submit(self._taught, made))
                            if len(waiting) > max(8, 2 * self.workers):
                                yield waiting.popleft().result()
                except BrokenProcessPool as error:
                    broken.append(error)
                    raise

            # Whoever draws from here may still wait, in a thread of a training framework, when
            # the context ends; then what it waits for is cancelled.
            try:
                yield prepared()
            except Exception:
                if not broken:
                    raise
            finally:
                pool.shutdown(cancel_futures=True)
                asking.shutdown(cancel_futures=True)
        if broken:
            raise ChildProcessError(
                "A process that prepares batches ended, perhaps for lack of memory. All whole "
                "epochs are saved: go on with --resume, and fewer --workers."
            ) from broken[0]

    def _taught(self, made: Future[Prepared]) -> Batch:
        return self._teach(made.result())

    def _teach(self, prepared: Prepared) -> Batch:
        coefficients, answers, heard = prepared
        if self.teacher:
            labels = answers[..., : len(self.split.labels)]
            said = self.teacher(heard, labels.reshape(-1, labels.shape[-1])).reshape(labels.shape)
            labels += self.recipe.training.teacher_weight * (said - labels)
        return coefficients, answers

    @property
    def n_words(self) -> int:
        """Outputs that name the word itself, beside the labels; see ``training.auxiliary_loss_weight``."""
        return self.split.n_words if self.recipe.training.auxiliary_loss_weight else 0
