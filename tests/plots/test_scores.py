"""Pictures of figures: confusion matrix, learning curves, DET curve."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from echoic import metrics, plots
from picture_checks import LONG_TITLE, WORDS_12, WORDS_35, EveryPicture, each


def confusion(labels, n, title="gru-12 on archive-v0.02"):
    rng = np.random.default_rng(1)
    true = rng.integers(0, len(labels), n)
    predicted = np.where(rng.random(n) < 0.9, true, rng.integers(0, len(labels), n))
    counts = confusion_matrix(true, predicted, labels=range(len(labels)))
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


PICTURES = {
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
}


picture = each(PICTURES)


class TestPictures(EveryPicture):
    """Texts keep apart and inside, the same bytes twice, a unit at each axis."""


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
        with pytest.raises(ValueError, match=r"labels of the 3 rows.*received 2 labels"):
            plots.confusion_matrix(self.counts, labels=["a", "b"])

    def test_bad_counts(self):
        with pytest.raises(ValueError, match=r"Expected confusion to hold counts"):
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
        with pytest.raises(ValueError, match=r"Expected epochs to hold loss.*received keys"):
            plots.history(epochs)


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
        assert "no false\naccept in\n0.5 h" in [text.get_text() for text in axes.texts]

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
            ({"miss_rates": [50.0] * 10}, r"from 0 to 1, received 50 to 50"),
            ({"miss_rates": [np.nan] * 10}, r"from 0 to 1, received nan"),
            ({"hours": 0}, r"exposure .* received 0"),
        ],
    )
    def test_bad_input(self, changes, message):
        with pytest.raises(ValueError, match=message):
            det_curve(**changes)
