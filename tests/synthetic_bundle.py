"""Models that are only described: a `Bundle` without a network, for tests of what reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echoic.config import Recipe
from echoic.runtime.bundle import Bundle, Metadata, TrainingRecord


def make_bundle(
    path: Path,
    *,
    name: str = "tiny",
    labels: Sequence[str] = ("_silence_", "_unknown_", "yes", "no"),
    unseen_words: Sequence[str] = (),
    unseen_noises: Sequence[str] = (),
    metrics: Mapping[str, Any] | None = None,
    **training: Any,
) -> Bundle:
    """Describe a model in a folder; ``training`` replaces fields of its `TrainingRecord`."""
    recipe = Recipe.load("small")
    data = dataclasses.replace(
        recipe.data, unseen_words=tuple(unseen_words), unseen_noises=tuple(unseen_noises)
    )
    recipe = dataclasses.replace(recipe, data=data)
    record = {
        "data": "sample",
        "command": "echoic train small",
        "counts": {side: dict.fromkeys(labels, 10) for side in ("training", "validation")},
        "files_sha256": "0" * 64,
        "parameters": 1000,
        "best_epoch": 1,
        "seed": 0,
        "versions": {"echoic": "0.1.0"},
    }
    metadata = Metadata(
        name=name,
        labels=tuple(labels),
        features=recipe.features,
        recipe=recipe,
        training=TrainingRecord(**(record | training)),
        metrics=dict(metrics or {}),
        fingerprint={"clip": tuple(1 / len(labels) for _ in labels)},
    )
    return Bundle(path, metadata)
