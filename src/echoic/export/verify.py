"""Proof that a file answers like the network that it was made of, and what it costs to run.

Everything is measured on the files as they ship, through LiteRT on one thread.
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
"""Length of the stream on which an int8 file must still agree with the float one at its end."""


def keras_probabilities(
    model: keras.Model, config: FeatureConfig, waveforms: npt.NDArray[np.float32]
) -> Probabilities:
    """SoftLabels of the Keras network on librosa's features, (clips, samples) to (clips, labels)."""
    rows = []
    for start in range(0, len(waveforms), 64):
        coefficients = features.mfcc(waveforms[start : start + 64], config)
        logits = networks.answer(model(coefficients, training=False))
        rows.append(keras.ops.convert_to_numpy(keras.ops.softmax(logits)))
    return np.concatenate(rows)


def answers(
    graph: TFLiteModel, waveforms: npt.NDArray[np.float32], config: FeatureConfig
) -> Probabilities:
    """SoftLabels of a file to clips, each from a blank state, (clips, samples) to (clips, labels)."""
    if "waveform" in graph.inputs:
        return np.stack([graph(waveform=w[None])["probabilities"][0] for w in waveforms])
    step = StreamingRunner(graph)
    rows = []
    for waveform in waveforms:
        step.reset()
        rows.append([step(x) for x in _steps(step, waveform, config)][-1])
    return np.stack(rows)


def stream_answers(
    graph: TFLiteModel, waveform: npt.NDArray[np.float32], config: FeatureConfig
) -> Probabilities:
    """SoftLabels of a streaming file at every step of one long waveform, (steps, labels)."""
    step = StreamingRunner(graph)
    return np.stack([step(x) for x in _steps(step, waveform, config)])


def _steps(
    step: StreamingRunner, waveform: npt.NDArray[np.float32], config: FeatureConfig
) -> npt.NDArray[np.float32]:
    """What the steps of a waveform take: samples, or librosa's coefficients."""
    x = waveform if step.input == "samples" else features.mfcc(waveform, config)
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
        SoftLabels of the Keras network, (n, labels).
    config
        For files that take coefficients.
    reference
        SoftLabels of ``stream.tflite`` at every step of the clips, played one after another for
        `STREAM_MINUTES`; None for a file that takes whole clips.
    """
    graph = TFLiteModel(path)
    received = answers(graph, waveforms, config)
    right = (received.argmax(axis=1) == targets).mean()
    late = None
    if reference is not None:
        stream = long_stream(waveforms)
        minute = len(reference) // STREAM_MINUTES
        best = stream_answers(graph, stream, config).argmax(axis=1)
        late = float((best == reference.argmax(axis=1))[-minute:].mean())
    seconds, median, p99 = latency(graph, config)
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
    """Play clips one after another for `STREAM_MINUTES`, in a seeded order, again if need be."""
    n_clips = STREAM_MINUTES * 60 * 16_000 // waveforms.shape[1]
    order = np.random.default_rng(0).permutation(len(waveforms))
    return waveforms[np.resize(order, n_clips)].reshape(-1)


def latency(
    graph: TFLiteModel, config: FeatureConfig, *, calls: int = 400
) -> tuple[float, float, float]:
    """Sound that one call takes (s), and the median and 99th percentile of its time (s)."""
    run: Callable[[npt.NDArray[np.float32]], object]
    if "waveform" in graph.inputs:
        shape = graph.inputs["waveform"].shape
        seconds = shape[-1] / config.sample_rate
        run = lambda x: graph(waveform=x)  # noqa: E731
    else:
        step = StreamingRunner(graph)
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
if status.exists():  # Linux counts what a process was before it became this one into its ru_maxrss
    print(1024 * int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(path: Path) -> int | None:
    """Largest resident size (bytes) of a process that runs the file, and nothing of echoic."""
    if sys.platform == "win32":
        return None  # there is no resource module to ask
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
