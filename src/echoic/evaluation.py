"""How often is it right? Figures of the file that ships, each with the protocol it is from.

archive-v0.02   the official 12-class test archive, 4,890 clips
hash-split      a side of a data set, split by the official lists and the rule behind them
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import bundle as bundles
from echoic import metrics, plots
from echoic import speech_commands as sc
from echoic.bundle import Bundle
from echoic.labels import SILENCE, UNKNOWN
from echoic.recognizer import Recognizer

logger = logging.getLogger(__name__)

ARCHIVE_CLIPS = 4890
"""Clips in the official test archive of v0.02."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to examples, and what follows from them.

    Attributes
    ----------
    protocol
        Which test the figures are from: see `format.md`'s protocols, above.
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
    examples: sc.Examples
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
            **_score(targets, self.predicted),
            "protocol": self.protocol,
            **self.details,
        }
        if SILENCE in labels:
            spoken = targets != labels.index(SILENCE)
            if spoken.any():
                report["without_silence"] = _score(targets[spoken], self.predicted[spoken])
        report["classes"] = {
            label: {
                "n": int(self.confusion[i].sum()),
                "recall": _fraction(recall[i]),
                "precision": _fraction(precision[i]),
            }
            for i, label in enumerate(labels)
        }
        report["confusion"] = self.confusion.tolist()
        report["warnings"] = list(self.warnings)
        return report

    def mistakes(self, *, pairs: int = 8, files: int = 3) -> list[dict[str, Any]]:
        """Return the most frequent confusions, each with its most certain mistakes to listen to."""
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
    examples = sc.load_folders(folder, labels=model.labels)
    warnings = []
    if len(examples) != ARCHIVE_CLIPS:
        warnings.append(
            f"The official archive has {ARCHIVE_CLIPS:,} clips, this folder has "
            f"{len(examples):,}: the figures are of another test."
        )
    return _evaluate(model, examples, "archive-v0.02", {}, warnings, on_progress)


def evaluate_split(
    model: Bundle,
    data: str | Path,
    *,
    split: sc.SplitName = "validation",
    on_progress: Progress | None = None,
) -> Evaluation:
    """Evaluate on one side of a data set, as the model's own recipe draws it. ``hash-split``.

    Silence and unknown words are drawn with a fixed seed, so every call hears the same clips.

    Raises
    ------
    DataError
        See `speech_commands.load`.
    """
    config = sc.DataConfig(**model.content["recipe"]["data"])
    loaded = sc.load(data, config, split)
    warnings = []
    words = [label for label in model.labels if label not in (SILENCE, UNKNOWN)]
    if missing := sc.missing_files(Path(data), split, words=words):
        warnings.append(
            f"{len(missing):,} files of the official {split} list are missing, {missing[0]} "
            "among them: the figures are of a part of that list."
        )
    if loaded.damaged:
        warnings.append(f"{len(loaded.damaged)} damaged recordings were left out.")
    details = {"split": split, "data": Path(data).resolve().name}
    return _evaluate(model, loaded.examples(), "hash-split", details, warnings, on_progress)


def write_report(model: Bundle, result: Evaluation, folder: str | Path) -> None:
    """Write ``report.json`` and ``confusion.png`` to a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    report = {"model": model.name, **result.report(), "mistakes": result.mistakes()}
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _confusion_picture(model, result, folder / "confusion.png")


def record(model: Bundle, result: Evaluation) -> Bundle:
    """Write the figures into the model's folder, its card and its confusion matrix."""
    _confusion_picture(model, result, model.path / "confusion.png")
    return bundles.record(model, result.report())


def _confusion_picture(model: Bundle, result: Evaluation, path: Path) -> None:
    title = f"{model.name} on {result.protocol}, {len(result.examples):,} clips"
    figure = plots.confusion_matrix(result.confusion, labels=model.labels, title=title)
    plots.save(figure, path)


def _evaluate(
    model: Bundle,
    examples: sc.Examples,
    protocol: str,
    details: dict[str, Any],
    warnings: list[str],
    on_progress: Progress | None,
) -> Evaluation:
    for warning in warnings:
        logger.warning("%s", warning)
    recognizer = Recognizer(model)
    rows = []
    for number, waveform in enumerate(examples.waveforms, start=1):
        rows.append(recognizer.probabilities(waveform[None]))
        if on_progress and (number % 50 == 0 or number == len(examples)):
            on_progress(number, len(examples))
    return Evaluation(protocol, details, examples, np.concatenate(rows), tuple(warnings))


def _score(targets: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> dict[str, Any]:
    n, right = len(targets), int(np.count_nonzero(targets == predicted))
    low, high = metrics.wilson_interval(right, n)
    return {
        "accuracy": round(metrics.accuracy(targets, predicted), 6),
        "n": n,
        "interval": [round(low, 4), round(high, 4)],
    }


def _fraction(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
