"""Runs: what they write, what they say, and that each recipe learns."""

import multiprocessing
import shutil
from functools import lru_cache

import keras
import numpy as np
import pytest

from echoic import audio, networks, training
from echoic import data as datasets
from echoic.config import ModelConfig, Recipe, recipe_names
from echoic.data import examples
from echoic.runtime.bundle import Bundle
from echoic.runtime.tflite import StreamingRunner
from echoic.training import DataLoader, checkpoints


@pytest.fixture(scope="module")
def short_recipe(tiny_recipe):
    return Recipe.load(tiny_recipe, overrides=["training.epochs=1"])


def test_the_log_has_a_line_an_epoch(tiny_model):
    lines = (tiny_model / ".training" / "log.csv").read_text().splitlines()
    assert lines[0].split(",")[0] == "epoch"
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(lines[0].split(","))
    assert len(lines) == 1 + 3
    assert list((tiny_model / ".training" / "tensorboard").rglob("events.*"))


def test_a_run_with_extras_and_a_teacher_says_so_and_goes_on_with_the_same_only(
    tiny_recipe, tiny_model, sample, tmp_path
):
    shutil.copytree(sample / "bed", tmp_path / "voices" / "bed")
    recipe = Recipe.load(tiny_recipe, overrides=["training.epochs=1", "training.calibrate=true"])
    extras = {"data": sample, "extra_data": [tmp_path / "voices"]}
    model = training.train(recipe, out=tmp_path / "taught", teachers=[tiny_model], **extras)
    record, plain = model.training, Bundle.load(tiny_model).training
    assert (record.extra_data, record.teachers) == (("voices",), (tiny_model.name,))
    assert (plain.extra_data, plain.teachers) == ((), ())
    more = record.counts["training"]["_unknown_"] - plain.counts["training"]["_unknown_"]
    assert more == 23
    assert record.counts["validation"] == plain.counts["validation"]
    assert record.files_sha256 != plain.files_sha256
    card = (model.path / "README.md").read_text(encoding="utf-8")
    assert "- Extra data: voices, part of the clips for training" in card
    assert f"- Teachers: {tiny_model.name}." in card
    assert record.temperature != 1
    assert f"divided by {record.temperature:.2f}" in card
    assert plain.temperature is None
    assert "divided by" not in (tiny_model / "README.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"inputs.teachers: \['tiny'\] then, \[\] now"):
        training.train(recipe, out=tmp_path / "taught", resume=True, **extras)


def test_a_recipe_brings_its_own_extras_and_teachers_where_they_are_at_hand(
    tiny_recipe, tiny_model, sample, tmp_path, caplog
):
    data = tmp_path / "words"
    shutil.copytree(sample, data)
    shutil.copytree(sample / "bed", tmp_path / "voices" / "bed")
    recipe = Recipe.load(
        tiny_recipe,
        overrides=[
            "training.epochs=1",
            'data.extra_data=["voices", "songs"]',
            f'training.teachers=["{tiny_model.as_posix()}", "nobody"]',
        ],
    )
    model = training.train(recipe, data=data, out=tmp_path / "taught")
    assert model.training.extra_data == ("voices",)
    assert model.training.teachers == (tiny_model.name,)
    assert model.recipe == recipe
    assert f"Training without {tmp_path / 'songs'}: there is no such folder." in caplog.messages
    assert "Training without the teacher nobody: there is no such model." in caplog.messages
    alone = training.train(recipe, data=data, out=tmp_path / "alone", extra_data=[], teachers=[])
    assert (alone.training.extra_data, alone.training.teachers) == ((), ())


def test_a_run_that_cannot_begin_leaves_nothing(tiny_recipe, sample, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"received nothing\.keras: no such file"):
        training.train(
            Recipe.load(tiny_recipe),
            data=sample,
            out=tmp_path / "none",
            initial_weights="nothing.keras",
        )
    assert not (tmp_path / "none").exists()


def test_a_logit_adjustment_warns_of_a_word_with_few_recordings(
    tiny_recipe, sample, tmp_path, caplog, monkeypatch
):
    data = tmp_path / "words"
    shutil.copytree(sample, data)
    held_out = "".join((data / name).read_text() for name in datasets.LISTS.values())
    for path in sorted(p for p in (data / "no").glob("*.wav") if p.name not in held_out)[3:]:
        path.unlink()
    counts = datasets.load(data, Recipe.load(tiny_recipe).data, "training").counts
    assert (counts["no"], counts["yes"]) == (3, 23)
    monkeypatch.setattr(checkpoints.RunFolder, "begin", lambda *_: 1 / 0)  # the warning is before
    said = []
    for equal, folder in (("true", data), ("true", sample), ("false", data)):
        caplog.clear()
        recipe = Recipe.load(tiny_recipe, overrides=[f"training.logit_adjustment={equal}"])
        with pytest.raises(ZeroDivisionError):
            training.train(recipe, data=folder, out=tmp_path / "run")
        said.append([x for x in caplog.messages if x.startswith("Few recordings of")])
    assert [len(messages) for messages in said] == [1, 0, 0]
    assert said[0][0].startswith("Few recordings of no (3), where the mean is 13 a word")


def test_a_run_leaves_no_process_and_no_recordings(tiny_recipe, sample, tmp_path):
    recipe = Recipe.load(tiny_recipe, overrides=["training.epochs=1"])
    training.train(recipe, data=sample, out=tmp_path / "run", workers=2)
    assert multiprocessing.active_children() == []
    assert not list(tmp_path.rglob("waveforms.npy"))


def test_a_run_scans_the_data_once_and_decodes_each_recording_once(
    short_recipe, sample, tmp_path, monkeypatch
):
    scans, reads = [], []
    scan, read = examples.scan, audio.read
    monkeypatch.setattr(examples, "scan", lambda *a, **k: scans.append(a) or scan(*a, **k))
    monkeypatch.setattr(audio, "read", lambda path: reads.append(path) or read(path))
    training.train(short_recipe, data=sample, out=tmp_path / "run")
    assert len(scans) == 1
    recordings = [path for path in reads if path.parent.name != "_background_noise_"]
    assert len(recordings) == len(set(recordings)) == 17 * (23 + 5)


SMALL = {"filters": 16, "units": 16, "heads": 2, "key_dim": 8, "blocks": 1}


@lru_cache(maxsize=1)
def validation(sample, config):
    return datasets.load(sample, config, "validation")


@pytest.mark.parametrize("name", [n for n in recipe_names() if n != "gru"])
def test_each_recipe_learns(name, sample):
    """A few steps on one batch bring the loss down, whatever the layers; their sizes are small."""
    recipe = Recipe.load(name, overrides=["training.batch_size=12", "training.warmup_epochs=0"])
    rows = [row | {k: v for k, v in SMALL.items() if k in row} for row in recipe.model.layers]
    loader = DataLoader(validation(sample, recipe.data), recipe)
    x, y = loader.batch(0, 0)
    keras.utils.set_random_seed(0)
    model = networks.build(
        ModelConfig(layers=tuple(rows)),
        channels=recipe.features.channels,
        n_labels=12,
        mean=x.mean(axis=(0, 1)),
        variance=x.var(axis=(0, 1)),
    )
    model = networks.add_auxiliary_head(model, loader.n_words)
    training.compile_model(model, recipe.training, 10, n_labels=12)
    losses = [float(model.train_on_batch(x, y)[0]) for _ in range(6)]
    assert losses[-1] < losses[0]


@pytest.fixture(scope="module")
def log_mel_run(tiny_recipe, sample, tmp_path_factory):
    recipe = Recipe.load(tiny_recipe, overrides=["features.n_mfcc=0", "training.epochs=1"])
    return training.train(recipe, data=sample, out=tmp_path_factory.mktemp("log_mel") / "run")


def test_a_run_on_log_mel_gives_a_clip_and_a_stream(log_mel_run, sample):
    """The files hear a clip alike, which ends in a stream as it does alone."""
    assert log_mel_run.features.channels == 40
    clip, stream = log_mel_run.tflite("clip"), StreamingRunner(log_mel_run.tflite("stream"))
    waveform = audio.fix_length(audio.read(next((sample / "yes").glob("*.wav"))), 16_000)
    expected = clip(waveform=waveform[None])["probabilities"][0]
    steps = waveform.reshape(-1, *stream.shape)
    np.testing.assert_allclose([stream(x) for x in steps][-1], expected, atol=1e-4)


def test_a_run_on_log_mel_teaches_one_on_mfccs(log_mel_run, short_recipe, sample, tmp_path):
    model = training.train(
        short_recipe, data=sample, out=tmp_path / "taught", teachers=[log_mel_run.path]
    )
    assert model.training.teachers == ("run",)
