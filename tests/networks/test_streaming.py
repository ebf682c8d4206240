"""Stepping through a clip equals running it whole."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoic import networks
from echoic.config import ModelConfig, Recipe
from echoic.networks.streaming import Step

N_MFCC = 13


def build(*rows, seed=0):
    """A network with weights and statistics that a training could have left."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = networks.build(
        ModelConfig(layers=rows),
        channels=N_MFCC,
        n_labels=5,
        mean=rng.normal(size=N_MFCC),
        variance=rng.uniform(0.5, 2, N_MFCC),
    )
    for weight in model.weights:
        if weight.path.endswith(("moving_mean", "beta", "bias")):
            weight.assign(rng.normal(size=weight.shape))
        if weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    return model


def coefficients(frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, frames, N_MFCC)).astype(np.float32)


def stepped(model, x, states=None):
    step = Step(model)
    states = states or {name: np.zeros(s, np.float32) for name, s in step.states.items()}
    rows = []
    for start in range(0, x.shape[1], step.frames):
        logits, states = step(x[:, start : start + step.frames], states)
        rows.append(keras.ops.convert_to_numpy(logits)[0])
    return np.array(rows), states


CONV = {"type": "conv", "filters": 8, "kernel_size": 5, "strides": 2}
NETWORKS = {
    "SimpleRNN": [{"type": "rnn", "units": 6}],
    "GRU": [{"type": "gru", "units": 6}],
    "LSTM": [{"type": "lstm", "units": 6}],
    "two layers": [{"type": "gru", "units": 6}, {"type": "lstm", "units": 4}],
    "Dense": [{"type": "dense", "units": 6}],
    "convolution": [{"type": "conv", "filters": 8, "kernel_size": 3}],
    "residual": [CONV, {"type": "conv", "filters": 8, "kernel_size": 3}],
    "separable": [{"type": "conv", "filters": 8, "kernel_size": 5, "separable": True}],
    "two strides": [CONV, {**CONV, "kernel_size": 3}, {"type": "gru", "units": 6}],
    "no overlap": [{**CONV, "kernel_size": 2}, {"type": "gru", "units": 6}],
    "one frame": [{"type": "conv", "filters": 8, "kernel_size": 1}],
    "dropout": [{**CONV, "dropout": 0.5}, {"type": "gru", "units": 6, "dropout": 0.5}],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_stepping_equals_running_whole(name):
    model = build(*NETWORKS[name])
    x = coefficients(24)
    whole = keras.ops.convert_to_numpy(model(x, training=False))[0]
    rows, _ = stepped(model, x)
    np.testing.assert_allclose(rows, whole, atol=1e-5)


@pytest.mark.parametrize("name", ["crnn", "gru", "lstm", "rnn", "small"])
def test_the_recipes_that_stream_do(name):
    recipe = Recipe.load(name)
    model = build(*recipe.model.layers)
    assert Step(model).frames == networks.stride(recipe.model)
    x = coefficients(20)
    whole = keras.ops.convert_to_numpy(model(x, training=False))[0]
    np.testing.assert_allclose(stepped(model, x)[0], whole, atol=1e-4)


@settings(max_examples=20)
@given(cut=st.integers(1, 11), seed=st.integers(0, 1000))
def test_the_states_are_all_the_memory_there_is(cut, seed):
    model = build(
        CONV, {"type": "conv", "filters": 8, "kernel_size": 3}, {"type": "gru", "units": 6}
    )
    x = coefficients(24, seed)
    whole, _ = stepped(model, x)
    first, states = stepped(model, x[:, : 2 * cut])
    second, _ = stepped(model, x[:, 2 * cut :], states)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-6)


def test_a_state_is_named_after_its_layer():
    step = Step(build(CONV, {"type": "lstm", "units": 6}))
    assert step.states == {"conv_1": (1, 3, N_MFCC), "lstm_2_h": (1, 6), "lstm_2_c": (1, 6)}


@pytest.mark.parametrize(
    "row",
    [
        {"type": "bidirectional", "units": 6},
        {"type": "attention", "heads": 2, "key_dim": 4},
        {"type": "mean"},
    ],
)
def test_what_needs_the_whole_clip_says_so_and_names_recipes_that_stream(row):
    model = build(CONV, row)
    with pytest.raises(ValueError, match=rf"{row['type']}_2.*whole clip.*gru, lstm, crnn or rnn"):
        Step(model)
