"""Clips that follow each other, read at their last frame."""

import json

import numpy as np
import pytest

from echoic import config, evaluation, reports
from echoic import data as datasets
from echoic.evaluation import Posteriors
from echoic.runtime.bundle import Bundle

LABELS = ("_silence_", "_unknown_", "yes", "no")


@pytest.fixture
def model(tiny_model):
    return Bundle.load(tiny_model)


@pytest.fixture
def examples(tone):
    """Twelve clips, whose words sound to the end."""
    words = ["yes", "no", "cat"] * 3
    waveforms = [tone(word, end=1.0) for word in words] + [np.zeros(16000, np.float32)] * 3
    targets = [LABELS.index({"cat": "_unknown_"}.get(word, word)) for word in words] + [0] * 3
    names = tuple(map(str, range(12)))
    return datasets.Examples(np.array(waveforms), np.array(targets), names, LABELS)


def test_each_clip_is_read_at_its_last_frame(model, examples, posterior_fn):
    done = []
    result = evaluation.evaluate_continuous(
        model, examples, posterior_fn=posterior_fn, on_progress=lambda *x: done.append(x)
    )
    report = result.report()
    assert report["protocol"] == "archive-v0.02-endless"
    assert report["accuracy"] == 1
    assert report["n"] == 12
    assert report["orders"] == [1, 1, 1]
    assert report["without_silence"] == {**report["without_silence"], "accuracy": 1, "n": 9}
    assert done[-1] == (36, 36)
    assert json.loads(json.dumps(report)) == report
    assert "4,890 clips, this folder has 12" in report["warnings"][0]


def test_the_orders_are_those_of_the_protocol(model, examples):
    played = []

    def posterior_fn(waveforms):
        order = [int(np.flatnonzero((examples.waveforms == w).all(axis=1))[0]) for w in waveforms]
        played.append(order)
        times = (np.arange(25 * len(order)) + 1) * 0.04
        return Posteriors(times, np.full((len(times), 4), 0.25, np.float32))

    # Each clip another, so that it is known again.
    examples.waveforms[:] += np.arange(12, dtype=np.float32)[:, None] / 100
    evaluation.evaluate_continuous(model, examples, posterior_fn=posterior_fn)
    assert played == [np.random.default_rng(s).permutation(12).tolist() for s in (0, 1, 2)]


def test_the_mean_is_over_the_orders(examples):
    predicted = np.tile(examples.targets, (3, 1))
    predicted[0, :6] = 0
    predicted[1, :3] = 0
    report = evaluation.ContinuousEvaluation(examples, predicted).report()
    assert report["orders"] == [0.5, 0.75, 1.0]
    assert report["accuracy"] == 0.75
    assert report["without_silence"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert report["classes"]["yes"] == {
        "n": 3,
        "recall": pytest.approx(6 / 9, abs=1e-4),
        "precision": 1,
    }
    low, high = report["interval"]
    assert low < 0.75 < high


def test_figures_and_tables_are_those_of_the_report(examples):
    predicted = np.tile(examples.targets, (3, 1))
    predicted[0, :6] = 0
    result = evaluation.ContinuousEvaluation(examples, predicted, ("Mind this.",))
    report = result.report()
    whole, spoken = result.figures["accuracy"], result.figures["accuracy_without_silence"]
    assert whole.report() == {key: report[key] for key in ("accuracy", "n", "interval")}
    assert spoken.report() == report["without_silence"]
    rows = {label: row for label, *row in result.tables["classes"].rows}
    assert rows == {label: [*row.values()] for label, row in report["classes"].items()}
    assert result.pictures == tuple(reports.pictures(result, "tiny")) == ()
    assert result.warnings == tuple(report["warnings"])


@pytest.mark.parametrize(("step", "last"), [(0.04, 25), (0.3, 3), (1.0, 1)])
def test_a_step_that_ends_in_the_next_clip_is_the_next_clip_s(model, examples, step, last):
    def posterior_fn(waveforms):
        n = len(list(waveforms))
        times = (np.arange(int(n / step + 1e-6)) + 1) * step
        # One that answers "yes" in the last step of the first clip alone.
        rows = np.tile(np.float32([1, 0, 0, 0]), (len(times), 1))
        rows[last - 1] = [0, 0, 1, 0]
        return Posteriors(times, rows)

    predicted = evaluation.evaluate_continuous(model, examples, posterior_fn=posterior_fn).predicted
    for row, seed in zip(predicted, (0, 1, 2), strict=True):
        first = np.random.default_rng(seed).permutation(12)[0]
        assert np.flatnonzero(row == 2).tolist() == [first]


def test_the_small_file_is_asked_where_it_is_named(sample):
    model = Bundle.load("gru-12")
    loaded = datasets.load(sample, config.DataConfig(vocabulary=model.labels[2:]), "validation")
    drawn = loaded.examples()
    some = slice(None, None, len(drawn) // 10)
    examples = datasets.Examples(
        drawn.waveforms[some], drawn.targets[some], drawn.names[some], drawn.labels
    )
    whole, small = (
        evaluation.evaluate_continuous(model, examples, file=file)
        for file in ("stream", "stream_int8")
    )
    assert (whole.report()["file"], small.report()["file"]) == ("stream", "stream_int8")
    assert (whole.predicted == small.predicted).mean() > 0.8
    with pytest.raises(FileNotFoundError, match=r"gru-12 has no stream_int4\.tflite"):
        evaluation.evaluate_continuous(model, examples, file="stream_int4")


def test_clips_shorter_than_a_step(model, examples):
    def posterior_fn(waveforms):
        n = len(list(waveforms))
        return Posteriors(np.arange(1, n // 2 + 1) * 2.0, np.full((n // 2, 4), 0.25, np.float32))

    with pytest.raises(ValueError, match="at least one step, 2 s, received clips of 16000 samples"):
        evaluation.evaluate_continuous(model, examples, posterior_fn=posterior_fn)


def test_it_is_recorded_beside_the_figures_of_clips(tiny_copy, examples, posterior_fn):
    model = Bundle.load(tiny_copy)
    result = evaluation.evaluate_continuous(model, examples, posterior_fn=posterior_fn)
    recorded = reports.record(model, result)
    assert set(recorded.metrics) == {"hash-split validation", "archive-v0.02-endless"}
    card = (tiny_copy / "README.md").read_text(encoding="utf-8")
    assert "`archive-v0.02-endless` | 12 | **100.00%**" in card
    assert "--test-set data/speech_commands_test_set_v0.02 --continuous" in card


def test_the_small_file_s_figures_stand_beside_the_others(tiny_copy, examples, posterior_fn):
    model = Bundle.load(tiny_copy)
    for file in ("stream_int8", "stream"):
        result = evaluation.evaluate_continuous(
            model, examples, file=file, posterior_fn=posterior_fn
        )
        if file == "stream":
            result.predicted[:] = 0
        model = reports.record(model, result)
    figures = model.metrics
    assert list(figures) == [
        "hash-split validation",
        "archive-v0.02-endless int8",
        "archive-v0.02-endless",
    ]
    assert figures["archive-v0.02-endless int8"]["accuracy"] == 1
    assert figures["archive-v0.02-endless int8"]["protocol"] == "archive-v0.02-endless"
    assert figures["archive-v0.02-endless"]["accuracy"] == 0.25
    again = evaluation.evaluate_continuous(
        model, examples, file="stream_int8", posterior_fn=posterior_fn
    )
    reports.record(model, again)
    card = (tiny_copy / "README.md").read_text(encoding="utf-8")
    assert "`archive-v0.02-endless int8` | 12 | **100.00%**" in card
    assert "`archive-v0.02-endless` | 12 | **25.00%**" in card
    assert "the same streams with `stream_int8.tflite`" in card
    command = f"echoic evaluate models/{model.name} --test-set data/speech_commands_test_set_v0.02"
    assert f"{command} --continuous\n" in card
    assert f"{command} --continuous --file stream_int8\n" in card
    assert "### Per class\n\nOn `archive-v0.02-endless`:" in card
