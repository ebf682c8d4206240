"""What detections are worth, case by case."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoic import metrics
from echoic.evaluation import Score, Word, score_detections
from echoic.runtime.decoder import Detection

TRUTH = (Word(1.0, 1.5, "yes"), Word(3.0, 3.4, "go"), Word(5.0, 5.5, "_unknown_"))


def score(*heard, truth=TRUTH, tolerance=0.5, duration=3600):
    detections = [Detection(time, label, 0.9) for time, label in heard]
    return score_detections(detections, truth, duration=duration, tolerance=tolerance)


def counts(result):
    return (result.hits, result.misses, result.wrong_words, result.false_accepts)


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([], (0, 2, 0, 0)),
        ([(1.6, "yes"), (3.5, "go")], (2, 0, 0, 0)),
        ([(1.0, "yes"), (3.9, "go")], (2, 0, 0, 0)),  # both ends are within
        ([(0.99, "yes"), (3.91, "go")], (0, 2, 0, 2)),
        ([(1.6, "go")], (0, 2, 1, 0)),
        ([(1.6, "yes"), (1.8, "yes")], (1, 1, 0, 1)),  # one word is one detection
        ([(1.2, "go"), (1.6, "yes")], (1, 1, 0, 1)),  # what was right in the end was not wrong
        ([(1.6, "go"), (1.7, "no")], (0, 2, 1, 1)),
        ([(5.6, "yes")], (0, 2, 0, 1)),
        ([(8.0, "yes")], (0, 2, 0, 1)),
    ],
)
def test_cases(heard, expected):
    assert counts(score(*heard)) == expected
    assert counts(score(*reversed(heard))) == expected


def test_what_fires_at_a_word_to_be_ignored_is_told_from_noise():
    result = score((5.6, "yes"), (8.0, "yes"))
    assert (result.false_accepts, result.on_unknown) == (2, 1)


def test_two_words_near_each_other_take_their_own_detections():
    truth = (Word(1.0, 1.4, "go"), Word(1.6, 2.0, "go"))
    assert counts(score((1.7, "go"), (2.1, "go"), truth=truth)) == (2, 0, 0, 0)
    assert counts(score((1.7, "go"), truth=truth)) == (1, 1, 0, 0)


def test_delays_are_from_the_end_of_the_word():
    result = score((1.2, "yes"), (3.6, "go"))
    assert result.delays == pytest.approx((-0.3, 0.2))
    assert result.report()["delay"] == {"median": -0.05, "p95": 0.175}


def test_the_report_of_known_detections():
    result = score((1.6, "yes"), (3.5, "yes"), (8.0, "go"), duration=1800)
    report = result.report()
    assert report["miss_rate"] == 0.5
    assert report["miss_rate_interval"] == pytest.approx(metrics.wilson_interval(1, 2), abs=1e-4)
    assert report["wrong_words"] == 1
    assert report["error_rate"] == 1.0
    accepts = report["false_accepts"]
    assert (accepts["count"], accepts["hours"], accepts["per_hour"]) == (1, 0.5, 2.0)
    assert accepts["interval"] == pytest.approx(metrics.poisson_interval(1, 0.5), abs=1e-3)


def test_no_false_accept_is_no_rate():
    report = score(truth=(), duration=1800).report()
    assert report == {
        "false_accepts": {
            "count": 0,
            "hours": 0.5,
            "per_hour": None,
            "interval": [0.0, pytest.approx(7.378, abs=1e-3)],
        }
    }


def test_scores_add_up():
    first, second = score((1.6, "yes"), (8.0, "go")), score((3.5, "go"), duration=100)
    total = first + second
    assert counts(total) == (2, 2, 0, 1)
    assert total.duration == 3700
    assert total.delays == first.delays + second.delays


def test_without_words_or_time_rates_are_undefined():
    empty = Score(0, 0, 0, 0, 0, 0.0)
    assert np.isnan([empty.miss_rate, empty.error_rate, empty.false_accepts_per_hour]).all()


def test_a_step_may_end_a_rounding_error_after_the_stream():
    result = score((2.0 + 1e-9, "yes"), truth=TRUTH[:1], tolerance=1, duration=2)
    assert counts(result) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("heard", "settings", "message"),
    [
        ([(11.0, "yes")], {"duration": 10}, "0 to 10 s, the stream's duration, received times"),
        ([], {"duration": 4}, "from 1 to 5 s"),
        ([(-1.0, "yes")], {}, "from -1 to"),
        ([], {"tolerance": -0.1}, "at least 0 seconds, received -0.1"),
    ],
)
def test_bad_input(heard, settings, message):
    with pytest.raises(ValueError, match=message):
        score(*heard, **settings)


labels = st.sampled_from(["yes", "go", "no"])
detected = st.lists(st.tuples(st.floats(0, 30), labels), max_size=30)
said = st.lists(
    st.tuples(st.floats(0.1, 1), st.floats(0.1, 1), labels | st.just("_unknown_")), max_size=15
)


def as_truth(rows):
    time, truth = 0.0, []
    for gap, length, label in rows:
        truth.append(Word(time + gap, time + gap + length, label))
        time += gap + length
    return tuple(truth)


@given(detected, said, st.floats(0, 2))
def test_every_word_and_every_detection_is_counted_once(heard, rows, tolerance):
    truth = as_truth(rows)
    result = score(*heard, truth=truth, tolerance=tolerance, duration=40)
    assert result.words == sum(word.label != "_unknown_" for word in truth)
    assert result.hits + result.wrong_words + result.false_accepts == len(heard)
    assert result.hits + result.wrong_words <= result.words
    assert len(result.delays) == result.hits
    assert result.on_unknown <= result.false_accepts
    assert all(delay <= tolerance + 1e-9 for delay in result.delays)


@given(said, st.floats(0, 2))
def test_the_truth_itself_has_no_errors(rows, tolerance):
    truth = as_truth(rows)
    heard = [(word.end, word.label) for word in truth if word.label != "_unknown_"]
    result = score(*heard, truth=truth, tolerance=tolerance, duration=40)
    assert counts(result) == (len(heard), 0, 0, 0)


@given(detected, said, st.floats(0, 1), st.floats(0, 1))
def test_more_tolerance_never_loses_a_hit(heard, rows, tolerance, more):
    truth = as_truth(rows)
    few, many = (
        score(*heard, truth=truth, tolerance=t, duration=40) for t in (tolerance, tolerance + more)
    )
    assert few.hits <= many.hits
