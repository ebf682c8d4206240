"""What holds of every picture, and sounds and predictions to draw.

A file of tests names its pictures and inherits the checks:

    PICTURES = {"sweep": lambda: sweep()}
    picture = each(PICTURES)

    class TestPictures(EveryPicture): ...
"""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from echoic import plots
from echoic.labels import COMMANDS, SILENCE, UNKNOWN

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


def each(pictures):
    """Make a fixture that draws each of these pictures."""

    @pytest.fixture(scope="module", params=pictures)
    def picture(request):
        return pictures[request.param]()

    return picture


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


class EveryPicture:
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
            "False accepts per hour (logarithmic)",
            "Missed words (%)",
            "Confidence (%)",
            "Clips",
            "Speakers, worst first (logarithmic)",
            "Clips of a speaker",
            "Largest probability of a command (%)",
            "Accuracy (%)",
            "Signal-to-noise ratio (dB)",
        }
        assert labels <= known
        assert len(labels) > 1
