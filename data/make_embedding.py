"""Write data/speech_embedding.keras: what `echoic train embedding` begins with.

    pip install pyopen-wakeword
    python data/make_embedding.py [--out data/speech_embedding.keras]
    echoic train embedding --init data/speech_embedding.keras

Google's speech embedding (Lin et al. 2020, arXiv:2002.01322) learned to tell thousands of words in
many recordings; Google gives it away under Apache-2.0, and the package pyopen-wakeword brings it.
Here its weights become those of the network of the recipe `embedding`, which expects cepstra: the
first layer makes of them what the embedding was trained on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from scipy.fft import dct

from echoic import audio, features, networks
from echoic.config import Recipe

SPEECH = Path(__file__).resolve().parent / "sample"

FULL_SCALE = 20 * np.log10(32767)
"""What samples of 16 bits have more than those in [-1, 1] (dB). The embedding was trained on the
decibels of 16-bit samples, divided by 10, plus 2."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("data/speech_embedding.keras"))
    out = parser.parse_args().out

    model = network_on_bels(Recipe.load("embedding"), offset=FULL_SCALE / 10 + 2)
    import pyopen_wakeword  # here, for make_whisper.py needs no package but its own

    file = Path(pyopen_wakeword.__file__).parent / "models" / "embedding_model.tflite"
    source = Interpreter(str(file))
    theirs = [op["inputs"] for op in source._get_ops_details() if op["op_name"] == "CONV_2D"]
    ours = [layer for layer in model.layers if layer.name.startswith("speech_embedding_2_conv")]
    for layer, (_, kernel, bias) in zip(ours, theirs, strict=True):
        weights = [source.get_tensor(kernel).transpose(1, 2, 3, 0), source.get_tensor(bias)]
        layer.set_weights(weights[: len(layer.weights)])
    model.save(out)
    print(f"{out}: {model.count_params():,} parameters")


def network_on_bels(recipe: Recipe, *, offset: float) -> keras.Model:
    """Build the network of a recipe whose first layer makes bels of cepstra and adds ``offset``."""
    n = recipe.features.n_mfcc
    # Coefficients of speech, for a first layer that hears all of them equally loud learns better.
    cepstra = np.concatenate(
        [
            features.mfcc(audio.read(path), recipe.features)
            for path in sorted(SPEECH.glob("[!_]*/*.wav"))
        ]
    ).astype(np.float64)
    mean, variance = cepstra.mean(axis=0), cepstra.var(axis=0)
    model = networks.build(
        recipe.model, n_mfcc=n, n_labels=len(recipe.data.labels), mean=mean, variance=variance
    )
    bels = dct(np.eye(n), axis=0, norm="ortho") / 10  # (coefficients, bands)
    weights = [np.sqrt(variance)[:, None] * bels, mean @ bels + offset]
    model.get_layer("dense_1").set_weights(weights)
    return model


if __name__ == "__main__":
    main()
