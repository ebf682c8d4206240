"""Per class: recall and precision of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from echoic.evaluation.clips import Evaluation
from echoic.evaluation.result import Estimate, proportion


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one label.

    Attributes
    ----------
    label
        The label.
    recall
        Fraction of its clips that were predicted as it, with the number of clips.
    precision
        Fraction of its predictions that were right; None where it was never predicted.
    """

    label: str
    recall: Estimate
    precision: float | None


@dataclass(frozen=True)
class PerClass:
    """Accuracy and the figures of each label.

    Attributes
    ----------
    accuracy
        Of all clips.
    without_silence
        Of the spoken clips; None where silence is no label or nothing else was there.
    classes
        In the order of the labels.
    """

    accuracy: Estimate
    without_silence: Estimate | None
    classes: tuple[ClassFigures, ...]

    @property
    def present(self) -> tuple[ClassFigures, ...]:
        """Labels with clips."""
        return tuple(row for row in self.classes if row.recall.n)

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        report: dict[str, Any] = self.accuracy.report()
        if self.without_silence:
            report["without_silence"] = self.without_silence.report()
        report["classes"] = {
            row.label: {**row.recall.report("recall"), "precision": row.precision}
            for row in self.classes
        }
        return report


def per_class(evaluation: Evaluation) -> PerClass:
    """Compute recall, with its interval, and precision of each label."""
    confusion = evaluation.confusion
    rows = evaluation.tables["classes"].rows
    return PerClass(
        evaluation.figures["accuracy"],
        evaluation.figures.get("accuracy_without_silence"),
        tuple(
            ClassFigures(label, proportion(int(confusion[i, i]), n), precision)
            for i, (label, n, _, precision) in enumerate(rows)
        ),
    )
