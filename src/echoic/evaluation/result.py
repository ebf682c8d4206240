"""What every evaluation gives: figures with intervals, tables, warnings, names of pictures.

All of it is plain data. `reports` makes pages, cards and pictures of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from echoic import metrics
from echoic.labels import SILENCE

DIGITS = 8
"""Decimals that a fraction or a rate keeps in a report, so that rounding it again is no error."""


@dataclass(frozen=True)
class Estimate:
    """A figure with what is known of its uncertainty.

    Attributes
    ----------
    value
        The figure; None where it is undefined.
    interval
        Lower and upper end of its 95 % interval; None where it has none.
    n
        Number of clips or words behind it; None where that does not apply.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    n: int | None = None

    def report(self, name: str = "accuracy") -> dict[str, Any]:
        """Return it as plain data, rounded: the value by this name, ``n`` and ``interval``."""
        return {
            name: None if self.value is None else round(self.value, DIGITS),
            "n": self.n,
            "interval": self.interval and rounded(self.interval),
        }


@dataclass(frozen=True)
class Table:
    """Figures in rows.

    Attributes
    ----------
    columns
        Name of each column.
    rows
        A value a column; fractions are 0 to 1, undefined values None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class NotMeasured:
    """A part of an analysis for which the clips do not suffice.

    Attributes
    ----------
    reason
        What the clips lack, a sentence.
    """

    reason: str

    def report(self) -> None:
        """Return None: there are no figures."""


class Result(Protocol):
    """What every evaluation gives.

    `reports.pictures` draws the pictures that a result names; `reports.write_report` and
    `reports.record` write any result.
    """

    @property
    def protocol(self) -> str:
        """Which test the figures are from: see `echoic.evaluation`."""
        ...

    @property
    def details(self) -> Mapping[str, Any]:
        """What else identifies the test, such as the split and the name of the data."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the figures must know."""
        ...

    @property
    def figures(self) -> dict[str, Estimate]:
        """The headline figures, by name."""
        ...

    @property
    def tables(self) -> dict[str, Table]:
        """The figures behind them, by name."""
        ...

    @property
    def pictures(self) -> tuple[str, ...]:
        """File names of the pictures that can be drawn of it."""
        ...

    def report(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON."""
        ...


def proportion(successes: int, n: int) -> Estimate:
    """Return a proportion with its Wilson interval; without clips it is undefined."""
    if not n:
        return Estimate(None, None, 0)
    return Estimate(successes / n, metrics.wilson_interval(successes, n), n)


def accuracy(targets: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> Estimate:
    """Return the fraction of the clips whose predicted label, (n,), is the true one."""
    return proportion(int(np.count_nonzero(targets == predicted)), len(targets))


def mean_accuracy(accuracies: Sequence[float] | npt.NDArray[Any], n: int) -> Estimate:
    """Return the mean of accuracies on the same ``n`` clips, with the interval of one of them.

    Hearing the same clips several times adds nothing to what ``n`` clips can show.
    """
    mean = float(np.asarray(accuracies, np.float64).mean())
    return Estimate(mean, metrics.wilson_interval(round(mean * n), n), n)


def spoken(targets: npt.NDArray[np.int64], labels: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return which clips hold speech, (n,): all that are not ``_silence_``."""
    if SILENCE not in labels:
        return np.ones(len(targets), dtype=bool)
    return targets != labels.index(SILENCE)


def class_table(
    targets: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], labels: tuple[str, ...]
) -> Table:
    """Return label, number of clips, recall and precision of each label."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, _, n = precision_recall_fscore_support(
        targets, predicted, labels=range(len(labels)), zero_division=np.nan
    )
    return Table(
        ("label", "n", "recall", "precision"),
        tuple(
            (label, int(n[i]), fraction(recall[i]), fraction(precision[i]))
            for i, label in enumerate(labels)
        ),
    )


def fraction(value: float) -> float | None:
    """Round a fraction for a report; an undefined one is None."""
    return None if np.isnan(value) else round(float(value), DIGITS)


def rounded(values: tuple[float, ...]) -> list[float]:
    """Round several fractions or rates for a report."""
    return [round(float(value), DIGITS) for value in values]
