"""Figures of merit that scikit-learn and SciPy lack or give in another form, one a function.

Accuracy, recall, precision, the confusion matrix and the area under the ROC curve are those of
`sklearn.metrics`. Labels are integers from 0, in the vocabulary's order; rates are fractions from
0 to 1. The module knows nothing of audio, models or files; SciPy is imported inside functions.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
import numpy.typing as npt

__all__ = [
    "McNemar",
    "ReliabilityBin",
    "best_temperature",
    "cluster_bootstrap_interval",
    "expected_calibration_error",
    "false_accept_rate",
    "mcnemar",
    "negative_log_likelihood",
    "poisson_interval",
    "reliability_bins",
    "wilson_interval",
    "worst_confusions",
]


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion, such as an accuracy on ``n`` clips.

    Unlike the normal approximation it stays within 0 and 1 and has a width even where every
    clip was right. It takes the clips as independent; for a test set with several clips a speaker
    it is a little too narrow.

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
            f"Expected n of at least 1, received {n}. An interval needs at least one clip."
        )
    if not 0 <= successes <= n:
        raise ValueError(
            f"Expected successes from 0 to n = {n}, received {successes}. "
            "Pass the number of clips that were right, not their fraction."
        )
    _check_confidence(confidence)
    from scipy.stats import binomtest

    lower, upper = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    # Rounding may carry an end past 0, 1 or the proportion itself by an ulp.
    p = successes / n
    return max(0.0, min(p, float(lower))), min(1.0, max(p, float(upper)))


def poisson_interval(count: int, exposure: float, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of the rate of rare events, such as false accepts an hour.

    It covers the true rate at least as often as ``confidence``, whatever the rate, if the events
    are independent; of false accepts that come in groups it is too narrow. For no event its lower
    end is 0 and its upper end is 3.69 / ``exposure``: a lower rate needs a longer exposure.

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
            f"Expected a count of at least 0, received {count}. Pass the number of events."
        )
    if not 0 < exposure < inf:
        raise ValueError(
            f"Expected a finite exposure above 0, received {exposure}. "
            "Pass the time over which the events were counted."
        )
    _check_confidence(confidence)
    from scipy.stats import chi2

    tail = (1 - confidence) / 2
    lower = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    upper = float(chi2.ppf(1 - tail, 2 * count + 2)) / 2
    return lower / exposure, upper / exposure


def cluster_bootstrap_interval(
    values: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of a mean over clips that come in groups, such as those of a speaker.

    Clips of one speaker succeed and fail together, so it is whole speakers that are drawn anew,
    as many as there are, each with all of its clips. Its ends are quantiles of the mean over such
    draws (percentile method). With few groups it is too narrow; below about 20 trust it little.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        A value a clip: 1 for right and 0 for wrong, or a difference of two of those.
    groups : sequence, shape (n,)
        Group of each clip; at least two different ones.
    confidence : float
        Coverage of the two-sided interval, between 0 and 1, both excluded.
    resamples : int
        Draws, at least 1.
    seed : int
        Of the draws: the same seed gives the same interval.

    Returns
    -------
    lower, upper : float
        Within the range of the values.

    Raises
    ------
    ValueError
        If the two differ in length, a value is not finite, or an argument is outside its range.

    References
    ----------
    B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; for groups
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.

    Examples
    --------
    >>> right = [1, 1, 1, 1, 0, 0, 1, 1]
    >>> lower, upper = cluster_bootstrap_interval(right, ["a", "a", "b", "b", "c", "c", "d", "d"])
    >>> f"{lower:.2f} {upper:.2f}"
    '0.25 1.00'
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) != len(groups) or not np.isfinite(numbers).all():
        raise ValueError(
            "Expected finite values of shape (n,) and as many groups, received values of shape "
            f"{numbers.shape} and {len(groups)} groups. Pass the group of each clip."
        )
    # By equality and not by `np.unique`: names may be of any kind, and None among them.
    places: dict[Hashable, int] = {}
    index = np.array([places.setdefault(group, len(places)) for group in groups], dtype=np.int64)
    n = len(places)
    if n < 2:
        raise ValueError(
            f"Expected at least two different groups, received {n}. "
            "One speaker does not show how much speakers differ."
        )
    _check_confidence(confidence)
    if resamples < 1:
        raise ValueError(
            f"Expected resamples of at least 1, received {resamples}. "
            "A thousand or more are needed for ends that do not depend on the seed."
        )
    sums, sizes = np.bincount(index, weights=numbers), np.bincount(index)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(n, size=n)
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return float(lower), float(upper)


@dataclass(frozen=True)
class McNemar:
    """Result of `mcnemar`.

    Attributes
    ----------
    p
        Probability of a difference at least as large where neither is better, 0 to 1.
    first_only, second_only
        Clips that only the first, or only the second, had right.
    """

    p: float
    first_only: int
    second_only: int


def mcnemar(first_right: npt.ArrayLike, second_right: npt.ArrayLike) -> McNemar:
    """Test whether one of two recognizers is better, on the same clips: McNemar's exact test.

    Clips that both had right, or both wrong, do not count. Of the others each is as likely
    one's as the other's if neither is better; the two-sided binomial probability of a
    split as uneven as theirs is p. It takes the clips as independent, which those of one speaker
    are not quite: see `cluster_bootstrap_interval` of the difference.

    Parameters
    ----------
    first_right, second_right : array-like of bool, shape (n,)
        Whether each clip was right, in the same order.

    Returns
    -------
    McNemar
        With p 1 where they are right on the same clips.

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or are not arrays of truth values.

    References
    ----------
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947), 153-157; for recognizers L. Gillick and S. J. Cox, "Some
    statistical issues in the comparison of speech recognition algorithms", ICASSP 1989.

    Examples
    --------
    >>> first = [True] * 7 + [False] * 1 + [True] * 90
    >>> second = [False] * 7 + [True] * 1 + [True] * 90
    >>> test = mcnemar(first, second)
    >>> test.first_only, test.second_only, round(test.p, 4)
    (7, 1, 0.0703)
    """
    first, second = np.asarray(first_right), np.asarray(second_right)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise ValueError(
            "Expected first_right and second_right of the same shape (n,), with n at least 1, "
            f"received shapes {first.shape} and {second.shape}. Run both on the same clips."
        )
    for name, right in (("first_right", first), ("second_right", second)):
        if right.dtype != np.bool_:
            raise ValueError(
                f"Expected {name} of dtype bool, received {right.dtype}. "
                "Compare predicted with true labels."
            )
    from scipy.stats import binomtest

    only = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
    p = float(binomtest(min(only), sum(only)).pvalue) if any(only) else 1.0
    return McNemar(p, *only)


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about the same confidence; see `reliability_bins`.

    Attributes
    ----------
    lower, upper
        Range of the confidence, 0 to 1.
    n
        Predictions in it, at least 1.
    confidence
        Their mean confidence, 0 to 1.
    accuracy
        Fraction of them that was right.
    """

    lower: float
    upper: float
    n: int
    confidence: float
    accuracy: float


def reliability_bins(
    confidence: npt.ArrayLike, right: npt.ArrayLike, *, bins: int = 15
) -> list[ReliabilityBin]:
    """Sort predictions into bins of equal width by confidence: how often was each bin right?

    Parameters
    ----------
    confidence : array-like of float, shape (n,)
        Probability of each predicted label, 0 to 1.
    right : array-like of bool, shape (n,)
        Whether it was right.
    bins : int
        Bins from 0 to 1, at least 1; each holds its upper end, the first also 0.

    Returns
    -------
    list of ReliabilityBin
        Those that hold a prediction, ascending.

    Raises
    ------
    ValueError
        If the two arrays differ in length or are empty, or an argument is outside its range.

    References
    ----------
    A. Niculescu-Mizil and R. Caruana, "Predicting good probabilities with supervised learning",
    ICML 2005.

    Examples
    --------
    >>> for b in reliability_bins([0.3, 0.8, 0.9, 0.9], [False, True, True, False], bins=2):
    ...     print(b.lower, b.upper, b.n, round(b.confidence, 2), round(b.accuracy, 2))
    0.0 0.5 1 0.3 0.0
    0.5 1.0 3 0.87 0.67
    """
    sure, true = np.asarray(confidence, dtype=np.float64), np.asarray(right)
    if sure.ndim != 1 or sure.shape != true.shape or sure.size == 0 or true.dtype != np.bool_:
        raise ValueError(
            "Expected confidence and right of the same shape (n,), with n at least 1, and right of "
            f"dtype bool, received shapes {sure.shape} and {true.shape}, and {true.dtype}. "
            "Pass both for each prediction."
        )
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(
            f"Expected confidence from 0 to 1, received {sure.min():g} to {sure.max():g}. "
            "Take the softmax of logits."
        )
    if bins < 1:
        raise ValueError(f"Expected bins of at least 1, received {bins}. 10 to 20 are usual.")
    edges = np.arange(bins + 1) / bins
    index = np.maximum(np.searchsorted(edges, sure, side="left") - 1, 0)
    return [
        ReliabilityBin(
            float(edges[i]),
            float(edges[i + 1]),
            int(np.count_nonzero(index == i)),
            float(sure[index == i].mean()),
            float(true[index == i].mean()),
        )
        for i in np.unique(index)
    ]


def expected_calibration_error(
    confidence: npt.ArrayLike, right: npt.ArrayLike, *, bins: int = 15
) -> float:
    """Mean distance of confidence from accuracy: is "90 %" right nine times in ten?

    The mean over the bins of `reliability_bins`, each with the weight of its predictions. It is
    biased upwards: with few predictions a bin, even a calibrated recognizer has an error.

    Parameters
    ----------
    confidence, right, bins
        See `reliability_bins`.

    Returns
    -------
    float
        From 0 to 1, 0 for a calibrated one.

    Raises
    ------
    ValueError
        See `reliability_bins`.

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017, equation 3.

    Examples
    --------
    >>> round(expected_calibration_error([0.8, 0.8, 0.6, 0.6], [True, True, True, False]), 3)
    0.15
    """
    found = reliability_bins(confidence, right, bins=bins)
    total = sum(b.n for b in found)
    return sum(b.n * abs(b.confidence - b.accuracy) for b in found) / total


def negative_log_likelihood(logits: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Mean negative log-likelihood of the true labels (cross-entropy, nats).

    `sklearn.metrics.log_loss` takes probabilities and clips them; this takes logits of any scale.

    Parameters
    ----------
    logits : array-like of float, shape (n, labels)
        Need not be normalized; log-probabilities are logits too.
    targets : array-like of int, shape (n,)
        True label of each clip, from 0.

    Returns
    -------
    float
        At least 0.

    Raises
    ------
    ValueError
        If the two do not fit each other, are empty, or a logit is not finite.

    Examples
    --------
    >>> round(negative_log_likelihood(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1]), 4)
    0.4904
    """
    values, true = _logits(logits, targets)
    return _negative_log_likelihood(values, true)


def best_temperature(logits: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Find the temperature that calibrates logits best: temperature scaling.

    Logits divided by it have the least negative log-likelihood. It lies between exp(-3) and
    exp(3); where every clip is right, the likelihood grows without end and the result is the
    lower bound.

    Parameters
    ----------
    logits : array-like of float, shape (n, labels)
        Need not be normalized; log-probabilities are logits too.
    targets : array-like of int, shape (n,)
        True label of each clip, from 0.

    Returns
    -------
    float
        Above 1 for a recognizer that is too confident, below 1 for one that is not confident
        enough.

    Raises
    ------
    ValueError
        If the two do not fit each other, are empty, or a logit is not finite.

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.

    Examples
    --------
    >>> logits = 3 * np.log([[0.75, 0.25]] * 4)  # three times as sure as they should be
    >>> round(best_temperature(logits, [0, 0, 0, 1]), 2)
    3.0
    """
    from scipy.optimize import minimize_scalar

    values, true = _logits(logits, targets)
    found = minimize_scalar(
        lambda log: _negative_log_likelihood(values / np.exp(log), true),
        bounds=(-3, 3),
        method="bounded",
    )
    return float(np.exp(found.x))


def false_accept_rate(
    positive: npt.ArrayLike, negative: npt.ArrayLike, *, recall: float = 0.95
) -> tuple[float, float]:
    """Fraction of the negatives that is accepted where this fraction of the positives is.

    Parameters
    ----------
    positive, negative : array-like of float, shape (n,) and (m,)
        Scores of what should be accepted and of what should not.
    recall : float
        Fraction of the positives that must be accepted at least, above 0 and at most 1.

    Returns
    -------
    rate : float
        From 0 to 1.
    threshold : float
        The highest score from which on that many positives are accepted, itself included.

    Raises
    ------
    ValueError
        If one is empty, not one-dimensional or not a number, or the recall is outside its range.

    Examples
    --------
    >>> false_accept_rate([0.9, 0.8, 0.7, 0.2], [0.75, 0.1, 0.6, 0.05], recall=0.75)
    (0.25, 0.7)
    """
    accepted, rejected = _scores(positive, negative)
    if not 0 < recall <= 1:
        raise ValueError(
            f"Expected recall above 0 and at most 1, received {recall}. Write 95 % as 0.95."
        )
    # Less an ulp or two: 0.55 of 100 is 55, not the 56 to which 55.00000000000001 rounds up.
    wanted = max(ceil(recall * len(accepted) - 1e-9), 1)
    threshold = float(np.sort(accepted)[-wanted])
    return float(np.mean(rejected >= threshold)), threshold


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
            f"Expected top of at least 1, received {top}. Pass how many mistakes to list."
        )
    true, predicted = _labels(y_true, y_pred)
    wrong = true != predicted
    pairs, counts = np.unique(
        np.stack([true[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    # `np.unique` sorts the pairs; a stable sort by count keeps that order among equals.
    order = np.argsort(-counts, kind="stable")[:top]
    return [(int(pairs[i, 0]), int(pairs[i, 1]), int(counts[i])) for i in order]


def _negative_log_likelihood(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int64]
) -> float:
    from scipy.special import logsumexp

    right = logits[np.arange(len(targets)), targets]
    return float(np.mean(logsumexp(logits, axis=1) - right))


def _logits(
    logits: npt.ArrayLike, targets: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Check logits, (n, labels), and true labels, (n,)."""
    values, true = np.asarray(logits, np.float64), np.asarray(targets)
    if values.ndim != 2 or not values.size or true.shape != values.shape[:1]:
        raise ValueError(
            "Expected logits of shape (n, labels) and targets of shape (n,), with n at least 1, "
            f"received shapes {values.shape} and {true.shape}. "
            "Pass a row of logits and one true label for each clip."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "Expected finite logits, received "
            f"{np.count_nonzero(~np.isfinite(values))} of {values.size} that are not. "
            "Clip probabilities above 0 before taking their logarithm."
        )
    labels, _ = _labels(true, true)
    if labels.max() >= values.shape[1]:
        raise ValueError(
            f"Expected targets below the number of labels, {values.shape[1]}, "
            f"received {labels.max()}. Check that both are of one vocabulary."
        )
    return values, labels


def _check_confidence(confidence: float) -> None:
    """Raise unless an interval can have this coverage."""
    if not 0 < confidence < 1:
        raise ValueError(
            f"Expected confidence between 0 and 1, both excluded, received {confidence}. "
            "Write 95 % as 0.95."
        )


def _scores(
    positive: npt.ArrayLike, negative: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Check scores of positives and negatives and give both as float64 of shape (n,)."""
    scores = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    for name, values in zip(("positive", "negative"), scores, strict=True):
        if values.ndim != 1 or values.size == 0 or np.isnan(values).any():
            raise ValueError(
                f"Expected {name} scores of shape (n,), with n at least 1 and none NaN, "
                f"received shape {values.shape}, {np.count_nonzero(np.isnan(values))} of them NaN. "
                "Pass a score a clip, with some on either side."
            )
    return scores


def _labels(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Check true and predicted labels and give both as int64 of shape (n,)."""
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape or true.size == 0:
        raise ValueError(
            "Expected y_true and y_pred of the same shape (n,), with n at least 1, "
            f"received shapes {true.shape} and {predicted.shape}. "
            "Pass one true and one predicted label for each clip."
        )
    for name, labels in (("y_true", true), ("y_pred", predicted)):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"Expected {name} of an integer dtype, received {labels.dtype}. "
                "Take the argmax of probabilities, and the index of a label in the vocabulary."
            )
        if labels.min() < 0:
            raise ValueError(
                f"Expected labels from 0 on in {name}, received {labels.min()}. "
                "Leave out clips that have no label."
            )
    return true.astype(np.int64), predicted.astype(np.int64)
