"""Continuous clips: the predictions of a model whose state is never reset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import data as datasets
from echoic.audio import Waveform
from echoic.evaluation.clips import Progress, clip_report
from echoic.evaluation.posteriors import PosteriorFn, model_posterior_fn
from echoic.evaluation.result import (
    Estimate,
    Table,
    accuracy,
    class_table,
    mean_accuracy,
    spoken,
)
from echoic.labels import SILENCE
from echoic.runtime.bundle import Bundle

SEEDS = (0, 1, 2)
"""Orders in which ``archive-v0.02-endless`` plays the clips."""


@dataclass(frozen=True)
class ContinuousEvaluation:
    """A model's predictions for clips that follow each other without gaps or resets.

    Attributes
    ----------
    examples
        The clips with their true labels.
    predicted
        Index of the predicted label of each clip, in the order of the examples, for each order in
        which they were played: (orders, n).
    warnings
        What a reader of the figures must know.
    file
        Which of the model's TFLite files listened.
    """

    examples: datasets.Examples
    predicted: npt.NDArray[np.int64]
    warnings: tuple[str, ...] = ()
    file: str = "stream"
    protocol: str = "archive-v0.02-endless"

    @property
    def details(self) -> dict[str, Any]:
        """What else identifies the test: the file that listened."""
        return {"file": self.file}

    @property
    def figures(self) -> dict[str, Estimate]:
        """Mean accuracy over the orders, with the interval of one of them."""
        which = spoken(self.examples.targets, self.examples.labels)
        figures = {"accuracy": self._mean(np.ones_like(which))}
        if SILENCE in self.examples.labels and which.any():
            figures["accuracy_without_silence"] = self._mean(which)
        return figures

    @property
    def tables(self) -> dict[str, Table]:
        """Figures by label, over all orders; ``n`` counts each clip once."""
        targets, orders = self.examples.targets, len(self.predicted)
        every = class_table(np.tile(targets, orders), self.predicted.ravel(), self.examples.labels)
        rows = tuple((label, n // orders, *more) for label, n, *more in every.rows)
        return {"classes": Table(every.columns, rows)}

    @property
    def pictures(self) -> tuple[str, ...]:
        """None: the confusion matrix is that of the same clips, each alone."""
        return ()

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data: means over the orders, intervals for ``n`` clips."""
        orders = [accuracy(self.examples.targets, row).report() for row in self.predicted]
        return {
            **clip_report(self, seeds=list(SEEDS), orders=[order["accuracy"] for order in orders]),
            "warnings": list(self.warnings),
        }

    def _mean(self, which: npt.NDArray[np.bool_]) -> Estimate:
        right = self.predicted[:, which] == self.examples.targets[which]
        return mean_accuracy(right, int(np.count_nonzero(which)))


def evaluate_continuous(
    model: Bundle,
    examples: datasets.Examples,
    *,
    file: str = "stream",
    posterior_fn: PosteriorFn | None = None,
    on_progress: Progress | None = None,
) -> ContinuousEvaluation:
    """Evaluate on clips without gaps or resets. Protocol ``archive-v0.02-endless``.

    The clips are shuffled with seed 0, 1 and 2 and played as one stream each; the prediction for a
    clip is that of the last posterior that ends within it.

    Parameters
    ----------
    model
        It must have a streaming file.
    examples
        Clips with their labels, ``_silence_`` and ``_unknown_`` among them: see
        `data.load_folders`.
    file
        Which of the model's TFLite files listens; ``stream_int8`` is smaller.
    posterior_fn
        What listens in its place; None means that file.
    on_progress
        Called with the number of clips that are done, and of all.
    """
    posterior_fn = posterior_fn or model_posterior_fn(model, file=file)
    n, length = examples.waveforms.shape
    warnings = datasets.archive_warnings(len(examples))
    predicted = np.empty((len(SEEDS), n), dtype=np.int64)
    for row, seed in enumerate(SEEDS):
        order = np.random.default_rng(seed).permutation(n)
        played = _counted(
            (examples.waveforms[i] for i in order), row * n, len(SEEDS) * n, on_progress
        )
        posteriors = posterior_fn(played)
        ends = (np.arange(n) + 1) * length / model.features.sample_rate
        # A little more, for times are rounded; a step that ends later is of the next clip.
        last = np.searchsorted(posteriors.times, ends + 0.01 * posteriors.step) - 1
        if (np.diff(last, prepend=-1) < 1).any():
            raise ValueError(
                f"Expected clips of at least one step, {posteriors.step:g} s, received clips of "
                f"{length} samples: pass clips of a second."
            )
        predicted[row, order] = posteriors.probabilities[last].argmax(axis=1)
    return ContinuousEvaluation(examples, predicted, tuple(warnings), file)


def _counted(
    items: Iterable[Waveform], before: int, total: int, on_progress: Progress | None
) -> Iterator[Waveform]:
    for number, item in enumerate(items, start=before + 1):
        yield item
        if on_progress and (number % 50 == 0 or number == total):
            on_progress(number, total)
