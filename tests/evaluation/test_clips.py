"""Figures that follow from the answers, each with its protocol."""

import json
import logging

import numpy as np
import pytest

from echoic import audio, evaluation, metrics, reports
from echoic import data as datasets
from echoic.evaluation import Evaluation
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer

LABELS = ("_silence_", "_unknown_", "yes", "no")


def predictions(targets, predicted, **more):
    n = len(targets)
    examples = datasets.Examples(
        np.zeros((n, 16000), np.float32),
        np.array(targets),
        tuple(f"{LABELS[t]}/{i}.wav" for i, t in enumerate(targets)),
        LABELS,
    )
    probabilities = np.full((n, 4), 0.1, np.float32)
    probabilities[np.arange(n), predicted] = np.linspace(0.5, 0.9, n)
    return Evaluation("hash-split", {"split": "test"}, examples, probabilities, **more)


def test_the_report_of_known_predictions():
    report = predictions([0, 0, 1, 2, 2, 3], [0, 2, 1, 2, 3, 3]).report()
    assert report["accuracy"] == pytest.approx(4 / 6, abs=1e-6)
    assert report["n"] == 6
    assert report["interval"] == pytest.approx(metrics.wilson_interval(4, 6), abs=1e-4)
    assert report["protocol"] == "hash-split"
    assert report["split"] == "test"
    assert report["without_silence"]["accuracy"] == pytest.approx(3 / 4)
    assert report["without_silence"]["n"] == 4
    assert report["classes"]["yes"] == {"n": 2, "recall": 0.5, "precision": 0.5}
    assert report["confusion"][0] == [1, 0, 1, 0]
    assert json.loads(json.dumps(report)) == report


def test_figures_tables_and_pictures_are_those_of_the_report():
    result = predictions([0, 0, 1, 2, 2, 3], [0, 2, 1, 2, 3, 3], warnings=("Mind this.",))
    report = result.report()
    whole, spoken = result.figures["accuracy"], result.figures["accuracy_without_silence"]
    assert whole.report() == {key: report[key] for key in ("accuracy", "n", "interval")}
    assert spoken.report() == report["without_silence"]
    classes = result.tables["classes"]
    assert classes.columns == ("label", "n", "recall", "precision")
    assert {
        row[0]: dict(zip(classes.columns[1:], row[1:], strict=True)) for row in classes.rows
    } == (report["classes"])
    assert result.tables["confusions"].rows == (("_silence_", "yes", 1), ("yes", "no", 1))
    assert result.pictures == tuple(reports.pictures(result, "tiny")) == ("confusion.png",)
    assert result.warnings == tuple(report["warnings"])


def test_a_label_without_clips_has_no_recall():
    report = predictions([2, 2], [2, 3]).report()
    assert report["classes"]["no"] == {"n": 0, "recall": None, "precision": 0.0}
    assert report["classes"]["_unknown_"]["precision"] is None


def test_mistakes_name_the_most_certain_files_first():
    found = predictions([2, 2, 2, 3], [3, 3, 2, 2]).mistakes()
    assert found[0] == {
        "true": "yes",
        "predicted": "no",
        "count": 2,
        "files": ["yes/1.wav", "yes/0.wav"],
        "indices": [1, 0],
    }
    assert [m["count"] for m in found] == [2, 1]


def test_a_split_is_the_same_at_each_call(tiny_model, sample):
    model = Bundle.load(tiny_model)
    first, second = (evaluation.evaluate_split(model, sample) for _ in range(2))
    assert first.report() == second.report()
    assert first.protocol == "hash-split"
    assert first.report()["split"] == "validation"
    assert model.metrics["hash-split validation"]["accuracy"] == first.report()["accuracy"]


def test_missing_files_of_the_official_list_are_told(tiny_model, speech_commands, caplog):
    root = speech_commands / "speech_commands_v0.02"
    with caplog.at_level(logging.WARNING):
        result = evaluation.evaluate_split(Bundle.load(tiny_model), root, split="validation")
    assert "files of the official validation list are missing" in result.warnings[0]
    assert "official validation list" in caplog.text
    assert result.report()["warnings"] == list(result.warnings)


def test_a_test_archive_that_is_not_whole_is_told(speech_commands):
    model = Bundle.load("gru-12")
    root = speech_commands / "speech_commands_test_set_v0.02"
    done = []
    result = evaluation.evaluate_test_set(model, root, on_progress=lambda *x: done.append(x))
    assert "4,890 clips, this folder has 240" in result.warnings[0]
    assert result.protocol == "archive-v0.02"
    assert done[-1] == (240, 240)
    assert result.report()["accuracy"] > 0.85


def test_the_report_and_the_record_are_written(tiny_copy, sample, tmp_path):
    model = Bundle.load(tiny_copy)
    result = evaluation.evaluate_split(model, sample, split="test")
    reports.write_report(model, result, tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["accuracy"] == result.report()["accuracy"]
    assert (tmp_path / "report" / "confusion.png").read_bytes()[:4] == b"\x89PNG"
    recorded = reports.record(model, result)
    assert set(recorded.metrics) == {"hash-split validation", "hash-split test"}
    assert (tiny_copy / "confusion.png").exists()


def test_the_default_model_does_on_the_archive_what_its_card_says(test_archive):
    model = Bundle.load("gru-12")
    result = evaluation.evaluate_test_set(model, test_archive)
    stated = model.metrics["archive-v0.02"]
    assert result.warnings == ()
    assert result.report()["accuracy"] == pytest.approx(stated["accuracy"], abs=5e-4)
    card = (model.path / "README.md").read_text(encoding="utf-8")
    assert f"{stated['accuracy']:.2%}" in card


def test_silence_that_came_through_a_codec_is_silence_still(test_archive):
    """Training speech was coded and its noises were not: "lossless" must not mean "silence"."""
    recognizer = Recognizer.load("gru-12")
    waveforms = [audio.read(path) for path in sorted((test_archive / "_silence_").glob("*.wav"))]

    def is_silence(waveform):
        return recognizer.predict(waveform)[0].label == "_silence_"

    silent = [waveform for waveform in waveforms if is_silence(waveform)]
    still = [waveform for waveform in silent if is_silence(audio.through_opus(waveform))]
    assert len(silent) / len(waveforms) > 0.95
    assert len(still) / len(silent) > 0.98
