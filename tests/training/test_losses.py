"""Loss, metric and learning-rate schedule."""

import dataclasses
from itertools import pairwise

import keras
import numpy as np
import pytest

from echoic import training
from echoic.config import TrainingConfig


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


def test_the_auxiliary_task_adds_to_the_loss_at_its_weight():
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


def test_the_cooldown_has_a_cosine_of_its_own():
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
