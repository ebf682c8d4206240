"""Comparison: several models on the same clips, with the uncertainty of their difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import data as datasets
from echoic import metrics
from echoic.evaluation.clips import (
    Evaluation,
    Progress,
    TestSet,
    draw_split,
    evaluate,
    read_test_set,
)
from echoic.evaluation.origins import speaker_groups
from echoic.evaluation.result import DIGITS, Estimate, Table, rounded
from echoic.runtime.bundle import Bundle

FILES = ("clip", "stream_int8")
"""Files whose size is reported: the one for clips, and the smallest one for streams."""


@dataclass(frozen=True)
class Comparison:
    """Predictions of several models for the same clips; make one with `compare`.

    Attributes
    ----------
    models
        The models; each is compared with the first.
    evaluations
        The predictions of each.
    """

    models: tuple[Bundle, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models, or their folders where two have the same name."""
        count = Counter(model.name for model in self.models)
        return tuple(
            model.name if count[model.name] == 1 else model.path.as_posix() for model in self.models
        )

    @property
    def protocol(self) -> str:
        """Which test the figures are from."""
        return self.evaluations[0].protocol

    @property
    def details(self) -> dict[str, Any]:
        """What else identifies the test."""
        return self.evaluations[0].details

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        return self.evaluations[0].warnings

    @property
    def figures(self) -> dict[str, Estimate]:
        """Accuracy of each model."""
        evaluations = zip(self.names, self.evaluations, strict=True)
        return {name: evaluation.figures["accuracy"] for name, evaluation in evaluations}

    @property
    def tables(self) -> dict[str, Table]:
        """A row a model: accuracy, parameters, and its difference from the first with p."""
        rows = [self._row(i) for i in range(len(self.models))]
        return {
            "models": Table(
                ("model", "accuracy", "parameters", "difference", "p"),
                tuple(
                    (
                        row["model"],
                        row["accuracy"],
                        row["parameters"],
                        row["difference"] and row["difference"]["accuracy"],
                        row["difference"] and row["difference"]["mcnemar_p"],
                    )
                    for row in rows
                ),
            )
        }

    @property
    def pictures(self) -> tuple[str, ...]:
        """None."""
        return ()

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data; fractions are 0 to 1, undefined ones None.

        ``models`` has a row a model: its accuracy with the Wilson interval, as in an evaluation's
        report; its parameters and the sizes of its files (bytes); and for all but the first
        ``difference``: how much more accurate it is than the first, with an interval from
        resampled speakers, and McNemar's test.
        """
        return {
            "protocol": self.protocol,
            **self.details,
            "n": len(self.evaluations[0].examples),
            "models": [self._row(i) for i in range(len(self.models))],
            "warnings": list(self.warnings),
        }

    @cached_property
    def _right(self) -> list[npt.NDArray[np.bool_]]:
        return [e.predicted == e.examples.targets for e in self.evaluations]

    def _row(self, number: int) -> dict[str, Any]:
        model = self.models[number]
        report = self.evaluations[number].report()
        figures = ("accuracy", "n", "interval", "without_silence")
        return {
            "model": self.names[number],
            **{key: report[key] for key in figures if key in report},
            "parameters": model.training.parameters,
            "sizes": {name: _size(model.path / f"{name}.tflite") for name in FILES},
            "difference": self._difference(number) if number else None,
        }

    def _difference(self, number: int) -> dict[str, Any]:
        first, other = self._right[0], self._right[number]
        gain = other.astype(np.float64) - first
        whose = speaker_groups(self.evaluations[0].examples)
        interval = None
        if len(set(whose)) > 1:
            interval = metrics.cluster_bootstrap_interval(gain, whose)
        test = metrics.mcnemar(first, other)
        return {
            "than": self.names[0],
            "accuracy": round(float(gain.mean()), DIGITS),
            "speaker_interval": interval and rounded(interval),
            "mcnemar_p": float(f"{test.p:.3g}"),
            "only_first_right": test.first_only,
            "only_this_right": test.second_only,
        }


def compare(models: Sequence[Bundle], evaluate: Callable[[Bundle], Evaluation]) -> Comparison:
    """Evaluate several models on the same clips.

    Parameters
    ----------
    models
        At least two, with the same labels in the same order.
    evaluate
        Evaluates one model; all on the same clips, as `compare_test_set` and `compare_split` do.

    Raises
    ------
    ValueError
        Fewer than two models, other labels, or other clips.
    """
    if len(models) < 2:
        raise ValueError(f"Expected at least two models to compare, received {len(models)}.")
    first = models[0]
    for model in models[1:]:
        if model.labels != first.labels:
            raise ValueError(
                f"Expected models with the same labels as {first.name}, {', '.join(first.labels)}; "
                f"received {model.name} with {', '.join(model.labels)}. Models of different "
                "vocabularies cannot be compared on the same clips."
            )
    evaluations = tuple(evaluate(model) for model in models)
    given = evaluations[0].examples
    for model, evaluation in zip(models, evaluations, strict=True):
        examples = evaluation.examples
        if examples.names != given.names or not np.array_equal(examples.targets, given.targets):
            raise ValueError(
                f"Expected all models to be evaluated on the same clips, received {len(given):,} "
                f"clips for {first.name} and {len(examples):,} for {model.name}, not the same "
                "ones. Draw them once, as `compare_split` does."
            )
    return Comparison(tuple(models), evaluations)


def compare_test_set(
    models: Sequence[Bundle], folder: str | Path, *, on_progress: Progress | None = None
) -> Comparison:
    """Compare models on a test archive: see `compare` and `evaluate_test_set`.

    Raises
    ------
    ValueError
        See `compare`.
    DataError
        See `data.load_folders`.
    """
    return _compare(models, lambda model: read_test_set(model, folder), on_progress)


def compare_split(
    models: Sequence[Bundle],
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    on_progress: Progress | None = None,
) -> Comparison:
    """Compare models on one split of a data set: see `compare` and `evaluate_split`.

    The clips are drawn by the recipe of the first model, silence and unknown words among them. A
    word that the first kept out of its training may have been in the training of another.

    Raises
    ------
    ValueError
        See `compare`.
    DataError
        See `data.load`.
    """
    return _compare(models, lambda model: draw_split(model, data, split=split), on_progress)


def _compare(
    models: Sequence[Bundle],
    draw: Callable[[Bundle], TestSet],
    on_progress: Progress | None,
) -> Comparison:
    """Draw the clips with the first model, once `compare` found that all models fit."""
    test_sets: list[TestSet] = []
    finished: list[Bundle] = []

    def evaluate_one(model: Bundle) -> Evaluation:
        if not test_sets:
            test_sets.append(draw(model))
        before, n = len(finished), len(test_sets[0].examples)

        def report(done: int, _: int) -> None:
            if on_progress:
                on_progress(before * n + done, len(models) * n)

        evaluation = evaluate(model, test_sets[0], on_progress=report)
        finished.append(model)
        return evaluation

    return compare(models, evaluate_one)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
