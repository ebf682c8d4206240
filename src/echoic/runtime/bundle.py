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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator

from echoic import config
from echoic.audio import Waveform
from echoic.config import DecoderConfig, FeatureConfig, Recipe
from echoic.files import atomic
from echoic.runtime.tflite import StreamingRunner, TFLiteError, TFLiteModel
from echoic.validation import AsTuple, Words, expected, settings

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


Floats = Annotated[tuple[float, ...], AsTuple]


def _both_sides(counts: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    if missing := {"training", "validation"} - counts.keys():
        raise expected(f"with {' and '.join(sorted(missing))} in it")
    return counts


def _labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not labels or len(set(labels)) < len(labels):
        raise expected("to be different labels, at least one")
    return labels


@settings("training")
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
    counts: Annotated[dict[str, dict[str, int]], AfterValidator(_both_sides)]
    damaged: int = 0
    files_sha256: str
    extra_data: Words = ()
    teachers: Words = ()
    initial_weights: str | None = None
    pretrained_sources: Words = ()
    parameters: int
    temperature: float | None = None
    logit_adjustment: Floats | None = None
    best_epoch: int
    seed: int
    backend: str | None = None
    versions: dict[str, str]


@settings()
class FileFigures:
    """Measurements of one TFLite file; its accuracy is on whole clips, each from zero states.

    Attributes
    ----------
    size
        Bytes.
    accuracy, difference
        Accuracy, and its difference from the Keras network's.
    largest_difference
        Largest difference of a probability from the Keras network's, over all clips.
    agreement
        Fraction of the clips with the same top label as the Keras network's.
    late_agreement
        Fraction of the steps in the last minute of a stream of ten minutes, never reset, with the
        same top label as ``stream.tflite``; None for files that do not stream.
    seconds
        Length of the sound that one call takes (s).
    median_latency, p99_latency
        Time of one call (s).
    peak_memory
        Largest resident size (bytes) of a process that loads LiteRT and the file and runs it; None
        where the system does not report it.
    """

    size: int
    accuracy: float
    difference: float
    largest_difference: float
    agreement: float
    late_agreement: float | None
    seconds: float
    median_latency: float
    p99_latency: float
    peak_memory: int | None


@settings()
class Calibration:
    """Where the ranges of int8 files are from: a data set and how many of its clips."""

    data: str
    clips: int


@settings("files")
class Measurements:
    """What `export` measured: the key ``files`` of ``echoic.json``.

    Attributes
    ----------
    protocol, n
        The clips, and how many they are.
    calibration
        Where the ranges of int8 files are from.
    measured
        Figures by TFLite file.
    left_out
        By file that was not kept, the accuracy that it would lose.
    warnings
        What is to be known about these figures.
    """

    protocol: str
    n: int
    calibration: Calibration
    measured: dict[str, FileFigures]
    left_out: dict[str, float] = field(default_factory=dict)
    warnings: Words = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as plain data."""
        return dataclasses.asdict(self)


@settings(title=FILE)
class Metadata:
    """What ``echoic.json`` says, typed.

    Attributes
    ----------
    name
        The model's name.
    labels
        In the order of the outputs.
    features
        The features that the network takes.
    decoder
        Detection thresholds and times.
    recipe
        The resolved recipe that the model was trained with.
    training
        How it was trained.
    metrics
        Figures by protocol, as the evaluations report them.
    fingerprint
        By TFLite file, the probabilities that it gives for the test sound.
    files
        What `export` measured; None where nothing was measured.
    """

    name: str
    labels: Annotated[Words, AfterValidator(_labels)]
    features: FeatureConfig
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    recipe: Recipe
    training: TrainingRecord
    metrics: dict[str, dict[str, Any]]
    fingerprint: dict[str, Floats]
    files: Measurements | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` and ``echoic.json`` hold, in the current schema."""
        found = dataclasses.asdict(self)
        if self.files is None:
            del found["files"]
        return {"schema": SCHEMA, **found}

    @classmethod
    def from_dict(cls, values: Any) -> Metadata:
        """Read what ``echoic.json`` holds, of this schema or an older one.

        Raises
        ------
        ValueError
            An unknown schema or key, or a value that is missing or of the wrong type or range.
        """
        if not isinstance(values, dict):
            raise ValueError(f"Expected a JSON object, received {type(values).__name__}.")
        schema = values.get("schema")
        if type(schema) is not int or not 1 <= schema <= SCHEMA:
            raise ValueError(
                f"Expected schema 1 to {SCHEMA}, received {schema!r}. A newer echoic may be "
                "needed: pip install --upgrade echoic."
            )
        if schema == 1:
            values = config.translate_metadata(values)
        return cls(**{key: value for key, value in values.items() if key != "schema"})


@dataclass(frozen=True, repr=False)
class Bundle:
    """A model's folder, read and checked; make one with `Bundle.load`.

    Attributes
    ----------
    path
        The folder.
    metadata
        What ``echoic.json`` says; its parts are properties of the bundle too.
    """

    path: Path
    metadata: Metadata

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
            content = json.loads((path / FILE).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{path / FILE} is not JSON: {error}") from error
        try:
            return cls(path, Metadata.from_dict(content))
        except ValueError as error:
            raise BundleError(f"{path / FILE}, {_writer(content)}: {error}") from error

    def __repr__(self) -> str:
        files = ", ".join(self.fingerprints)
        return f"Bundle({str(self.path)!r}, {len(self.labels)} labels, {files})"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.metadata.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""
        return self.metadata.labels

    @property
    def features(self) -> FeatureConfig:
        """The features that the network takes."""
        return self.metadata.features

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe that the model was trained with."""
        return self.metadata.recipe

    @property
    def training(self) -> TrainingRecord:
        """How the model was trained."""
        return self.metadata.training

    @property
    def decoder(self) -> DecoderConfig:
        """Detection thresholds and times."""
        return self.metadata.decoder

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """Figures by protocol."""
        return dict(self.metadata.metrics)

    @property
    def files(self) -> Measurements | None:
        """What `export` measured of each TFLite file; None where nothing was measured."""
        return self.metadata.files

    @property
    def fingerprints(self) -> dict[str, tuple[float, ...]]:
        """By TFLite file the probabilities that it gives for the test sound."""
        return dict(self.metadata.fingerprint)

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
            hint = ""
            if name.startswith("stream") and "stream" not in present:
                hint = f" Take a model that streams, such as {DEFAULT}."
            raise FileNotFoundError(f"{self.name} has no {path.name}; it has {present}.{hint}")
        loaded = TFLiteModel(path)
        expected = np.array(self.fingerprints.get(name, ()))
        received = fingerprint(loaded)
        tolerance = INTEGER_TOLERANCE if name.endswith("int8") else TOLERANCE
        if expected.shape != received.shape or np.abs(expected - received).max() > tolerance:
            raise BundleError(
                f"{path} does not answer as it did when it was written: expected "
                f"{np.round(expected, 3).tolist()} for the test sound, received "
                f"{np.round(received, 3).tolist()}. The file and {FILE} are not of one model: "
                "train or export it again."
            )
        return loaded


def chirp(n_samples: int, *, sample_rate: int = 16_000) -> Waveform:
    """Return the test sound of the fingerprint: a rising tone in seeded noise, (samples,)."""
    seconds = np.arange(n_samples) / sample_rate
    tone = 0.3 * np.sin(2 * np.pi * (100 * seconds + 1500 * seconds**2))
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, n_samples)
    return (tone + noise).astype(np.float32)


def fingerprint(model: TFLiteModel) -> npt.NDArray[np.float64]:
    """Return the probabilities that a TFLite model gives for the test sound, (labels,).

    A model of clips gets a chirp; one of streams gets a second of it, step by step; one that takes
    features gets 25 steps of seeded noise that spans about what speech does.
    """
    if "waveform" in model.inputs:
        sound = chirp(model.inputs["waveform"].shape[-1])[None]
        return model(waveform=sound)["probabilities"][0].astype(np.float64)
    runner = StreamingRunner(model)
    if runner.input == "samples":
        steps = chirp(16_000 // runner.shape[0] * runner.shape[0]).reshape(-1, *runner.shape)
    else:
        noise = np.random.default_rng(0).standard_normal((25, *runner.shape))
        steps = (noise * 200 / (1 + np.arange(runner.shape[-1]))).astype(np.float32)
    return [runner(x) for x in steps][-1].astype(np.float64)


def write(
    path: Path,
    *,
    save_network: Callable[[Path], None],
    tflite: Mapping[str, bytes],
    labels: Sequence[str],
    recipe: Recipe,
    training: TrainingRecord,
) -> Bundle:
    """Write a model's folder; ``echoic.json`` comes last, for it makes the folder a model.

    What was made of a model that was there before goes.

    Parameters
    ----------
    path
        The folder.
    save_network
        Writes the Keras network to a path: see `networks.save`.
    tflite
        Content of the TFLite files by name: "clip", "stream".
    labels, recipe, training
        What the folder says of the model.
    """
    path.mkdir(parents=True, exist_ok=True)
    if (path / FILE).exists():
        (path / FILE).unlink()
        for made in _MADE_OF_A_MODEL:
            for old in path.glob(made):
                old.unlink()
    save_network(path / "model.keras")
    (path / "labels.txt").write_text("".join(f"{x}\n" for x in labels), encoding="utf-8")
    metadata = Metadata(
        name=path.resolve().name,
        labels=tuple(labels),
        features=recipe.features,
        recipe=recipe,
        training=training,
        metrics={},
        fingerprint=_write_tflite(path, tflite),
    )
    return _save(path, metadata)


_MADE_OF_A_MODEL = (
    "*.tflite",
    "listen.py",
    "echoic_core.*",
    "golden.json",
    "confusion.png",
    "det.png",
)
"""Files in a model's folder that another model makes anew, or not at all."""


def add_tflite(
    bundle: Bundle, tflite: Mapping[str, bytes], *, files: Measurements | None = None
) -> Bundle:
    """Write TFLite files into a model's folder, with their fingerprints and measurements."""
    prints = {**bundle.fingerprints, **_write_tflite(bundle.path, tflite)}
    metadata = replace(bundle.metadata, fingerprint=prints, files=files or bundle.files)
    return _save(bundle.path, metadata)


def remove_tflite(bundle: Bundle, name: str) -> Bundle:
    """Take a TFLite file out of a model's folder, with its fingerprint."""
    (bundle.path / f"{name}.tflite").unlink()
    prints = {key: value for key, value in bundle.fingerprints.items() if key != name}
    return _save(bundle.path, replace(bundle.metadata, fingerprint=prints))


def _write_tflite(path: Path, tflite: Mapping[str, bytes]) -> dict[str, tuple[float, ...]]:
    """Write ``NAME.tflite`` for each and return their fingerprints."""
    prints = {}
    for name, content in tflite.items():
        with atomic(path / f"{name}.tflite") as partial:
            partial.write_bytes(content)
            prints[name] = tuple(round(float(p), 6) for p in fingerprint(TFLiteModel(partial)))
    return prints


def add_metrics(bundle: Bundle, figures: Mapping[str, Any]) -> Bundle:
    """Write the figures of an evaluation into ``echoic.json``, without the card.

    They replace those of the same protocol; sides of a split and files are kept apart, but for
    streams, of which the last are kept.
    """
    protocol = str(figures["protocol"])
    if protocol == "hash-split":
        protocol = f"hash-split {figures['split']}"
    if (file := str(figures.get("file", "stream"))) != "stream":
        protocol = f"{protocol} {file.removeprefix('stream_')}"
    metrics = {**bundle.metrics, protocol: dict(figures)}
    return _save(bundle.path, replace(bundle.metadata, metrics=metrics))


def set_decoder(bundle: Bundle, settings: DecoderConfig) -> Bundle:
    """Write the decoder's settings into ``echoic.json``; what others gave goes.

    That is the figures of streams, their picture, and the golden detections.
    """
    metrics = bundle.metrics
    if settings != bundle.decoder:
        (bundle.path / "golden.json").unlink(missing_ok=True)
    then = metrics.get("stream", {}).get("decoder")
    if then is not None and then != settings.to_dict():
        del metrics["stream"]
        (bundle.path / "det.png").unlink(missing_ok=True)
    return _save(bundle.path, replace(bundle.metadata, decoder=settings, metrics=metrics))


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


def _writer(content: Any) -> str:
    """Say which echoic wrote a file, as far as the file says."""
    try:
        return f"written by echoic {content['training']['versions']['echoic']}"
    except (KeyError, TypeError, IndexError):
        return "written by an unknown version of echoic"


def _save(path: Path, metadata: Metadata) -> Bundle:
    """Write ``echoic.json`` and return the folder as it reads now."""
    with atomic(path / FILE) as partial:
        partial.write_text(json.dumps(metadata.to_dict(), indent=1) + "\n", encoding="utf-8")
    return Bundle.load(path)


__all__ = [
    "DEFAULT",
    "FILE",
    "Bundle",
    "BundleError",
    "Calibration",
    "FileFigures",
    "Measurements",
    "Metadata",
    "StreamingRunner",
    "TFLiteError",
    "TFLiteModel",
    "TrainingRecord",
    "add_metrics",
    "add_tflite",
    "available",
    "chirp",
    "find",
    "fingerprint",
    "remove_tflite",
    "set_decoder",
    "versions",
    "write",
]
