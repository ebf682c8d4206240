"""Clips: how often is the predicted word of a second the true one?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import data as datasets
from echoic import metrics
from echoic.evaluation.result import Estimate, Table, accuracy, class_table, spoken
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of clips that are done, and of all."""


@dataclass(frozen=True)
class TestSet:
    """Clips to evaluate models on; see `evaluate`.

    Attributes
    ----------
    protocol, details, examples, warnings
        See `Evaluation`.
    """

    protocol: str
    details: dict[str, Any]
    examples: datasets.Examples
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """A model's predictions for clips, and what follows from them.

    Attributes
    ----------
    protocol
        Which test the figures are from: see `echoic.evaluation`.
    details
        What else identifies the test (the split, the name of the data).
    examples
        The clips with their true labels.
    probabilities
        The model's output, (n, labels) float32.
    warnings
        What a reader of the figures must know.
    """

    protocol: str
    details: dict[str, Any]
    examples: datasets.Examples
    probabilities: npt.NDArray[np.float32]
    warnings: tuple[str, ...] = ()

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Index of the predicted label, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Confusion matrix, (labels, labels): rows true, columns predicted."""
        from sklearn.metrics import confusion_matrix

        labels = range(len(self.examples.labels))
        return np.asarray(
            confusion_matrix(self.examples.targets, self.predicted, labels=labels), np.int64
        )

    @property
    def figures(self) -> dict[str, Estimate]:
        """Accuracy of all clips and, where there is silence among them, of the spoken ones."""
        targets, labels = self.examples.targets, self.examples.labels
        figures = {"accuracy": accuracy(targets, self.predicted)}
        which = spoken(targets, labels)
        if SILENCE in labels and which.any():
            figures["accuracy_without_silence"] = accuracy(targets[which], self.predicted[which])
        return figures

    @property
    def tables(self) -> dict[str, Table]:
        """Figures by label, and the most frequent confusions."""
        examples = self.examples
        return {
            "classes": class_table(examples.targets, self.predicted, examples.labels),
            "confusions": Table(
                ("true", "predicted", "n"),
                tuple((pair["true"], pair["predicted"], pair["count"]) for pair in self.mistakes()),
            ),
        }

    @property
    def pictures(self) -> tuple[str, ...]:
        """The confusion matrix."""
        return ("confusion.png",)

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data; fractions are 0 to 1, undefined ones None."""
        return {
            **clip_report(self),
            "confusion": self.confusion.tolist(),
            "warnings": list(self.warnings),
        }

    def mistakes(self, *, pairs: int = 8, files: int = 3) -> list[dict[str, Any]]:
        """Return the most frequent confusions, each with its most confident mistakes.

        Those are in ``files`` by name and in ``indices`` by number among the examples.
        """
        labels, predicted = self.examples.labels, self.predicted
        found = []
        for true, answer, count in metrics.worst_confusions(
            self.examples.targets, predicted, top=pairs
        ):
            where = np.flatnonzero((self.examples.targets == true) & (predicted == answer))
            confident = where[np.argsort(-self.probabilities[where, answer])][:files]
            found.append(
                {
                    "true": labels[true],
                    "predicted": labels[answer],
                    "count": count,
                    "files": [self.examples.names[i] for i in confident],
                    "indices": [int(i) for i in confident],
                }
            )
        return found


def clip_report(result: Any, **more: Any) -> dict[str, Any]:
    """Return accuracies and figures by label as plain data; ``more`` stands after the details."""
    report: dict[str, Any] = {
        **result.figures["accuracy"].report(),
        "protocol": result.protocol,
        **result.details,
        **more,
    }
    if without := result.figures.get("accuracy_without_silence"):
        report["without_silence"] = without.report()
    report["classes"] = {
        label: {"n": n, "recall": recall, "precision": precision}
        for label, n, recall, precision in result.tables["classes"].rows
    }
    return report


def evaluate_test_set(
    model: Bundle, folder: str | Path, *, on_progress: Progress | None = None
) -> Evaluation:
    """Evaluate on a test archive: one folder a label. Protocol ``archive-v0.02``.

    Raises
    ------
    DataError
        See `data.load_folders`.
    """
    return evaluate(model, read_test_set(model, folder), on_progress=on_progress)


def read_test_set(model: Bundle, folder: str | Path) -> TestSet:
    """Read the clips of a test archive, for `evaluate`; see `evaluate_test_set`."""
    examples = datasets.load_folders(folder, labels=model.labels)
    return _logged(
        TestSet("archive-v0.02", {}, examples, tuple(datasets.archive_warnings(len(examples))))
    )


def evaluate_split(
    model: Bundle,
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    on_progress: Progress | None = None,
) -> Evaluation:
    """Evaluate on one split of a data set, drawn by the model's own recipe: ``hash-split``.

    Silence and unknown words are drawn with a fixed seed, so every call uses the same clips.

    Raises
    ------
    DataError
        See `data.load`.
    """
    return evaluate(model, draw_split(model, data, split=split), on_progress=on_progress)


def draw_split(
    model: Bundle,
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    loaded: datasets.Split | None = None,
) -> TestSet:
    """Draw clips of one split of a data set by a model's recipe, for `evaluate`.

    See `evaluate_split`.
    """
    config = model.recipe.data
    loaded = loaded or datasets.load(data, config, split)
    warnings = []
    words = [label for label in model.labels if label not in (SILENCE, UNKNOWN)]
    if missing := datasets.missing_files(Path(data), split, words=words):
        warnings.append(
            f"{len(missing):,} files of the official {split} list are missing, {missing[0]} "
            "among them: the figures are of a part of that list."
        )
    if loaded.damaged:
        warnings.append(f"{len(loaded.damaged)} damaged recordings were left out.")
    details = {"split": split, "data": Path(data).resolve().name}
    return _logged(TestSet("hash-split", details, loaded.examples(), tuple(warnings)))


def evaluate(
    model: Bundle, test_set: TestSet, *, on_progress: Progress | None = None
) -> Evaluation:
    """Evaluate a model on clips, each from a fresh state.

    Parameters
    ----------
    model
        Its labels are those of the clips.
    test_set
        From `read_test_set` or `draw_split`; several models may be evaluated on the same.
    on_progress
        Called with the number of clips that are done, and of all.

    Raises
    ------
    ValueError
        The model has other labels than the clips.
    """
    examples = test_set.examples
    if model.labels != examples.labels:
        raise ValueError(
            f"Expected a model with the labels {', '.join(examples.labels)}, received "
            f"{model.name} with {', '.join(model.labels)}: draw the clips with this model."
        )
    recognizer = Recognizer(model)
    rows = []
    for number, waveform in enumerate(examples.waveforms, start=1):
        rows.append(recognizer.probabilities(waveform[None]))
        if on_progress and (number % 50 == 0 or number == len(examples)):
            on_progress(number, len(examples))
    return Evaluation(
        test_set.protocol,
        test_set.details,
        examples,
        np.concatenate(rows),
        test_set.warnings,
    )


def _logged(test_set: TestSet) -> TestSet:
    for warning in test_set.warnings:
        logger.warning("%s", warning)
    return test_set
