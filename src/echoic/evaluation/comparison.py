"""Several models side by side, on the same clips: is one really better?"""

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
from echoic.evaluation.analysis import groups
from echoic.evaluation.clips import (
    Evaluation,
    Progress,
    TestSet,
    draw_split,
    evaluate,
    read_test_set,
)
from echoic.evaluation.scores import DIGITS
from echoic.runtime.bundle import Bundle

FILES = ("clip", "stream_int8")
"""Files of a model whose size is told: what hears clips, and the smallest that hears a stream."""


@dataclass(frozen=True)
class Comparison:
    """What several models answered to the same clips; make one with `compare`.

    Attributes
    ----------
    models
        Those that were asked; the others are compared with the first.
    evaluations
        What each answered.
    """

    models: tuple[Bundle, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What the models are called: their names, or their folders where two have the same."""
        count = Counter(model.name for model in self.models)
        return tuple(
            model.name if count[model.name] == 1 else model.path.as_posix() for model in self.models
        )

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data; fractions are 0 to 1, undefined ones None.

        ``models`` has a row a model: its accuracy with the Wilson interval, as in an evaluation's
        report; its parameters and the sizes of its files (bytes); and for all but the first
        ``difference``: how much more accurate it is than the first, with an interval from
        resampled speakers, and McNemar's test.
        """
        first = self.evaluations[0]
        return {
            "protocol": first.protocol,
            **first.details,
            "n": len(first.examples),
            "models": [self._row(i) for i in range(len(self.models))],
            "warnings": list(first.warnings),
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
        whose = groups(self.evaluations[0])
        interval = None
        if len(set(whose)) > 1:
            interval = metrics.cluster_bootstrap_interval(gain, whose)
        test = metrics.mcnemar(first, other)
        return {
            "than": self.names[0],
            "accuracy": round(float(gain.mean()), DIGITS),
            "speaker_interval": interval and [round(x, DIGITS) for x in interval],
            "mcnemar_p": float(f"{test.p:.3g}"),
            "only_first_right": test.first_only,
            "only_this_right": test.second_only,
        }


def compare(models: Sequence[Bundle], evaluate: Callable[[Bundle], Evaluation]) -> Comparison:
    """Ask several models about the same clips.

    Parameters
    ----------
    models
        At least two, with the same labels in the same order.
    evaluate
        Asks one model; it must ask all about the same clips, as `compare_test_set` and
        `compare_split` do.

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
                "Expected models with the same labels, for others are asked other questions; "
                f"{first.name} answers {', '.join(first.labels)}; received {model.name}, which "
                f"answers {', '.join(model.labels)}."
            )
    evaluations = tuple(evaluate(model) for model in models)
    asked = evaluations[0].examples
    for model, evaluation in zip(models, evaluations, strict=True):
        examples = evaluation.examples
        if examples.names != asked.names or not np.array_equal(examples.targets, asked.targets):
            raise ValueError(
                f"Expected all models to be asked about the same clips, received {len(asked):,} "
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
        See `speech_commands.load_folders`.
    """
    return _compare(models, lambda model: read_test_set(model, folder), on_progress)


def compare_split(
    models: Sequence[Bundle],
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    on_progress: Progress | None = None,
) -> Comparison:
    """Compare models on one side of a data set: see `compare` and `evaluate_split`.

    All hear what the recipe of the first draws, silence and unknown words among it: what one kept
    out of its training may be a word that another has heard.

    Raises
    ------
    ValueError
        See `compare`.
    DataError
        See `speech_commands.load`.
    """
    return _compare(models, lambda model: draw_split(model, data, split=split), on_progress)


def _compare(
    models: Sequence[Bundle],
    draw: Callable[[Bundle], TestSet],
    on_progress: Progress | None,
) -> Comparison:
    """Draw with the first model when the first is asked, which is after all were found to fit."""
    questions: list[TestSet] = []
    asked: list[Bundle] = []

    def evaluate_one(model: Bundle) -> Evaluation:
        if not questions:
            questions.append(draw(model))
        before, n = len(asked), len(questions[0].examples)

        def report(done: int, _: int) -> None:
            if on_progress:
                on_progress(before * n + done, len(models) * n)

        answers = evaluate(model, questions[0], on_progress=report)
        asked.append(model)
        return answers

    return compare(models, evaluate_one)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
