"""Pictures of an analysis: calibration, speakers, open set."""

import numpy as np
import pytest

from echoic import metrics, plots
from picture_checks import LONG_TITLE, EveryPicture, each


def reliability(n=2000, title="gru-12 on archive-v0.02"):
    rng = np.random.default_rng(2)
    confidence = rng.beta(4, 1, n)
    right = rng.random(n) < confidence**1.5
    return plots.reliability(metrics.reliability_bins(confidence, right), title=title)


def speakers(n=200, *, p=0.95, most=40, title="gru-12 on archive-v0.02", **changes):
    rng = np.random.default_rng(4)
    clips = rng.integers(1, most, n, endpoint=True)
    right = rng.binomial(clips, rng.beta(10 * p, 10 * (1 - p) + 1e-9, n))
    arguments = {
        "right": right,
        "clips": clips,
        "chance": rng.binomial(clips, p, (100, n)) / clips,
        "names": [f"{i:08x}" for i in range(n)],
    } | changes
    return plots.speakers(arguments.pop("right"), arguments.pop("clips"), **arguments, title=title)


def open_set(title="gru-12 on archive-v0.02", **changes):
    rng = np.random.default_rng(5)
    arguments = {
        "positive": rng.beta(8, 1, 500),
        "negatives": {
            "words heard in training": rng.beta(1, 8, 300),
            "words never heard in training": rng.beta(1, 5, 300),
        },
        "threshold": 0.6,
    } | changes
    return plots.open_set(
        arguments.pop("positive"), arguments.pop("negatives"), **arguments, title=title
    )


PICTURES = {
    "reliability": lambda: reliability(title=LONG_TITLE),
    "reliability of one answer": lambda: reliability(1),
    "speakers": lambda: speakers(title=LONG_TITLE),
    "speakers who say one word each": lambda: speakers(5, most=1),
    "speakers who are all understood": lambda: speakers(
        30, right=np.full(30, 9), clips=np.full(30, 9), chance=np.ones((10, 30)), names=()
    ),
    "open set": lambda: open_set(LONG_TITLE),
    "open set of one kind, at the ends": lambda: open_set(
        positive=[1.0, 1.0], negatives={"others": [0.0], "none": []}, threshold=1.0
    ),
}


picture = each(PICTURES)


class TestPictures(EveryPicture):
    """Texts keep apart and inside, the same bytes twice, a unit at each axis."""


class TestReliability:
    bins = metrics.reliability_bins(
        [0.55, 0.6, 0.95, 0.9, 0.9], np.array([True, False, True, True, True]), bins=2
    )

    def test_points_are_percent_with_intervals_and_bars_are_counts(self):
        top, bottom = plots.reliability(self.bins).axes
        points = top.lines[-1]
        np.testing.assert_allclose(points.get_xdata(), [78])
        np.testing.assert_allclose(points.get_ydata(), [80])
        (ends,) = (c for c in top.collections if hasattr(c, "get_segments"))
        np.testing.assert_allclose(
            ends.get_segments()[0][:, 1], 100 * np.array(metrics.wilson_interval(4, 5))
        )
        assert [bar.get_height() for bar in bottom.patches] == [5]
        assert (bottom.patches[0].get_x(), bottom.patches[0].get_width()) == (50, 50)

    def test_no_bins(self):
        with pytest.raises(ValueError, match=r"at least one bin, received none"):
            plots.reliability([])


class TestSpeakers:
    def test_from_the_worst_to_the_best_over_chance(self):
        right, clips = np.array([9, 1, 5]), np.array([10, 10, 5])
        figure = speakers(3, right=right, clips=clips, chance=np.ones((4, 3)), names=())
        left, funnel = figure.axes
        np.testing.assert_allclose(left.lines[0].get_ydata(), [10, 90, 100])
        np.testing.assert_allclose(funnel.lines[0].get_ydata(), 100 * 15 / 25)
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names[-1] == "all speakers: 60.0%"

    def test_who_is_blank_is_not_named(self):
        clips = np.full(3, 10)
        figure = speakers(
            3, right=np.array([2, 5, 9]), clips=clips, chance=np.ones((4, 3)), names=("a", "", "c")
        )
        assert [text.get_text() for text in figure.axes[1].texts] == ["a", "c"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"right": [1]}, r"shapes \(1,\), \(3,\) and \(100, 3\)"),
            ({"chance": np.ones((4, 2))}, r"and \(4, 2\)"),
            ({"chance": np.ones((0, 3))}, r"and \(0, 3\)"),
            ({"names": ["a"]}, r"1 names"),
            ({"right": [], "clips": [], "chance": np.ones((4, 0)), "names": ()}, r"shapes \(0,\)"),
            ({"right": [1, 2, 99]}, r"right from 1 to 99"),
            ({"clips": [1, 1, 0], "right": [0, 0, 0]}, r"clips from 0"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            speakers(3, **changes)


class TestOpenSet:
    def test_a_panel_a_kind_says_what_is_accepted(self):
        figure = open_set(
            positive=[0.9, 0.9, 0.9, 0.1], negatives={"others": [0.2, 0.7], "none": []}
        )
        assert [axes.get_title(loc="left") for axes in figure.axes] == [
            "commands, 4 clips: 75.0% accepted",
            "others, 2 clips: 50.0% accepted",
        ]
        for axes in figure.axes:
            assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(100)
            np.testing.assert_allclose(axes.lines[0].get_xdata(), np.log(0.6 / 0.4))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"positive": []}, r"Expected scores .* received shapes .*'commands': \(0,\)"),
            ({"negatives": {"others": []}}, r"'others': \(0,\)"),
            ({"negatives": {}}, r"Expected scores in positive and negatives"),
            ({"positive": [7.0]}, r"from 0 to 1 .*7 to 7 for 'commands'"),
            ({"negatives": {"others": [np.nan]}}, r"nan to nan for 'others'"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            open_set(**changes)
