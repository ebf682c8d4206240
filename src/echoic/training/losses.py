"""Loss, metric, learning-rate schedule and optimizer: what compiles a network for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from echoic.config import TrainingConfig

Tensor = Any


def clip_loss(config: TrainingConfig, *, n_labels: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the cross-entropy of the last ``loss_steps`` steps of each clip.

    ``y_true`` is (rows, clips, labels + words); the logits are (rows, clips * steps, labels +
    words), or (rows, labels + words) of a network that gives one a clip; see `DataLoader`.
    """

    def crossentropy(y_true: Tensor, logits: Tensor) -> Tensor:
        return ops.mean(keras.losses.categorical_crossentropy(y_true, logits, from_logits=True))

    def loss(y_true: Tensor, logits: Tensor) -> Tensor:
        logits = _by_clip(logits, y_true)[:, :, -config.loss_steps :]
        y_true = y_true[:, :, None] * ops.ones_like(logits[..., :1])
        total = crossentropy(y_true[..., :n_labels], logits[..., :n_labels])
        if config.auxiliary_loss_weight:
            words = crossentropy(y_true[..., n_labels:], logits[..., n_labels:])
            total += config.auxiliary_loss_weight * words
        return total

    return loss


def clip_accuracy(*, n_labels: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return whether the label of each clip's last step is right: (rows, clips)."""

    def accuracy(y_true: Tensor, logits: Tensor) -> Tensor:
        last = _by_clip(logits, y_true)[:, :, -1, :n_labels]
        right = ops.equal(ops.argmax(last, -1), ops.argmax(y_true[..., :n_labels], -1))
        return ops.cast(right, "float32")

    return accuracy


def _by_clip(logits: Tensor, y_true: Tensor) -> Tensor:
    """Reshape logits to (rows, clips, steps, channels)."""
    rows, clips, channels = ops.shape(y_true)[0], y_true.shape[1], logits.shape[-1]
    return ops.reshape(logits, (rows, clips, -1, channels))


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate: a linear warm-up, a cosine decay, and another for the cooldown."""

    def __init__(self, config: TrainingConfig, steps_per_epoch: int) -> None:
        self.config, self.steps_per_epoch = config, steps_per_epoch
        warmup = round(config.warmup_epochs * steps_per_epoch)
        self.steps = config.epochs * steps_per_epoch
        self.main = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else config.learning_rate,
            decay_steps=max(1, self.steps - warmup),
            warmup_target=config.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        self.cooldown = keras.optimizers.schedules.CosineDecay(
            config.cooldown_learning_rate,
            decay_steps=max(1, config.cooldown_epochs * steps_per_epoch),
        )

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        if not self.config.cooldown_epochs:
            return self.main(step)
        cooldown = self.cooldown(ops.maximum(step - self.steps, 0.0))
        return ops.where(step < self.steps, self.main(step), cooldown)

    def get_config(self) -> dict[str, Any]:
        return {"config": dataclasses.asdict(self.config), "steps_per_epoch": self.steps_per_epoch}


def compile_model(
    model: keras.Model, config: TrainingConfig, steps_per_epoch: int, *, n_labels: int
) -> None:
    """Compile a network with its loss, its metric and its optimizer: AdamW along `Schedule`."""
    schedule = Schedule(config, steps_per_epoch)
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        loss=clip_loss(config, n_labels=n_labels),
        metrics=[clip_accuracy(n_labels=n_labels)],
        # JAX is fast compiled only; XLA for TensorFlow takes minutes and is slower here.
        jit_compile=keras.backend.backend() == "jax",
    )
    optimizer.build(model.trainable_variables)
