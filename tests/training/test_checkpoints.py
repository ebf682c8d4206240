"""A run that survives whatever happens to it, and goes on only as it began."""

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from echoic import data as datasets
from echoic import networks, training
from echoic.config import Recipe
from echoic.runtime.bundle import Bundle
from echoic.training import Progress


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
    with pytest.raises(ValueError, match="received training.cache_teacher: False then, True now"):
        training.train(other, data=sample, out=short_run, resume=True)


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
    assert model.training.best_epoch >= 1
