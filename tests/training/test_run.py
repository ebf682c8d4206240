"""Batches, and a run that survives whatever happens to it."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax

from echoic import audio, features, networks, training
from echoic import data as datasets
from echoic.config import FeatureConfig, ModelConfig, Recipe, TrainingConfig, recipe_names
from echoic.data import sources as examples
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer
from echoic.training import DataLoader, Progress, batcher
from echoic.training import distillation as teachers_module
from echoic.training.batcher import Batcher, features_alone


@pytest.fixture(scope="module")
def feed(tiny_recipe, sample):
    recipe = Recipe.load(tiny_recipe)
    return DataLoader(datasets.load(sample, recipe.data, "training"), recipe)


# --- batches


def test_a_batch_depends_on_its_key_alone(feed):
    indices = feed.epoch(3)[1]
    x, y = feed.batch(indices, 3, 1)
    again, same = feed.batch(indices, 3, 1)
    other, _ = feed.batch(indices, 4, 1)
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, same)
    assert not np.array_equal(x, other)


def test_a_batch_has_coefficients_and_smoothed_answers(feed):
    indices = feed.epoch(0)[0]
    x, y = feed.batch(indices, 0, 0)
    config = feed.recipe.features
    assert x.shape == (feed.recipe.training.batch_size, 50, config.n_mfcc)
    assert (x.dtype, y.dtype) == (np.float32, np.float32)
    assert y.shape == (len(x), 1, len(feed.split.labels))
    expected = 0.9 * np.eye(y.shape[-1])[feed.split.targets_of(indices)] + 0.1 / y.shape[-1]
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-6)


def test_answers_are_mixed_as_the_clips_are(feed):
    mixed_recipe = dataclasses.replace(
        feed.recipe,
        augmentation=dataclasses.replace(feed.recipe.augmentation, mixup_probability=1.0),
        training=dataclasses.replace(
            feed.recipe.training, auxiliary_loss_weight=0.5, label_smoothing=0.0
        ),
    )
    mixed_feed = DataLoader(feed.split, mixed_recipe)
    indices = np.arange(0, len(feed.split.clips), len(feed.split.clips) // 16)
    _, y = mixed_feed.batch(indices, 0)
    n = len(feed.split.labels)
    labels, words = y[:, 0, :n], y[:, 0, n:]
    np.testing.assert_allclose(y.sum(axis=-1), 2, rtol=1e-6)  # one label, one word
    own = np.arange(len(indices)), feed.split.targets[indices]
    assert (labels[own] >= 0.5).all()
    assert ((words > 0).sum(axis=1) == 2).sum() > len(indices) / 2
    assert (np.sort(words, axis=1)[:, -1] >= 0.5).all()


def test_clips_in_a_row_are_heard_as_one_stream(feed):
    recipe = feed.recipe
    rows = dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, clips_per_sequence=4)
    )
    still = dict.fromkeys(("speed", "reverberation", "noise", "bandwidth"), 0.0)
    plain = dataclasses.replace(
        rows,
        augmentation=dataclasses.replace(
            rows.augmentation,
            **{f"{name}_probability": value for name, value in still.items()},
            **{"shift": 0, "gain": (0, 0), "channel": 0, "time_masks": 0, "frequency_masks": 0},
        ),
    )
    plain_feed = DataLoader(feed.split, plain)
    indices = np.arange(8)
    x, y = plain_feed.batch(indices, 0)
    assert y.shape == (2, 4, len(feed.split.labels))
    waveforms, targets = feed.split.take(indices, np.random.default_rng(0))
    np.testing.assert_array_equal(y.argmax(axis=-1).ravel(), targets)
    stream = features.mfcc(waveforms[:4].reshape(-1), recipe.features)
    np.testing.assert_allclose(x[0], stream, atol=1e-3)


def test_an_epoch_of_rows_fills_them(feed):
    recipe = dataclasses.replace(
        feed.recipe,
        training=dataclasses.replace(feed.recipe.training, clips_per_sequence=3, batch_size=9999),
    )
    (only,) = DataLoader(feed.split, recipe).epoch(0)
    assert len(only) > 3
    assert len(only) % 3 == 0


def test_the_second_task_names_the_word(feed):
    recipe = feed.recipe
    training_config = dataclasses.replace(recipe.training, auxiliary_loss_weight=0.5)
    words_feed = DataLoader(feed.split, dataclasses.replace(recipe, training=training_config))
    indices = np.array([0, len(feed.split.clips) - 1, examples.SILENT, examples.SYNTHETIC])
    _, y = words_feed.batch(indices, 0)
    labels, words = np.split(y[:, 0], [len(feed.split.labels)], axis=1)
    names = sorted({clip.word for clip in feed.split.clips})
    assert words.shape == (4, len(names) + 2)
    first, last = (names.index(feed.split.clips[i].word) for i in indices[:2])
    assert words.argmax(axis=1).tolist() == [first, last, len(names), len(names) + 1]
    assert [feed.split.labels[i] for i in labels.argmax(axis=1)[2:]] == ["_silence_", "_unknown_"]


def ensemble(models, recipe):
    return training.Ensemble(training.load_teachers(models, recipe), recipe)


class Parrot:
    """A teacher that says the same of every clip, and remembers what it heard and was told."""

    def __init__(self, *hears):
        self.hears, self.heard, self.told = hears, [], []

    def __call__(self, heard, answers):
        self.heard.append(heard)
        self.told.append(answers.copy())
        return np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (len(heard[0]), 1))


def test_a_teacher_hears_each_clip_of_a_row_and_has_its_say(feed):
    recipe = dataclasses.replace(
        feed.recipe,
        training=dataclasses.replace(
            feed.recipe.training, clips_per_sequence=4, auxiliary_loss_weight=0.5
        ),
    )
    teacher = Parrot(recipe.features)
    alone, taught = DataLoader(feed.split, recipe), DataLoader(feed.split, recipe, teacher=teacher)
    indices = alone.epoch(0)[0]
    x, hard = alone.batch(indices, 0, 0)
    same, soft = taught.batch(indices, 0, 0)
    np.testing.assert_array_equal(same, x)
    ((heard,),), (told,) = teacher.heard, teacher.told
    np.testing.assert_array_equal(told, hard[..., :4].reshape(-1, 4))
    coefficients = x.reshape(heard.shape)
    # Of a louder clip only the mean of a frame is more, which is its first coefficient.
    np.testing.assert_allclose(heard[..., 1:], coefficients[..., 1:], atol=1e-3)
    assert (heard[..., 0] >= coefficients[..., 0] - 1e-3).all()
    expected = 0.3 * hard[..., :4] + 0.7 * np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(soft[..., :4], expected, rtol=1e-6)
    np.testing.assert_array_equal(soft[..., 4:], hard[..., 4:])


def test_a_teacher_that_is_asked_once_hears_each_recording_as_it_is(feed, caplog, monkeypatch):
    split, theirs = feed.split, FeatureConfig(hop_length=160)
    training_config = dataclasses.replace(feed.recipe.training, batch_size=64)
    recipe = dataclasses.replace(feed.recipe, training=training_config)
    teacher = Parrot(theirs, recipe.features)
    clock = iter((0, 60 * 64 / len(split.clips) * 7))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    said = training.cache_teacher(teacher, split, training_config)
    monkeypatch.undo()
    assert f"of {len(split.clips):,} recordings is to the teachers: asked once, for some 7" in (
        caplog.text
    )
    np.testing.assert_array_equal(said, np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (len(said), 1)))

    assert {len(told) for told in teacher.told} == {64}
    told = np.concatenate(teacher.told)[: len(split.clips)]
    assert told.argmax(axis=1).tolist() == split.targets.tolist()
    for which, config in enumerate(teacher.hears):
        heard = np.concatenate([each[which] for each in teacher.heard])[: len(split.clips)]
        clips = audio.to_float32(split.waveforms[[0, -1]])
        np.testing.assert_array_equal(heard[[0, -1]], features_alone(config, clips))

    alone, taught = DataLoader(split, recipe), DataLoader(split, recipe, soft_targets=said)
    # Two recordings, then silence and a forged word, about which nobody was asked.
    indices = np.array([0, len(split.clips) - 1, examples.SILENT, examples.SYNTHETIC] * 16)
    (x, hard), (same, soft) = (each.batch(indices, 0) for each in (alone, taught))
    np.testing.assert_array_equal(same, x)
    hard, soft = hard.reshape(64, -1), soft.reshape(64, -1)
    expected = 0.3 * hard[:, :4] + 0.7 * np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(soft[indices >= 0, :4], expected[indices >= 0], rtol=1e-6)
    np.testing.assert_array_equal(soft[indices < 0], hard[indices < 0])


def test_what_a_teacher_said_of_a_recording_goes_where_that_recording_is(feed):
    said = np.random.default_rng(0).dirichlet(np.ones(4), len(feed.split.clips))
    said = said.astype(np.float32)
    training_config = dataclasses.replace(feed.recipe.training, teacher_weight=1.0)
    recipe = dataclasses.replace(feed.recipe, training=training_config)
    indices = np.random.default_rng(1).permutation(len(said))[:64]
    _, soft = DataLoader(feed.split, recipe, soft_targets=said).batch(indices, 0)
    np.testing.assert_allclose(soft.reshape(64, -1), said[indices], atol=1e-6)


def test_held_out_clips_are_alone_and_asked_for_their_label_only(feed):
    recipe = feed.recipe
    training_config = dataclasses.replace(recipe.training, auxiliary_loss_weight=0.5)
    words_feed = DataLoader(feed.split, dataclasses.replace(recipe, training=training_config))
    x, y = words_feed.clean(feed.split.examples())
    assert (len(x), y.shape[1]) == (len(y), 1)
    assert (y[..., : len(feed.split.labels)].sum(axis=-1) == 1).all()
    assert not y[..., len(feed.split.labels) :].any()


def test_the_stream_of_batches_can_begin_at_any_epoch(feed):
    steps = len(feed.epoch(0))
    with feed.batches() as whole, feed.batches(first_epoch=1) as late:
        for _ in range(steps):
            next(whole)
        for _ in range(3):
            for a, b in zip(next(whole), next(late), strict=True):
                np.testing.assert_array_equal(a, b)


def test_batches_are_prepared_beside_the_training_and_give_way_to_it(feed, monkeypatch):
    prepared_in = []
    batch = Batcher.batch

    def noted(*args):
        prepared_in.append((threading.current_thread(), niceness()))
        return batch(*args)

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, 0) if sys.platform == "linux" else 0

    monkeypatch.setattr(Batcher, "batch", noted)
    before = niceness()
    with feed.batches() as batches:
        next(batches)
    assert {thread for thread, _ in prepared_in}.isdisjoint({threading.current_thread()})
    assert niceness() == before
    if sys.platform == "linux":
        assert {nice for _, nice in prepared_in} == {min(before + 10, 19)}


@pytest.mark.parametrize("once", [False, True])
def test_processes_prepare_what_a_thread_prepares_and_leave_with_it(feed, once):
    teacher = Parrot(feed.recipe.features)
    said = training.cache_teacher(teacher, feed.split, feed.recipe.training)
    taught = {"soft_targets": said} if once else {"teacher": teacher}
    by_thread, by_processes = (
        DataLoader(feed.split, feed.recipe, workers=n, **taught) for n in (0, 2)
    )
    already = set(multiprocessing.active_children())
    with by_thread.batches() as one, by_processes.batches() as other:
        for _ in range(len(feed.epoch(0)) + 1):
            for a, b in zip(next(one), next(other), strict=True):
                np.testing.assert_array_equal(a, b)
        assert len(set(multiprocessing.active_children()) - already) == 2
    assert set(multiprocessing.active_children()) == already


def test_a_process_that_prepares_does_not_outlive_the_training(sample, tiny_recipe, tmp_path):
    """Whatever ended it: a process that is killed cannot say so."""
    script = tmp_path / "train.py"
    script.write_text(
        f"""
import multiprocessing, time
from pathlib import Path
from echoic import data as datasets
from echoic.config import Recipe
from echoic.training import DataLoader

if __name__ == "__main__":
    recipe = Recipe.load({str(tiny_recipe)!r})
    split = datasets.load({str(sample)!r}, recipe.data, "training")
    with DataLoader(split, recipe, workers=1, folder=Path({str(tmp_path)!r})).batches() as batches:
        next(batches)
        print(len(multiprocessing.active_children()), flush=True)
        time.sleep(600)
""",
        encoding="utf-8",
    )
    training_process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert training_process.stdout.readline() == "1\n"
    training_process.kill()
    # The end of what is written: nobody is left who could write, the other process neither.
    training_process.communicate(timeout=60)


def test_an_epoch_draws_afresh(feed):
    first, second = (np.sort(np.concatenate(feed.epoch(e))) for e in (0, 1))
    assert not np.array_equal(first, second)


def test_statistics_are_those_of_what_training_hears(feed):
    mean, variance = feed.statistics(batches=2)
    x = np.concatenate([feed.batch(b, 0, i)[0] for i, b in enumerate(feed.epoch(0)[:2])])
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1), dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(variance, x.var(axis=(0, 1), dtype=np.float64), rtol=1e-4)


# --- loss


def test_the_loss_looks_at_the_last_steps_only():
    config = TrainingConfig(loss_steps=2)
    loss = training.clip_loss(config, n_labels=3)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 9, 3)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]][:, None]
    early = logits.copy()
    early[:, :-2] += 7
    late = logits.copy()
    late[:, -2] += [0, 3, 0]
    np.testing.assert_array_equal(loss(y, logits), loss(y, early))
    assert not np.allclose(loss(y, logits), loss(y, late))


def test_the_loss_equals_keras_own():
    config = TrainingConfig()
    loss = training.clip_loss(config, n_labels=3)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 9, 3)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    crossentropy = keras.losses.CategoricalCrossentropy(from_logits=True)
    expected = crossentropy(y, logits[:, -1])
    np.testing.assert_allclose(loss(y[:, None], logits), expected, rtol=1e-6)
    np.testing.assert_allclose(loss(y[:, None], logits[:, -1]), expected, rtol=1e-6)


def test_the_loss_of_a_row_is_the_mean_of_its_clips():
    loss = training.clip_loss(TrainingConfig(loss_steps=2), n_labels=3)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 3 * 5, 3)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, (4, 3))]
    alone = [loss(y[:, i : i + 1], logits[:, 5 * i : 5 * i + 5]) for i in range(3)]
    np.testing.assert_allclose(loss(y, logits), np.mean(alone), rtol=1e-6)


def test_naming_the_word_adds_to_the_loss_at_its_weight():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 9, 3 + 5)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    words = np.eye(5, dtype=np.float32)[[4, 0, 1, 2]]
    plain = TrainingConfig()
    both = dataclasses.replace(plain, auxiliary_loss_weight=0.25)
    received = training.clip_loss(both, n_labels=3)(
        np.concatenate([labels, words], axis=1)[:, None], logits
    )
    of_labels = training.clip_loss(plain, n_labels=3)(labels[:, None], logits[..., :3])
    of_words = training.clip_loss(plain, n_labels=5)(words[:, None], logits[..., 3:])
    np.testing.assert_allclose(received, of_labels + 0.25 * of_words, rtol=1e-6)


def test_accuracy_is_that_of_the_last_step_of_each_clip():
    logits = np.zeros((2, 6, 2 + 1), np.float32)  # two clips of three steps; labels, a word
    logits[..., 0] = 5
    logits[:, 2::3, 1] = 9
    logits[..., 2] = 99
    y = np.array([[[0, 1, 1], [1, 0, 1]], [[1, 0, 1], [0, 1, 1]]], np.float32)
    right = training.clip_accuracy(n_labels=2)(y, logits)
    np.testing.assert_array_equal(right, [[1.0, 0.0], [0.0, 1.0]])


# --- runs


def start(recipe: Path, data: Path, out: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "echoic", "train", str(recipe)]
    command += ["--data", str(data), "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        if process.poll() is not None:
            pytest.fail(f"ended before {path.name} was there: {process.communicate()[1]}")
        assert time.monotonic() < deadline, f"no {path.name} within five minutes"
        time.sleep(0.02)


def test_a_run_that_is_interrupted_and_killed_ends_like_one_that_is_left_alone(
    tiny_recipe, tiny_model, sample, tmp_path
):
    out = tmp_path / "tiny"
    if sys.platform != "win32":
        process = start(tiny_recipe, sample, out)
        wait_for(out / ".training" / "epoch-0001.weights.h5", process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        assert "--resume" in errors
        assert str(tiny_recipe) in errors

    process = start(tiny_recipe, sample, out, *(["--resume"] if out.exists() else []))
    wait_for(out / ".training" / "epoch-0002.weights.h5", process)
    process.kill()
    process.communicate(timeout=120)
    assert not (out / "echoic.json").exists()  # half a run is no model

    process = start(tiny_recipe, sample, out, "--resume")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors

    alone, resumed = (
        keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
        for folder in (tiny_model, out)
    )
    for a, b in zip(alone.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    history = [
        json.loads((folder / ".training" / "epoch-0003.json").read_text())["history"]
        for folder in (tiny_model, out)
    ]
    assert history[0] == history[1]


def test_the_log_has_a_line_an_epoch(tiny_model):
    lines = (tiny_model / ".training" / "log.csv").read_text().splitlines()
    assert lines[0].split(",")[0] == "epoch"
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(lines[0].split(","))
    assert len(lines) == 1 + 3
    assert list((tiny_model / ".training" / "tensorboard").rglob("events.*"))


def test_what_is_there_is_not_overwritten(tiny_recipe, tiny_model, sample, tmp_path):
    recipe = Recipe.load(tiny_recipe)
    before = (tiny_model / "echoic.json").read_bytes()
    with pytest.raises(FileExistsError, match="holds a model already.*--overwrite"):
        training.train(recipe, data=sample, out=tiny_model)
    assert (tiny_model / "echoic.json").read_bytes() == before
    with pytest.raises(FileNotFoundError, match="No run to resume"):
        training.train(recipe, data=sample, out=tmp_path / "new", resume=True)


def test_a_run_is_resumed_with_its_own_recipe_only(tiny_recipe, tiny_model, sample):
    other = Recipe.load(tiny_recipe, overrides=["training.epochs=9"])
    with pytest.raises(ValueError, match="training.epochs: 3 then, 9 now"):
        training.train(other, data=sample, out=tiny_model, resume=True)


def test_resuming_a_run_that_is_done_makes_the_model_again(tiny_copy, tiny_recipe, sample):
    (tiny_copy / "clip.tflite").unlink()
    told: list[Progress] = []
    model = training.train(
        Recipe.load(tiny_recipe), data=sample, out=tiny_copy, resume=True, on_progress=told.append
    )
    assert told == []
    assert model.tflite("clip")


# --- extras, teachers, temperature


def small_network():
    return networks.build(
        ModelConfig(layers=({"type": "gru", "units": 8},)),
        n_mfcc=5,
        n_labels=4,
        mean=np.zeros(5),
        variance=np.ones(5),
    )


def test_a_run_with_extras_and_a_teacher_says_so_and_goes_on_with_the_same_only(
    tiny_recipe, tiny_model, sample, tmp_path
):
    shutil.copytree(sample / "bed", tmp_path / "voices" / "bed")
    recipe = Recipe.load(tiny_recipe, overrides=["training.epochs=1", "training.calibrate=true"])
    extras = {"data": sample, "extra_data": [tmp_path / "voices"]}
    model = training.train(recipe, out=tmp_path / "taught", teachers=[tiny_model], **extras)
    noted = model.metadata["training"]
    assert (noted["extra_data"], noted["teachers"]) == (["voices"], [tiny_model.name])
    plain = Bundle.load(tiny_model).metadata["training"]
    assert (plain["extra_data"], plain["teachers"]) == ([], [])
    assert noted["counts"]["training"]["_unknown_"] == (
        plain["counts"]["training"]["_unknown_"] + 23
    )
    assert noted["counts"]["validation"] == plain["counts"]["validation"]
    assert noted["files_sha256"] != plain["files_sha256"]
    card = (model.path / "README.md").read_text(encoding="utf-8")
    assert "Among the clips for training are those of voices" in card
    assert f"taught by {tiny_model.name}" in card
    assert noted["temperature"] != 1
    assert f"divided by {noted['temperature']:.2f}" in card
    assert plain["temperature"] is None
    assert "divided by" not in (tiny_model / "README.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"inputs.teachers: \['tiny'\] then, \[\] now"):
        training.train(recipe, out=tmp_path / "taught", resume=True, **extras)


@pytest.fixture(scope="module")
def answers_file(tiny_model, sample, tmp_path_factory):
    """What the tiny model says to the recordings of the sample, in a file."""
    file = tmp_path_factory.mktemp("models") / "talker.npz"
    training.write_soft_labels(tiny_model, data=sample, out=file)
    return file


@pytest.fixture
def once(tiny_recipe):
    return Recipe.load(tiny_recipe, overrides=["training.cache_teacher=true", "training.epochs=1"])


def test_a_resumed_run_does_not_ask_its_teachers_again(
    once, sample, tiny_model, tmp_path, monkeypatch
):
    out = tmp_path / "taught"
    asked = []

    def cache_teacher(*arguments):
        asked.append(arguments)
        return training.cache_teacher(*arguments)

    monkeypatch.setattr(teachers_module, "cache_teacher", cache_teacher)
    for resume in (False, True):
        training.train(once, data=sample, out=out, teachers=[tiny_model], resume=resume)
    assert len(asked) == 1
    split = datasets.load(sample, once.data, "training")
    said = training.cache_teacher(ensemble([tiny_model], once), split, once.training)
    np.testing.assert_array_equal(np.load(out / ".training" / "soft_targets.npy"), said)


def test_kept_answers_are_what_the_model_says(answers_file, tiny_model, once, sample):
    split = datasets.load(sample, once.data, "training")
    by_model, by_file = (
        ensemble([teacher], once).soft_targets(split) for teacher in (tiny_model, answers_file)
    )
    np.testing.assert_allclose(by_file, by_model, atol=1e-5)
    assert by_model.argmax(axis=1).std() > 0


def test_a_run_learns_from_answers_where_the_model_is_not(answers_file, once, sample, tmp_path):
    model = training.train(once, data=sample, out=tmp_path / "taught", teachers=[answers_file])
    assert model.metadata["training"]["teachers"] == ["talker"]
    assert "taught by talker: 70% of each target is its answer to the recording as it is" in (
        (model.path / "README.md").read_text("utf-8")
    )


def test_teachers_who_cannot_tell_are_not_counted(tiny_model, answers_file, once, sample, caplog):
    split = datasets.load(sample, once.data, "training")
    kept = training.SoftLabels.load(answers_file)
    few = kept.recordings[::2]
    said = np.zeros((len(few), len(kept.labels)), np.float32)
    said[:, 0] = 1
    silent = training.SoftLabels("silent", kept.labels, (), few, said)
    by_model = training.Ensemble([Bundle.load(tiny_model)], once).soft_targets(split)
    asked = np.isin([clip.name for clip in split.clips], few)
    assert 0 < asked.sum() < len(asked)

    both = training.Ensemble([Bundle.load(tiny_model), silent], once).soft_targets(split)
    np.testing.assert_array_equal(both[~asked], by_model[~asked])
    np.testing.assert_allclose(both[asked], (by_model[asked] + np.eye(4)[0]) / 2, atol=1e-6)
    told = (~asked).sum()
    assert caplog.messages == [
        f"Teacher silent tells nothing of {told:,} of the {len(asked):,} recordings: what others "
        "say counts."
    ]
    alone = training.Ensemble([silent], once).soft_targets(split)
    assert (alone[asked] == np.eye(4)[0]).all()
    assert alone[~asked].argmax(axis=1).tolist() == split.targets[~asked].tolist()


def test_answers_are_found_by_name_and_come_back_as_they_were(answers_file, monkeypatch, tmp_path):
    kept = training.SoftLabels.load(answers_file)
    changed = dataclasses.replace(kept, pretrained_sources=("whisper",))
    (tmp_path / "models").mkdir()
    changed.save(tmp_path / "models" / "other.npz")
    monkeypatch.chdir(tmp_path)
    for name in ("other", "other.npz", tmp_path / "models" / "other"):
        found = teachers_module.find_teacher(name)
        assert (found.name, found.labels) == ("other", kept.labels)
        np.testing.assert_array_equal(found.recordings, kept.recordings)
        np.testing.assert_array_equal(found.said, kept.said)
        assert teachers_module.pretrained_sources([found], None) == ["whisper"]
    # A model that is here can be asked more.
    changed.save(tmp_path / "gru-12.npz")
    assert isinstance(teachers_module.find_teacher("gru-12"), Bundle)
    assert isinstance(teachers_module.find_teacher("gru-12.npz"), training.SoftLabels)
    with pytest.raises(FileNotFoundError, match="No model 'nobody'"):
        teachers_module.find_teacher("nobody")


def test_answers_cannot_be_asked_about_other_clips(answers_file, tiny_recipe, once, caplog):
    name = answers_file.as_posix()
    recipe = Recipe.load(tiny_recipe, overrides=[f'training.teachers=["{name}"]'])
    with pytest.raises(ValueError, match="of teacher talker there are only answers to recordings"):
        training.load_teachers([answers_file], recipe)
    assert training.available_teachers(recipe) == []
    assert caplog.messages == [
        f"Training without the teacher {name}: there are only its answers to recordings as they "
        "are (training.cache_teacher)."
    ]
    asking = Recipe.load(
        tiny_recipe, overrides=[f'training.teachers=["{name}"]', "training.cache_teacher=true"]
    )
    assert training.available_teachers(asking) == [name]


def test_answers_are_kept_in_their_own_kind_of_file(tiny_model, sample, tmp_path):
    with pytest.raises(ValueError, match=r"ends with \.npz, received .*answers\.csv"):
        training.write_soft_labels(tiny_model, data=sample, out=tmp_path / "answers.csv")
    for content in (b"", b"no archive"):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"Expected .*broken\.npz to hold answers"):
            training.SoftLabels.load(tmp_path / "broken.npz")
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(ValueError, match=r"Expected .*other\.npz to hold answers"):
        training.SoftLabels.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        training.SoftLabels.load(tmp_path / "none.npz")


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
    noted = training.train(recipe, data=data, out=tmp_path / "taught").content
    assert noted["training"]["extra_data"] == ["voices"]
    assert noted["training"]["teachers"] == [tiny_model.name]
    assert Recipe.from_dict(noted["recipe"]) == recipe
    assert f"Training without {tmp_path / 'songs'}: there is no such folder." in caplog.messages
    assert "Training without the teacher nobody: there is no such model." in caplog.messages
    alone = training.train(
        recipe, data=data, out=tmp_path / "alone", extra_data=[], teachers=[]
    ).content
    assert (alone["training"]["extra_data"], alone["training"]["teachers"]) == ([], [])


def test_a_recipe_for_other_words_leaves_its_teacher_out(tiny_recipe, tiny_model, caplog):
    teachers = f'training.teachers=["{tiny_model.as_posix()}"]'
    for words in ("yes,no", "go,yes", "35"):  # one that both know is enough
        recipe = Recipe.load(tiny_recipe, overrides=[teachers, f"data.vocabulary={words}"])
        assert training.available_teachers(recipe) == [tiny_model.as_posix()]
    assert not caplog.messages
    other = Recipe.load(tiny_recipe, overrides=[teachers, "data.vocabulary=up,down"])
    assert training.available_teachers(other) == []
    assert caplog.messages == [
        f"Training without the teacher {tiny_model.as_posix()}: it knows none of the words, or has "
        "no _unknown_."
    ]


def test_a_run_begins_with_another_models_weights(tiny_recipe, tiny_model, sample, tmp_path):
    """At a rate of nothing the weights stay: but for the calibration they are the other's."""
    recipe = Recipe.load(
        tiny_recipe,
        overrides=[
            "training.epochs=1",
            "training.learning_rate=1e-9",
            "augmentation.gain=[-40.0, -30.0]",  # so that its own mean would be another
            "training.logit_adjustment=true",
        ],
    )
    model = training.train(recipe, data=sample, out=tmp_path / "second", initial_weights=tiny_model)
    logs = np.log(DataLoader(datasets.load(sample, recipe.data, "training"), recipe).priors())
    adjustment = model.metadata["training"]["logit_adjustment"]
    np.testing.assert_allclose(adjustment, logs - logs.mean(), rtol=1e-6)
    assert model.metadata["training"]["initial_weights"] == "tiny"
    assert "began with the weights of tiny" in (model.path / "README.md").read_text("utf-8")
    assert model.metadata["training"]["pretrained_sources"] == []
    first, second = networks.load(Bundle.load(tiny_model)), networks.load(model)
    heard, hears = (network.get_layer("normalization") for network in (first, second))
    np.testing.assert_array_equal(heard.mean, hears.mean)
    np.testing.assert_array_equal(heard.variance, hears.variance)
    for name in ("conv_1", "gru_2"):
        for a, b in zip(
            first.get_layer(name).get_weights(), second.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_what_is_known_beyond_the_data_is_told_of_students_too(tiny_model):
    def beyond(teachers, initial_weights):
        found = [teachers_module.find_teacher(teacher) for teacher in teachers]
        return teachers_module.pretrained_sources(found, initial_weights)

    embedding = ["speech_embedding"]
    assert beyond([], "somewhere/speech_embedding.keras") == embedding
    assert beyond([], "somewhere/whisper.keras") == ["whisper"]
    assert beyond([tiny_model, "embedding-12"], None) == embedding
    assert beyond(["embedding-12"], "whisper.keras") == ["speech_embedding", "whisper"]
    assert beyond(["gru-12"], None) == embedding  # it was taught by embedding-12
    assert beyond([], "gru-12") == embedding
    assert beyond([tiny_model, "attention-12"], tiny_model / "model.keras") == []
    assert beyond([], Bundle.load("gru-12").path / "model.keras") == embedding
    assert beyond([], "somewhere/model.keras") == []
    assert beyond([], None) == []
    for name, told in (("embedding-12", True), ("lstm-12", True), ("attention-12", False)):
        card = (Bundle.load(name).path / "README.md").read_text("utf-8")
        assert ("has learned from Google's speech embedding" in card) == told
        assert ("is Apache-2.0" in card) == told


def test_a_run_that_cannot_begin_leaves_nothing(tiny_recipe, sample, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No file nothing\.keras to begin with"):
        training.train(
            Recipe.load(tiny_recipe),
            data=sample,
            out=tmp_path / "none",
            initial_weights="nothing.keras",
        )
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def short_recipe(tiny_recipe):
    return Recipe.load(tiny_recipe, overrides=["training.epochs=1"])


@pytest.fixture(scope="module")
def _short_run(short_recipe, sample, tmp_path_factory):
    return training.train(short_recipe, data=sample, out=tmp_path_factory.mktemp("short") / "run")


@pytest.fixture
def short_run(_short_run, tmp_path):
    """The folder of a run of one epoch, to spoil."""
    return Path(shutil.copytree(_short_run.path, tmp_path / "run"))


def test_equal_priors_warn_of_a_word_with_few_recordings(
    tiny_recipe, sample, tmp_path, caplog, monkeypatch
):
    data = tmp_path / "words"
    shutil.copytree(sample, data)
    held_out = "".join((data / f"{n}_list.txt").read_text() for n in ("validation", "test"))
    for path in sorted(p for p in (data / "no").glob("*.wav") if p.name not in held_out)[3:]:
        path.unlink()
    counts = datasets.load(data, Recipe.load(tiny_recipe).data, "training").counts
    assert (counts["no"], counts["yes"]) == (3, 23)
    monkeypatch.setattr(training.run, "_begin_run", lambda *_: 1 / 0)  # it is said before
    said = []
    for equal, folder in (("true", data), ("true", sample), ("false", data)):
        caplog.clear()
        recipe = Recipe.load(tiny_recipe, overrides=[f"training.logit_adjustment={equal}"])
        with pytest.raises(ZeroDivisionError):
            training.train(recipe, data=folder, out=tmp_path / "run")
        said.append([x for x in caplog.messages if x.startswith("Few recordings of")])
    assert [len(messages) for messages in said] == [1, 0, 0]
    assert said[0][0].startswith("Few recordings of no (3), where a word has 13 on the mean")


def test_a_run_that_cannot_begin_takes_nothing_away(
    short_recipe, short_run, tiny_model, tiny_copy, sample, tmp_path
):
    without_network = shutil.copytree(tiny_model, tmp_path / "without_network")
    (without_network / "model.keras").unlink()
    before = {path: path.stat().st_mtime_ns for path in short_run.rglob("*")}
    model = json.loads((tiny_copy / "echoic.json").read_text(encoding="utf-8"))
    model["labels"][2:] = ["left", "right"]
    (tiny_copy / "echoic.json").write_text(json.dumps(model), encoding="utf-8")
    for wrong in (
        {"data": tmp_path},
        {"data": sample, "teachers": [tiny_copy]},
        {"data": sample, "teachers": [without_network]},
    ):
        with pytest.raises((datasets.DataError, ValueError)):
            training.train(short_recipe, out=short_run, overwrite=True, **wrong)
        with pytest.raises((datasets.DataError, ValueError)):
            training.train(short_recipe, out=tmp_path / "other", **wrong)
    assert {path: path.stat().st_mtime_ns for path in short_run.rglob("*")} == before
    assert short_run / ".training" / "best.weights.h5" in before
    assert not (tmp_path / "other").exists()


def test_a_run_killed_before_its_best_weights_were_written_has_them(
    short_recipe, short_run, sample
):
    whole = networks.load(Bundle.load(short_run)).get_weights()
    (short_run / ".training" / "best.weights.h5").write_bytes(b"of an epoch before")
    again = training.train(short_recipe, data=sample, out=short_run, resume=True)
    for a, b in zip(whole, networks.load(again).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_does_not_go_on_with_other_recordings(short_recipe, short_run, sample, tmp_path):
    shutil.copytree(sample, tmp_path / "fewer")
    next((tmp_path / "fewer" / "yes").glob("*.wav")).unlink()
    with pytest.raises(ValueError, match=r"inputs.files_sha256: '\w+' then, '\w+' now"):
        training.train(short_recipe, data=tmp_path / "fewer", out=short_run, resume=True)


def test_a_run_goes_on_that_was_begun_before_a_setting_was_known(short_recipe, short_run, sample):
    note = short_run / ".training" / "recipe.json"
    begun = json.loads(note.read_text(encoding="utf-8"))
    del begun["training"]["cache_teacher"]
    note.write_text(json.dumps(begun), encoding="utf-8")
    training.train(short_recipe, data=sample, out=short_run, resume=True)
    asking = dataclasses.replace(short_recipe.training, cache_teacher=True)
    other = dataclasses.replace(short_recipe, training=asking)
    with pytest.raises(
        ValueError, match="Different are training.cache_teacher: False then, True now"
    ):
        training.train(other, data=sample, out=short_run, resume=True)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("embedding", "A speech_embedding with random weights: data/make_embedding.py"),
        ("whisper", "A whisper_encoder with random weights: data/make_whisper.py"),
    ],
)
def test_a_pretrained_layer_that_begins_with_nothing_says_so(
    name, warning, sample, tmp_path, caplog, monkeypatch, root
):
    monkeypatch.setattr(training.run.sc, "load", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.train(Recipe.load(name), data=sample, out=tmp_path / "none")
    assert warning in caplog.text
    assert (root / warning.split()[-1]).is_file()


def test_a_run_leaves_no_process_and_no_recordings(tiny_recipe, sample, tmp_path):
    recipe = Recipe.load(tiny_recipe, overrides=["training.epochs=1"])
    training.train(recipe, data=sample, out=tmp_path / "run", workers=2)
    assert multiprocessing.active_children() == []
    assert not list(tmp_path.rglob("waveforms.npy"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_process_that_dies_is_an_error_that_says_how_to_go_on(tiny_recipe, sample, tmp_path):
    def kill(progress):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    recipe = Recipe.load(tiny_recipe, overrides=["training.epochs=3"])
    with pytest.raises(ChildProcessError, match="go on with --resume, and fewer --workers"):
        training.train(recipe, data=sample, out=tmp_path / "run", workers=1, on_progress=kill)
    assert multiprocessing.active_children() == []
    model = training.train(recipe, data=sample, out=tmp_path / "run", resume=True)
    assert model.metadata["training"]["best_epoch"] >= 1


def test_a_run_may_begin_with_a_keras_file(tiny_recipe, tiny_model, sample, tmp_path):
    recipe = Recipe.load(
        tiny_recipe, overrides=["training.epochs=1", "training.learning_rate=1e-9"]
    )
    file = tmp_path / "beginning.keras"
    shutil.copy(tiny_model / "model.keras", file)
    model = training.train(recipe, data=sample, out=tmp_path / "second", initial_weights=file)
    assert model.metadata["training"]["initial_weights"] == "beginning.keras"
    first, second = (
        m.get_layer("gru_2").get_weights()
        for m in (networks.load(Bundle.load(tiny_model)), networks.load(model))
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_run_cannot_begin_with_a_network_of_another_kind(
    tiny_recipe, tiny_model, sample, tmp_path
):
    layers = 'model.layers=[{type="gru", units=5}]'
    recipe = Recipe.load(tiny_recipe, overrides=[layers, "data.vocabulary=yes"])
    with pytest.raises(ValueError, match="Expected a model to begin with.*conv_1"):
        training.train(recipe, data=sample, out=tmp_path / "other", initial_weights=tiny_model)


def test_the_mean_of_the_teachers_is_what_each_says_to_a_clip(tiny_model, tiny_recipe, sample):
    recipe = Recipe.load(tiny_recipe)
    bundle = Bundle.load(tiny_model)
    ask = ensemble([tiny_model, tiny_model], recipe)
    assert ask.hears == (bundle.features,)
    waveforms = datasets.load(sample, recipe.data, "validation").examples().waveforms
    answers = np.zeros((len(waveforms), len(bundle.labels)), np.float32)
    said = ask((features.mfcc(waveforms, bundle.features),), answers)
    assert said.dtype == np.float32
    np.testing.assert_allclose(said, Recognizer(bundle).probabilities(waveforms), atol=1e-3)


def test_a_teacher_whose_priors_were_taken_out_teaches_with_them(
    tiny_model, tiny_copy, tiny_recipe, sample
):
    recipe, bundle = Recipe.load(tiny_recipe), Bundle.load(tiny_copy)
    assert bundle.metadata["training"]["logit_adjustment"] is None
    network = networks.load(bundle)
    priors = np.random.default_rng(0).dirichlet(np.ones(len(bundle.labels)))
    adjustment = training.adjust_logits(network, priors)
    network.save(tiny_copy / "model.keras")
    bundle.metadata["training"]["logit_adjustment"] = adjustment.tolist()
    (tiny_copy / "echoic.json").write_text(json.dumps(bundle.metadata), encoding="utf-8")

    waveforms = datasets.load(sample, recipe.data, "validation").examples().waveforms
    heard = (features.mfcc(waveforms, bundle.features),)
    answers = np.zeros((len(waveforms), len(bundle.labels)), np.float32)
    before, after = (ensemble([m], recipe)(heard, answers) for m in (tiny_model, tiny_copy))
    np.testing.assert_allclose(after, before, atol=1e-5)
    alone = softmax(networks.clip_logits(network.predict(heard[0], verbose=0)), axis=1)
    assert np.abs(alone - before).max() > 0.05  # the priors do matter


def test_a_teacher_of_other_labels_is_refused(tiny_model, tiny_recipe):
    recipe = Recipe.load(tiny_recipe, overrides=["data.vocabulary=up,down"])
    with pytest.raises(ValueError, match="Expected teacher tiny to know a word of the recipe"):
        training.load_teachers([tiny_model], recipe)


def test_who_has_a_word_for_everything_cannot_teach_what_is_none(tiny_copy, tiny_recipe):
    model = json.loads((tiny_copy / "echoic.json").read_text(encoding="utf-8"))
    model["labels"] = ["bed", "cat", "no", "yes"]
    (tiny_copy / "echoic.json").write_text(json.dumps(model), encoding="utf-8")
    with pytest.raises(ValueError, match="and _silence_ and _unknown_ as it does"):
        training.load_teachers([tiny_copy], Recipe.load(tiny_recipe))
    words = Recipe.load(tiny_recipe, overrides=["data.vocabulary=35"])
    assert [teacher.path for teacher in training.load_teachers([tiny_copy], words)] == [tiny_copy]


FEW = ("_silence_", "_unknown_", "yes")
ONE = ("_silence_", "_unknown_", "one")
MORE = ("_silence_", "_unknown_", "yes", "one", "two")


@pytest.mark.parametrize(
    ("student", "teacher", "said", "answer", "told"),
    [
        # A teacher is believed, but not about a word that it has no name for ...
        (MORE, FEW, [0.1, 0.6, 0.3], [0, 0, 1, 0, 0], [0.1, 0.6, 0.3, 0, 0]),
        (MORE, FEW, [0.1, 0.6, 0.3], [0, 1, 0, 0, 0], [0.1, 0.6, 0.3, 0, 0]),
        (MORE, FEW, [0.1, 0.1, 0.8], [0, 0, 0, 1, 0], [0, 0, 0, 1, 0]),
        # ... nor about that part of clips that are mixed.
        (MORE, FEW, [0.1, 0.6, 0.3], [0, 0, 0.25, 0.75, 0], [0.025, 0.15, 0.2625, 0.5625, 0]),
        # What it has a name for, and its student not, is _unknown_ to the student.
        (FEW, MORE, [0.1, 0.2, 0.3, 0.4, 0], [0, 0, 1], [0.1, 0.6, 0.3]),
        (ONE, MORE, [0.1, 0.2, 0.3, 0.4, 0], [0, 0, 1], [0.1, 0.5, 0.4]),
        # In another order; without _unknown_: what is left is the true answer.
        (("yes", "_silence_", "_unknown_"), FEW, [0.1, 0.6, 0.3], [1, 0, 0], [0.3, 0.1, 0.6]),
        (("one", "yes"), FEW, [0.1, 0.6, 0.3], [0, 1], [0, 1]),
        (("one", "yes"), MORE, [0.1, 0.2, 0.4, 0.1, 0.2], [1, 0], [0.6, 0.4]),
        (("one", "yes"), MORE, [1, 0, 0, 0, 0], [0, 1], [0, 1]),
    ],
)  # fmt: skip
def test_a_teacher_speaks_in_the_words_of_its_student(student, teacher, said, answer, told):
    heard = teachers_module.in_words_of(student, teacher, np.float32([said]), np.float32([answer]))
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, [told], atol=1e-5)


def test_a_model_of_more_words_learns_from_one_of_fewer(tiny_recipe, tiny_model, sample, tmp_path):
    recipe = Recipe.load(tiny_recipe, overrides=["data.vocabulary=yes,no,bed", "training.epochs=1"])
    split = datasets.load(sample, recipe.data, "training")
    alone = DataLoader(split, recipe)
    taught = DataLoader(split, recipe, teacher=ensemble([tiny_model], recipe))
    indices = alone.epoch(0)[0]
    (_, hard), (_, soft) = (feed.batch(indices, 0, 0) for feed in (alone, taught))
    labels, bed = list(split.labels), split.labels.index("bed")
    assert set(labels) - set(Bundle.load(tiny_model).labels) == {"bed"}
    np.testing.assert_allclose(soft.sum(axis=-1), 1, rtol=1e-5)
    is_bed = hard[..., : len(labels)].argmax(axis=-1) == bed
    assert 0 < is_bed.mean() < 1
    # Of a bed all is as it was; of other clips what the teacher says, and it never says bed.
    config = recipe.training
    smooth = config.label_smoothing / len(labels)
    rest = config.teacher_weight * config.label_smoothing
    np.testing.assert_allclose(soft[is_bed], hard[is_bed], atol=rest)
    assert np.abs(soft[~is_bed] - hard[~is_bed]).max(axis=-1).mean() > 0.2
    assert (soft[~is_bed][:, bed] < smooth).all()
    model = training.train(recipe, data=sample, out=tmp_path / "more", teachers=[tiny_model])
    assert model.labels == ("_silence_", "_unknown_", "yes", "no", "bed")
    assert model.metadata["training"]["teachers"] == ["tiny"]


def test_a_teacher_may_hear_other_features_than_its_student(tiny_recipe, tiny_model, sample):
    still = [f"augmentation.{n}_probability=0.0" for n in ("speed", "reverberation", "noise")]
    still += ["augmentation.shift=0.0", "augmentation.gain=[0.0, 0.0]"]
    recipe = Recipe.load(
        tiny_recipe, overrides=["features.n_mfcc=20", "features.hop_length=160", *still]
    )
    split = datasets.load(sample, recipe.data, "training")
    alone = DataLoader(split, recipe)
    taught = DataLoader(split, recipe, teacher=ensemble([tiny_model], recipe))
    everything, _ = split.take(np.arange(len(split.clips)), np.random.default_rng(0))
    levels = features.log_mel(everything, Bundle.load(tiny_model).features).max(axis=(1, 2))
    indices = np.flatnonzero(levels > batcher.TARGET_DB)[:16]  # loud enough
    x, hard = alone.batch(indices, 0)
    _, soft = taught.batch(indices, 0)
    assert x.shape[1:] == (100, 20)
    n = len(split.labels)
    said = ((soft - 0.3 * hard)[..., :n] / 0.7).reshape(-1, n)
    waveforms, _ = split.take(indices, np.random.default_rng(0))
    expected = Recognizer(Bundle.load(tiny_model)).probabilities(waveforms)
    np.testing.assert_allclose(said, expected, atol=1e-3)


@pytest.mark.parametrize("factor", [0.25, 1.0, 5.0])
def test_calibration_undoes_whatever_made_a_network_too_sure(factor):
    """SoftLabels are drawn from the logits' own softmax; then the network is made surer or less."""
    rng = np.random.default_rng(0)
    model = small_network()
    layer = model.get_layer("logits")
    layer.set_weights([10 * weights for weights in layer.get_weights()])
    x = rng.standard_normal((4000, 3, 5)).astype(np.float32)
    logits = networks.clip_logits(model.predict(x, batch_size=500, verbose=0))
    answers = np.eye(4)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    layer.set_weights([factor * weights for weights in layer.get_weights()])
    assert training.calibrate(model, x, answers[:, None]) == pytest.approx(factor, rel=0.1)
    calibrated = networks.clip_logits(model.predict(x, batch_size=500, verbose=0))
    np.testing.assert_allclose(calibrated, logits, rtol=0.1, atol=1e-4)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), logits.argmax(axis=1))


def test_adjusted_logits_lack_what_came_often_and_nothing_else():
    model = small_network()
    x = np.random.default_rng(0).standard_normal((20, 3, 5)).astype(np.float32)
    before = softmax(networks.clip_logits(model.predict(x, verbose=0)), axis=1)
    priors = np.array([0.1, 0.6, 0.3, 0.0])
    training.adjust_logits(model, priors)
    after = softmax(networks.clip_logits(model.predict(x, verbose=0)), axis=1)
    # Bayes: the odds of two labels are divided by those that they had beforehand.
    odds = (before[:, 1] / before[:, 0]) / (priors[1] / priors[0])
    np.testing.assert_allclose(after[:, 1] / after[:, 0], odds, rtol=1e-4)


def test_priors_are_the_parts_of_an_epoch(feed):
    priors = feed.priors()
    answers = [
        feed.batch(indices, 0, n)[1].argmax(axis=-1) for n, indices in enumerate(feed.epoch(0))
    ]
    counts = np.bincount(np.concatenate(answers).ravel(), minlength=len(priors))
    np.testing.assert_allclose(priors, counts / counts.sum(), atol=1e-12)
    assert priors.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", [n for n in recipe_names() if n != "gru"])
def test_each_recipe_learns(name, sample):
    """A few steps on one batch bring the loss down, whatever the network."""
    recipe = Recipe.load(name, overrides=["training.batch_size=36", "training.warmup_epochs=0"])
    feed = DataLoader(datasets.load(sample, recipe.data, "validation"), recipe)
    x, y = feed.batch(feed.epoch(0)[0], 0, 0)
    keras.utils.set_random_seed(0)
    model = networks.build(
        recipe.model,
        n_mfcc=recipe.features.n_mfcc,
        n_labels=12,
        mean=x.mean(axis=(0, 1)),
        variance=x.var(axis=(0, 1)),
    )
    model = networks.add_auxiliary_head(model, feed.n_words)
    training.compile_model(model, recipe.training, 10, n_labels=12)
    losses = [float(model.train_on_batch(x, y)[0]) for _ in range(6)]
    assert losses[-1] < losses[0]


# --- finish


def test_the_finish_has_a_cosine_of_its_own():
    config = TrainingConfig(epochs=10, cooldown_epochs=4, warmup_epochs=1)
    schedule = training.Schedule(config, 5)
    rates = [float(schedule(step)) for step in range(14 * 5)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(config.learning_rate)
    assert rates[49] < 1e-5
    assert rates[50] == pytest.approx(config.cooldown_learning_rate)
    assert rates[60] == pytest.approx(config.cooldown_learning_rate / 2, rel=0.01)
    assert all(a >= b for a, b in pairwise(rates[50:]))
    plain = training.Schedule(dataclasses.replace(config, cooldown_epochs=0), 5)
    assert [float(plain(step)) for step in range(50)] == pytest.approx(rates[:50])


def test_the_finish_hears_milder_examples(feed):
    recipe = feed.recipe
    epochs = recipe.training.epochs
    finish = dataclasses.replace(recipe.training, cooldown_epochs=2, cooldown_strength=0.0)
    strong = dataclasses.replace(recipe.augmentation, shift=0.0, noise_probability=1.0)
    mild = DataLoader(feed.split, dataclasses.replace(recipe, training=finish, augmentation=strong))
    indices = np.arange(4)
    clean = features.mfcc(feed.split.take(indices, np.random.default_rng(0))[0], recipe.features)
    before, _ = mild.batch(indices, epochs - 1)
    after, _ = mild.batch(indices, epochs)
    assert np.abs(before - clean).max() > 10
    np.testing.assert_allclose(after, clean, atol=1e-2)


@pytest.mark.parametrize(
    "override",
    ["cooldown_epochs=-1", "cooldown_learning_rate=0", "cooldown_strength=1.5"],
)
def test_a_finish_that_cannot_be_is_refused(override):
    overrides = ["training.cooldown_epochs=2", f"training.{override}"]
    with pytest.raises(ValueError, match="cooldown_epochs of at least 0"):
        Recipe.load("bag", overrides=overrides)


# --- memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_memory_that_was_freed_is_kept_for_the_next_array():
    """Counted in page faults: an array of 64 MB that is fetched anew costs at least 32 of them."""
    code = """
import resource
import numpy as np
from echoic.training.allocator import keep_memory

keep_memory()
faults = []
for _ in range(6):
    np.ones(2**24, dtype=np.float32)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 32
