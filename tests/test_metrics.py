"""Figures of merit against golden values, their definitions and each other."""

import doctest
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from echoic import metrics

N_LABELS = 4
label_pairs = st.lists(
    st.tuples(st.integers(0, N_LABELS - 1), st.integers(0, N_LABELS - 1)), min_size=1, max_size=60
).map(lambda pairs: (np.array([t for t, _ in pairs]), np.array([p for _, p in pairs])))
proportions = st.integers(1, 10**6).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n), st.floats(0.01, 0.999))
)


def test_examples_in_docstrings():
    failed, tried = doctest.testmod(metrics)
    assert tried
    assert not failed


class TestAccuracy:
    def test_golden(self):
        assert metrics.accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75

    @given(label_pairs)
    def test_is_the_trace_of_the_confusion_matrix(self, pairs):
        confusion = metrics.confusion_matrix(*pairs, N_LABELS)
        assert metrics.accuracy(*pairs) == pytest.approx(np.trace(confusion) / confusion.sum())


class TestWilsonInterval:
    @pytest.mark.parametrize(
        ("successes", "n", "lower", "upper"),
        [
            # R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
            # Statistics in Medicine 17 (1998), table I, method 3.
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0000, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ],
    )
    def test_published_examples(self, successes, n, lower, upper):
        assert metrics.wilson_interval(successes, n) == pytest.approx((lower, upper), abs=5e-5)

    def test_by_hand(self):
        # None of n = 10 at z = 1.959964: the upper end is z^2 / (n + z^2) = 3.841459 / 13.841459.
        assert metrics.wilson_interval(0, 10) == pytest.approx((0, 0.2775328), abs=1e-7)

    @given(proportions)
    def test_holds_the_proportion_within_0_and_1(self, proportion):
        successes, n, confidence = proportion
        lower, upper = metrics.wilson_interval(successes, n, confidence)
        assert 0 <= lower <= successes / n <= upper <= 1
        assert lower < upper

    @given(proportions)
    def test_failures_mirror_successes(self, proportion):
        successes, n, confidence = proportion
        lower, upper = metrics.wilson_interval(successes, n, confidence)
        mirrored = metrics.wilson_interval(n - successes, n, confidence)
        assert mirrored == pytest.approx((1 - upper, 1 - lower), abs=1e-12)

    @given(proportions)
    def test_more_clips_or_less_confidence_make_it_narrower(self, proportion):
        successes, n, confidence = proportion

        def width(*arguments):
            lower, upper = metrics.wilson_interval(*arguments)
            return upper - lower

        assert width(2 * successes, 2 * n, confidence) < width(successes, n, confidence)
        assert width(successes, n, confidence / 2) < width(successes, n, confidence)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((0, 0), r"`n` must be at least 1. Received: n=0"),
            ((11, 10), r"between 0 and n=10. Received: successes=11"),
            ((-1, 10), r"Received: successes=-1"),
            ((5, 10, 95), r"Received: confidence=95. Write 95 % as 0.95"),
            ((5, 10, 0), r"Received: confidence=0"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            metrics.wilson_interval(*arguments)


class TestPoissonInterval:
    @pytest.mark.parametrize(
        ("count", "lower", "upper"),
        # F. Garwood, Biometrika 28 (1936), as tabulated by K. Ulm, American Journal of
        # Epidemiology 131 (1990).
        [
            (0, 0, 3.689),
            (1, 0.025, 5.572),
            (2, 0.242, 7.225),
            (5, 1.623, 11.668),
            (10, 4.795, 18.39),
        ],
    )
    def test_published_examples(self, count, lower, upper):
        assert metrics.poisson_interval(count, 1) == pytest.approx((lower, upper), abs=1e-3)

    def test_by_hand(self):
        # None at all: the upper end is the rate at which that has a probability of 2.5 %.
        assert metrics.poisson_interval(0, 0.5)[1] == pytest.approx(-np.log(0.025) / 0.5)

    @given(st.integers(0, 500), st.floats(0.01, 1000), st.floats(0.01, 0.999))
    def test_each_end_leaves_half_of_the_rest_outside(self, count, exposure, confidence):
        lower, upper = metrics.poisson_interval(count, exposure, confidence)
        tail = (1 - confidence) / 2
        assert poisson.cdf(count, upper * exposure) == pytest.approx(tail, rel=1e-6)
        if count:
            assert poisson.sf(count - 1, lower * exposure) == pytest.approx(tail, rel=1e-6)
        assert lower <= count / exposure < upper

    @given(st.integers(0, 500), st.floats(0.01, 1000))
    def test_more_to_hear_with_the_same_rate_makes_it_narrower(self, count, exposure):
        few, many = (metrics.poisson_interval(n * count, n * exposure) for n in (1, 2))
        assert many[1] - many[0] < few[1] - few[0]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((-1, 1), r"`count` must be at least 0. Received: count=-1"),
            ((1, 0), r"above 0 and finite. Received: exposure=0"),
            ((1, np.nan), r"Received: exposure=nan"),
            ((1, np.inf), r"Received: exposure=inf"),
            ((1, 1, 95), r"Received: confidence=95. Write 95 % as 0.95"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            metrics.poisson_interval(*arguments)


class TestConfusionMatrix:
    def test_rows_are_true_and_columns_predicted(self):
        confusion = metrics.confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2], 4)
        expected = [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
        np.testing.assert_array_equal(confusion, expected)
        assert confusion.dtype == np.int64

    def test_narrow_integers_do_not_overflow(self):
        labels = np.full(3, 34, np.int8)
        assert metrics.confusion_matrix(labels, labels, 35)[34, 34] == 3

    @given(label_pairs)
    def test_margins_count_the_labels(self, pairs):
        confusion = metrics.confusion_matrix(*pairs, N_LABELS)
        true, predicted = (np.bincount(labels, minlength=N_LABELS) for labels in pairs)
        np.testing.assert_array_equal(confusion.sum(axis=1), true)
        np.testing.assert_array_equal(confusion.sum(axis=0), predicted)

    @given(label_pairs)
    def test_swapping_the_arguments_transposes(self, pairs):
        true, predicted = pairs
        np.testing.assert_array_equal(
            metrics.confusion_matrix(predicted, true, N_LABELS),
            metrics.confusion_matrix(true, predicted, N_LABELS).T,
        )

    def test_label_outside_the_vocabulary(self):
        with pytest.raises(ValueError, match=r"below n_labels=3. Received a label 3"):
            metrics.confusion_matrix([0, 1], [0, 3], 3)


class TestRecallAndPrecision:
    confusion = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])

    def test_golden(self):
        np.testing.assert_array_equal(metrics.recall(self.confusion), [0.75, 0.5, np.nan])
        np.testing.assert_allclose(metrics.precision(self.confusion), [0.6, 2 / 3, np.nan])
        assert metrics.recall(self.confusion).dtype == np.float64

    def test_undefined_is_nan_for_each_alone(self):
        confusion = [[0, 2], [0, 3]]  # Label 0 was said but never predicted.
        assert metrics.recall(confusion)[0] == 0
        assert isnan(metrics.precision(confusion)[0])

    @given(label_pairs)
    def test_precision_is_the_recall_of_the_transposed(self, pairs):
        confusion = metrics.confusion_matrix(*pairs, N_LABELS)
        np.testing.assert_array_equal(metrics.precision(confusion), metrics.recall(confusion.T))

    @pytest.mark.parametrize("metric", [metrics.recall, metrics.precision])
    @pytest.mark.parametrize(
        ("confusion", "message"),
        [
            (np.zeros((2, 3), int), r"shape=\(2, 3\)"),
            (np.zeros((0, 0), int), r"shape=\(0, 0\)"),
            (np.eye(2), r"dtype=float64"),
            (-np.eye(2, dtype=int), r"lowest value -1"),
        ],
    )
    def test_bad_input(self, metric, confusion, message):
        with pytest.raises(ValueError, match=message):
            metric(confusion)


class TestWorstConfusions:
    true = np.array([2, 2, 0, 0, 1, 1, 1, 3])
    predicted = np.array([0, 0, 2, 1, 0, 0, 0, 3])

    def test_descending_with_ties_in_the_order_of_labels(self):
        expected = [(1, 0, 3), (2, 0, 2), (0, 1, 1), (0, 2, 1)]
        assert metrics.worst_confusions(self.true, self.predicted) == expected
        assert metrics.worst_confusions(self.true, self.predicted, top=3) == expected[:3]

    def test_no_mistake(self):
        assert metrics.worst_confusions([0, 1], [0, 1]) == []

    @given(label_pairs, st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_of_clips(self, pairs, random):
        order = list(range(len(pairs[0])))
        random.shuffle(order)
        shuffled = metrics.worst_confusions(pairs[0][order], pairs[1][order])
        assert shuffled == metrics.worst_confusions(*pairs)

    @given(label_pairs)
    def test_counts_are_the_mistakes(self, pairs):
        counts = [count for _, _, count in metrics.worst_confusions(*pairs, top=N_LABELS**2)]
        assert sum(counts) == np.sum(pairs[0] != pairs[1])
        assert counts == sorted(counts, reverse=True)

    def test_top_below_1(self):
        with pytest.raises(ValueError, match=r"Received: top=0"):
            metrics.worst_confusions([0], [1], top=0)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.accuracy,
        lambda y_true, y_pred: metrics.confusion_matrix(y_true, y_pred, 3),
        metrics.worst_confusions,
    ],
    ids=["accuracy", "confusion_matrix", "worst_confusions"],
)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], [0], r"y_true.shape=\(2,\), y_pred.shape=\(1,\)"),
        ([], [], r"n at least 1. Received: y_true.shape=\(0,\)"),
        ([[0, 1]], [[0, 1]], r"y_true.shape=\(1, 2\)"),
        ([0, 1], [0.2, 0.8], r"`y_pred` must be an array of integers. Received: dtype=float64"),
        ([0, -1], [0, 1], r"`y_true` must hold labels from 0. Received a label -1"),
    ],
    ids=["lengths", "empty", "two-dimensional", "probabilities", "negative"],
)
def test_bad_labels(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y_pred)
