"""Pictures of sound: panels, names and colours."""

from types import SimpleNamespace

import numpy as np
import pytest

from echoic import plots
from echoic.config import AugmentationConfig, FeatureConfig
from echoic.plots import panels, style
from echoic.runtime.recognizer import Prediction
from picture_checks import (
    HOP,
    LONG_TITLE,
    N_MFCC,
    RATE,
    WORDS_12,
    WORDS_35,
    EveryPicture,
    clip,
    each,
    posteriors,
)


def prediction(labels=WORDS_12, *, n=50, bumps=((2, 20), (3, 40)), seconds=1.0, **changes):
    waveform, mfcc = clip(seconds)
    arguments = {
        "waveform": waveform,
        "sample_rate": RATE,
        "mfcc": mfcc,
        "hop_length": HOP,
        "labels": labels,
        "times": seconds * np.arange(1, n + 1) / n,
        "probabilities": posteriors(n, bumps, len(labels)),
        "title": "A clip",
    } | changes
    return plots.prediction(arguments.pop("waveform"), **arguments)


def augmentations(n, title=""):
    examples = [(f"augmentation {i}", *clip(seed=i)) for i in range(n)]
    return plots.augmentations(examples, sample_rate=RATE, hop_length=HOP, title=title)


PICTURES = {
    "prediction": prediction,
    "prediction of a stream": lambda: prediction(
        n=200, seconds=4.0, bumps=[(2, 20), (3, 60), (3, 70), (11, 90), (11, 130), (9, 198)]
    ),
    "prediction with every label likely": lambda: prediction(
        WORDS_35, bumps=[(i, i) for i in range(1, 35)], title=LONG_TITLE
    ),
    "prediction at one instant": lambda: prediction(n=1, bumps=[(2, 0)]),
    "prediction of 35 labels": lambda: prediction(WORDS_35, n=1),
    "prediction of silence": lambda: prediction(
        waveform=np.zeros(RATE, np.float32), mfcc=np.full((50, N_MFCC), -60.0)
    ),
    "augmentations": lambda: augmentations(4, LONG_TITLE),
    "augmentations of none": lambda: augmentations(1),
}


picture = each(PICTURES)


class TestPictures(EveryPicture):
    """Texts keep apart and inside, the same bytes twice, a unit at each axis."""


class TestPrediction:
    def test_three_panels_on_one_time_axis(self):
        figure = prediction()
        assert len(figure.axes) == 3
        assert {axes.get_xlim() for axes in figure.axes} == {(0, 1)}
        edges = [axes.get_position().intervalx for axes in figure.axes]
        np.testing.assert_allclose(edges, edges[:1] * 3)

    def test_panels_are_as_wide_as_the_names_count_on(self):
        for peak in (0.01, 0.08, 0.5, 1):  # Ticks with more digits make it narrower.
            panel = prediction(waveform=np.full(RATE, peak, np.float32)).axes[2]
            assert panel.get_position().width * style.WIDTH >= panels.PANEL

    def test_coefficients_are_standardized(self):
        heat_map = prediction().axes[1].images[0]
        shown = heat_map.get_array()
        assert shown.shape == (N_MFCC, 50)
        np.testing.assert_allclose(shown.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose(shown.std(axis=1), 1, rtol=1e-5)
        assert heat_map.get_extent() == [0, 1, -0.5, N_MFCC - 0.5]

    def test_likely_labels_are_named_in_colour_and_the_others_grey(self):
        panel = prediction().axes[2]
        assert {text.get_text() for text in panel.texts} == {"_silence_", "yes", "no"}
        colours = {line.get_color() for line in panel.lines}
        assert {text.get_color() for text in panel.texts} == colours - {style.PALE}

    def test_the_legend_explains_every_line(self):
        figure = prediction()
        (legend,) = figure.legends
        names = [text.get_text() for text in legend.get_texts()]
        assert names == ["_silence_", "yes", "no", "other labels"]
        drawn = {(line.get_color(), line.get_linestyle()) for line in figure.axes[2].lines}
        explained = {(line.get_color(), line.get_linestyle()) for line in legend.get_lines()}
        assert {look for look in drawn if look[1] != "None"} == explained
        (every,) = prediction(WORDS_35, bumps=[(i, i) for i in range(1, 35)]).legends
        assert len(every.get_texts()) == 35

    def test_a_word_said_twice_is_named_twice(self):
        figure = prediction(n=200, seconds=4.0, bumps=[(11, 50), (11, 150)])
        names = [text.get_text() for text in figure.axes[2].texts]
        assert sorted(names) == ["_silence_", "go", "go"]

    def test_what_is_not_detected_is_neither_named_nor_coloured(self):
        detected = np.zeros((200, 12), bool)
        detected[100:, 11] = True
        bumps = [(11, 50), (11, 150), (2, 100)]
        panel = prediction(n=200, seconds=4.0, bumps=bumps, detected=detected).axes[2]
        (name,) = panel.texts
        assert name.get_text() == "go"
        assert name.xy[0] > 2.5
        assert {line.get_color() for line in panel.lines} == {name.get_color(), style.PALE}

    def test_one_instant_is_bars_of_all_labels(self):
        panel = prediction(n=1, bumps=[(2, 0)]).axes[2]
        assert len(panel.patches) == len(WORDS_12)
        assert [text.get_text() for text in panel.get_yticklabels()] == list(WORDS_12)
        assert [text.get_text() for text in panel.texts] == ["0.98"]

    def test_a_dollar_sign_is_no_formula(self):
        title = prediction(title="costs $1 or $2").get_suptitle()
        assert title == "costs $1 or $2"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"waveform": np.zeros(0, np.float32)}, r"`waveform` .* Received: .*shape=\(0,\)"),
            ({"waveform": np.zeros((RATE, 2), np.float32)}, r"Received: .*shape=\(16000, 2\)"),
            ({"waveform": np.zeros(RATE, np.int16)}, r"Received: dtype=int16.*divide int16"),
            ({"waveform": np.full(RATE, np.nan, np.float32)}, r"`waveform` must be finite"),
            ({"sample_rate": 0}, r"Received: sample_rate=0, hop_length=320"),
            ({"hop_length": 160}, r"100 frames.*hop_length=160. Received: shape=\(50, 13\)"),
            ({"mfcc": np.zeros((N_MFCC, 50))}, r"Received: shape=\(13, 50\)"),
            ({"mfcc": np.zeros((50, 0))}, r"Received: shape=\(50, 0\)"),
            ({"mfcc": np.full((50, 2), np.inf)}, r"`mfcc` must be finite. Received: 100 of 100"),
            ({"probabilities": np.ones((50, 2))}, r"probabilities.shape=\(50, 2\), 12 labels"),
            ({"times": [1.0]}, r"times.shape=\(1,\), probabilities.shape=\(50, 12\)"),
            ({"times": [], "probabilities": np.zeros((0, 12))}, r"with n at least 1"),
            (
                {"detected": [True] * 12},
                r"`detected` must have the shape .*Received: shape=\(12,\)",
            ),
            ({"times": np.ones(50)}, r"`times` must ascend"),
            ({"times": np.arange(50) - 1}, r"Received: -1 to 48"),
            ({"times": np.full(50, np.nan)}, r"`times` must be finite"),
            ({"probabilities": np.full((50, 12), 7)}, r"Received: 7 to 7. Take the softmax"),
            ({"probabilities": np.full((50, 12), np.nan)}, r"`probabilities` must be finite"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            prediction(**changes)


class TestAugmentations:
    def test_a_row_each_on_shared_scales(self):
        figure = augmentations(3)
        panels = figure.axes[:6]
        assert len({axes.get_xlim() for axes in panels}) == 1
        assert len({axes.get_ylim() for axes in panels[::2]}) == 1
        titles = [axes.get_title(loc="left") for axes in panels[::2]]
        assert titles == ["augmentation 0", "augmentation 1", "augmentation 2"]

    def test_colours_are_those_of_the_untouched_clip(self):
        waveform, mfcc = clip()
        figure = plots.augmentations(
            [("untouched", waveform, mfcc), ("louder", waveform, mfcc + mfcc.std(axis=0))],
            sample_rate=RATE,
            hop_length=HOP,
        )
        untouched, louder = (figure.axes[i].images[0].get_array() for i in (1, 3))
        np.testing.assert_allclose(louder - untouched, 1, atol=1e-4)

    def test_clips_may_differ_in_length(self):
        figure = plots.augmentations(
            [("untouched", *clip()), ("slower", *clip(1.2))], sample_rate=RATE, hop_length=HOP
        )
        assert figure.axes[0].get_xlim() == (0, 1.2)

    def test_bad_input(self):
        waveform, mfcc = clip()
        for examples, message in (
            ([], r"at least the untouched clip"),
            ([("a", waveform[:0], mfcc)], r"`waveform` must be"),
            ([("a", waveform * np.float32(np.nan), mfcc)], r"`waveform` must be finite"),
            (
                [("a", waveform, mfcc), ("b", waveform, mfcc[:, :9])],
                r"13 in the first and 9 in 'b'",
            ),
        ):
            with pytest.raises(ValueError, match=message):
                plots.augmentations(examples, sample_rate=RATE, hop_length=HOP)


@pytest.mark.parametrize(
    ("n_mfcc", "axis"), [(N_MFCC, "MFCC\n(coefficient)"), (0, "Log-mel\n(band)")]
)
class TestFeatures:
    """A network takes MFCC or log-mel bands; pictures of sound show what it takes."""

    def test_of_each_augmentation(self, n_mfcc, axis, sample):
        config = FeatureConfig(n_mfcc=n_mfcc)
        figure = plots.augmented(
            sample / "stream.wav", config=AugmentationConfig(), feature_config=config
        )
        shapes = {axes.images[0].get_array().shape for axes in figure.axes[1:22:2]}
        assert shapes == {(config.channels, 50)}
        assert figure.axes[21].get_ylabel() == axis

    def test_of_a_recording(self, n_mfcc, axis, sample):
        config = FeatureConfig(n_mfcc=n_mfcc)
        top = (("yes", 0.9), ("no", 0.1))
        recognizer = SimpleNamespace(
            bundle=SimpleNamespace(features=config),
            labels=("yes", "no"),
            predict=lambda *_, **__: [
                Prediction(0.0, 1.0, "yes", 0.9, top),
                Prediction(0.25, 1.25, "yes", 0.9, top),
            ],
        )
        panel = plots.recording(recognizer, sample / "stream.wav").axes[1]
        assert len(panel.images[0].get_array()) == config.channels
        assert panel.get_ylabel() == axis
