"""Teachers: which can teach, what they get, and what they say in the words of their student."""

import dataclasses
import json
import time

import numpy as np
import pytest
from scipy.special import softmax

from echoic import audio, features, networks, training
from echoic import data as datasets
from echoic.config import FeatureConfig, Recipe
from echoic.data.examples import SILENT, SYNTHETIC
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer
from echoic.training import DataLoader, batcher, distillation
from echoic.training.batcher import clean_teacher_features


@pytest.fixture(scope="module")
def loader(tiny_recipe, sample):
    recipe = Recipe.load(tiny_recipe)
    return DataLoader(datasets.load(sample, recipe.data, "training"), recipe)


def ensemble(models, recipe):
    return training.Ensemble(training.load_teachers(models, recipe), recipe)


class Parrot:
    """A teacher that says the same of every clip, and keeps its inputs and targets."""

    def __init__(self, *feature_configs):
        self.feature_configs, self.inputs, self.targets = feature_configs, [], []

    def __call__(self, inputs, targets):
        self.inputs.append(inputs)
        self.targets.append(targets.copy())
        return np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (len(inputs[0]), 1))


def block(loader, indices):
    """Features and targets of any clips, as one block, with what a teacher says."""
    return loader.teach(loader.batcher.block(np.asarray(indices), 0, 0))


def test_a_teacher_gets_each_clip_of_a_row_and_softens_its_target(loader):
    recipe = dataclasses.replace(
        loader.recipe,
        training=dataclasses.replace(
            loader.recipe.training, clips_per_sequence=4, auxiliary_loss_weight=0.5
        ),
    )
    teacher = Parrot(recipe.features)
    alone, taught = (DataLoader(loader.split, recipe, teacher=t) for t in (None, teacher))
    x, hard = alone.batch(0, 0)
    same, soft = taught.batch(0, 0)
    np.testing.assert_array_equal(same, x)
    ((given,),), (targets,) = teacher.inputs, teacher.targets
    np.testing.assert_array_equal(targets, hard[..., :4].reshape(-1, 4))
    coefficients = x.reshape(given.shape)
    # A gain changes the mean of a frame alone, which is its first coefficient.
    np.testing.assert_allclose(given[..., 1:], coefficients[..., 1:], atol=1e-3)
    assert (given[..., 0] >= coefficients[..., 0] - 1e-3).all()
    expected = 0.3 * hard[..., :4] + 0.7 * np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(soft[..., :4], expected, rtol=1e-6)
    np.testing.assert_array_equal(soft[..., 4:], hard[..., 4:])


def test_a_cached_teacher_gets_each_recording_as_it_is(loader, caplog, monkeypatch):
    split, theirs = loader.split, FeatureConfig(hop_length=160)
    training_config = dataclasses.replace(loader.recipe.training, batch_size=64)
    recipe = dataclasses.replace(loader.recipe, training=training_config)
    teacher = Parrot(theirs, recipe.features)
    n = len(split.source)
    clock = iter((0, 60 * 64 / n * 7))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    said = training.cache_teacher(teacher, split, training_config)
    monkeypatch.undo()
    assert f"each of {n:,} recordings takes about 7 minutes" in caplog.text
    np.testing.assert_array_equal(said, np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (n, 1)))

    assert {len(targets) for targets in teacher.targets} == {64}
    targets = np.concatenate(teacher.targets)[:n]
    assert targets.argmax(axis=1).tolist() == split.targets.tolist()
    for which, config in enumerate(teacher.feature_configs):
        given = np.concatenate([inputs[which] for inputs in teacher.inputs])[:n]
        clips = audio.to_float32(split.source.read(np.array([0, n - 1])))
        np.testing.assert_array_equal(given[[0, -1]], clean_teacher_features(config, clips))

    alone, taught = (DataLoader(split, recipe, soft_labels=s) for s in (None, said))
    # Two recordings, then silence and a synthetic word, which have no soft labels.
    indices = np.array([0, n - 1, SILENT, SYNTHETIC] * 16)
    (x, hard), (same, soft) = (block(each, indices) for each in (alone, taught))
    np.testing.assert_array_equal(same, x)
    hard, soft = hard.reshape(64, -1), soft.reshape(64, -1)
    expected = 0.3 * hard[:, :4] + 0.7 * np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(soft[indices >= 0, :4], expected[indices >= 0], rtol=1e-6)
    np.testing.assert_array_equal(soft[indices < 0], hard[indices < 0])


def test_soft_labels_go_where_their_recording_is(loader):
    said = np.random.default_rng(0).dirichlet(np.ones(4), len(loader.split.source))
    said = said.astype(np.float32)
    training_config = dataclasses.replace(loader.recipe.training, teacher_weight=1.0)
    recipe = dataclasses.replace(loader.recipe, training=training_config)
    indices = np.random.default_rng(1).permutation(len(said))[:64]
    _, soft = block(DataLoader(loader.split, recipe, soft_labels=said), indices)
    np.testing.assert_allclose(soft.reshape(64, -1), said[indices], atol=1e-6)


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


def test_pretrained_sources_are_those_of_students_too(tiny_model):
    def sources(teachers, initial_weights):
        found = [distillation.find_teacher(teacher) for teacher in teachers]
        return distillation.pretrained_sources(found, initial_weights)

    embedding = ["speech_embedding"]
    assert sources([], "somewhere/speech_embedding.keras") == embedding
    assert sources([], "somewhere/whisper.keras") == ["whisper"]
    assert sources([tiny_model, "embedding-12"], None) == embedding
    assert sources(["embedding-12"], "whisper.keras") == ["speech_embedding", "whisper"]
    assert sources(["gru-12"], None) == embedding  # it was taught by embedding-12
    assert sources([], "gru-12") == embedding
    assert sources([tiny_model, "attention-12"], tiny_model / "model.keras") == []
    assert sources([], Bundle.load("gru-12").path / "model.keras") == embedding
    assert sources([], "somewhere/model.keras") == []
    assert sources([], None) == []
    for name, told in (("embedding-12", True), ("lstm-12", True), ("attention-12", False)):
        card = (Bundle.load(name).path / "README.md").read_text("utf-8")
        assert ("it learned from Google's speech embedding" in card) == told
        assert ("is Apache-2.0" in card) == told


def test_the_mean_of_equal_teachers_is_what_each_says(tiny_model, tiny_recipe, sample):
    recipe = Recipe.load(tiny_recipe)
    bundle = Bundle.load(tiny_model)
    ask = ensemble([tiny_model, tiny_model], recipe)
    assert ask.feature_configs == (bundle.features,)
    waveforms = datasets.load(sample, recipe.data, "validation").examples().waveforms
    targets = np.zeros((len(waveforms), len(bundle.labels)), np.float32)
    said = ask((features.compute(waveforms, bundle.features),), targets)
    assert said.dtype == np.float32
    np.testing.assert_allclose(said, Recognizer(bundle).probabilities(waveforms), atol=1e-3)


def test_a_teacher_whose_priors_were_taken_out_teaches_with_them(
    tiny_model, tiny_copy, tiny_recipe, sample
):
    recipe, bundle = Recipe.load(tiny_recipe), Bundle.load(tiny_copy)
    assert bundle.training.logit_adjustment is None
    network = networks.load(bundle)
    priors = np.random.default_rng(0).dirichlet(np.ones(len(bundle.labels)))
    adjustment = training.adjust_logits(network, priors)
    network.save(tiny_copy / "model.keras")
    content = json.loads((tiny_copy / "echoic.json").read_text(encoding="utf-8"))
    content["training"]["logit_adjustment"] = adjustment.tolist()
    (tiny_copy / "echoic.json").write_text(json.dumps(content), encoding="utf-8")

    waveforms = datasets.load(sample, recipe.data, "validation").examples().waveforms
    inputs = (features.compute(waveforms, bundle.features),)
    targets = np.zeros((len(waveforms), len(bundle.labels)), np.float32)
    before, after = (ensemble([m], recipe)(inputs, targets) for m in (tiny_model, tiny_copy))
    np.testing.assert_allclose(after, before, atol=1e-5)
    alone = softmax(networks.clip_logits(network.predict(inputs[0], verbose=0)), axis=1)
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
    ("student", "teacher", "said", "target", "expected"),
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
        # In another order; without _unknown_: what is left is the target.
        (("yes", "_silence_", "_unknown_"), FEW, [0.1, 0.6, 0.3], [1, 0, 0], [0.3, 0.1, 0.6]),
        (("one", "yes"), FEW, [0.1, 0.6, 0.3], [0, 1], [0, 1]),
        (("one", "yes"), MORE, [0.1, 0.2, 0.4, 0.1, 0.2], [1, 0], [0.6, 0.4]),
        (("one", "yes"), MORE, [1, 0, 0, 0, 0], [0, 1], [0, 1]),
    ],
)  # fmt: skip
def test_probabilities_are_mapped_to_the_labels_of_the_student(
    student, teacher, said, target, expected
):
    mapped = distillation.map_labels(student, teacher, np.float32([said]), np.float32([target]))
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped, [expected], atol=1e-5)


def test_a_model_of_more_words_learns_from_one_of_fewer(tiny_recipe, tiny_model, sample, tmp_path):
    recipe = Recipe.load(tiny_recipe, overrides=["data.vocabulary=yes,no,bed", "training.epochs=1"])
    split = datasets.load(sample, recipe.data, "training")
    alone = DataLoader(split, recipe)
    taught = DataLoader(split, recipe, teacher=ensemble([tiny_model], recipe))
    (_, hard), (_, soft) = (each.batch(0, 0) for each in (alone, taught))
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
    assert model.training.teachers == ("tiny",)


def test_a_teacher_may_have_other_features_than_its_student(tiny_recipe, tiny_model, sample):
    still = [
        f"augmentation.{n}_probability=0.0" for n in ("speed_perturb", "reverberation", "noise")
    ]
    still += ["augmentation.shift=0.0", "augmentation.gain=[0.0, 0.0]"]
    recipe = Recipe.load(
        tiny_recipe, overrides=["features.n_mfcc=20", "features.hop_length=160", *still]
    )
    split = datasets.load(sample, recipe.data, "training")
    alone = DataLoader(split, recipe)
    taught = DataLoader(split, recipe, teacher=ensemble([tiny_model], recipe))
    everything, _ = split.take(np.arange(len(split.source)), np.random.default_rng(0))
    levels = features.log_mel(everything, Bundle.load(tiny_model).features).max(axis=(1, 2))
    indices = np.flatnonzero(levels > batcher.TARGET_DB)[:16]  # loud enough
    x, hard = block(alone, indices)
    _, soft = block(taught, indices)
    assert x.shape[1:] == (100, 20)
    n = len(split.labels)
    said = ((soft - 0.3 * hard)[..., :n] / 0.7).reshape(-1, n)
    waveforms, _ = split.take(indices, np.random.default_rng(0))
    expected = Recognizer(Bundle.load(tiny_model)).probabilities(waveforms)
    np.testing.assert_allclose(said, expected, atol=1e-3)


@pytest.mark.parametrize(("student", "teacher"), [(0, 13), (13, 0), (0, 0)])
def test_log_mel_and_mfcc_teach_each_other(loader, student, teacher):
    """The student's masks reach a teacher of the same features, with or without a DCT."""
    own, theirs = (
        dataclasses.replace(loader.recipe.features, n_mfcc=n) for n in (student, teacher)
    )
    parrot = Parrot(theirs)
    recipe = dataclasses.replace(loader.recipe, features=own)
    x, _ = block(DataLoader(loader.split, recipe, teacher=parrot), np.arange(8))
    assert x.shape == (8, 50, own.channels)
    ((given,),) = parrot.inputs
    assert given.shape == (8, 50, theirs.channels)
    if own == theirs:
        gains = given - x
        np.testing.assert_allclose(gains, gains[:, :1, :1] * np.ones_like(gains), atol=1e-3)
