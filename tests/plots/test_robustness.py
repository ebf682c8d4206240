"""Pictures of sweeps."""

import numpy as np
import pytest

from echoic import plots
from picture_checks import LONG_TITLE, EveryPicture, each


def sweep(title="Noise", **changes):
    accuracy = np.array([0.3, 0.6, 0.9, 0.97])
    points = np.stack([accuracy, accuracy - 0.05, accuracy + 0.03], axis=1)
    kinds = ("exercise_bike", "dude_miaowing", "pink", "babble")
    arguments = {
        "values": [0, 5, 10, 20],
        "curves": {kind: points - 0.02 * i for i, kind in enumerate(kinds)},
        "unchanged": (0.97, 0.96, 0.98),
        "axis": "Signal-to-noise ratio (dB)",
    } | changes
    return plots.sweep(arguments.pop("values"), arguments.pop("curves"), **arguments, title=title)


PICTURES = {
    "sweep": lambda: sweep(LONG_TITLE),
    "sweep of one kind": lambda: sweep(
        values=[-200, -100, 0, 100], curves={"shift": [(0.9, 0.8, 1.0)] * 4}
    ),
    "sweep of one strength, all right": lambda: sweep(
        values=[1.0], curves={"speed": [(1, 0.98, 1)]}, unchanged=(1, 0.98, 1)
    ),
}


picture = each(PICTURES)


class TestPictures(EveryPicture):
    """Texts keep apart and inside, the same bytes twice, a unit at each axis."""


class TestSweep:
    def test_curves_in_percent_side_by_side(self):
        axes = sweep().axes[0]
        line = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(line["exercise_bike"].get_ydata(), [30, 60, 90, 97])
        np.testing.assert_allclose(line["babble"].get_ydata(), [24, 54, 84, 91])
        places = np.array(
            [
                line[kind].get_xdata()
                for kind in ("exercise_bike", "dude_miaowing", "pink", "babble")
            ]
        )
        assert (np.diff(places, axis=0) > 0).all()
        np.testing.assert_allclose(places.mean(axis=0), [0, 5, 10, 20], atol=1e-9)

    def test_bars_are_intervals_and_the_band_is_that_of_the_clips_as_they_are(self):
        axes = sweep().axes[0]
        bars = axes.collections[0].get_segments()
        np.testing.assert_allclose(bars[0][:, 1], [25, 33])
        np.testing.assert_allclose(axes.lines[0].get_ydata(), 97)
        band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
        np.testing.assert_allclose([band.y0, band.y1], [96, 98])
        assert "unchanged\n97.0 %" in [text.get_text() for text in axes.texts]

    def test_the_legend_explains_the_dashes_and_the_bars(self):
        for figure in (sweep(), sweep(values=[0, 1], curves={"shift": [(0.9, 0.8, 1.0)] * 2})):
            (legend,) = figure.legends
            names = [text.get_text() for text in legend.get_texts()]
            assert names[-2:] == ["95 % interval (bar, band)", "unchanged clips"]

    def test_the_foot_is_below_all_or_as_wanted(self):
        assert sweep().axes[0].get_ylim()[0] == 15
        assert sweep(lowest=0.12).axes[0].get_ylim()[0] == 10

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"curves": {}}, r"Expected at least one of curves"),
            ({"values": []}, r"n = 0"),
            ({"curves": {"a": [0.1, 0.2, 0.3, 0.4]}}, r"shape \(n, 3\).*received shapes .*\(4,\)"),
            ({"curves": {"a": [(90, 80, 95)] * 4}}, r"from 0 to 1, received 0.96 to 95"),
            ({"unchanged": (np.nan, 0, 1)}, r"from 0 to 1, received nan"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            sweep(**changes)
