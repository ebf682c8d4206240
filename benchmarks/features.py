"""How fast are the features? librosa clip by clip, librosa in batches, and the Keras mirror.

    python benchmarks/features.py [--clips 512]

Prints microseconds a clip of one second and the ratio to librosa clip by clip, the ways taking
turns in one run: only the ratios compare across machines.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from echoic import features
from echoic.config import FeatureConfig
from echoic.networks.frontend import MFCC

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    config = FeatureConfig()
    rng = np.random.default_rng(0)
    clips = rng.uniform(-0.5, 0.5, (arguments.clips, config.sample_rate)).astype(np.float32)
    batches = [clips[i : i + BATCH] for i in range(0, len(clips), BATCH)]
    layer = MFCC(config)
    model = keras.Sequential([keras.Input((config.sample_rate,)), layer])
    ways: dict[str, Callable[[], object]] = {
        "librosa, clip by clip": lambda: [features.compute(clip, config) for clip in clips],
        f"librosa, batches of {BATCH}": lambda: [features.compute(b, config) for b in batches],
        f"Keras mirror, batches of {BATCH}": lambda: [model.predict_on_batch(b) for b in batches],
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begun)
    fastest = {name: min(values[1:]) for name, values in times.items()}  # the first warms up
    reference = next(iter(fastest.values()))
    for name, seconds in fastest.items():
        print(f"{name:32} {1e6 * seconds / len(clips):7.0f} us/clip   x{seconds / reference:.2f}")


if __name__ == "__main__":
    main()
