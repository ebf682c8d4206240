"""Write data/speech_embedding.keras: the initial weights of the recipe `embedding`.

    pip install pyopen-wakeword
    python data/make_embedding.py [--out data/speech_embedding.keras]
    echoic train embedding --initial-weights data/speech_embedding.keras

Google's speech embedding (Lin et al. 2020, arXiv:2002.01322) was trained to tell thousands of
words apart in many recordings. Google released it under Apache-2.0, and the package
pyopen-wakeword contains it. This script copies its weights into the network of the recipe; the
normalization converts log-mel decibels to the bels that the embedding was trained on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from echoic import networks
from echoic.config import Recipe

FULL_SCALE = 20 * np.log10(32767)
"""Level of 16-bit samples over samples in [-1, 1] (dB). The embedding was trained on log-mel
spectrograms of 16-bit samples in bels (decibels / 10), plus 2."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("data/speech_embedding.keras"))
    out = parser.parse_args().out

    model = network_on_bels(Recipe.load("embedding"), offset=FULL_SCALE / 10 + 2)
    import pyopen_wakeword  # here, because make_whisper.py imports this file without it

    file = Path(pyopen_wakeword.__file__).parent / "models" / "embedding_model.tflite"
    source = Interpreter(str(file))
    theirs = [op["inputs"] for op in source._get_ops_details() if op["op_name"] == "CONV_2D"]
    ours = [layer for layer in model.layers if layer.name.startswith("speech_embedding_1_conv")]
    for layer, (_, kernel, bias) in zip(ours, theirs, strict=True):
        weights = [source.get_tensor(kernel).transpose(1, 2, 3, 0), source.get_tensor(bias)]
        layer.set_weights(weights[: len(layer.weights)])
    model.save(out)
    print(f"{out}: {model.count_params():,} parameters")


def network_on_bels(recipe: Recipe, *, offset: float) -> keras.Model:
    """Build the network of a recipe whose normalization gives ``decibels / 10 + offset``."""
    channels = recipe.features.channels
    return networks.build(
        recipe.model,
        channels=channels,
        n_labels=len(recipe.data.labels),
        mean=np.full(channels, -10 * offset),
        variance=np.full(channels, 100.0),
    )


if __name__ == "__main__":
    main()
