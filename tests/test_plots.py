"""Pictures: their panels and units, that texts keep apart and inside, the same bytes twice."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from echoic import metrics, plots
from echoic.config import FeatureConfig
from echoic.explain import activations, attribution, pictures
from echoic.explain.recall import NETWORKS, Memory, MemoryConfig
from echoic.labels import COMMANDS, SILENCE, UNKNOWN
from echoic.plots import panels, style

RATE, HOP, N_MFCC = 16_000, 320, 13
WORDS_12 = (SILENCE, UNKNOWN, *COMMANDS)
WORDS_35 = ("backward", "forward", *(f"word{i}" for i in range(33)))
LONG_TITLE = "A title that is much longer than the picture is wide " * 3


def clip(seconds=1.0, seed=0):
    """A chirp in noise, and features of its shape in which coefficient 0 spans the most."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    waveform = 0.5 * np.sin(2 * np.pi * (200 + 800 * time) * time) + rng.normal(0, 0.01, len(time))
    scale = np.array([300] + [20] * (N_MFCC - 1))
    mfcc = rng.normal(size=(len(time) // HOP, N_MFCC)) * scale
    return waveform.astype(np.float32), mfcc.astype(np.float32)


def posteriors(n, bumps, n_labels):
    """Probabilities in which each (label, instant) of `bumps` rises and falls."""
    logits = np.zeros((n, n_labels))
    logits[:, 0] = 4
    for label, instant in bumps:
        logits[:, label] += 8 * np.exp(-(((np.arange(n) - instant) / (n / 20)) ** 2))
    exp = np.exp(logits)
    return exp / exp.sum(axis=1, keepdims=True)


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


def confusion(labels, n, title="gru-12 on archive-v0.02"):
    rng = np.random.default_rng(1)
    true = rng.integers(0, len(labels), n)
    predicted = np.where(rng.random(n) < 0.9, true, rng.integers(0, len(labels), n))
    counts = metrics.confusion_matrix(true, predicted, len(labels))
    return plots.confusion_matrix(counts, labels=labels, title=title)


def history(n, title="gru-12"):
    epoch = np.arange(n)
    val_accuracy = 0.9 - 0.5 * np.exp(-epoch / 3) - 0.01 * (epoch > 5)
    curves = {
        "loss": list(np.exp(-epoch / 4)),
        "accuracy": list(1 - 0.6 * np.exp(-epoch / 3)),
        "val_loss": list(np.exp(-epoch / 5) + 0.1),
        "val_accuracy": list(val_accuracy),
        "learning_rate": [1e-3] * n,
    }
    return plots.history(curves, title=title)


def augmentations(n, title=""):
    examples = [(f"augmentation {i}", *clip(seed=i)) for i in range(n)]
    return plots.augmentations(examples, sample_rate=RATE, hop_length=HOP, title=title)


def trace(kinds=("gru",), *, seconds=1.0, once=False, bumps=((2, 12),), notes=()):
    """What a network with these recurrent layers might have done, without a network."""
    waveform, mfcc = clip(seconds)
    rng = np.random.default_rng(3)
    times = np.arange(1, round(25 * seconds) + 1) / 25
    gates = {"rnn": (), "gru": ("update", "reset"), "lstm": ("input", "forget", "output")}

    def values(low):
        return rng.uniform(low, 1, (len(times), 20)).astype(np.float32)

    layers = [
        activations.Recurrence(
            name=f"{kind}_{number}",
            kind=kind,
            times=times,
            states=values(-1),
            gates={gate: values(0) for gate in gates[kind]},
            candidates=values(-1),
        )
        for number, kind in enumerate(kinds, start=2)
    ]
    probabilities = posteriors(1 if once else len(times), bumps, len(WORDS_12))
    return activations.Trace(
        network=None,
        features=FeatureConfig(n_mfcc=N_MFCC),
        labels=WORDS_12,
        waveform=waveform,
        inputs=mfcc,
        outputs={},
        recurrent=tuple(layers),
        logits=np.log(probabilities),
        probabilities=probabilities,
        times=times[-1:] if once else times,
        notes=notes,
    )


def influence(seconds=1.0, kind="occlusion"):
    times = (np.arange(round(50 * seconds)) + 0.5) / 50
    values = np.sin(7 * times) * times
    return attribution.Influence(
        kind=kind, label="yes", time=seconds, times=times, values=values.astype(np.float32)
    )


def explanation(*kinds, title="A clip", with_influence=True, **settings):
    result = trace(kinds, **settings)
    leaned = influence(settings.get("seconds", 1.0)) if with_influence else None
    return pictures.explanation(result, leaned, title=title)


NOTE = "mean_1 takes the mean over the clip: it answers once, at the end, and the order is lost."


def recall():
    config = MemoryConfig(people=3, distance=20)
    curves = {kind: np.linspace(1, 0.1, 20) for kind in NETWORKS}
    slopes = {kind: 0.3 ** np.arange(21.0) for kind in list(NETWORKS)[1:]}
    return pictures.recall(
        Memory(
            config=config,
            in_order={kind: np.array([1.0, 0.9, 0.5]) for kind in NETWORKS},
            on_request=curves,
            gradients=slopes,
            fresh_gradients={kind: slope**2 for kind, slope in slopes.items()},
            parameters=dict.fromkeys(NETWORKS, 1000),
        ),
        title=LONG_TITLE,
    )


def det_curve(title="gru-12 in streams", **changes):
    arguments = {
        "false_accepts": [120, 55, 40, 30, 22, 9, 4, 1, 0, 0],
        "miss_rates": [0.02, 0.02, 0.03, 0.03, 0.05, 0.05, 0.08, 0.16, 0.24, 0.24],
        "hours": 0.5,
        "thresholds": [0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99],
        "chosen": (2, 0.1),
    } | changes
    return plots.det_curve(
        arguments.pop("false_accepts"), arguments.pop("miss_rates"), **arguments, title=title
    )


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


def sweep(title="In noise", **changes):
    accuracy = np.array([0.3, 0.6, 0.9, 0.97])
    points = np.stack([accuracy, accuracy - 0.05, accuracy + 0.03], axis=1)
    kinds = ("exercise_bike", "dude_miaowing", "pink", "babble")
    arguments = {
        "values": [0, 5, 10, 20],
        "curves": {kind: points - 0.02 * i for i, kind in enumerate(kinds)},
        "unchanged": (0.97, 0.96, 0.98),
        "axis": "Ratio of speech to noise (dB)",
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
    "recall": recall,
    "explanation of a gru": lambda: explanation("gru"),
    "explanation of two lstm": lambda: explanation(
        "lstm", "lstm", title=LONG_TITLE, seconds=3.0, bumps=[(i, 6 * i) for i in range(1, 12)]
    ),
    "explanation of an rnn": lambda: explanation("rnn", with_influence=False),
    "explanation of a network that answers once": lambda: explanation(
        once=True, bumps=[(2, 0)], notes=(NOTE, NOTE)
    ),
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
    "confusion matrix of 12": lambda: confusion(WORDS_12, 4890, LONG_TITLE),
    "confusion matrix of 35": lambda: confusion(WORDS_35, 100_000),
    "confusion matrix of 2": lambda: plots.confusion_matrix(
        [[123_456, 0], [0, 0]], labels=["yes", "no"], title=LONG_TITLE
    ),
    "history": lambda: history(30, LONG_TITLE),
    "history of one epoch": lambda: history(1),
    "DET curve": lambda: det_curve(LONG_TITLE),
    "DET curve of one point without errors": lambda: det_curve(
        false_accepts=[0], miss_rates=[0.0], hours=100, thresholds=[0.5], chosen=None
    ),
    "DET curve of misses alone": lambda: det_curve(
        false_accepts=[300] * 10, miss_rates=[1.0] * 10, chosen=(0, 1.0)
    ),
    "augmentations": lambda: augmentations(4, LONG_TITLE),
    "augmentations of none": lambda: augmentations(1),
}


@pytest.fixture(scope="module", params=PICTURES)
def picture(request):
    return PICTURES[request.param]()


def drawn_texts(figure):
    """Every text that is drawn, without tick labels outside of their axis."""
    texts = list(figure.texts)
    if figure._suptitle:
        texts.append(figure._suptitle)
    for legend in figure.legends:
        texts += legend.get_texts()
    for axes in figure.findobj(Axes):
        texts += [*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        for i, axis in enumerate((axes.xaxis, axes.yaxis)):
            low, high = sorted(axis.get_view_interval())
            texts += [
                text for text in axis.get_ticklabels() if low <= text.get_position()[i] <= high
            ]
    return [text for text in dict.fromkeys(texts) if text.get_visible() and text.get_text()]


class TestEveryPicture:
    def test_texts_do_not_overlap(self, picture):
        renderer = FigureCanvasAgg(picture).get_renderer()
        texts = drawn_texts(picture)
        assert len(texts) > 4
        boxes = np.array([text.get_window_extent(renderer).padded(-1).extents for text in texts])
        low, high = boxes[:, np.newaxis, :2], boxes[np.newaxis, :, 2:]
        below = (low < high).all(axis=2)  # Of each pair: one's low corner under the other's high.
        pairs = np.argwhere(np.triu(below & below.T, k=1))
        assert [(texts[i].get_text(), texts[j].get_text()) for i, j in pairs] == []

    def test_nothing_touches_the_edge(self, picture):
        canvas = FigureCanvasAgg(picture)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())
        inner = np.full(pixels.shape[:2], False)
        inner[3:-3, 3:-3] = True
        assert (pixels[~inner] == 255).all()

    def test_saved_twice_gives_the_same_bytes(self, picture, tmp_path):
        plots.save(picture, tmp_path / "a.png")
        plots.save(picture, str(tmp_path / "b.png"))
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    def test_units_at_each_axis(self, picture):
        labels = {
            axis.label.get_text() for axes in picture.axes for axis in (axes.xaxis, axes.yaxis)
        }
        known = {
            "",
            "Time (s)",
            "Amplitude\n(full scale = 1)",
            "MFCC\n(coefficient)",
            "Standard deviations\nfrom the mean",
            "Probability",
            "Probability at 1.00 s",
            "Predicted label",
            "True label",
            "Unit\n(sorted)",
            "Hidden state",
            "Gate\n(1 = open)",
            "Log-odds\n(nats)",
            "People in the circle",
            "People ago",
            "Gradient norm\n(last = 1)",
            "Epoch",
            "Loss (nats)",
            "Accuracy (fraction)",
            "False accepts per hour",
            "Missed words (%)",
            "Right (%)",
            "Confidence (%)",
            "SoftLabels",
            "Speakers, worst first",
            "Clips that were right (%)",
            "Clips of a speaker",
            "Largest probability of a command (%)",
            "Accuracy (%)",
            "Ratio of speech to noise (dB)",
        }
        assert labels <= known
        assert len(labels) > 1


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

    def test_a_word_said_twice_is_named_twice(self):
        figure = prediction(n=200, seconds=4.0, bumps=[(11, 50), (11, 150)])
        names = [text.get_text() for text in figure.axes[2].texts]
        assert sorted(names) == ["_silence_", "go", "go"]

    def test_what_does_not_count_as_said_is_neither_named_nor_coloured(self):
        heard = np.zeros((200, 12), bool)
        heard[100:, 11] = True
        bumps = [(11, 50), (11, 150), (2, 100)]
        panel = prediction(n=200, seconds=4.0, bumps=bumps, heard=heard).axes[2]
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
            ({"heard": [True] * 12}, r"`heard` must have the shape .*Received: shape=\(12,\)"),
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


class TestExplanation:
    def test_panels_share_a_time_axis_and_mark_the_decision(self):
        result = trace(("gru", "lstm"), bumps=[(3, 5), (2, 20)])
        figure = pictures.explanation(result, influence())
        assert len(figure.axes) == 8  # sound, MFCC, two layers with their gates, answers, influence
        assert {axes.get_xlim() for axes in figure.axes} == {(0, 1)}
        since = result.decision().since
        for axes in figure.axes:
            assert any(list(line.get_xdata()) == [since, since] for line in axes.lines)

    def test_heat_maps_hold_the_states_and_gates_their_means(self):
        result = trace(("gru",))
        figure = pictures.explanation(result)
        heat_map, gates = figure.axes[2].images[0], figure.axes[3]
        layer = result.recurrent[0]
        order = pictures.order_units(layer.states)
        np.testing.assert_array_equal(heat_map.get_array(), layer.states[:, order].T)
        for line, gate in zip(gates.lines, layer.gates.values(), strict=False):
            np.testing.assert_allclose(line.get_ydata(), gate.mean(axis=1))

    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_the_legend_of_the_gates_is_beside_their_title(self, kind):
        figure = explanation(kind)
        renderer = FigureCanvasAgg(figure).get_renderer()
        (gates,) = (axes for axes in figure.axes if axes.get_legend())
        title = gates._left_title.get_window_extent(renderer)
        assert gates.get_legend().get_window_extent(renderer).x0 > title.x1

    def test_a_network_that_answers_once_shows_bars_and_says_why(self):
        figure = explanation(once=True, bumps=[(2, 0)], notes=(NOTE,))
        assert len(figure.axes[2].patches) == len(WORDS_12)
        assert figure.get_supxlabel() == NOTE

    def test_units_that_behave_alike_are_neighbours(self):
        steps = np.linspace(0, 2, 40)[:, None]
        phases = np.random.default_rng(0).permutation(np.linspace(0, 2 * np.pi, 30, endpoint=False))
        order = pictures.order_units(np.sin(2 * np.pi * steps + phases).astype(np.float32))
        turn = np.diff(np.append(phases[order], phases[order[0]])) % (2 * np.pi)
        step = np.minimum(turn, 2 * np.pi - turn)
        np.testing.assert_allclose(step, 2 * np.pi / 30, atol=1e-5)

    @pytest.mark.parametrize("shape", [(5, 1), (1, 4), (3, 2)])
    def test_any_states_have_an_order(self, shape):
        order = pictures.order_units(np.zeros(shape, np.float32))
        assert sorted(order) == list(range(shape[1]))

    def test_of_a_file(self, tiny_model, sample):
        path = sorted((sample / "yes").glob("*.wav"))[0]
        figure = pictures.explained(tiny_model, path)
        assert figure.get_suptitle().startswith(f"{path.name}: tiny hears")
        assert figure.axes[0].get_xlim() == (0, 1)

    def test_of_a_long_file_around_the_decision(self, tiny_model, sample):
        figure = pictures.explained(tiny_model, sample / "stream.wav", at=5.0)
        assert "from 2.50 s on" in figure.get_suptitle()
        np.testing.assert_allclose(figure.axes[0].get_xlim(), (0, 3), atol=0.04)
        most_certain = pictures.explained(tiny_model, sample / "stream.wav")
        assert most_certain.axes[0].get_xlim()[1] <= 3.04


class TestConfusionMatrix:
    counts = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])

    def test_counts_in_the_cells_and_recall_at_the_right(self):
        figure = plots.confusion_matrix(self.counts, labels=["a", "b", "c"])
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.texts] == ["3", "1", "4"]
        np.testing.assert_allclose(
            axes.images[0].get_array() ** 2, [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
        )
        recall = [text.get_text() for text in axes.child_axes[0].get_yticklabels()]
        assert recall == ["75.0%", "100.0%", "n/a"]

    def test_labels(self):
        with pytest.raises(ValueError, match=r"name the 3 rows.*Received: 2 labels"):
            plots.confusion_matrix(self.counts, labels=["a", "b"])

    def test_bad_counts(self):
        with pytest.raises(ValueError, match=r"must hold counts"):
            plots.confusion_matrix(self.counts / 4, labels=["a", "b", "c"])


class TestHistory:
    def test_panels_and_best_epoch(self):
        figure = history(30)
        loss, accuracy = figure.axes
        assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("Loss (nats)", "Accuracy (fraction)")
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names == ["training", "validation", "best epoch (30)"]

    @pytest.mark.parametrize(("losses", "best"), [([3, 2, 1, 0], 3), ([3, 2, 2, 0], 2)])
    def test_best_is_what_training_keeps(self, losses, best):
        figure = plots.history({"val_loss": losses, "val_accuracy": [0.1, 0.9, 0.9, 0.2]})
        assert figure.axes[1].get_title(loc="left") == f"Validation at epoch {best}: 0.900"

    def test_best_is_the_lowest_validation_loss_without_accuracy(self):
        figure = plots.history({"loss": [3, 2, 1], "val_loss": [1, float("nan"), 2]})
        assert len(figure.axes) == 1
        assert figure.axes[0].get_title(loc="left") == "Validation at epoch 1: 1.000"

    def test_without_validation_no_epoch_is_best(self):
        figure = plots.history({"loss": [3, float("inf")], "accuracy": [0.1, 0.2]})
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training"]

    @pytest.mark.parametrize(
        "epochs", [{}, {"lr": [1.0]}, {"loss": []}, {"loss": [1, 2], "val_loss": [1]}]
    )
    def test_bad_input(self, epochs):
        with pytest.raises(ValueError, match=r"`epochs` must hold loss.*Received: keys"):
            plots.history(epochs)


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


class TestDetCurve:
    def test_points_are_rates_and_percent(self):
        axes = det_curve().axes[0]
        line = axes.lines[0]
        assert axes.get_xscale() == "log"
        np.testing.assert_allclose(line.get_xdata()[:3], [240, 110, 80])
        np.testing.assert_allclose(line.get_ydata()[-1], 24)

    def test_none_is_no_rate(self):
        axes = det_curve().axes[0]
        left, least = axes.get_xlim()[0], 1 / 0.5
        assert left < axes.lines[0].get_xdata()[-1] < least
        hollow = axes.lines[2]
        assert len(hollow.get_xdata()) == 2
        assert hollow.get_markerfacecolor() == "white"
        assert "none\nin 0.5 h" in [text.get_text() for text in axes.texts]

    def test_bars_are_exact_intervals(self):
        (bars,) = det_curve().axes[0].collections
        ends = [segment[:, 0] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends[0], metrics.poisson_interval(120, 0.5))
        assert ends[-1][1] == pytest.approx(metrics.poisson_interval(0, 0.5)[1])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"miss_rates": [0.1]}, r"shapes \(10,\), \(1,\) and \(10,\)"),
            ({"false_accepts": [], "miss_rates": [], "thresholds": []}, r"n at least 1"),
            ({"miss_rates": [50.0] * 10}, r"between 0 and 1. Received: 50 to 50"),
            ({"miss_rates": [np.nan] * 10}, r"between 0 and 1. Received: nan"),
            ({"hours": 0}, r"Received: exposure=0"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            det_curve(**changes)


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
        with pytest.raises(ValueError, match=r"at least one. Received: none"):
            plots.reliability([])


class TestSpeakers:
    def test_from_the_worst_to_the_best_over_chance(self):
        right, clips = np.array([9, 1, 5]), np.array([10, 10, 5])
        figure = speakers(3, right=right, clips=clips, chance=np.ones((4, 3)), names=())
        left, funnel = figure.axes
        np.testing.assert_allclose(left.lines[0].get_ydata(), [10, 90, 100])
        np.testing.assert_allclose(funnel.lines[0].get_ydata(), 100 * 15 / 25)
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names[-1] == "all clips: 60.0%"

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
            ({"positive": []}, r"must hold scores. Received: .*'commands': \(0,\)"),
            ({"negatives": {"others": []}}, r"'others': \(0,\)"),
            ({"negatives": {}}, r"must hold scores"),
            ({"positive": [7.0]}, r"between 0 and 1.*7 to 7 for 'commands'"),
            ({"negatives": {"others": [np.nan]}}, r"nan to nan for 'others'"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            open_set(**changes)


class TestSweep:
    def test_curves_in_percent_side_by_side(self):
        axes = sweep().axes[0]
        line = {line.get_label(): line for line in axes.lines}
        np.testing.assert_allclose(line["exercise_bike"].get_ydata(), [30, 60, 90, 97])
        np.testing.assert_allclose(line["babble"].get_ydata(), [24, 54, 84, 91])
        places = np.array([each.get_xdata() for each in list(line.values())[1:]])
        assert (np.diff(places, axis=0) > 0).all()
        np.testing.assert_allclose(places.mean(axis=0), [0, 5, 10, 20], atol=1e-9)

    def test_bars_are_intervals_and_the_band_is_that_of_the_clips_as_they_are(self):
        axes = sweep().axes[0]
        bars = axes.collections[0].get_segments()
        np.testing.assert_allclose(bars[0][:, 1], [25, 33])
        np.testing.assert_allclose(axes.lines[0].get_ydata(), 97)
        band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
        np.testing.assert_allclose([band.y0, band.y1], [96, 98])
        assert "as they are\n97.0 %" in [text.get_text() for text in axes.texts]

    def test_the_foot_is_below_all_or_as_wanted(self):
        assert sweep().axes[0].get_ylim()[0] == 15
        assert sweep(lowest=0.12).axes[0].get_ylim()[0] == 10

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"curves": {}}, r"must hold at least one"),
            ({"values": []}, r"n=0"),
            ({"curves": {"a": [0.1, 0.2, 0.3, 0.4]}}, r"shape \(n, 3\).*Received: shapes .*\(4,\)"),
            ({"curves": {"a": [(90, 80, 95)] * 4}}, r"between 0 and 1. Received: 0.96 to 95"),
            ({"unchanged": (np.nan, 0, 1)}, r"between 0 and 1. Received: nan"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            sweep(**changes)


class TestSave:
    def test_few_colors_make_a_small_file_that_looks_alike(self, tmp_path):
        plots.save(history(3), tmp_path / "all.png")
        plots.save(history(3), tmp_path / "few.png", colors=plots.CARD_COLORS)
        paths = tmp_path / "all.png", tmp_path / "few.png"
        assert paths[1].stat().st_size < 0.5 * paths[0].stat().st_size
        whole, few = (np.asarray(Image.open(path).convert("RGB"), dtype=float) for path in paths)
        assert whole.shape == few.shape
        assert few[0, 0].tolist() == [255, 255, 255]
        assert np.abs(whole - few).mean() < 3
        assert np.abs(whole - few).max() < 32

    def test_png_of_1200_pixels_without_metadata(self, tmp_path):
        plots.save(history(3), tmp_path / "history.png")
        with Image.open(tmp_path / "history.png") as image:
            assert image.format == "PNG"
            assert image.width == 1200
            assert set(image.info) == {"dpi"}

    def test_bytes_are_those_of_the_file(self, tmp_path):
        plots.save(history(3), tmp_path / "history.png")
        assert plots.png(history(3)) == (tmp_path / "history.png").read_bytes()
        with Image.open(io.BytesIO(plots.png(history(3), dpi=75))) as image:
            assert image.width == 600

    def test_other_formats(self, tmp_path):
        with pytest.raises(ValueError, match=r"must end in .png. Received: .*history.pdf"):
            plots.save(history(3), tmp_path / "history.pdf")

    def test_the_settings_of_the_reader_change_nothing(self, tmp_path):
        plots.save(history(3), tmp_path / "a.png")
        with rc_context({"font.size": 20, "savefig.bbox": "tight", "axes.facecolor": "red"}):
            figure = history(3)
            plots.save(figure, tmp_path / "b.png")
        assert isinstance(figure, Figure)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_import_is_light():
    """Neither module costs matplotlib at import, and no picture touches pyplot."""
    code = (
        "import sys; from echoic import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.history({'loss': [1.0]})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
