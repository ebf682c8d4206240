"""Figures of merit of a recognizer, one a function.

Labels are integers from 0, in the vocabulary's order. Rates are fractions from 0 to 1. A
confusion matrix has a row for each true and a column for each predicted label. Nothing here
knows about audio, models or files.
"""

from __future__ import annotations

from math import inf, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = [
    "accuracy",
    "confusion_matrix",
    "poisson_interval",
    "precision",
    "recall",
    "wilson_interval",
    "worst_confusions",
]


def accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Fraction of the clips whose predicted label is the true one.

    Parameters
    ----------
    y_true, y_pred : array-like of int, shape (n,)
        True and predicted label of each clip, from 0.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or are not one-dimensional arrays of labels.

    Examples
    --------
    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    true, predicted = _labels(y_true, y_pred)
    return float(np.mean(true == predicted))


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion, such as an accuracy on ``n`` clips.

    Unlike the normal approximation it stays within 0 and 1 and has a width even where every
    clip was right. It takes the clips as independent; a test set with several clips a speaker
    knows a little less than it says.

    Parameters
    ----------
    successes : int
        Clips that were right, from 0 to ``n``.
    n : int
        Clips, at least 1.
    confidence : float
        Coverage of the two-sided interval, between 0 and 1, both excluded.

    Returns
    -------
    lower, upper : float
        From 0 to 1, with ``successes / n`` between them.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), 209-212.

    Examples
    --------
    >>> lower, upper = wilson_interval(81, 263)
    >>> f"{lower:.4f} {upper:.4f}"
    '0.2553 0.3662'
    """
    if n < 1:
        raise ValueError(
            f"`n` must be at least 1. Received: n={n}. An interval needs at least one clip."
        )
    if not 0 <= successes <= n:
        raise ValueError(
            f"`successes` must be between 0 and n={n}. Received: successes={successes}. "
            "Pass the number of clips that were right, not their fraction."
        )
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must be between 0 and 1, both excluded. "
            f"Received: confidence={confidence}. Write 95 % as 0.95."
        )
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # In exact arithmetic p lies inside and the ends stay within 0 and 1; rounding may
    # carry them past by an ulp where p is 0 or 1.
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def poisson_interval(count: int, exposure: float, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of the rate of rare events, such as false accepts an hour.

    It holds the true rate at least as often as it says, whatever the rate, if the events are
    independent; false accepts that come in groups know less than it says. For no event its lower
    end is 0 and its upper end is 3.69 / ``exposure``: what was heard cannot show a lower rate.

    Parameters
    ----------
    count : int
        Events, at least 0.
    exposure : float
        Over how much they were counted, such as hours, above 0.
    confidence : float
        Coverage of the two-sided interval, between 0 and 1, both excluded.

    Returns
    -------
    lower, upper : float
        Events for each unit of exposure, with ``count / exposure`` between them.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936), 437-442.

    Examples
    --------
    >>> lower, upper = poisson_interval(10, 2.0)
    >>> f"{lower:.3f} {upper:.3f}"
    '2.398 9.195'
    """
    if count < 0:
        raise ValueError(
            f"`count` must be at least 0. Received: count={count}. Pass the number of events."
        )
    if not 0 < exposure < inf:
        raise ValueError(
            f"`exposure` must be above 0 and finite. Received: exposure={exposure}. "
            "A rate needs something to have been heard."
        )
    if not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must be between 0 and 1, both excluded. "
            f"Received: confidence={confidence}. Write 95 % as 0.95."
        )
    from scipy.stats import chi2

    tail = (1 - confidence) / 2
    lower = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    upper = float(chi2.ppf(1 - tail, 2 * count + 2)) / 2
    return lower / exposure, upper / exposure


def confusion_matrix(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, n_labels: int
) -> npt.NDArray[np.int64]:
    """Count how often each label was taken for each other.

    Parameters
    ----------
    y_true, y_pred : array-like of int, shape (n,)
        True and predicted label of each clip, from 0 to ``n_labels - 1``.
    n_labels : int
        Size of the vocabulary; a label may be absent from both arrays.

    Returns
    -------
    ndarray of int64, shape (n_labels, n_labels)
        Entry ``[t, p]`` is the number of clips of label ``t`` that were predicted as ``p``.

    Raises
    ------
    ValueError
        If the two arrays differ in length, are empty, or hold anything but labels below
        ``n_labels``.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2], 3)
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    true, predicted = _labels(y_true, y_pred)
    highest = max(true.max(), predicted.max())
    if highest >= n_labels:
        raise ValueError(
            f"Labels must be below n_labels={n_labels}. Received a label {highest}. "
            "Check that the labels and the vocabulary belong together."
        )
    counts = np.bincount(true * n_labels + predicted, minlength=n_labels**2)
    return counts.reshape(n_labels, n_labels).astype(np.int64, copy=False)


def recall(confusion: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Fraction of each label's clips that were recognized: of what was said, how much was heard.

    Parameters
    ----------
    confusion : array-like of int, shape (n_labels, n_labels)
        Counts, rows true and columns predicted, as `confusion_matrix` gives them.

    Returns
    -------
    ndarray of float64, shape (n_labels,)
        From 0 to 1; NaN for a label without a clip.

    Raises
    ------
    ValueError
        If `confusion` is not a square matrix of counts.
    """
    counts = _counts(confusion)
    return _fraction(np.diagonal(counts), counts.sum(axis=1))


def precision(confusion: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Fraction of each label's predictions that were right: of what was heard, how much was said.

    It depends on how many clips of each label there are in the test, which recall does not.

    Parameters
    ----------
    confusion : array-like of int, shape (n_labels, n_labels)
        Counts, rows true and columns predicted, as `confusion_matrix` gives them.

    Returns
    -------
    ndarray of float64, shape (n_labels,)
        From 0 to 1; NaN for a label that was never predicted.

    Raises
    ------
    ValueError
        If `confusion` is not a square matrix of counts.
    """
    counts = _counts(confusion)
    return _fraction(np.diagonal(counts), counts.sum(axis=0))


def worst_confusions(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, top: int = 10
) -> list[tuple[int, int, int]]:
    """List the most frequent mistakes.

    Parameters
    ----------
    y_true, y_pred : array-like of int, shape (n,)
        True and predicted label of each clip, from 0.
    top : int
        Give at most this many, at least 1.

    Returns
    -------
    list of (int, int, int)
        True label, predicted label and number of clips, most frequent first; equally
        frequent ones by true, then by predicted label. Empty where nothing was mistaken.

    Raises
    ------
    ValueError
        If the two arrays differ in length, are empty, or are not one-dimensional arrays of
        labels, or if `top` is below 1.

    Examples
    --------
    >>> worst_confusions([0, 0, 1, 2, 2], [1, 1, 1, 0, 2])
    [(0, 1, 2), (2, 0, 1)]
    """
    if top < 1:
        raise ValueError(
            f"`top` must be at least 1. Received: top={top}. Pass how many mistakes to list."
        )
    true, predicted = _labels(y_true, y_pred)
    wrong = true != predicted
    pairs, counts = np.unique(
        np.stack([true[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    # `np.unique` sorts the pairs; a stable sort by count keeps that order among equals.
    order = np.argsort(-counts, kind="stable")[:top]
    return [(int(pairs[i, 0]), int(pairs[i, 1]), int(counts[i])) for i in order]


def _labels(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Check true and predicted labels and give both as int64 of shape (n,)."""
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape or true.size == 0:
        raise ValueError(
            "`y_true` and `y_pred` must have the same shape (n,), with n at least 1. "
            f"Received: y_true.shape={true.shape}, y_pred.shape={predicted.shape}. "
            "Pass one true and one predicted label for each clip."
        )
    for name, labels in (("y_true", true), ("y_pred", predicted)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"`{name}` must be an array of integers. Received: dtype={labels.dtype}. "
                "Take the argmax of probabilities, and the index of a label in the vocabulary."
            )
        if labels.min() < 0:
            raise ValueError(
                f"`{name}` must hold labels from 0. Received a label {labels.min()}. "
                "Leave out clips that have no label."
            )
    return true.astype(np.int64), predicted.astype(np.int64)


def _counts(confusion: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Check a confusion matrix and give it as int64 of shape (n_labels, n_labels)."""
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.size == 0:
        raise ValueError(
            "`confusion` must have a shape (n_labels, n_labels). "
            f"Received: shape={counts.shape}. Pass what `confusion_matrix` gives."
        )
    if not np.issubdtype(counts.dtype, np.integer) or counts.min() < 0:
        raise ValueError(
            "`confusion` must hold counts, integers from 0. "
            f"Received: dtype={counts.dtype}, lowest value {counts.min()}. "
            "Pass it before normalizing it."
        )
    return counts.astype(np.int64)


def _fraction(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Divide counts by counts, with NaN where there is nothing to divide by."""
    fraction = np.full(part.shape, np.nan)
    np.divide(part, whole, out=fraction, where=whole > 0)
    return fraction
