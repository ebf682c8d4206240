"""The feed: fresh examples, augmented afresh, turned into features, every epoch.

What a batch holds depends on the seed, the epoch and its number alone, so a run that was killed
and resumed hears exactly what the run that was left alone hears.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from echoic import augmentation, features
from echoic import speech_commands as sc
from echoic.training.recipe import Recipe

BLOCK = 32
"""Clips that go through the features together: as many as stay in a processor's cache."""

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Coefficients, (rows, clips * frames, n_mfcc); answers, (rows, clips, labels + words)."""

Teacher = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Log-mel spectrograms of clips, (clips, frames, n_mels), to probabilities, (clips, labels)."""


class Feed:
    """Turns one side of a data set into batches of (coefficients, answers).

    A row of a batch is ``training.context`` clips played without a pause, so that a network learns
    to hear a word after another as well as after nothing. The answers are one-hot but for
    ``training.label_smoothing``, and mixed where the clips are (`augmentation.mixup`); a
    ``teacher`` hears what the network hears and has a say of ``training.teacher_weight`` in the
    labels.
    """

    def __init__(self, split: sc.Split, recipe: Recipe, *, teacher: Teacher | None = None) -> None:
        self.split = split
        self.recipe = recipe
        self.teacher = teacher
        self._band_frequencies = features.band_frequencies(recipe.features)

    def epoch(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Draw an epoch's examples, cut into batches; what does not fill one is left over."""
        size = self.recipe.training.batch_size
        drawn = self.split.draw(
            np.random.default_rng([self.recipe.training.seed, epoch]),
            forged_fraction=self.recipe.data.forged_fraction,
        )
        size = min(size, len(drawn))
        size -= size % self.recipe.training.context
        return [drawn[i : i + size] for i in range(0, len(drawn) - size + 1, size)]

    def batch(self, indices: npt.NDArray[np.int64], epoch: int, *key: int) -> Batch:
        """Augment the examples and compute their features; epoch and key seed what is random."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.training.seed, epoch, *key])
        strong = recipe.augmentation
        mild = strong.milder(recipe.training.finish_strength)
        augment = strong if epoch < recipe.training.epochs else mild
        context = recipe.training.context
        block = max(BLOCK // context, 1) * context
        heard, coefficients, answers = [], [], []
        for start in range(0, len(indices), block):
            part = indices[start : start + block]
            waveforms, targets = self.split.take(part, rng)
            truth = self._answers(
                targets, self.split.words_of(part), smoothing=recipe.training.label_smoothing
            )
            if augment.mixup_probability:  # else it draws nothing: runs without it stay the same
                waveforms, truth = augmentation.mixup(
                    waveforms, truth, probability=augment.mixup_probability, rng=rng
                )
            waveforms = augmentation.augment_waveforms(
                waveforms,
                augment,
                noises=self.split.noises,
                sample_rate=recipe.features.sample_rate,
                rng=rng,
            )
            n, n_samples = waveforms.shape
            played = waveforms.reshape(-1, context * n_samples)
            log_mels = augmentation.augment_log_mels(
                features.log_mel(played, recipe.features).reshape(n, -1, recipe.features.n_mels),
                augment,
                band_frequencies=self._band_frequencies,
                floor=recipe.features.floor_db,
                rng=rng,
            )
            heard.append(log_mels)
            coefficients.append(
                features.cepstrum(log_mels, recipe.features).reshape(
                    len(played), -1, recipe.features.n_mfcc
                )
            )
            answers.append(truth)
        rows, taught = np.concatenate(coefficients), np.concatenate(answers)
        if self.teacher:
            weight, labels = recipe.training.teacher_weight, taught[:, : len(self.split.labels)]
            labels += weight * (self.teacher(np.concatenate(heard)) - labels)
        return rows, taught.reshape(-1, context, taught.shape[-1])

    def clean(self, examples: sc.Examples) -> Batch:
        """Features of fixed examples as they are, each alone, without augmentation."""
        blocks = [
            features.mfcc(examples.waveforms[i : i + BLOCK], self.recipe.features)
            for i in range(0, len(examples), BLOCK)
        ]
        nothing = np.full(len(examples), -1)
        return np.concatenate(blocks), self._answers(examples.targets, nothing)[:, None]

    def statistics(self, *, batches: int = 16) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Mean and variance of each coefficient, (n_mfcc,), as training will hear them."""
        frames = [
            self.batch(indices, 0, number)[0].reshape(-1, self.recipe.features.n_mfcc)
            for number, indices in enumerate(self.epoch(0)[:batches])
        ]
        stacked = np.concatenate(frames).astype(np.float64)
        return stacked.mean(axis=0), stacked.var(axis=0)

    def priors(self) -> npt.NDArray[np.float64]:
        """Part of an epoch that each label has, (labels,)."""
        targets = self.split.targets_of(np.concatenate(self.epoch(0)))
        return np.bincount(targets, minlength=len(self.split.labels)) / len(targets)

    def batches(self, *, first_epoch: int = 0, ahead: int = 8) -> Generator[Batch, None, None]:
        """Yield batches for ever, prepared ``ahead`` in a thread beside the training.

        A second thread would hardly augment more of them: the two would wait for the
        interpreter's lock, which is handed over at every one of a batch's thousands of small
        steps. A teacher holds no lock while it listens, so that with one there are two.
        """
        with (
            # Linear algebra's own threads would stand in the way of the training's.
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(2 if self.teacher else 1, initializer=_give_way) as pool,
        ):
            waiting: deque[Future[Batch]] = deque()
            try:
                for epoch in range(first_epoch, 2**31):
                    for number, indices in enumerate(self.epoch(epoch)):
                        waiting.append(pool.submit(self.batch, indices, epoch, number))
                        if len(waiting) > ahead:
                            yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    @property
    def n_words(self) -> int:
        """Outputs that name the word itself, beside the labels; see ``training.word_loss``."""
        return self.split.n_words if self.recipe.training.word_loss else 0

    def _answers(
        self,
        targets: npt.NDArray[np.int64],
        words: npt.NDArray[np.int64],
        *,
        smoothing: float = 0.0,
    ) -> npt.NDArray[np.float32]:
        """One-hot label and one-hot word side by side, (n, labels + words), each smoothed."""
        labels = _smooth(np.eye(len(self.split.labels), dtype=np.float32)[targets], smoothing)
        if not self.n_words:
            return labels
        # The last row, that of -1, has no one: a clip whose word nobody asks for.
        one_hot = np.eye(self.n_words + 1, self.n_words, dtype=np.float32)[words]
        return np.concatenate([labels, _smooth(one_hot, smoothing)], axis=1)


def _give_way() -> None:
    """Let the threads of the training go before this one, where each has a niceness (Linux).

    A step of training is as slow as the slowest of its threads.
    """
    if sys.platform == "linux":
        os.nice(10)


def _smooth(one_hot: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    """Give every class its part of a share of the probability (Szegedy et al. 2016)."""
    return (1 - share) * one_hot + share * one_hot.mean(axis=1, keepdims=True)
