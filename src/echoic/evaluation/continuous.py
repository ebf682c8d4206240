"""Clips without an end: the answers of a model whose memory nobody clears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echoic import data as datasets
from echoic import metrics
from echoic.audio import Waveform
from echoic.evaluation.clips import Progress, accuracy_report, fraction
from echoic.evaluation.posteriors import PosteriorFn, model_posterior_fn
from echoic.evaluation.scores import DIGITS
from echoic.labels import SILENCE
from echoic.runtime.bundle import Bundle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEEDS = (0, 1, 2)
"""Orders in which ``archive-v0.02-endless`` plays the clips."""


@dataclass(frozen=True)
class ContinuousEvaluation:
    """What a model answers to clips that follow each other without gaps or resets.

    Attributes
    ----------
    examples
        What was asked.
    predicted
        Index of the answered label of each clip, in the order of the examples, for each order in
        which they were played: (orders, n).
    warnings
        What a reader of the figures must know.
    graph
        Which of the model's files listened.
    """

    examples: datasets.Examples
    predicted: npt.NDArray[np.int64]
    warnings: tuple[str, ...] = ()
    graph: str = "stream"
    protocol: str = "archive-v0.02-endless"

    @property
    def details(self) -> dict[str, Any]:
        """What else identifies the test: the file."""
        return {"file": self.graph}

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data: means over the orders, intervals for ``n`` clips."""
        targets, labels = self.examples.targets, self.examples.labels
        report: dict[str, Any] = {
            **self._mean(np.ones(len(targets), dtype=bool)),
            "protocol": self.protocol,
            **self.details,
            "seeds": list(SEEDS),
            "orders": [accuracy_report(targets, row)["accuracy"] for row in self.predicted],
        }
        if SILENCE in labels:
            spoken = targets != labels.index(SILENCE)
            if spoken.any():
                report["without_silence"] = self._mean(spoken)
        confusion = metrics.confusion_matrix(
            np.tile(targets, len(self.predicted)), self.predicted.ravel(), len(labels)
        )
        recall, precision = metrics.recall(confusion), metrics.precision(confusion)
        report["classes"] = {
            label: {
                "n": int(np.count_nonzero(targets == i)),
                "recall": fraction(recall[i]),
                "precision": fraction(precision[i]),
            }
            for i, label in enumerate(labels)
        }
        report["warnings"] = list(self.warnings)
        return report

    def pictures(self, name: str) -> dict[str, Figure]:
        """Draw nothing: the confusion matrix is that of the clips alone."""
        return {}

    def _mean(self, which: npt.NDArray[np.bool_]) -> dict[str, Any]:
        right = self.predicted[:, which] == self.examples.targets[which]
        n = int(np.count_nonzero(which))
        # The orders are of the same clips: they add nothing to what n clips can show.
        low, high = metrics.wilson_interval(round(float(right.mean()) * n), n)
        return {
            "accuracy": round(float(right.mean()), DIGITS),
            "n": n,
            "interval": [round(low, DIGITS), round(high, DIGITS)],
        }


def evaluate_continuous(
    model: Bundle,
    examples: datasets.Examples,
    *,
    graph: str = "stream",
    posterior_fn: PosteriorFn | None = None,
    on_progress: Progress | None = None,
) -> ContinuousEvaluation:
    """Evaluate on clips without gaps or resets. Protocol ``archive-v0.02-endless``.

    The clips are shuffled with seed 0, 1 and 2 and played as one stream each; the answer to a clip
    is the last posterior that ends within it.

    Parameters
    ----------
    model
        It must have a streaming file.
    examples
        Clips with their answers, ``_silence_`` and ``_unknown_`` among them: see
        `speech_commands.load_folders`.
    graph
        Which of the model's files listens; ``stream_int8`` is smaller.
    posterior_fn
        What listens in its place; None means that file.
    on_progress
        Called with the number of clips that have been heard, and of all.
    """
    posterior_fn = posterior_fn or model_posterior_fn(model, graph=graph)
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
                f"{length} samples."
            )
        predicted[row, order] = posteriors.probabilities[last].argmax(axis=1)
    return ContinuousEvaluation(examples, predicted, tuple(warnings), graph)


def _counted(
    items: Iterable[Waveform], before: int, total: int, on_progress: Progress | None
) -> Iterator[Waveform]:
    for number, item in enumerate(items, start=before + 1):
        yield item
        if on_progress and (number % 50 == 0 or number == total):
            on_progress(number, total)
