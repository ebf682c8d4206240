"""Soft labels in a file: what a model says of recordings, to teach without it."""

import dataclasses

import numpy as np
import pytest

from echoic import data as datasets
from echoic import training
from echoic.config import Recipe
from echoic.runtime.bundle import Bundle
from echoic.training import distillation


def ensemble(models, recipe):
    return training.Ensemble(training.load_teachers(models, recipe), recipe)


@pytest.fixture(scope="module")
def soft_labels_file(tiny_model, sample, tmp_path_factory):
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
    asked, original = [], distillation.cache_teacher

    def cache_teacher(*arguments):
        asked.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(distillation, "cache_teacher", cache_teacher)
    for resume in (False, True):
        training.train(once, data=sample, out=out, teachers=[tiny_model], resume=resume)
    assert len(asked) == 1
    split = datasets.load(sample, once.data, "training")
    said = training.cache_teacher(ensemble([tiny_model], once), split, once.training)
    np.testing.assert_array_equal(np.load(out / ".training" / "soft_labels.npy"), said)


def test_soft_labels_in_a_file_are_those_of_the_model(soft_labels_file, tiny_model, once, sample):
    split = datasets.load(sample, once.data, "training")
    by_model, by_file = (
        ensemble([teacher], once).soft_labels(split) for teacher in (tiny_model, soft_labels_file)
    )
    np.testing.assert_allclose(by_file, by_model, atol=1e-5)
    assert by_model.argmax(axis=1).std() > 0


def test_a_run_learns_from_a_file_without_the_model(soft_labels_file, once, sample, tmp_path):
    model = training.train(once, data=sample, out=tmp_path / "taught", teachers=[soft_labels_file])
    assert model.training.teachers == ("talker",)
    card = (model.path / "README.md").read_text("utf-8")
    assert "Teachers: talker. The soft labels, its output for the unchanged recording" in card
    assert "are 70% of each target" in card


def test_teachers_without_soft_labels_of_a_recording_do_not_count(
    tiny_model, soft_labels_file, once, sample, caplog
):
    split = datasets.load(sample, once.data, "training")
    kept = training.SoftLabels.load(soft_labels_file)
    few = kept.recordings[::2]
    said = np.zeros((len(few), len(kept.labels)), np.float32)
    said[:, 0] = 1
    silent = training.SoftLabels("silent", kept.labels, (), few, said)
    by_model = training.Ensemble([Bundle.load(tiny_model)], once).soft_labels(split)
    asked = np.isin(split.source.names, few)
    assert 0 < asked.sum() < len(asked)

    both = training.Ensemble([Bundle.load(tiny_model), silent], once).soft_labels(split)
    np.testing.assert_array_equal(both[~asked], by_model[~asked])
    np.testing.assert_allclose(both[asked], (by_model[asked] + np.eye(4)[0]) / 2, atol=1e-6)
    told = (~asked).sum()
    assert caplog.messages == [
        f"Teacher silent has no soft labels of {told:,} of the {len(asked):,} recordings: those of "
        "other teachers count."
    ]
    alone = training.Ensemble([silent], once).soft_labels(split)
    assert (alone[asked] == np.eye(4)[0]).all()
    assert alone[~asked].argmax(axis=1).tolist() == split.targets[~asked].tolist()


def test_a_file_is_found_by_name_and_read_as_it_was_written(
    soft_labels_file, monkeypatch, tmp_path
):
    kept = training.SoftLabels.load(soft_labels_file)
    changed = dataclasses.replace(kept, pretrained_sources=("whisper",))
    (tmp_path / "models").mkdir()
    changed.save(tmp_path / "models" / "other.npz")
    monkeypatch.chdir(tmp_path)
    for name in ("other", "other.npz", tmp_path / "models" / "other"):
        found = distillation.find_teacher(name)
        assert (found.name, found.labels) == ("other", kept.labels)
        np.testing.assert_array_equal(found.recordings, kept.recordings)
        np.testing.assert_array_equal(found.probabilities, kept.probabilities)
        assert distillation.pretrained_sources([found], None) == ["whisper"]
    # A model that is here can be asked more.
    changed.save(tmp_path / "gru-12.npz")
    assert isinstance(distillation.find_teacher("gru-12"), Bundle)
    assert isinstance(distillation.find_teacher("gru-12.npz"), training.SoftLabels)
    with pytest.raises(FileNotFoundError, match="No model 'nobody'"):
        distillation.find_teacher("nobody")


def test_a_file_does_not_teach_augmented_clips(soft_labels_file, tiny_recipe, once, caplog):
    name = soft_labels_file.as_posix()
    recipe = Recipe.load(tiny_recipe, overrides=[f'training.teachers=["{name}"]'])
    with pytest.raises(ValueError, match="for teacher talker, of which there are only soft labels"):
        training.load_teachers([soft_labels_file], recipe)
    assert training.available_teachers(recipe) == []
    assert caplog.messages == [
        f"Training without the teacher {name}: there are only soft labels of recordings, for "
        "training.cache_teacher = true."
    ]
    asking = Recipe.load(
        tiny_recipe, overrides=[f'training.teachers=["{name}"]', "training.cache_teacher=true"]
    )
    assert training.available_teachers(asking) == [name]


def test_soft_labels_have_their_own_kind_of_file(tiny_model, sample, tmp_path):
    with pytest.raises(ValueError, match=r"ends with \.npz, received .*labels\.csv"):
        training.write_soft_labels(tiny_model, data=sample, out=tmp_path / "labels.csv")
    for content in (b"", b"no archive"):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"Expected .*broken\.npz to hold soft labels"):
            training.SoftLabels.load(tmp_path / "broken.npz")
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(ValueError, match=r"Expected .*other\.npz to hold soft labels"):
        training.SoftLabels.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        training.SoftLabels.load(tmp_path / "none.npz")
