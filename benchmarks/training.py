"""The cost of fresh augmentation: an augmented epoch against one on cached features.

    python benchmarks/training.py [--recipe gru] [--data data/sample] [--steps 40] [--workers 1]

Both train the same network on batches of the same size, in turns in one run. The aim is a ratio
of at most 1.3: augmentation runs in processes beside the training.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from echoic import data as datasets
from echoic import networks, training
from echoic.config import Recipe
from echoic.training import DataLoader, InputsAndTargets
from echoic.training.batcher import usual_workers

WARM_UP = 10
"""Steps before the clock starts, so that as many batches are ready as at its end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="gru")
    parser.add_argument("--data", default="data/sample")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=usual_workers())
    arguments = parser.parse_args()

    training.keep_memory()
    recipe = Recipe.load(arguments.recipe)
    split = datasets.load(arguments.data, recipe.data, "training")
    loader = DataLoader(split, recipe, workers=arguments.workers)
    mean, variance = loader.statistics(batches=2)
    model = networks.build(
        recipe.model,
        channels=recipe.features.channels,
        n_labels=len(split.labels),
        mean=mean,
        variance=variance,
    )
    model = networks.add_auxiliary_head(model, loader.n_words)
    training.compile_model(model, recipe.training, arguments.steps, n_labels=len(split.labels))
    with loader.batches() as batches:
        cached = list(itertools.islice(batches, min(arguments.steps, 8)))

    def clips_a_second(batches: Iterator[InputsAndTargets]) -> float:
        for x, y in itertools.islice(batches, WARM_UP):
            model.train_on_batch(x, y)
        begun, clips = time.perf_counter(), 0
        for x, y in itertools.islice(batches, arguments.steps):
            model.train_on_batch(x, y)
            clips += y.shape[0] * y.shape[1]
        return clips / (time.perf_counter() - begun)

    def clips_a_second_augmented(epoch: int) -> float:
        # The workers stop with the context: nothing is prepared during the other's turn.
        with loader.batches(first_epoch=epoch) as fresh:
            return clips_a_second(fresh)

    clips_a_second(itertools.cycle(cached))  # compiles
    rates = [
        (clips_a_second(itertools.cycle(cached)), clips_a_second_augmented(number))
        for number in range(arguments.rounds)
    ]
    fast, augmented = (max(column) for column in zip(*rates, strict=True))
    print(f"cached features    {fast:7.0f} clips/s")
    print(f"fresh augmentation {augmented:7.0f} clips/s   an epoch takes x{fast / augmented:.2f}")


if __name__ == "__main__":
    main()
