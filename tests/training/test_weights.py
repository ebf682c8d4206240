"""What a run begins with: another model's weights, a pretrained file's, and its normalization."""

import shutil

import numpy as np
import pytest

from echoic import data as datasets
from echoic import networks, training
from echoic.config import Recipe
from echoic.runtime.bundle import Bundle
from echoic.training import DataLoader


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
    adjustment = model.training.logit_adjustment
    np.testing.assert_allclose(adjustment, logs - logs.mean(), rtol=1e-6)
    assert model.training.initial_weights == "tiny"
    assert "- Initial weights: tiny." in (model.path / "README.md").read_text("utf-8")
    assert model.training.pretrained_sources == ()
    first, second = networks.load(Bundle.load(tiny_model)), networks.load(model)
    ours, theirs = (network.get_layer("normalization") for network in (first, second))
    np.testing.assert_array_equal(ours.mean, theirs.mean)
    np.testing.assert_array_equal(ours.variance, theirs.variance)
    for name in ("conv_1", "gru_2"):
        for a, b in zip(
            first.get_layer(name).get_weights(), second.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_run_may_begin_with_a_keras_file(tiny_recipe, tiny_model, sample, tmp_path):
    recipe = Recipe.load(
        tiny_recipe, overrides=["training.epochs=1", "training.learning_rate=1e-9"]
    )
    file = tmp_path / "beginning.keras"
    shutil.copy(tiny_model / "model.keras", file)
    model = training.train(recipe, data=sample, out=tmp_path / "second", initial_weights=file)
    assert model.training.initial_weights == "beginning.keras"
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
    with pytest.raises(ValueError, match="Expected initial weights .*conv_1"):
        training.train(recipe, data=sample, out=tmp_path / "other", initial_weights=tiny_model)


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("embedding", "A speech_embedding with random weights: data/make_embedding.py"),
        ("whisper", "A whisper_encoder with random weights: data/make_whisper.py"),
    ],
)
def test_a_pretrained_layer_with_random_weights_is_named(
    name, warning, sample, tmp_path, caplog, monkeypatch, root
):
    monkeypatch.setattr(datasets.Dataset, "load", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.train(Recipe.load(name), data=sample, out=tmp_path / "none")
    assert warning in caplog.text
    assert (root / warning.split()[-1]).is_file()
