"""Figures of merit against golden values, their definitions and each other."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest, poisson
from sklearn.metrics import log_loss

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
            ((0, 0), r"Expected n of at least 1, received 0"),
            ((11, 10), r"successes from 0 to n = 10, received 11"),
            ((-1, 10), r"successes .* received -1"),
            ((5, 10, 95), r"confidence .* received 95. Write 95 % as 0.95"),
            ((5, 10, 0), r"confidence .* received 0"),
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
            ((-1, 1), r"Expected a count of at least 0, received -1"),
            ((1, 0), r"finite exposure above 0, received 0"),
            ((1, np.nan), r"exposure .* received nan"),
            ((1, np.inf), r"exposure .* received inf"),
            ((1, 1, 95), r"confidence .* received 95. Write 95 % as 0.95"),
        ],
    )
    def test_bad_input(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            metrics.poisson_interval(*arguments)


class TestClusterBootstrapInterval:
    def test_speakers_that_are_all_or_nothing_widen_it(self):
        # Twenty speakers with ten clips each, five of them never understood.
        right = np.repeat([0.0] * 5 + [1.0] * 15, 10)
        speakers = np.repeat(np.arange(20), 10).tolist()
        lower, upper = metrics.cluster_bootstrap_interval(right, speakers)
        # Of twenty draws with chance 0.75: the 2.5 % and 97.5 % quantiles are 11 and 18.
        assert (lower, upper) == pytest.approx((0.55, 0.9), abs=0.051)
        alone = metrics.cluster_bootstrap_interval(right, range(200))
        assert alone[1] - alone[0] < (upper - lower) / 2

    def test_clips_of_their_own_give_about_wilson_s(self):
        right = np.arange(1000) % 10 > 0
        interval = metrics.cluster_bootstrap_interval(right, range(1000))
        assert interval == pytest.approx(metrics.wilson_interval(900, 1000), abs=0.003)

    def test_speakers_count_with_their_clips(self):
        # The mean is over clips: of two speakers drawn, both may be the one who said most.
        interval = metrics.cluster_bootstrap_interval([1, 1, 1, 0], [None, None, None, "a"])
        assert interval == (0, 1)

    @given(
        st.lists(st.tuples(st.booleans(), st.sampled_from("abcde")), min_size=2, max_size=40),
        st.floats(0.5, 0.99),
    )
    def test_is_seeded_and_within_the_values(self, clips, confidence):
        values, speakers = [v for v, _ in clips] + [1, 1], [s for _, s in clips] + ["a", "b"]
        lower, upper = (
            metrics.cluster_bootstrap_interval(
                values, speakers, confidence=confidence, resamples=50, seed=seed
            )
            for seed in (3, 3)
        )
        assert lower == upper
        assert 0 <= lower[0] <= lower[1] <= 1

    @pytest.mark.parametrize(
        ("values", "groups", "more", "message"),
        [
            ([1, 0], ["a"], {}, r"values of shape \(2,\) and 1 groups"),
            ([[1, 0]], ["a"], {}, r"values of shape \(1, 2\)"),
            ([1, np.nan], ["a", "b"], {}, r"Expected finite values"),
            ([1, 0], ["a", "a"], {}, r"at least two different groups, received 1"),
            ([], [], {}, r"at least two different groups, received 0"),
            ([1, 0], ["a", "b"], {"confidence": 95}, r"confidence .* received 95"),
            ([1, 0], ["a", "b"], {"resamples": 0}, r"resamples .* received 0"),
        ],
    )
    def test_bad_input(self, values, groups, more, message):
        with pytest.raises(ValueError, match=message):
            metrics.cluster_bootstrap_interval(values, groups, **more)


truths = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200)


class TestMcNemar:
    @given(truths)
    def test_is_the_binomial_test_of_the_clips_that_part_them(self, clips):
        first, second = np.array(clips).T
        result = metrics.mcnemar(first, second)
        assert result.first_only == sum(a and not b for a, b in clips)
        assert result.second_only == sum(b and not a for a, b in clips)
        n = result.first_only + result.second_only
        assert result.p == pytest.approx(binomtest(result.first_only, n).pvalue if n else 1)

    @given(truths)
    def test_either_may_be_the_first(self, clips):
        first, second = np.array(clips).T
        result, mirrored = metrics.mcnemar(first, second), metrics.mcnemar(second, first)
        assert result.p == mirrored.p
        assert (result.first_only, result.second_only) == (
            mirrored.second_only,
            mirrored.first_only,
        )

    def test_by_hand(self):
        # Five to none: twice the chance of five equal throws of a coin.
        result = metrics.mcnemar(np.ones(9, bool), np.arange(9) < 4)
        assert result == metrics.McNemar(2 / 2**5, 5, 0)

    def test_the_same_answers_are_no_evidence(self):
        assert metrics.mcnemar([True, False], [True, False]) == metrics.McNemar(1.0, 0, 0)

    @pytest.mark.parametrize(
        ("first", "second", "message"),
        [
            ([True], [True, False], r"shapes \(1,\) and \(2,\)"),
            ([], [], r"n at least 1"),
            ([[True]], [[True]], r"shapes \(1, 1\)"),
            ([1, 2], [True, False], r"first_right of dtype bool, received int64"),
            ([True, False], [0.5, 1], r"second_right of dtype bool, received float64"),
        ],
    )
    def test_bad_input(self, first, second, message):
        with pytest.raises(ValueError, match=message):
            metrics.mcnemar(np.array(first), np.array(second))


answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60).map(
    lambda pairs: (np.array([c for c, _ in pairs]), np.array([r for _, r in pairs]))
)


class TestCalibration:
    def test_bins_by_hand(self):
        confidence = [0.0, 0.5, 0.5001, 0.75, 1.0]
        found = metrics.reliability_bins(confidence, np.array([0, 1, 1, 1, 0], bool), bins=2)
        low, high = found
        assert low == metrics.ReliabilityBin(0.0, 0.5, 2, 0.25, 0.5)
        assert (high.lower, high.upper, high.n) == (0.5, 1.0, 3)
        assert high.confidence == pytest.approx(2.2501 / 3)
        assert high.accuracy == pytest.approx(2 / 3)

    @given(answers, st.integers(1, 20))
    def test_bins_hold_each_answer_once(self, pair, bins):
        confidence, right = pair
        found = metrics.reliability_bins(confidence, right, bins=bins)
        assert sum(b.n for b in found) == len(right)
        assert sum(b.n * b.accuracy for b in found) == pytest.approx(right.sum())
        assert all(b.lower - 1e-12 <= b.confidence <= b.upper + 1e-12 for b in found)
        assert [b.lower for b in found] == sorted({b.lower for b in found})

    @given(answers)
    def test_the_error_of_one_bin_is_the_gap_of_the_means(self, pair):
        confidence, right = pair
        error = metrics.expected_calibration_error(confidence, right, bins=1)
        assert error == pytest.approx(abs(confidence.mean() - right.mean()), abs=1e-12)

    @given(answers, st.integers(1, 20))
    def test_the_error_is_never_less_than_that_gap(self, pair, bins):
        confidence, right = pair
        error = metrics.expected_calibration_error(confidence, right, bins=bins)
        assert abs(confidence.mean() - right.mean()) - 1e-12 <= error <= 1

    def test_a_calibrated_recognizer_has_next_to_none(self):
        rng = np.random.default_rng(0)
        confidence = rng.uniform(0, 1, 100_000)
        right = rng.random(100_000) < confidence
        assert metrics.expected_calibration_error(confidence, right) < 0.01
        assert metrics.expected_calibration_error(confidence**3, right) > 0.1

    @pytest.mark.parametrize(
        "metric", [metrics.reliability_bins, metrics.expected_calibration_error]
    )
    @pytest.mark.parametrize(
        ("confidence", "right", "more", "message"),
        [
            ([0.5], [True, False], {}, r"received shapes \(1,\) and \(2,\)"),
            ([], np.zeros(0, bool), {}, r"n at least 1"),
            ([0.5], [1], {}, r"received .* int64"),
            ([1.5], [True], {}, r"from 0 to 1, received 1.5 to 1.5"),
            ([np.nan], [True], {}, r"received nan"),
            ([0.5], [True], {"bins": 0}, r"bins .* received 0"),
        ],
    )
    def test_bad_input(self, metric, confidence, right, more, message):
        with pytest.raises(ValueError, match=message):
            metric(confidence, np.asarray(right), **more)


def logits(n, *, scale=1.0):
    """Logits of seeded noise, and labels drawn by their softmax: calibrated at a scale of 1."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, (n, 4))
    targets = (rng.random((n, 1)) > softmax(values, axis=1).cumsum(axis=1)).sum(axis=1)
    return scale * values, targets


class TestTemperature:
    def test_the_likelihood_is_that_of_scikit_learn(self):
        values, targets = logits(500)
        expected = log_loss(targets, softmax(values, axis=1))
        assert metrics.negative_log_likelihood(values, targets) == pytest.approx(expected)

    @given(st.floats(-50, 50))
    def test_the_likelihood_does_not_depend_on_a_constant(self, constant):
        values, targets = logits(20)
        expected = metrics.negative_log_likelihood(values, targets)
        moved = metrics.negative_log_likelihood(values + constant, targets)
        assert moved == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
    def test_the_best_temperature_undoes_a_scale(self, scale):
        found = metrics.best_temperature(*logits(5000, scale=scale))
        assert found == pytest.approx(scale, rel=0.05)

    def test_no_other_temperature_is_better(self):
        values, targets = logits(300, scale=2.0)
        best = metrics.best_temperature(values, targets)
        least = metrics.negative_log_likelihood(values / best, targets)
        for other in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
            assert metrics.negative_log_likelihood(values / (other * best), targets) >= least

    def test_where_all_are_right_it_is_the_lower_bound(self):
        assert metrics.best_temperature([[2.0, 0.0], [0.0, 1.0]], [0, 1]) == pytest.approx(
            np.exp(-3), rel=1e-3
        )

    @pytest.mark.parametrize("metric", [metrics.negative_log_likelihood, metrics.best_temperature])
    @pytest.mark.parametrize(
        ("values", "targets", "message"),
        [
            ([0.1, 0.2], [0, 1], r"received shapes \(2,\) and \(2,\)"),
            ([[0.1, 0.2]], [0, 1], r"received shapes \(1, 2\) and \(2,\)"),
            (np.zeros((0, 2)), np.zeros(0, int), r"n at least 1"),
            ([[0.1, -np.inf]], [0], r"Expected finite logits, received 1 of 2 that are not"),
            ([[0.1, 0.2]], [2], r"number of labels, 2, received 2"),
            ([[0.1, 0.2]], [0.5], r"of an integer dtype, received float64"),
        ],
    )
    def test_bad_input(self, metric, values, targets, message):
        with pytest.raises(ValueError, match=message):
            metric(np.asarray(values), np.asarray(targets))


scores = st.lists(st.integers(0, 8), min_size=1, max_size=30)  # few values, so that they tie


class TestOpenSet:
    @given(scores, scores, st.floats(0.01, 1))
    def test_the_threshold_is_the_highest_that_accepts_enough(self, positive, negative, recall):
        rate, threshold = metrics.false_accept_rate(positive, negative, recall=recall)
        accepted = np.asarray(positive) >= threshold
        assert accepted.mean() >= recall - 1e-9
        assert (np.asarray(positive) > threshold).mean() < recall
        assert rate == (np.asarray(negative) >= threshold).mean()

    def test_at_95_percent_recall(self):
        positive = np.arange(100) / 100  # 95 of them are 0.05 and more
        assert metrics.false_accept_rate(positive, [0.04, 0.05, 0.06, 1]) == (0.75, 0.05)

    def test_a_share_that_is_whole_but_for_rounding(self):
        assert 0.55 * 100 > 55
        assert metrics.false_accept_rate(np.arange(100), [0], recall=0.55)[1] == 45

    @pytest.mark.parametrize(
        ("positive", "negative", "message"),
        [
            ([], [1.0], r"Expected positive .* received shape \(0,\)"),
            ([1.0], [], r"Expected negative .* received shape \(0,\)"),
            ([1.0], [np.nan, 1], r"negative .*, 1 of them NaN"),
            ([[1.0]], [1], r"positive .* shape \(1, 1\)"),
        ],
    )
    def test_bad_scores(self, positive, negative, message):
        with pytest.raises(ValueError, match=message):
            metrics.false_accept_rate(positive, negative)

    @pytest.mark.parametrize("recall", [0, 95, np.nan])
    def test_bad_recall(self, recall):
        with pytest.raises(ValueError, match=f"recall .* received {recall}. Write 95 % as 0.95"):
            metrics.false_accept_rate([1], [0], recall=recall)


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
        with pytest.raises(ValueError, match=r"top .* received 0"):
            metrics.worst_confusions([0], [1], top=0)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1], [0], r"received shapes \(2,\) and \(1,\)"),
        ([], [], r"n at least 1, received shapes \(0,\)"),
        ([[0, 1]], [[0, 1]], r"received shapes \(1, 2\)"),
        ([0, 1], [0.2, 0.8], r"y_pred of an integer dtype, received float64"),
        ([0, -1], [0, 1], r"labels from 0 on in y_true, received -1"),
    ],
    ids=["lengths", "empty", "two-dimensional", "probabilities", "negative"],
)
def test_bad_labels(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metrics.worst_confusions(y_true, y_pred)
