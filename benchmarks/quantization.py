"""What each way of quantization loses, on one running stream.

    python benchmarks/quantization.py [MODEL] [--data data/speech_commands_v0.02] [--clips 300]

Clips of the validation split follow each other without a reset; other clips of it give the
ranges. *agrees* is how often the best label of a step is that of the float32 graph, *accuracy* is
at the last step of each clip. Front ends stay in float32; the cores get librosa's features.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from litert_quantizer.qtyping import TFLOperationName
from litert_quantizer.quantizer import Quantizer

from echoic import data as datasets
from echoic import features, networks
from echoic.export import graphs, quantize, verify
from echoic.files import quiet_stderr
from echoic.runtime.bundle import Bundle
from echoic.runtime.tflite import TFLiteModel

EVERY = TFLOperationName.ALL_SUPPORTED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data", default="data/speech_commands_v0.02")
    parser.add_argument("--clips", type=int, default=300)
    arguments = parser.parse_args()

    bundle = Bundle.load(arguments.model)
    model, config = networks.load(bundle), bundle.features
    data = bundle.recipe.data
    examples = datasets.load(arguments.data, data, "validation").examples()
    order = np.random.default_rng(1).permutation(len(examples))
    played, others = np.split(order[: 2 * arguments.clips], 2)
    stream = examples.waveforms[played].reshape(-1)
    calibration = features.compute(examples.waveforms[others].reshape(-1), config)
    targets = examples.targets[played]

    step, core = graphs.step(model, config), graphs.core(model)
    steps = list(quantize._running(core, [calibration]))

    def converter(activations: int) -> bytes:
        def adjust(converter: Any) -> None:
            kinds = tf.lite.OpsSet
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: (("step", x) for x in steps)
            converter.target_spec.supported_ops = [
                kinds.TFLITE_BUILTINS_INT8
                if activations == 8
                else kinds.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]

        return graphs.core(model, adjust=adjust)

    def quantizer(activations: int) -> bytes:
        made = Quantizer(core)
        made.add_static_config(".*", EVERY, activations, 8)
        ranges = made.calibrate({"step": steps[::5]}, num_threads=2)
        return bytes(made.quantize(ranges).quantized_model)

    ways: dict[str, Callable[[], bytes]] = {
        "stream, float32": lambda: step,
        "stream, float16 weights": lambda: quantize.float16(step),
        "stream, int8 weights": lambda: quantize.dynamic_int8(step),
        "core, float32": lambda: core,
        "core, converter, int8": lambda: converter(8),
        "core, converter, int16 activations": lambda: converter(16),
        "core, litert-quantizer, int8": lambda: quantizer(8),
        "core, litert-quantizer, int16 activations": lambda: quantizer(16),
    }
    print(f"{bundle.name}, {len(played)} clips of {arguments.data} as one stream")
    print(f"{'':44}{'kB':>6}{'accuracy':>10}{'agrees':>9}{'us a step':>11}")
    reference = None
    for name, make in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made.tflite"
            size = path.write_bytes(_quietly(make))
            graph = TFLiteModel(path)
            received = verify.stream_probabilities(graph, stream, config)
            _, median, _ = verify.latency(graph, config)
        if reference is None:
            reference = received
        ends = received[len(received) // len(played) - 1 :: len(received) // len(played)]
        print(
            f"{name:44}{size / 1e3:6,.0f}{(ends.argmax(1) == targets).mean():10.2%}"
            f"{(received.argmax(1) == reference.argmax(1)).mean():9.2%}{1e6 * median:11.0f}"
        )


def _quietly(make: Callable[[], bytes]) -> bytes:
    with (
        warnings.catch_warnings(),
        quiet_stderr(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        return make()


if __name__ == "__main__":
    main()
