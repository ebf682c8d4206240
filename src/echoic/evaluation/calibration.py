"""Calibration: how well confidence agrees with accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from echoic import metrics
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.result import DIGITS, fraction
from echoic.metrics import ReliabilityBin

BINS = 15
"""Bins of confidence, from 0 to 1."""

TINY = 1e-30
"""Least probability of which a logarithm is taken."""


@dataclass(frozen=True)
class Calibration:
    """How well confidence agrees with accuracy.

    Attributes
    ----------
    n
        Number of clips.
    accuracy, confidence
        Fraction of the clips that were right; mean probability of the predicted label.
    error
        Expected calibration error over `BINS` bins, 0 to 1.
    nll
        Mean negative log-likelihood of the true label (nats).
    temperature
        The temperature that training folded into the model; None where there was none.
    best_temperature, best_nll
        By which the logits should be divided once more for the least negative log-likelihood on
        these clips, and that; None where no clip was wrong.
    bins
        Confidence against accuracy.
    """

    n: int
    accuracy: float
    confidence: float
    error: float
    nll: float
    temperature: float | None
    best_temperature: float | None
    best_nll: float | None
    bins: tuple[ReliabilityBin, ...]

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "n": self.n,
            "accuracy": round(self.accuracy, DIGITS),
            "confidence": fraction(self.confidence),
            "expected_calibration_error": round(self.error, 5),
            "negative_log_likelihood": round(self.nll, 5),
            "temperature": self.temperature,
            "best_temperature": self.best_temperature and round(self.best_temperature, 3),
            "negative_log_likelihood_at_best": self.best_nll and round(self.best_nll, 5),
            "bins": [
                {
                    "lower": round(b.lower, DIGITS),
                    "upper": round(b.upper, DIGITS),
                    "n": b.n,
                    "confidence": fraction(b.confidence),
                    "accuracy": fraction(b.accuracy),
                }
                for b in self.bins
            ],
        }


def calibration(evaluation: Evaluation, *, temperature: float | None = None) -> Calibration:
    """Compare confidence with accuracy, and find the temperature that would calibrate best.

    Parameters
    ----------
    evaluation
        The predictions.
    temperature
        The one that is part of the model already.
    """
    targets, probabilities = evaluation.examples.targets, evaluation.probabilities
    right = evaluation.predicted == targets
    confidence = np.clip(probabilities.max(axis=1), 0, 1)
    logits = np.log(np.maximum(probabilities.astype(np.float64), TINY))
    best = None
    if not right.all() and len(evaluation.examples.labels) > 1:
        best = metrics.best_temperature(logits, targets)
    return Calibration(
        n=len(targets),
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        error=metrics.expected_calibration_error(confidence, right, bins=BINS),
        nll=metrics.negative_log_likelihood(logits, targets),
        temperature=temperature,
        best_temperature=best,
        best_nll=best and metrics.negative_log_likelihood(logits / best, targets),
        bins=tuple(metrics.reliability_bins(confidence, right, bins=BINS)),
    )
