"""From a network to TFLite files that behave in the field exactly as in training.

The front end goes into the graph: what runs takes a waveform and gives probabilities, so nobody
can feed it other features than it was trained on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from echoic import bundle, features, models
from echoic.bundle.graph import quiet_stderr
from echoic.features import FeatureConfig
from echoic.frontend import MFCC

PARITY = 1e-4
"""Largest difference of a probability between a float32 file and the network it was made of."""


class ExportError(RuntimeError):
    """A network that did not become a TFLite file fit to ship."""


def clip_tflite(model: keras.Model, config: FeatureConfig, *, seconds: float = 1.0) -> bytes:
    """Convert a network to TFLite.

    Parameters
    ----------
    model
        From `models.build`: (batch, frames, n_mfcc) to logits.
    config
        The features that the network was trained on.
    seconds
        Length of a clip (s).

    Returns
    -------
    bytes
        A TFLite file with the signature ``clip``: ``waveform`` (1, samples) float32 to
        ``probabilities`` (1, labels) float32. It holds builtin operations only.

    Raises
    ------
    ExportError
        The graph holds operations that a plain LiteRT does not have, or its probabilities differ
        from the network's by more than `PARITY`.
    ValueError
        The features cannot be computed inside a graph: see `frontend.MFCC`.
    """
    if keras.backend.backend() != "tensorflow":
        return _in_tensorflow(model, config, seconds)
    n_samples = round(seconds * config.sample_rate)
    front_end = MFCC(config)

    def clip(waveform: Any) -> dict[str, Any]:
        logits = models.answer(model(front_end(waveform), training=False))
        return {"probabilities": keras.ops.softmax(logits)}

    archive = keras.export.ExportArchive()
    archive.track(model)  # else its weights are lost on the way, silently
    spec = tf.TensorSpec((1, n_samples), tf.float32, name="waveform")
    archive.add_endpoint("clip", clip, input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder, quiet_stderr():
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["clip"])
        content = bytes(converter.convert())
    _refuse_foreign_operations(content)
    _refuse_difference(content, model, config, n_samples)
    return content


def _in_tensorflow(model: keras.Model, config: FeatureConfig, seconds: float) -> bytes:
    """Convert in another process: TFLite is written by TensorFlow, whatever did the training."""
    program = (
        "import sys, json, pathlib; from echoic import bundle, export, features\n"
        "folder, config, seconds = pathlib.Path(sys.argv[1]), *map(json.loads, sys.argv[2:])\n"
        "model = bundle.load_keras(folder / 'model.keras')\n"
        "content = export.clip_tflite(model, features.FeatureConfig(**config), seconds=seconds)\n"
        "(folder / 'clip.tflite').write_bytes(content)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras", include_optimizer=False)
        arguments = [folder, json.dumps(asdict(config)), json.dumps(seconds)]
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ExportError(f"The conversion in TensorFlow failed:\n{done.stderr}")
        return (Path(folder) / "clip.tflite").read_bytes()


def _refuse_foreign_operations(content: bytes) -> None:
    with quiet_stderr():
        interpreter = Interpreter(model_content=content)
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    if foreign := sorted(n for n in names if n.startswith("Flex") or n == "CUSTOM"):
        raise ExportError(
            f"Expected builtin TFLite operations only, received {', '.join(foreign)}. A layer of "
            "this model has no TFLite form; build it from the types in models.LAYERS."
        )


def _refuse_difference(
    content: bytes, model: keras.Model, config: FeatureConfig, n_samples: int
) -> None:
    waveform = bundle.chirp(n_samples, sample_rate=config.sample_rate)[None]
    with quiet_stderr():
        run = Interpreter(model_content=content).get_signature_runner("clip")
        received = run(waveform=waveform)["probabilities"]
    logits = models.answer(model(features.mfcc(waveform, config), training=False))
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    difference = float(np.abs(received - expected).max())
    if not difference <= PARITY:
        raise ExportError(
            f"Expected the TFLite file to answer like the network within {PARITY}, received a "
            f"difference of {difference:.2g} on the test sound."
        )
