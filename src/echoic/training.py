"""Training: a recipe and a data set in, a model's folder out.

    recipe (TOML)  ->  Recipe        frozen dataclasses; unknown keys are errors
    data set       ->  batches()     fresh examples, augmented afresh, every epoch
    network        ->  train()       fit, checkpoints, the best weights, a bundle

What a batch holds depends on the seed, the epoch and its number alone, so a run that was killed
and resumed hears exactly what the run that was left alone hears.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from echoic import augmentation, evaluation, export, features, models, plots
from echoic import bundle as bundles
from echoic import speech_commands as sc
from echoic.audio import SAMPLE_RATE
from echoic.augmentation import AugmentationConfig
from echoic.features import FeatureConfig
from echoic.models import ModelConfig
from echoic.speech_commands import DataConfig

logger = logging.getLogger(__name__)

BLOCK = 32
"""Clips that go through the features together: as many as stay in a processor's cache."""


# --- recipes -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the weights are found.

    Attributes
    ----------
    epochs, batch_size
        Passes over the data, and clips a step.
    learning_rate, warmup_epochs
        Peak rate of AdamW, reached linearly, then falling to zero along a cosine.
    weight_decay
        Decoupled (Loshchilov and Hutter 2019); biases and normalizations are spared.
    clip_norm
        Largest norm of a step's gradient: the cure for gradients that explode.
    label_smoothing
        Part of the probability that every label shares.
    supervised_steps
        How many of the last steps of a clip are taught the answer (streamable networks).
    seed
        Of the weights, the draws and the augmentation.
    deterministic
        Ask the backend for operations that give the same bits every time (slower).
    """

    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup_epochs: float = 1.0
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    supervised_steps: int = 1
    seed: int = 0
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "supervised_steps", "learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"Expected training.{name} above 0, received {getattr(self, name)}."
                )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training gives, but for the data and the versions."""

    data: DataConfig
    features: FeatureConfig
    model: ModelConfig
    augmentation: AugmentationConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        if self.features.sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"Expected features.sample_rate to be {SAMPLE_RATE}, the rate of every waveform "
                f"that echoic reads, received {self.features.sample_rate}."
            )

    @classmethod
    def load(cls, name: str | Path, *, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe that ships with echoic, by its name, or a TOML file.

        Parameters
        ----------
        name
            A name in `recipe_names`, or a path that ends in ``.toml``. A recipe that says
            ``base = "gru"`` starts from that one and changes what it names.
        overrides
            Each ``"section.key=value"``, the value in TOML (a bare word is a string).

        Raises
        ------
        FileNotFoundError
            There is no such recipe.
        ValueError
            Not TOML, an unknown section or key, or a value of the wrong type or range.
        """
        tables = _read_tables(str(name))
        for override in overrides:
            _override(tables, override)
        return cls.from_dict(tables)

    @classmethod
    def from_dict(cls, tables: dict[str, Any]) -> Recipe:
        """Make a recipe of plain tables, as in TOML or in a bundle's ``echoic.json``."""
        sections = {
            "data": DataConfig,
            "features": FeatureConfig,
            "model": ModelConfig,
            "augmentation": AugmentationConfig,
            "training": TrainingConfig,
        }
        if unknown := tables.keys() - sections.keys():
            raise ValueError(
                f"A recipe has no section {', '.join(sorted(unknown))}; "
                f"its sections are {', '.join(sections)}."
            )
        return cls(
            **{name: _fill(kind, name, tables.get(name, {})) for name, kind in sections.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables that `from_dict` makes the same recipe of."""
        return dataclasses.asdict(self)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with echoic."""
    folder = resources.files("echoic") / "recipes"
    return sorted(
        p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")
    )


def _read_tables(name: str) -> dict[str, Any]:
    """Read a recipe's tables; ``base = "name"`` begins with those of another."""
    if name.endswith(".toml"):
        source = Path(name)
    else:
        source = Path(str(resources.files("echoic") / "recipes" / f"{name}.toml"))
    if not source.exists():
        raise FileNotFoundError(
            f"No recipe {name!r}. echoic has {', '.join(recipe_names())}; "
            "a recipe of your own is a path that ends in .toml."
        )
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source} is not TOML: {error}") from error
    if (base := tables.pop("base", None)) is None:
        return tables
    merged = _read_tables(base)
    for section, table in tables.items():
        merged[section] = {**merged.get(section, {}), **table}
    return merged


def _fill(kind: Any, section: str, table: dict[str, Any]) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := table.keys() - fields.keys():
        raise ValueError(
            f"Section [{section}] has no key {', '.join(sorted(unknown))}; "
            f"its keys are {', '.join(fields)}."
        )
    for key, value in table.items():
        default = fields[key].default
        if isinstance(default, bool | int | float) and not _fits(value, default):
            raise ValueError(
                f"Expected {section}.{key} to be {type(default).__name__}, received {value!r}."
            )
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except TypeError as error:
        raise ValueError(f"Section [{section}]: {error}") from error


def _fits(value: Any, default: bool | int | float) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int) or (isinstance(default, float) and isinstance(value, float))


def _override(tables: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise ValueError(
            f"Expected an override as section.key=value, received {override!r}; "
            "for example training.epochs=5."
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    tables.setdefault(section, {})[key] = value


# --- batches -----------------------------------------------------------------------------------

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class Feed:
    """Turns one side of a data set into batches of (coefficients, one-hot answers)."""

    def __init__(self, split: sc.Split, recipe: Recipe) -> None:
        self.split = split
        self.recipe = recipe
        self._band_frequencies = features.band_frequencies(recipe.features)

    def epoch(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Draw an epoch's examples, cut into batches; what does not fill one is left over."""
        size = self.recipe.training.batch_size
        drawn = self.split.draw(np.random.default_rng([self.recipe.training.seed, epoch]))
        size = min(size, len(drawn))
        return [drawn[i : i + size] for i in range(0, len(drawn) - size + 1, size)]

    def batch(self, indices: npt.NDArray[np.int64], *key: int) -> Batch:
        """Augment the examples and compute their features; ``key`` seeds what is random."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.training.seed, *key])
        coefficients, targets = [], []
        for start in range(0, len(indices), BLOCK):
            waveforms, block_targets = self.split.take(indices[start : start + BLOCK], rng)
            waveforms = augmentation.augment_waveforms(
                waveforms,
                recipe.augmentation,
                noises=self.split.noises,
                sample_rate=recipe.features.sample_rate,
                rng=rng,
            )
            log_mels = augmentation.augment_log_mels(
                features.log_mel(waveforms, recipe.features),
                recipe.augmentation,
                band_frequencies=self._band_frequencies,
                rng=rng,
            )
            coefficients.append(features.cepstrum(log_mels, recipe.features))
            targets.append(block_targets)
        return np.concatenate(coefficients), self._one_hot(np.concatenate(targets))

    def clean(self, examples: sc.Examples) -> Batch:
        """Features of fixed examples as they are, without augmentation."""
        blocks = [
            features.mfcc(examples.waveforms[i : i + BLOCK], self.recipe.features)
            for i in range(0, len(examples), BLOCK)
        ]
        return np.concatenate(blocks), self._one_hot(examples.targets)

    def statistics(self, *, batches: int = 16) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Mean and variance of each coefficient, (n_mfcc,), as training will hear them."""
        frames = [
            self.batch(indices, 0, number)[0].reshape(-1, self.recipe.features.n_mfcc)
            for number, indices in enumerate(self.epoch(0)[:batches])
        ]
        stacked = np.concatenate(frames).astype(np.float64)
        return stacked.mean(axis=0), stacked.var(axis=0)

    def batches(self, *, first_epoch: int = 0, ahead: int = 8) -> Iterator[Batch]:
        """Yield batches for ever, prepared ``ahead`` in two threads beside the training.

        The numerics inside let go of the interpreter's lock, so the threads use what the
        training leaves idle.
        """
        with ThreadPoolExecutor(2) as pool:
            waiting: deque[Future[Batch]] = deque()
            try:
                for epoch in range(first_epoch, 2**31):
                    for number, indices in enumerate(self.epoch(epoch)):
                        waiting.append(pool.submit(self.batch, indices, epoch, number))
                        if len(waiting) > ahead:
                            yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _one_hot(self, targets: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.eye(len(self.split.labels), dtype=np.float32)[targets]


# --- the run -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """Where a run is: passed to ``on_progress`` now and then.

    Attributes
    ----------
    epoch, epochs
        The one under way, from 1, and how many there will be.
    clips, clips_per_epoch
        Heard in this epoch, and in a whole one.
    rate
        Clips a second in this epoch, everything included.
    remaining
        Estimated time to the end of the run (s).
    logs
        The figures so far; those of the validation (``val_...``) once the epoch is over.
    """

    epoch: int
    epochs: int
    clips: int
    clips_per_epoch: int
    rate: float
    remaining: float
    logs: dict[str, float]


def clip_loss(config: TrainingConfig) -> Callable[[Any, Any], Any]:
    """Cross-entropy of the answers at the last ``supervised_steps`` steps, (batch,)."""

    def loss(y_true: Any, logits: Any) -> Any:
        if len(logits.shape) == 3:
            logits = logits[:, -config.supervised_steps :]
            y_true = y_true[:, None] * ops.ones_like(logits[..., :1])
        crossentropy = keras.losses.categorical_crossentropy(
            y_true, logits, from_logits=True, label_smoothing=config.label_smoothing
        )
        return ops.mean(crossentropy, axis=-1) if len(logits.shape) == 3 else crossentropy

    return loss


def accuracy(y_true: Any, logits: Any) -> Any:
    """Whether a clip's own answer is right, (batch,)."""
    right = ops.equal(ops.argmax(models.answer(logits), -1), ops.argmax(y_true, -1))
    return ops.cast(right, "float32")


def compile_model(model: keras.Model, config: TrainingConfig, steps_per_epoch: int) -> None:
    """Give a network its loss, its metric and its optimizer: AdamW along a cosine."""
    warmup = round(config.warmup_epochs * steps_per_epoch)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate,
        decay_steps=max(1, config.epochs * steps_per_epoch - warmup),
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, loss=clip_loss(config), metrics=[accuracy], jit_compile=False)
    optimizer.build(model.trainable_variables)


class _Checkpoints(keras.callbacks.Callback):
    """Keeps the run on disk, epoch by epoch: a file is either whole or not there.

    ``epoch-NNNN.weights.h5`` holds weights, optimizer and random states, ``epoch-NNNN.json`` what
    else a resumed run must know; it is written first, so weights are never without it.
    ``best.weights.h5`` is the epoch that did best on validation.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.best: dict[str, float] = {}
        self.history: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = {key: float(value) for key, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, **figures})
        if not self.best or _rank(figures) > _rank(self.best):
            self.best = {"epoch": epoch + 1, **figures}
            self._write_weights("best.weights.h5")
        state = {"epoch": epoch + 1, "best": self.best, "history": self.history}
        name = f"epoch-{epoch + 1:04d}"
        _replace(self.folder / f"{name}.json", lambda p: p.write_text(json.dumps(state)))
        self._write_weights(f"{name}.weights.h5")
        for old in self.folder.glob("epoch-*"):
            if not old.name.startswith(name):
                old.unlink()

    def restore(self) -> int:
        """Load the last whole checkpoint and return the number of epochs that are done."""
        whole = sorted(self.folder.glob("epoch-*.weights.h5"))
        if not whole:
            return 0
        state = json.loads(whole[-1].with_name(f"{whole[-1].name[:10]}.json").read_text())
        self.model.load_weights(whole[-1])
        self.best, self.history = state["best"], state["history"]
        return int(state["epoch"])

    def load_best(self) -> None:
        self.model.load_weights(self.folder / "best.weights.h5")

    def _write_weights(self, name: str) -> None:
        _replace(self.folder / name, self.model.save_weights, suffix=".partial.weights.h5")


def _replace(path: Path, write: Callable[[Path], object], *, suffix: str = ".partial") -> None:
    """Write a file beside its place and move it there once it is whole."""
    partial = path.with_name(f".{path.name}{suffix}")
    write(partial)
    partial.replace(path)


def _rank(figures: dict[str, float]) -> tuple[float, float]:
    return figures["val_accuracy"], -figures["val_loss"]


class _Reporter(keras.callbacks.Callback):
    """Tells ``on_progress`` how fast it goes and how long it will take."""

    def __init__(
        self, clips: int, epochs: int, batch_size: int, report: Callable[[Progress], None]
    ) -> None:
        super().__init__()
        self.clips, self.epochs, self.batch_size, self.report = clips, epochs, batch_size, report
        self.epoch, self.begun, self.told = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch, self.begun, self.told = epoch, time.monotonic(), 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if time.monotonic() - self.told > 0.2:
            self._tell((batch + 1) * self.batch_size, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._tell(self.clips, logs)

    def _tell(self, clips: int, logs: dict[str, float] | None) -> None:
        self.told = time.monotonic()
        rate = clips / max(self.told - self.begun, 1e-9)
        left = (self.epochs - self.epoch) * self.clips - clips
        figures = {key: float(value) for key, value in (logs or {}).items()}
        self.report(
            Progress(self.epoch + 1, self.epochs, clips, self.clips, rate, left / rate, figures)
        )


def train(
    recipe: Recipe,
    *,
    data: str | Path,
    out: str | Path,
    data_name: str | None = None,
    command: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> bundles.Bundle:
    """Train a network and write its folder.

    Parameters
    ----------
    recipe
        What to train and how.
    data
        A data set in the official layout, or a folder a word.
    out
        The model's folder. While the run lasts its checkpoints, its ``log.csv`` and its
        TensorBoard events are in ``out/.training``.
    data_name
        What the model card calls the data; defaults to the folder's name.
    command
        What the model card says reproduces this run.
    resume
        Go on with the run that is in ``out``. Its recipe must be the same.
    overwrite
        Replace a model that is in ``out``.
    on_progress
        Called a few times a second and after every epoch.

    Returns
    -------
    Bundle
        With ``model.keras``, ``clip.tflite``, and its accuracy on the validation side.

    Raises
    ------
    FileExistsError
        ``out`` holds a model or an unfinished run, and neither ``resume`` nor ``overwrite``.
    FileNotFoundError, ValueError
        ``resume``, and there is no run in ``out``, or it had another recipe.
    DataError
        See `speech_commands.load`.
    """
    out = Path(out)
    work = out / ".training"
    _prepare(out, work, recipe, resume=resume, overwrite=overwrite)

    keras.utils.set_random_seed(recipe.training.seed)
    if recipe.training.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()

    logger.info("Reading %s", data)
    split = sc.load(data, recipe.data, "training")
    validation = sc.load(data, recipe.data, "validation")
    feed = Feed(split, recipe)
    held_out = feed.clean(validation.examples())
    mean, variance = _statistics(feed, work / "statistics.json")
    model = models.build(
        recipe.model,
        n_mfcc=recipe.features.n_mfcc,
        n_labels=len(split.labels),
        mean=mean,
        variance=variance,
    )
    steps = len(feed.epoch(0))
    compile_model(model, recipe.training, steps)

    checkpoints = _Checkpoints(work)
    checkpoints.set_model(model)
    done = checkpoints.restore() if resume else 0
    if done < recipe.training.epochs:
        batch_size = len(feed.epoch(0)[0])
        reporter = _Reporter(
            steps * batch_size, recipe.training.epochs, batch_size, on_progress or (lambda _: None)
        )
        model.fit(
            feed.batches(first_epoch=done),
            shuffle=False,  # they come shuffled
            initial_epoch=done,
            epochs=recipe.training.epochs,
            steps_per_epoch=steps,
            validation_data=held_out,
            validation_batch_size=recipe.training.batch_size,
            callbacks=[
                checkpoints,
                reporter,
                keras.callbacks.CSVLogger(work / "log.csv", append=resume),
                keras.callbacks.TensorBoard(work / "tensorboard", write_graph=False),
            ],
            verbose=0,
        )
    checkpoints.load_best()
    bundle = bundles.write(
        out,
        model=model,
        graphs={
            "clip": export.clip_tflite(model, recipe.features, seconds=recipe.data.clip_seconds)
        },
        labels=split.labels,
        features=recipe.features,
        recipe=recipe.to_dict(),
        training={
            "data": data_name or Path(data).resolve().name,
            "command": command or f"echoic.train(..., data={str(data)!r}, out={str(out)!r})",
            "counts": {"training": split.counts, "validation": validation.counts},
            "damaged": len(split.damaged) + len(validation.damaged),
            "files_sha256": sc.fingerprint(data, recipe.data),
            "parameters": model.count_params(),
            "best_epoch": checkpoints.best["epoch"],
            "seed": recipe.training.seed,
            "versions": bundles.versions(),
        },
    )
    curves = {key: [row[key] for row in checkpoints.history] for key in checkpoints.history[0]}
    plots.save(plots.history(curves, title=out.name), out / "history.png")
    return evaluation.record(bundle, evaluation.evaluate_split(bundle, data, split="validation"))


def _statistics(feed: Feed, note: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the statistics of the run; a resumed one has those that it began with."""
    if not note.exists():
        values = [array.tolist() for array in feed.statistics()]
        _replace(note, lambda p: p.write_text(json.dumps(values)))
    mean, variance = json.loads(note.read_text())
    return np.array(mean), np.array(variance)


def _prepare(out: Path, work: Path, recipe: Recipe, *, resume: bool, overwrite: bool) -> None:
    """Make the folder of a run, or make sure that the run in it can go on."""
    wanted = json.loads(json.dumps(recipe.to_dict()))
    note = work / "recipe.json"
    if resume:
        if not note.exists():
            raise FileNotFoundError(f"No run to resume in {out}. Start it without --resume.")
        begun = json.loads(note.read_text(encoding="utf-8"))
        changed = [
            f"{section}.{key}: {begun[section].get(key)!r} then, {value!r} now"
            for section, table in wanted.items()
            for key, value in table.items()
            if begun[section].get(key) != value
        ]
        if changed:
            raise ValueError(
                f"The run in {out} began with another recipe; a resumed run goes on as it began. "
                f"Different are {'; '.join(changed)}."
            )
        return
    if not overwrite and ((out / bundles.FILE).exists() or note.exists()):
        what = "a model" if (out / bundles.FILE).exists() else "an unfinished run"
        raise FileExistsError(
            f"{out} holds {what} already. Go on with it (--resume), replace it (--overwrite) or "
            "choose another --out."
        )
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    _replace(note, lambda p: p.write_text(json.dumps(wanted, indent=1), encoding="utf-8"))
