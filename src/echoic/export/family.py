"""The family of a model: every TFLite file, made, verified and measured."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import keras
import numpy as np

from echoic import data as datasets
from echoic import features, networks
from echoic.config import FeatureConfig
from echoic.data import Examples
from echoic.export import golden, graphs, packing, quantize, verify
from echoic.export.c_array import c_array
from echoic.export.graphs import ExportError
from echoic.reports.card import write_card
from echoic.runtime import bundle as bundles
from echoic.runtime.bundle import Bundle, Calibration, FileFigures, Measurements
from echoic.runtime.tflite import TFLiteModel

logger = logging.getLogger(__name__)

FILES = {
    "clip": "a whole clip; float32",
    "clip_float16": "a whole clip; weights in float16",
    "clip_int8": "a whole clip; weights in int8",
    "stream": "a stream, step by step; float32",
    "stream_int8": "a stream, step by step; weights in int8",
    "core_int8": "features, step by step; int8 throughout, for microcontrollers",
}
"""Files of the family by name, each with its purpose."""

PARITY = 1e-4
"""Largest allowed difference of a probability between a float32 file and its network."""

MOST_LOST = 0.05
"""Accuracy that a file may lose against the network; a file that loses more is not kept."""

LEAST_CLIPS = 200
"""Clips on which the loss must be measured: on fewer it may be chance."""

CALIBRATION_CLIPS = 200
"""Clips in the stream from which the int8 ranges are taken."""

Report = Callable[[str], None]


def float_graphs(
    model: keras.Model, config: FeatureConfig, *, seconds: float = 1.0
) -> dict[str, bytes]:
    """Convert to ``clip`` and, if the network streams, ``stream``; compare both with the network.

    Raises
    ------
    ExportError
        A file differs from the network by more than `PARITY`, or cannot be made.
    ValueError
        The features cannot be computed inside a graph: see `frontend.MFCC`.
    """
    if keras.backend.backend() != "tensorflow":
        return _in_tensorflow(model, config, seconds)
    made = {"clip": graphs.clip(model, config, seconds=seconds)}
    if networks.outputs_each_step(model):
        made["stream"] = graphs.step(model, config)
    sound = bundles.chirp(round(seconds * config.sample_rate), sample_rate=config.sample_rate)
    for name, content in made.items():
        refuse_difference(content, model, config, sound[None], name=name)
    return made


def refuse_difference(
    content: bytes, model: keras.Model, config: FeatureConfig, waveforms: Any, *, name: str
) -> None:
    """Raise an ExportError where a float32 file differs from the network by more than `PARITY`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.tflite"
        path.write_bytes(content)
        received = verify.probabilities(TFLiteModel(path), waveforms, config)
    expected = verify.keras_probabilities(model, config, waveforms)
    difference = float(np.abs(received - expected).max())
    if not difference <= PARITY:
        raise ExportError(
            f"Expected {name}.tflite to give the network's probabilities within {PARITY}, "
            f"received a difference of {difference:.2g}."
        )


def export(
    model: str | Path | None = None,
    *,
    out: str | Path | None = None,
    data: str | Path,
    test_set: str | Path | None = None,
    with_c_array: bool = False,
    report: Report = lambda stage: None,
) -> Bundle:
    """Make the whole family of a model, verify it and measure it.

    Parameters
    ----------
    model
        A model's folder or name; None means the default model.
    out
        Folder to write to, a copy of the model's; None means the model's own.
    data
        A data set. Its validation side gives the stream for the int8 ranges and, without
        ``test_set``, the clips on which the files are measured.
    test_set
        A test archive to measure the files on.
    with_c_array
        Write ``core_int8`` as C as well.
    report
        Called with the name of each stage.

    Returns
    -------
    Bundle
        The folder, with the TFLite files, their fingerprints, their figures in ``echoic.json``
        under ``files`` and in the card, ``listen.py``, which runs the streaming model alone, and
        ``golden.json``, what that gives for the sample stream.
        A warning names a file that loses more than `MOST_LOST` and is left out.

    Raises
    ------
    ExportError
        A file could not be made or differs from the network.
    FileNotFoundError, DataError
        There is no such model, or no data.
    ValueError
        ``with_c_array``, and the network does not stream: see `streaming.Step`.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError("TFLite is written by TensorFlow: set KERAS_BACKEND=tensorflow.")
    bundle = Bundle.load(model)
    if out is not None and Path(out).resolve() != bundle.path.resolve():
        bundle = _copy(bundle, Path(out))
    network = networks.load(bundle)
    report("reading the data")
    config = bundle.recipe.data
    validation = datasets.load(data, config, "validation").examples()
    if test_set is None:
        examples, protocol = validation, "hash-split validation"
    else:
        examples, protocol = datasets.load_folders(test_set, labels=bundle.labels), "archive-v0.02"
    warnings = [] if test_set is None else datasets.archive_warnings(len(examples))
    for warning in warnings:
        logger.warning("%s", warning)

    report("converting")
    made = float_graphs(network, bundle.features, seconds=config.clip_seconds)
    made["clip_float16"] = quantize.float16(made["clip"])
    made["clip_int8"] = quantize.dynamic_int8(made["clip"])
    if "stream" in made:
        made["stream_int8"] = quantize.dynamic_int8(made["stream"])
        streams = [_calibration_stream(validation, bundle.features)]
        made["core_int8"] = quantize.integer_int8(network, streams)
    elif with_c_array:
        raise ValueError(
            f"{bundle.name} needs the whole clip, so it has no core for microcontrollers. Train a "
            "recipe that streams: gru, lstm, crnn or rnn."
        )
    made = {name: _with_metadata(made[name], bundle, name) for name in FILES if name in made}
    with tempfile.TemporaryDirectory() as folder:  # an unverified file replaces nothing
        measured = _measure(Path(folder), made, network, bundle.features, examples, report)
    left_out = {
        name: measured.pop(name).difference
        for name, figures in list(measured.items())
        if figures.difference < -MOST_LOST and len(examples) >= LEAST_CLIPS
    }
    for name, difference in left_out.items():
        logger.warning(
            "No %s.tflite: it would lose %.1f points of the network's accuracy.",
            name,
            -100 * difference,
        )
        del made[name]
    if with_c_array and "core_int8" not in made:
        raise ExportError(
            "Expected a core_int8.tflite to write as C, received none: it loses too much accuracy. "
            "Export without --c-array."
        )
    files = Measurements(
        protocol=protocol,
        n=len(examples),
        calibration=Calibration(
            data=Path(data).resolve().name, clips=min(CALIBRATION_CLIPS, len(validation))
        ),
        measured=measured,
        left_out=left_out,
        warnings=tuple(warnings),
    )
    bundle = bundles.add_tflite(bundle, made, files=files)
    for name in left_out.keys() & bundle.fingerprints.keys():
        bundle = bundles.remove_tflite(bundle, name)
    for old in ("listen.py", "echoic_core.h", "echoic_core.cc"):  # of an earlier export
        (bundle.path / old).unlink(missing_ok=True)
    if with_c_array:
        header, source = c_array(made["core_int8"], name="echoic_core")
        (bundle.path / "echoic_core.h").write_text(header, encoding="utf-8")
        (bundle.path / "echoic_core.cc").write_text(source, encoding="utf-8")
    if "stream_int8" in made:
        script = resources.files("echoic.export") / "listen.py"
        (bundle.path / "listen.py").write_text(script.read_text("utf-8"), encoding="utf-8")
    golden.write(bundle)
    write_card(bundle)
    return bundle


def _measure(
    folder: Path,
    made: Mapping[str, bytes],
    network: keras.Model,
    config: FeatureConfig,
    examples: Examples,
    report: Report,
) -> dict[str, FileFigures]:
    """Measure each file; float32 files must equal the network on every clip."""
    for name, content in made.items():
        (folder / f"{name}.tflite").write_bytes(content)
    expected = verify.keras_probabilities(network, config, examples.waveforms)
    reference = None
    if "stream" in made:
        report("ten minutes of stream")
        stream = verify.long_stream(examples.waveforms)
        reference = verify.stream_probabilities(
            TFLiteModel(folder / "stream.tflite"), stream, config
        )
    measured = {}
    for name in made:
        report(f"measuring {name}.tflite")
        figures = verify.figures(
            folder / f"{name}.tflite",
            waveforms=examples.waveforms,
            targets=examples.targets,
            expected=expected,
            config=config,
            reference=None if name.startswith("clip") else reference,
        )
        if name in ("clip", "stream") and not figures.largest_difference <= PARITY:
            raise ExportError(
                f"Expected {name}.tflite to give the network's probabilities within {PARITY} on "
                f"{len(examples):,} clips, received a difference of "
                f"{figures.largest_difference:.2g}."
            )
        measured[name] = figures
    return measured


def _calibration_stream(examples: Examples, config: FeatureConfig) -> Any:
    """Compute the features of clips in a row without a pause, (frames, channels)."""
    order = np.random.default_rng(0).permutation(len(examples))[:CALIBRATION_CLIPS]
    return features.compute(examples.waveforms[order].reshape(-1), config)


def _with_metadata(content: bytes, bundle: Bundle, name: str) -> bytes:
    """Add labels and features to the file's own metadata."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    note = {
        "model": bundle.name,
        "file": FILES[name],
        "labels": list(bundle.labels),
        "features": asdict(bundle.features),
    }
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(note).encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "echoic", len(graph.buffers)
    graph.buffers.append(buffer)
    graph.metadata = [*(graph.metadata or []), entry]
    return packing.pack(graph)


def _copy(bundle: Bundle, out: Path) -> Bundle:
    """Copy a model's folder without the working files of its training; return the copy."""
    if (out / bundles.FILE).exists() and Bundle.load(out).training != bundle.training:
        raise FileExistsError(
            f"Expected a new folder, received {out}, which holds another model. Choose another "
            "--out, or remove it."
        )
    shutil.copytree(
        bundle.path, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    return Bundle.load(out)


def _in_tensorflow(model: keras.Model, config: FeatureConfig, seconds: float) -> dict[str, bytes]:
    """Convert in another process: only TensorFlow writes TFLite, whatever backend trained."""
    program = (
        "import sys, json, pathlib\n"
        "from echoic import export, networks\n"
        "from echoic.config import FeatureConfig\n"
        "folder, config, seconds = pathlib.Path(sys.argv[1]), *map(json.loads, sys.argv[2:])\n"
        "model = networks.load(folder / 'model.keras')\n"
        "config = FeatureConfig(**config)\n"
        "for name, content in export.float_graphs(model, config, seconds=seconds).items():\n"
        "    (folder / f'{name}.tflite').write_bytes(content)\n"
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
        return {path.stem: path.read_bytes() for path in sorted(Path(folder).glob("*.tflite"))}
