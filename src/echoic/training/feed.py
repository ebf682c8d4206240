"""The feed: fresh examples, augmented afresh, turned into features, every epoch.

What a batch holds depends on the seed, the epoch and its number alone, so a run that was killed
and resumed hears exactly what the run that was left alone hears.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import augmentation, features
from echoic import speech_commands as sc
from echoic.training.recipe import Recipe

BLOCK = 32
"""Clips that go through the features together: as many as stay in a processor's cache."""

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class Feed:
    """Turns one side of a data set into batches of (coefficients, one-hot answers)."""

    def __init__(self, split: sc.Split, recipe: Recipe) -> None:
        self.split = split
        self.recipe = recipe
        self._band_frequencies = features.band_frequencies(recipe.features)

    def epoch(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Draw an epoch's examples, cut into batches; what does not fill one is left over."""
        size = self.recipe.training.batch_size
        drawn = self.split.draw(
            np.random.default_rng([self.recipe.training.seed, epoch]),
            forged_fraction=self.recipe.data.forged_fraction,
        )
        size = min(size, len(drawn))
        return [drawn[i : i + size] for i in range(0, len(drawn) - size + 1, size)]

    def batch(self, indices: npt.NDArray[np.int64], *key: int) -> Batch:
        """Augment the examples and compute their features; ``key`` seeds what is random."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.training.seed, *key])
        coefficients, targets = [], []
        for start in range(0, len(indices), BLOCK):
            waveforms, block_targets = self.split.take(indices[start : start + BLOCK], rng)
            waveforms = augmentation.augment_waveforms(
                waveforms,
                recipe.augmentation,
                noises=self.split.noises,
                sample_rate=recipe.features.sample_rate,
                rng=rng,
            )
            log_mels = augmentation.augment_log_mels(
                features.log_mel(waveforms, recipe.features),
                recipe.augmentation,
                band_frequencies=self._band_frequencies,
                rng=rng,
            )
            coefficients.append(features.cepstrum(log_mels, recipe.features))
            targets.append(block_targets)
        return np.concatenate(coefficients), self._one_hot(np.concatenate(targets))

    def clean(self, examples: sc.Examples) -> Batch:
        """Features of fixed examples as they are, without augmentation."""
        blocks = [
            features.mfcc(examples.waveforms[i : i + BLOCK], self.recipe.features)
            for i in range(0, len(examples), BLOCK)
        ]
        return np.concatenate(blocks), self._one_hot(examples.targets)

    def statistics(self, *, batches: int = 16) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Mean and variance of each coefficient, (n_mfcc,), as training will hear them."""
        frames = [
            self.batch(indices, 0, number)[0].reshape(-1, self.recipe.features.n_mfcc)
            for number, indices in enumerate(self.epoch(0)[:batches])
        ]
        stacked = np.concatenate(frames).astype(np.float64)
        return stacked.mean(axis=0), stacked.var(axis=0)

    def batches(self, *, first_epoch: int = 0, ahead: int = 8) -> Iterator[Batch]:
        """Yield batches for ever, prepared ``ahead`` in two threads beside the training.

        The numerics inside let go of the interpreter's lock, so the threads use what the
        training leaves idle.
        """
        with ThreadPoolExecutor(2) as pool:
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

    def _one_hot(self, targets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.eye(len(self.split.labels), dtype=np.float32)[targets]
