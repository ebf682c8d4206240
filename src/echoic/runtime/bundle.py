"""A model's folder: network, TFLite files, labels, features, recipe, figures, all in one place.

models/gru-12/
  model.keras                  the network
  clip.tflite  stream.tflite   what runs: whole clips, and a stream a step at a time
  echoic.json                  everything else that a program must know
  labels.txt  README.md        the same for people
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from echoic import config
from echoic.config import DecoderConfig, FeatureConfig, Recipe
from echoic.files import atomic
from echoic.runtime.tflite import StreamingRunner, TFLiteError, TFLiteModel

if TYPE_CHECKING:
    from echoic.audio import Waveform

FILE = "echoic.json"
"""The file that makes a folder a model."""

SCHEMA = 2
DEFAULT = "gru-12"
"""The model that is meant where none is named."""

TOLERANCE = 1e-3
"""Largest difference of a probability from the stored fingerprint."""

INTEGER_TOLERANCE = 0.05
"""The same for int8 files: processors round the last bit differently."""


class BundleError(ValueError):
    """A folder that is not a model, or not the model that it says it is."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How a model was trained: the key ``training`` of ``echoic.json``.

    Attributes
    ----------
    data
        Name of the data set.
    command
        What reproduces the run.
    counts
        Recordings by side of the split and label.
    damaged
        Recordings that were left out.
    files_sha256
        SHA-256 of the sorted list of files.
    extra_data, teachers, initial_weights
        Names of further data sets, of teachers, and of the model whose weights were the start.
    pretrained_sources
        Pretrained networks that the model learned from, directly or through a teacher.
    parameters
        Number of weights.
    temperature
        What the logits were divided by; None where they were not calibrated.
    logit_adjustment
        What was subtracted from the logits, (labels,); None where nothing was.
    best_epoch, seed, backend, versions
        Of the run.
    """

    data: str
    command: str
    counts: dict[str, dict[str, int]]
    files_sha256: str
    parameters: int
    best_epoch: int
    seed: int
    versions: dict[str, str]
    damaged: int = 0
    extra_data: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    initial_weights: str | None = None
    pretrained_sources: tuple[str, ...] = ()
    temperature: float | None = None
    logit_adjustment: tuple[float, ...] | None = None
    backend: str | None = None


@dataclass(frozen=True)
class Bundle:
    """A model's folder, read and checked; make one with `Bundle.load`.

    Attributes
    ----------
    path
        The folder.
    metadata
        What ``echoic.json`` says, in the keys of the current schema. The properties give the same
        typed; nothing outside this module reads it by key.
    """

    path: Path
    metadata: dict[str, Any]

    @classmethod
    def load(cls, model: str | Path | None = None) -> Bundle:
        """Read a model's folder.

        Parameters
        ----------
        model
            A path, or the name of a folder in ``models/`` or of a model that ships with echoic;
            None means the default model.

        Raises
        ------
        FileNotFoundError
            There is no such model.
        BundleError
            The folder is damaged, or of a newer echoic.
        """
        path = _locate(model or DEFAULT)
        try:
            metadata = json.loads((path / FILE).read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise BundleError(f"{path / FILE} is not JSON: {error}") from error
        if metadata.get("schema") not in (1, SCHEMA):
            raise BundleError(
                f"Expected schema 1 or {SCHEMA} in {path / FILE}, received "
                f"{metadata.get('schema')!r}. A newer echoic may be needed: "
                "pip install --upgrade echoic."
            )
        keys = ("name", "labels", "features", "recipe", "training", "metrics", "fingerprint")
        if missing := [k for k in keys if k not in metadata]:
            raise BundleError(f"{path / FILE} lacks {', '.join(missing)}.")
        return cls(path, config.translate_metadata(metadata))

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.metadata["name"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""
        return tuple(self.metadata["labels"])

    @cached_property
    def features(self) -> FeatureConfig:
        """How the model hears."""
        return FeatureConfig(**self.metadata["features"])

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe that the model was trained with."""
        return Recipe.from_dict(self.metadata["recipe"])

    @cached_property
    def training(self) -> TrainingRecord:
        """How the model was trained."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in self.metadata["training"].items()
        }
        return TrainingRecord(**values)

    @cached_property
    def decoder(self) -> DecoderConfig:
        """Detection thresholds and times.

        Raises
        ------
        BundleError
            The settings are damaged, or of a newer echoic.
        """
        try:
            return DecoderConfig.from_dict(self.metadata.get("decoder", {}))
        except (TypeError, ValueError) as error:
            raise BundleError(f"The decoder's settings in {self.path / FILE}: {error}") from error

    @property
    def metrics(self) -> dict[str, Any]:
        """Figures by protocol."""
        return dict(self.metadata["metrics"])

    @property
    def files(self) -> dict[str, Any]:
        """What `export` measured of each TFLite file; empty where nothing was measured."""
        return dict(self.metadata.get("files", {}))

    @property
    def fingerprints(self) -> dict[str, list[float]]:
        """By TFLite file the probabilities that it gives for the test sound."""
        return dict(self.metadata["fingerprint"])

    def tflite(self, name: str = "clip") -> TFLiteModel:
        """Load one of the TFLite files and check it against its fingerprint.

        Raises
        ------
        FileNotFoundError
            The model has no such file.
        TFLiteError
            The file cannot be run.
        BundleError
            It runs, and answers otherwise than when it was written.
        """
        path = self.path / f"{name}.tflite"
        if not path.exists():
            present = ", ".join(sorted(p.stem for p in self.path.glob("*.tflite"))) or "none"
            raise FileNotFoundError(f"{self.name} has no {path.name}; it has {present}.")
        graph = TFLiteModel(path)
        expected = np.array(self.fingerprints.get(name, []))
        received = fingerprint(graph)
        tolerance = INTEGER_TOLERANCE if name.endswith("int8") else TOLERANCE
        if expected.shape != received.shape or np.abs(expected - received).max() > tolerance:
            raise BundleError(
                f"{path} does not answer as it did when it was written: expected "
                f"{np.round(expected, 3).tolist()} for the test sound, received "
                f"{np.round(received, 3).tolist()}. The file and {FILE} are not of one model: "
                "train or export it again."
            )
        return graph


def chirp(n_samples: int, *, sample_rate: int = 16_000) -> Waveform:
    """Return the test sound of the fingerprint: a rising tone in seeded noise, (samples,)."""
    seconds = np.arange(n_samples) / sample_rate
    tone = 0.3 * np.sin(2 * np.pi * (100 * seconds + 1500 * seconds**2))
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, n_samples)
    return (tone + noise).astype(np.float32)


def fingerprint(graph: TFLiteModel) -> npt.NDArray[np.float64]:
    """Return the probabilities that a graph gives for the test sound, (labels,).

    A graph for clips hears a chirp; one for a stream hears it for a second, step by step; one that
    takes coefficients gets 25 steps of seeded noise that spans about what speech does.
    """
    if "waveform" in graph.inputs:
        sound = chirp(graph.inputs["waveform"].shape[-1])[None]
        answer = graph(waveform=sound)["probabilities"][0]
    else:
        step = StreamingRunner(graph)
        if step.input == "samples":
            steps = chirp(16_000 // step.shape[0] * step.shape[0]).reshape(-1, *step.shape)
        else:
            noise = np.random.default_rng(0).standard_normal((25, *step.shape))
            steps = (noise * 200 / (1 + np.arange(step.shape[-1]))).astype(np.float32)
        answer = [step(x) for x in steps][-1]
    return answer.astype(np.float64)


def write(
    path: Path,
    *,
    save_network: Callable[[Path], None],
    graphs: Mapping[str, bytes],
    labels: Sequence[str],
    features: FeatureConfig,
    recipe: Mapping[str, Any],
    training: Mapping[str, Any],
) -> Bundle:
    """Write a model's folder; ``echoic.json`` comes last, for it makes the folder a model.

    What was made of a model that was there before goes.
    """
    path.mkdir(parents=True, exist_ok=True)
    if (path / FILE).exists():
        (path / FILE).unlink()
        for made in ("*.tflite", "listen.py", "echoic_core.*", "confusion.png", "det.png"):
            for old in path.glob(made):
                old.unlink()
    save_network(path / "model.keras")
    (path / "labels.txt").write_text("".join(f"{x}\n" for x in labels), encoding="utf-8")
    content = {
        "schema": SCHEMA,
        "name": path.resolve().name,
        "labels": list(labels),
        "features": dataclasses.asdict(features),
        "decoder": {},
        "recipe": dict(recipe),
        "training": dict(training),
        "metrics": {},
        "fingerprint": _write_graphs(path, graphs),
    }
    _write_content(path, content)
    return Bundle.load(path)


def add_graphs(bundle: Bundle, graphs: Mapping[str, bytes], **more: Any) -> Bundle:
    """Write TFLite files into a model's folder, with their fingerprints; ``more`` is noted too."""
    prints = {**bundle.fingerprints, **_write_graphs(bundle.path, graphs)}
    _write_content(bundle.path, {**bundle.metadata, "fingerprint": prints, **more})
    return Bundle.load(bundle.path)


def remove_graph(bundle: Bundle, name: str) -> Bundle:
    """Take a TFLite file out of a model's folder, with its fingerprint."""
    (bundle.path / f"{name}.tflite").unlink()
    prints = {key: value for key, value in bundle.fingerprints.items() if key != name}
    _write_content(bundle.path, {**bundle.metadata, "fingerprint": prints})
    return Bundle.load(bundle.path)


def _write_graphs(path: Path, graphs: Mapping[str, bytes]) -> dict[str, list[float]]:
    """Write ``NAME.tflite`` for each graph and return their fingerprints."""
    prints = {}
    for name, content in graphs.items():
        file = path / f"{name}.tflite"
        with atomic(file) as partial:
            partial.write_bytes(content)
            prints[name] = [round(float(p), 6) for p in fingerprint(TFLiteModel(partial))]
    return prints


def record(bundle: Bundle, report: Mapping[str, Any]) -> Bundle:
    """Write the figures of an evaluation into the model's folder and its card.

    They replace those of the same protocol; sides of a split and files are kept apart, but for
    streams, of which the last are kept.
    """
    protocol = str(report["protocol"])
    if protocol == "hash-split":
        protocol = f"hash-split {report['split']}"
    if (graph := str(report.get("graph", "stream"))) != "stream":
        protocol = f"{protocol} {graph.removeprefix('stream_')}"
    metrics = {**bundle.metrics, protocol: dict(report)}
    _write_content(bundle.path, {**bundle.metadata, "metrics": metrics})
    return Bundle.load(bundle.path)


def set_decoder(bundle: Bundle, config: DecoderConfig) -> Bundle:
    """Write the decoder's settings into the model's folder; figures of others go."""
    settings = config.to_dict()
    metrics = bundle.metrics
    if metrics.get("stream", {}).get("decoder", settings) != settings:
        del metrics["stream"]
        (bundle.path / "det.png").unlink(missing_ok=True)
    _write_content(bundle.path, {**bundle.metadata, "decoder": settings, "metrics": metrics})
    return Bundle.load(bundle.path)


def versions() -> dict[str, str]:
    """Versions of what a model's weights may depend on."""
    packages = ("echoic", "keras", "tensorflow", "librosa", "numpy", "ai-edge-litert")
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def available() -> list[str]:
    """Names of the models in ``models/`` and of those that ship with echoic."""
    return sorted({p.parent.name for root in _roots() for p in root.glob(f"*/{FILE}")})


def _roots() -> list[Path]:
    package = Path(__file__).resolve().parents[1]
    # models/ here; inside an installed wheel; beside src/ in a checkout
    return [Path("models"), package / "pretrained", package.parents[1] / "models"]


def find(file: str | Path) -> Path | None:
    """Return a file that is at this path or, seen from there, where models are; else None."""
    paths = (Path(file), *(root / file for root in _roots()))
    return next((path for path in paths if path.is_file()), None)


def _locate(model: str | Path) -> Path:
    if (file := find(Path(model) / FILE)) is not None:
        return file.parent
    raise FileNotFoundError(
        f"No model {str(model)!r}: expected a folder with {FILE} in it, or one of "
        f"{', '.join(available()) or 'models/ (which is empty)'}. Train one with 'echoic train'."
    )


def _write_content(path: Path, content: dict[str, Any]) -> None:
    with atomic(path / FILE) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


__all__ = [
    "DEFAULT",
    "FILE",
    "Bundle",
    "BundleError",
    "StreamingRunner",
    "TFLiteError",
    "TFLiteModel",
    "add_graphs",
    "available",
    "chirp",
    "find",
    "fingerprint",
    "record",
    "set_decoder",
    "versions",
    "write",
]
