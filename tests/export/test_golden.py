"""Golden files: what a streaming model gives for the sample stream, for others to equal."""

import dataclasses
import json
import logging
import shutil

import numpy as np
import pytest

from echoic.config import DecoderConfig
from echoic.export import golden
from echoic.runtime import bundle as bundles
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Decoder, Detection

STREAMING = ["gru-12", "gru-commands", "lstm-12", "small-12"]


def load(folder):
    return json.loads((folder / golden.FILE).read_text(encoding="utf-8"))


def test_each_streaming_model_has_one(root):
    have = {path.parent.name for path in (root / "models").glob(f"*/{golden.FILE}")}
    streaming = {path.parent.name for path in (root / "models").glob("*/stream.tflite")}
    assert have == streaming == set(STREAMING)


@pytest.mark.parametrize("name", STREAMING)
def test_a_released_model_gives_its_posteriors_and_detections(root, name):
    bundle = Bundle.load(root / "models" / name)
    golden.check(bundle)
    assert (bundle.path / golden.FILE).stat().st_size < 300_000


@pytest.mark.parametrize("name", STREAMING)
def test_a_decoder_that_reads_the_file_alone_gives_its_detections(root, name):
    content = load(root / "models" / name)
    decoder = Decoder(
        content["labels"], config=DecoderConfig(**content["decoder"]), step=content["step"]
    )
    found = decoder.process_many(content["times"], content["posteriors"])
    expected = [Detection(**detection) for detection in content["detections"]]
    assert [(d.time, d.label) for d in found] == [(d.time, d.label) for d in expected]
    np.testing.assert_allclose(
        [d.confidence for d in found], [d.confidence for d in expected], atol=1e-6
    )
    said = ["yes", "left", "go", "go", "stop", "down", "no", "right", "on"]
    assert [d.label for d in found] == said
    assert content["verifier"] == []
    steps = np.diff(content["times"])
    np.testing.assert_allclose(steps, content["step"], atol=1e-6)


@pytest.fixture
def copy(root, tmp_path):
    """A copy of a released model to change."""
    return Bundle.load(shutil.copytree(root / "models" / "small-12", tmp_path / "small-12"))


def test_a_file_is_written_as_it_is_released(copy):
    before = load(copy.path)
    assert golden.write(copy) == copy.path / golden.FILE
    golden.check(copy)
    assert load(copy.path).keys() == before.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["yes"]}, "received other labels"),
        ({"step": 0.02, "verifier": [1]}, "received other step, verifier"),
        ({"detections": []}, "detections of .* to be those of its posteriors"),
    ],
)
def test_a_file_of_another_model_is_refused(copy, change, message):
    content = {**load(copy.path), **change}
    (copy.path / golden.FILE).write_text(json.dumps(content))
    with pytest.raises(golden.GoldenError, match=message):
        golden.check(copy)


def test_other_posteriors_are_refused(copy):
    content = load(copy.path)
    content["posteriors"][100][0] += 2e-4
    (copy.path / golden.FILE).write_text(json.dumps(content))
    with pytest.raises(golden.GoldenError, match="within 0.0001, received a difference of 0.0002"):
        golden.check(copy)


def test_other_settings_of_the_decoder_are_noticed(copy):
    text = (copy.path / golden.FILE).read_text()
    tuned = bundles.set_decoder(copy, dataclasses.replace(copy.decoder, enter=0.99))
    (copy.path / golden.FILE).write_text(text)
    with pytest.raises(golden.GoldenError, match="received other decoder"):
        golden.check(tuned)


def test_without_the_sample_there_is_a_warning_and_no_stale_file(copy, monkeypatch, caplog):
    monkeypatch.setattr(golden, "SOUND", "data/sample/nothing.wav")
    with caplog.at_level(logging.WARNING, logger="echoic"):
        assert golden.write(copy) is None
    assert "there is no data/sample/nothing.wav" in caplog.text
    assert not (copy.path / golden.FILE).exists()
    with pytest.raises(FileNotFoundError, match="Expected data/sample/nothing.wav"):
        golden.compute(copy)


def test_a_model_of_clips_has_none(root, tmp_path):
    bundle = Bundle.load(shutil.copytree(root / "models" / "attention-12", tmp_path / "clips"))
    assert golden.write(bundle) is None
    assert not (bundle.path / golden.FILE).exists()


def test_export_writes_one(family):
    golden.check(family)
