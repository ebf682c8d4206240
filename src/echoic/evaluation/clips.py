"""Clips: how often is the word of a second the right one?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echoic import data as datasets
from echoic import metrics, plots
from echoic.evaluation.scores import DIGITS
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TestSet:
    """Clips to ask models about, and what is to be said of them; see `evaluate`.

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
    """A model's answers to examples, and what follows from them.

    Attributes
    ----------
    protocol
        Which test the figures are from: see `evaluation`.
    details
        What else identifies the test (the side of a split, the name of the data).
    examples
        What was asked.
    probabilities
        What was answered, (n, labels).
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
        """Index of the answered label, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """Confusion matrix, (labels, labels): rows true, columns answered."""
        return metrics.confusion_matrix(
            self.examples.targets, self.predicted, len(self.examples.labels)
        )

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data; fractions are 0 to 1, undefined ones None."""
        targets, labels = self.examples.targets, self.examples.labels
        recall, precision = metrics.recall(self.confusion), metrics.precision(self.confusion)
        report: dict[str, Any] = {
            **accuracy_report(targets, self.predicted),
            "protocol": self.protocol,
            **self.details,
        }
        if SILENCE in labels:
            spoken = targets != labels.index(SILENCE)
            if spoken.any():
                report["without_silence"] = accuracy_report(targets[spoken], self.predicted[spoken])
        report["classes"] = {
            label: {
                "n": int(self.confusion[i].sum()),
                "recall": fraction(recall[i]),
                "precision": fraction(precision[i]),
            }
            for i, label in enumerate(labels)
        }
        report["confusion"] = self.confusion.tolist()
        report["warnings"] = list(self.warnings)
        return report

    def pictures(self, name: str) -> dict[str, Figure]:
        """Draw the confusion matrix, for a model of this name: file name to figure."""
        title = f"{name} on {self.protocol}, {len(self.examples):,} clips"
        figure = plots.confusion_matrix(self.confusion, labels=self.examples.labels, title=title)
        return {"confusion.png": figure}

    def mistakes(self, *, pairs: int = 8, files: int = 3) -> list[dict[str, Any]]:
        """Return the most frequent confusions, each with its most certain mistakes to listen to.

        Those are in ``files`` by name and in ``indices`` by number among the examples.
        """
        labels, predicted = self.examples.labels, self.predicted
        found = []
        for true, answered, count in metrics.worst_confusions(
            self.examples.targets, predicted, top=pairs
        ):
            where = np.flatnonzero((self.examples.targets == true) & (predicted == answered))
            certain = where[np.argsort(-self.probabilities[where, answered])][:files]
            found.append(
                {
                    "true": labels[true],
                    "answered": labels[answered],
                    "count": count,
                    "files": [self.examples.names[i] for i in certain],
                    "indices": [int(i) for i in certain],
                }
            )
        return found


def evaluate_test_set(
    model: Bundle, folder: str | Path, *, on_progress: Progress | None = None
) -> Evaluation:
    """Evaluate on a test archive: one folder a label. Protocol ``archive-v0.02``.

    Raises
    ------
    DataError
        See `speech_commands.load_folders`.
    """
    return evaluate(model, read_test_set(model, folder), on_progress=on_progress)


def read_test_set(model: Bundle, folder: str | Path) -> TestSet:
    """Read the clips of a test archive, for `evaluate`; see `evaluate_test_set`."""
    examples = datasets.load_folders(folder, labels=model.labels)
    return _told(
        TestSet("archive-v0.02", {}, examples, tuple(datasets.archive_warnings(len(examples))))
    )


def evaluate_split(
    model: Bundle,
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    on_progress: Progress | None = None,
) -> Evaluation:
    """Evaluate on one side of a data set, as the model's own recipe draws it. ``hash-split``.

    Silence and unknown words are drawn with a fixed seed, so every call hears the same clips.

    Raises
    ------
    DataError
        See `speech_commands.load`.
    """
    return evaluate(model, draw_split(model, data, split=split), on_progress=on_progress)


def draw_split(
    model: Bundle,
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    loaded: datasets.Split | None = None,
) -> TestSet:
    """Draw clips of one side of a data set by a model's recipe, for `evaluate`; see `evaluate_split`."""
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
    return _told(TestSet("hash-split", details, loaded.examples(), tuple(warnings)))


def evaluate(
    model: Bundle, questions: TestSet, *, on_progress: Progress | None = None
) -> Evaluation:
    """Ask a model about clips, each from a fresh start.

    Parameters
    ----------
    model
        Its labels are those of the clips.
    questions
        From `read_test_set` or `draw_split`; several models may be asked the same.
    on_progress
        Called with the number of clips that have been heard, and of all.

    Raises
    ------
    ValueError
        The model has other labels than the clips.
    """
    examples = questions.examples
    if model.labels != examples.labels:
        raise ValueError(
            f"Expected a model with the labels {', '.join(examples.labels)}, received "
            f"{model.name} with {', '.join(model.labels)}."
        )
    recognizer = Recognizer(model)
    rows = []
    for number, waveform in enumerate(examples.waveforms, start=1):
        rows.append(recognizer.probabilities(waveform[None]))
        if on_progress and (number % 50 == 0 or number == len(examples)):
            on_progress(number, len(examples))
    return Evaluation(
        questions.protocol,
        questions.details,
        examples,
        np.concatenate(rows),
        questions.warnings,
    )


def _told(questions: TestSet) -> TestSet:
    for warning in questions.warnings:
        logger.warning("%s", warning)
    return questions


def accuracy_report(
    targets: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """Return accuracy, number of clips and Wilson interval as plain data."""
    n, right = len(targets), int(np.count_nonzero(targets == predicted))
    low, high = metrics.wilson_interval(right, n)
    return {
        "accuracy": round(metrics.accuracy(targets, predicted), DIGITS),
        "n": n,
        "interval": [round(low, DIGITS), round(high, DIGITS)],
    }


def fraction(value: float) -> float | None:
    """Round a fraction for a report; an undefined one is None."""
    return None if np.isnan(value) else round(float(value), DIGITS)
