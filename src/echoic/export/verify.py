"""Verification: a file's parity with its network, its accuracy, and what it costs to run.

Everything is measured on the files as they ship, by LiteRT on one thread.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from echoic import features, networks
from echoic.config import FeatureConfig
from echoic.runtime.bundle import FileFigures
from echoic.runtime.tflite import StreamingRunner, TFLiteModel

Probabilities = npt.NDArray[np.float32]

STREAM_MINUTES = 10
"""Length of the stream at whose end an int8 file is compared with ``stream.tflite``."""


def keras_probabilities(
    model: keras.Model, config: FeatureConfig, waveforms: npt.NDArray[np.float32]
) -> Probabilities:
    """Run the Keras network on librosa's features: (clips, samples) to (clips, labels)."""
    rows = []
    for start in range(0, len(waveforms), 64):
        frames = features.compute(waveforms[start : start + 64], config)
        logits = networks.clip_logits(model(frames, training=False))
        rows.append(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))
    return np.concatenate(rows)


def probabilities(
    model: TFLiteModel, waveforms: npt.NDArray[np.float32], config: FeatureConfig
) -> Probabilities:
    """Run a file on clips, each from zero states: (clips, samples) to (clips, labels)."""
    if "waveform" in model.inputs:
        return np.stack([model(waveform=w[None])["probabilities"][0] for w in waveforms])
    step = StreamingRunner(model)
    rows = []
    for waveform in waveforms:
        step.reset()
        rows.append([step(x) for x in _steps(step, waveform, config)][-1])
    return np.stack(rows)


def stream_probabilities(
    model: TFLiteModel, waveform: npt.NDArray[np.float32], config: FeatureConfig
) -> Probabilities:
    """Run a streaming file on one long waveform: (samples,) to (steps, labels)."""
    step = StreamingRunner(model)
    return np.stack([step(x) for x in _steps(step, waveform, config)])


def _steps(
    step: StreamingRunner, waveform: npt.NDArray[np.float32], config: FeatureConfig
) -> npt.NDArray[np.float32]:
    """Cut a waveform, or librosa's features of it, into the inputs of the steps."""
    x = waveform if step.input == "samples" else features.compute(waveform, config)
    n_steps = len(x) // step.shape[0]
    return x[: n_steps * step.shape[0]].reshape(n_steps, *step.shape)


def figures(
    path: Path,
    *,
    waveforms: npt.NDArray[np.float32],
    targets: npt.NDArray[np.int64],
    expected: Probabilities,
    config: FeatureConfig,
    reference: Probabilities | None,
) -> FileFigures:
    """Measure a file on clips.

    Parameters
    ----------
    path
        The file.
    waveforms, targets
        Clips (n, samples) and the indices of their labels (n,).
    expected
        Probabilities of the Keras network, (n, labels).
    config
        The features of the network.
    reference
        Probabilities of ``stream.tflite`` at every step of `long_stream`; None for a file that
        takes whole clips.
    """
    model = TFLiteModel(path)
    received = probabilities(model, waveforms, config)
    right = (received.argmax(axis=1) == targets).mean()
    late = None
    if reference is not None:
        stream = long_stream(waveforms)
        minute = len(reference) // STREAM_MINUTES
        best = stream_probabilities(model, stream, config).argmax(axis=1)
        late = float((best == reference.argmax(axis=1))[-minute:].mean())
    seconds, median, p99 = latency(model, config)
    return FileFigures(
        size=path.stat().st_size,
        accuracy=_rounded(right),
        difference=_rounded(right - (expected.argmax(axis=1) == targets).mean()),
        largest_difference=_rounded(np.abs(received - expected).max()),
        agreement=_rounded((received.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        late_agreement=None if late is None else _rounded(late),
        seconds=_rounded(seconds),
        median_latency=_rounded(median),
        p99_latency=_rounded(p99),
        peak_memory=peak_memory(path),
    )


def _rounded(figure: float) -> float:
    """Round to what a measurement can bear."""
    return round(float(figure), 7)


def long_stream(waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Concatenate clips to `STREAM_MINUTES` in a seeded order, repeated where they are few."""
    n_clips = STREAM_MINUTES * 60 * 16_000 // waveforms.shape[1]
    order = np.random.default_rng(0).permutation(len(waveforms))
    return waveforms[np.resize(order, n_clips)].reshape(-1)


def latency(
    model: TFLiteModel, config: FeatureConfig, *, calls: int = 400
) -> tuple[float, float, float]:
    """Measure one call: length of its sound (s), median and 99th percentile of its time (s)."""
    run: Callable[[npt.NDArray[np.float32]], object]
    if "waveform" in model.inputs:
        shape = model.inputs["waveform"].shape
        seconds = shape[-1] / config.sample_rate
        run = lambda x: model(waveform=x)  # noqa: E731
    else:
        step = StreamingRunner(model)
        shape, run = step.shape, step
        n_samples = shape[0] if step.input == "samples" else shape[0] * config.hop_length
        seconds = n_samples / config.sample_rate
    x = np.random.default_rng(0).uniform(-0.1, 0.1, shape).astype(np.float32)
    times = []
    for _ in range(calls + calls // 10):
        begun = time.perf_counter()
        run(x)
        times.append(time.perf_counter() - begun)
    warm = times[calls // 10 :]
    return seconds, float(np.median(warm)), float(np.quantile(warm, 0.99))


_MEMORY = """
import pathlib, re, resource, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter(model_path=sys.argv[1], num_threads=1).get_signature_runner()
inputs = {n: np.zeros(d["shape"], d["dtype"]) for n, d in runner.get_input_details().items()}
for _ in range(20):
    runner(**inputs)
status = pathlib.Path("/proc/self/status")
if status.exists():  # on Linux, ru_maxrss includes the process before exec
    print(1024 * int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(path: Path) -> int | None:
    """Measure the largest resident size (bytes) of a process that runs the file without echoic."""
    if sys.platform == "win32":
        return None  # Windows has no resource module
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
