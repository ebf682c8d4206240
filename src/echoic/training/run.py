"""The run: a recipe and a data set in, a model's folder out."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from echoic import data as datasets
from echoic import evaluation, export, networks, plots, reports
from echoic.config import Recipe, TrainingConfig
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime import bundle as bundles
from echoic.training.distillation import (
    Ensemble,
    Model,
    available_teachers,
    load_teachers,
    pretrained_sources,
)
from echoic.training.loader import DataLoader
from echoic.training.soft_labels import SUFFIX, SoftLabels

logger = logging.getLogger(__name__)


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


def clip_loss(config: TrainingConfig, *, n_labels: int) -> Callable[[Any, Any], Any]:
    """Cross-entropy of the answers at the last ``loss_steps`` steps of each clip.

    ``y_true`` is (rows, clips, labels + words), the logits are (rows, clips * steps, labels +
    words), or (rows, labels + words) of a network that answers a clip once; see `DataLoader`.
    """

    def crossentropy(y_true: Any, logits: Any) -> Any:
        return ops.mean(keras.losses.categorical_crossentropy(y_true, logits, from_logits=True))

    def loss(y_true: Any, logits: Any) -> Any:
        logits = _of_each_clip(logits, y_true)[:, :, -config.loss_steps :]
        y_true = y_true[:, :, None] * ops.ones_like(logits[..., :1])
        total = crossentropy(y_true[..., :n_labels], logits[..., :n_labels])
        if config.auxiliary_loss_weight:
            words = crossentropy(y_true[..., n_labels:], logits[..., n_labels:])
            total += config.auxiliary_loss_weight * words
        return total

    return loss


def calibrate(model: keras.Model, coefficients: Any, answers: Any) -> float:
    """Make a network as sure as it is right: divide its logits by the temperature that fits best.

    The temperature that gives these clips the least cross-entropy (Guo et al. 2017) is folded into
    the weights of the last layer, so all that runs the network gives calibrated probabilities; no
    clip's most probable label changes. ``answers`` are one-hot, (clips, 1, labels or more).

    Returns
    -------
    float
        The temperature.
    """
    logits = model.predict(coefficients, batch_size=128, verbose=0)
    logits = np.asarray(networks.clip_logits(logits), dtype=np.float64)
    targets = answers[:, 0, : logits.shape[1]]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - (scaled * targets).sum(axis=1)))

    temperature = float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))
    layer = model.get_layer("logits")
    layer.set_weights([weights / temperature for weights in layer.get_weights()])
    return temperature


def adjust_logits(model: keras.Model, priors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take out of a network what it learned of how often each label comes.

    The logarithm of the priors, (labels,), is taken from the logits (Menon et al. 2021). Training
    hears many other words, to know them as such; that is no reason to expect one. A label that
    never came stays as it is.

    Returns
    -------
    numpy.ndarray
        What was taken from the logits, (labels,); its mean is 0.
    """
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    logs = np.log(np.where(priors > 0, priors, 1))
    logs -= logs.mean()
    layer.set_weights([kernel, bias - logs])
    return logs


def clip_accuracy(*, n_labels: int) -> Callable[[Any, Any], Any]:
    """Whether each clip's own answer, that of its last step, is right: (rows, clips)."""

    def accuracy(y_true: Any, logits: Any) -> Any:
        answers = _of_each_clip(logits, y_true)[:, :, -1, :n_labels]
        right = ops.equal(ops.argmax(answers, -1), ops.argmax(y_true[..., :n_labels], -1))
        return ops.cast(right, "float32")

    return accuracy


def _of_each_clip(logits: Any, y_true: Any) -> Any:
    """Logits as (rows, clips, steps, channels)."""
    rows, clips, channels = ops.shape(y_true)[0], y_true.shape[1], logits.shape[-1]
    return ops.reshape(logits, (rows, clips, -1, channels))


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate: up a line, down a cosine, and down another for the finish."""

    def __init__(self, config: TrainingConfig, steps_per_epoch: int) -> None:
        self.config, self.steps_per_epoch = config, steps_per_epoch
        warmup = round(config.warmup_epochs * steps_per_epoch)
        self.steps = config.epochs * steps_per_epoch
        self.main = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else config.learning_rate,
            decay_steps=max(1, self.steps - warmup),
            warmup_target=config.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        self.finish = keras.optimizers.schedules.CosineDecay(
            config.cooldown_learning_rate,
            decay_steps=max(1, config.cooldown_epochs * steps_per_epoch),
        )

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        if not self.config.cooldown_epochs:
            return self.main(step)
        finish = self.finish(ops.maximum(step - self.steps, 0.0))
        return ops.where(step < self.steps, self.main(step), finish)

    def get_config(self) -> dict[str, Any]:
        return {"config": dataclasses.asdict(self.config), "steps_per_epoch": self.steps_per_epoch}


def compile_model(
    model: keras.Model, config: TrainingConfig, steps_per_epoch: int, *, n_labels: int
) -> None:
    """Give a network its loss, its metric and its optimizer: AdamW along `Schedule`."""
    schedule = Schedule(config, steps_per_epoch)
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        loss=clip_loss(config, n_labels=n_labels),
        metrics=[clip_accuracy(n_labels=n_labels)],
        # JAX is fast compiled only; XLA for TensorFlow takes minutes and is slower here.
        jit_compile=keras.backend.backend() == "jax",
    )
    optimizer.build(model.trainable_variables)


class _Checkpoints(keras.callbacks.Callback):
    """Keeps the run on disk, epoch by epoch: a file is either whole or not there.

    ``epoch-NNNN.weights.h5`` holds weights and optimizer, ``epoch-NNNN.json`` what else a resumed
    run must know (Keras leaves out where dropout is in its random sequence); it is written first,
    so weights are never without it.
    ``best.weights.h5`` is the epoch that did best on validation; it is written last.
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
        state = {
            "epoch": epoch + 1,
            "best": self.best,
            "history": self.history,
            "random": [ops.convert_to_numpy(v).tolist() for v in self._random_states()],
        }
        name = f"epoch-{epoch + 1:04d}"
        _replace(self.folder / f"{name}.json", lambda p: p.write_text(json.dumps(state)))
        self._write_weights(f"{name}.weights.h5")
        self._keep_best(epoch + 1)
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
        for variable, value in zip(self._random_states(), state["random"], strict=True):
            variable.assign(value)
        self._keep_best(state["epoch"])  # the run may have been killed before it was
        return int(state["epoch"])

    def _keep_best(self, epoch: int) -> None:
        if self.best["epoch"] == epoch:
            self._write_weights("best.weights.h5")

    def _random_states(self) -> list[Any]:
        return [v for v in self.model.variables if v.name == "seed_generator_state"]

    def load_best(self) -> None:
        self.model.load_weights(self.folder / "best.weights.h5")

    def _write_weights(self, name: str) -> None:
        _replace(self.folder / name, self.model.save_weights, suffix=".partial.weights.h5")


def _replace(path: Path, write: Callable[[Path], object], *, suffix: str = ".partial") -> None:
    """Write a file beside its place and move it there once it is whole."""
    partial = path.with_name(f".{path.name}{suffix}")
    write(partial)
    partial.replace(path)


def _soft_targets(file: Path, teacher: Ensemble, split: datasets.Split) -> npt.NDArray[np.float32]:
    """Return what teachers say of each recording; a resumed run does not ask again."""
    if not file.exists():
        said = teacher.soft_targets(split)
        _replace(file, lambda partial: np.save(partial, said), suffix=".partial.npy")
    return np.asarray(np.load(file))


def _name_of(teacher: Model) -> str:
    """Return the name of its folder, or of the file of its answers."""
    return teacher.name if isinstance(teacher, SoftLabels) else teacher.path.resolve().name


def _rank(figures: dict[str, float]) -> tuple[float, float]:
    return figures["val_accuracy"], -figures["val_loss"]


class _Log(keras.callbacks.CSVLogger):
    """A CSV file that is closed whatever ends the run; Keras forgets it where there is an error."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if (file := getattr(self, "csv_file", None)) is not None:
            file.close()


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
    extra_data: Sequence[str | Path] | None = None,
    teachers: Sequence[str | Path] | None = None,
    initial_weights: str | Path | None = None,
    data_name: str | None = None,
    command: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
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
    extra_data
        More data sets, of which training alone hears its side: other voices, other words.
        Default: those of the recipe (``data.extra_data``) that lie beside ``data``.
    teachers
        Models whose answers are learned beside the true ones (``training.teacher_weight``); of
        several it is the mean. They must know a word of the recipe (`in_words_of`).
        Default: those of the recipe (``training.teachers``) that are here and do.
    initial_weights
        A model to begin with, or a Keras file: each layer that it has alike begins with its
        weights, and what the layers hear is normalized as it was there.
    data_name
        What the model card calls the data; defaults to the folder's name.
    command
        What the model card says reproduces this run.
    resume
        Go on with the run that is in ``out``. Its recipe, recordings, teachers and beginning must
        be the same.
    overwrite
        Replace a model that is in ``out``.
    workers
        Processes that prepare batches beside the training; with a GPU it takes many to keep it
        busy. 0: a thread of this process does. What is learned does not depend on it. Where there
        are any, a script calls this under ``if __name__ == "__main__":``, as each process reads it.
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
        The table of layers is none (`networks.check`); or ``resume``, and there is no run in
        ``out``, or it began otherwise; or there is no such teacher, or one that cannot teach
        (`load_teachers`); or there is no ``initial_weights``, or it has no layer alike.
    ChildProcessError
        One of the ``workers`` ended.
    DataError
        See `speech_commands.load`.
    """
    networks.check(recipe)
    out = Path(out)
    work = out / ".training"
    extra_data = _available_extras(data, recipe) if extra_data is None else extra_data
    teachers = available_teachers(recipe) if teachers is None else teachers
    taught_by = load_teachers(teachers, recipe)
    inputs: dict[str, Any] = {
        "extra_data": [Path(folder).resolve().name for folder in extra_data],
        "teachers": [_name_of(teacher) for teacher in taught_by],
        "initial_weights": _beginning(initial_weights).name if initial_weights else None,
    }
    for row in recipe.model.layers if not initial_weights else ():
        if row["type"] in _BEGINNINGS:
            logger.warning(
                "A %s with random weights: %s writes the file to begin with (--initial-weights %s).",
                row["type"],
                *_BEGINNINGS[row["type"]],
            )
    files_sha256 = datasets.fingerprint(data, recipe.data, extra_data=extra_data)
    begin = {**recipe.to_dict(), "inputs": {**inputs, "files_sha256": files_sha256}}
    if resume:
        _check_resumed(out, work, begin)
    elif not overwrite:
        _check_free(out, work)

    keras.utils.set_random_seed(recipe.training.seed)
    if recipe.training.deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()

    logger.info("Reading %s", data)
    split = datasets.load(data, recipe.data, "training", extra_data=extra_data)
    validation = datasets.load(data, recipe.data, "validation")
    if recipe.training.logit_adjustment:
        _warn_of_rare_words(split)
    teacher = Ensemble(taught_by, recipe) if taught_by else None
    if not resume:
        _begin_run(work, begin)
    taught: dict[str, Any] = {"teacher": teacher}
    if teacher and recipe.training.cache_teacher:
        taught = {"soft_targets": _soft_targets(work / "soft_targets.npy", teacher, split)}
    feed = DataLoader(split, recipe, **taught, workers=workers, folder=work)
    held_out = feed.clean(validation.examples())
    beginning = _load_beginning(initial_weights) if initial_weights else None
    mean, variance = _statistics(feed, beginning, work / "statistics.json")
    model = networks.build(
        recipe.model,
        channels=recipe.features.channels,
        n_labels=len(split.labels),
        mean=mean,
        variance=variance,
    )
    if beginning:
        load_matching_weights(model, beginning)
    learner = networks.add_auxiliary_head(model, feed.n_words)
    steps = len(feed.epoch(0))
    compile_model(learner, recipe.training, steps, n_labels=len(split.labels))

    checkpoints = _Checkpoints(work)
    checkpoints.set_model(learner)
    done = checkpoints.restore() if resume else 0
    if done == recipe.training.all_epochs:
        logger.warning("The run is done: its model is made again, to be tuned and exported anew.")
    if done < recipe.training.all_epochs:
        batch_size = len(feed.epoch(0)[0])
        reporter = _Reporter(
            steps * batch_size,
            recipe.training.all_epochs,
            batch_size,
            on_progress or (lambda _: None),
        )
        log = _Log(work / "log.csv", append=resume)
        with feed.batches(first_epoch=done) as batches, log:
            learner.fit(
                batches,
                shuffle=False,  # they come shuffled
                initial_epoch=done,
                epochs=recipe.training.all_epochs,
                steps_per_epoch=steps,
                validation_data=held_out,
                validation_batch_size=recipe.training.batch_size,
                callbacks=[
                    checkpoints,
                    reporter,
                    log,
                    keras.callbacks.TensorBoard(work / "tensorboard", write_graph=False),
                ],
                verbose=0,
            )
    checkpoints.load_best()
    temperature = calibrate(model, *held_out) if recipe.training.calibrate else None
    adjustment = adjust_logits(model, feed.priors()) if recipe.training.logit_adjustment else None
    bundle = bundles.write(
        out,
        save_network=lambda path: networks.save(model, path),
        tflite=export.float_graphs(model, recipe.features, seconds=recipe.data.clip_seconds),
        labels=split.labels,
        recipe=recipe,
        training=bundles.TrainingRecord(
            data=data_name or Path(data).resolve().name,
            command=command or f"echoic.train(..., data={str(data)!r}, out={str(out)!r})",
            counts={"training": split.counts, "validation": validation.counts},
            damaged=len(split.damaged) + len(validation.damaged),
            files_sha256=files_sha256,
            extra_data=tuple(inputs["extra_data"]),
            teachers=tuple(inputs["teachers"]),
            initial_weights=inputs["initial_weights"],
            pretrained_sources=tuple(pretrained_sources(taught_by, initial_weights)),
            parameters=model.count_params(),
            temperature=None if temperature is None else round(temperature, 4),
            logit_adjustment=None if adjustment is None else tuple(adjustment.tolist()),
            best_epoch=int(checkpoints.best["epoch"]),
            seed=recipe.training.seed,
            backend=keras.backend.backend(),
            versions=bundles.versions(),
        ),
    )
    curves = {key: [row[key] for row in checkpoints.history] for key in checkpoints.history[0]}
    picture = plots.history(curves, title=out.name)
    plots.save(picture, out / "history.png", colors=plots.CARD_COLORS)
    return reports.record(bundle, evaluation.evaluate_split(bundle, data, split="validation"))


def write_soft_labels(
    model: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    extra_data: Sequence[str | Path] | None = None,
) -> SoftLabels:
    """Write down what a model says to each recording that trainings hear, to teach without it.

    Parameters
    ----------
    model
        The model.
    data, extra_data
        As for `train`, of the model's own recipe.
    out
        The file, ``NAME.npz``: what ``teachers`` of `train` may name where ``training.cache_teacher``.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        ``out`` does not end with ``.npz``.
    DataError
        See `speech_commands.load`.
    """
    out = Path(out)
    if out.suffix != SUFFIX:
        raise ValueError(f"Expected a file to write that ends with {SUFFIX}, received {out}.")
    bundle = bundles.Bundle.load(model)
    recipe = bundle.recipe
    extra_data = _available_extras(data, recipe) if extra_data is None else extra_data
    split = datasets.load(data, recipe.data, "training", extra_data=extra_data)
    said = Ensemble([bundle], recipe).soft_targets(split)
    beyond = tuple(bundle.training.pretrained_sources)
    answers = SoftLabels.of(split, said, name=out.stem, pretrained_sources=beyond)
    out.parent.mkdir(parents=True, exist_ok=True)
    _replace(out, answers.save, suffix=f".partial{SUFFIX}")
    return answers


def _warn_of_rare_words(split: datasets.Split) -> None:
    """Name words with so few recordings that equal priors make too much of them."""
    counts = {word: n for word, n in split.counts.items() if word not in (SILENCE, UNKNOWN)}
    mean = sum(counts.values()) / len(counts)
    if rare := [f"{word} ({n:,})" for word, n in counts.items() if n < mean / 3]:
        logger.warning(
            "Few recordings of %s, where a word has %s on the mean: as likely as the others, they "
            "may be heard where nobody says them. --set training.logit_adjustment=false prevents that.",
            ", ".join(rare),
            f"{mean:,.0f}",
        )


def _available_extras(data: str | Path, recipe: Recipe) -> list[Path]:
    """Return the recipe's own extras; a warning names each that does not lie beside the data."""
    folders = [Path(data).absolute().parent / name for name in recipe.data.extra_data]
    for folder in folders:
        if not folder.is_dir():
            logger.warning("Training without %s: there is no such folder.", folder)
    return [folder for folder in folders if folder.is_dir()]


_BEGINNINGS = {
    "speech_embedding": ("data/make_embedding.py", "data/speech_embedding.keras"),
    "whisper_encoder": ("data/make_whisper.py", "data/whisper.keras"),
}
"""Layers whose weights are known, and where from."""


def _beginning(initial_weights: str | Path) -> Path:
    """Return the folder of a model, or a Keras file that is there."""
    file = Path(initial_weights)
    if file.suffix != ".keras":
        return bundles.Bundle.load(initial_weights).path.resolve()
    if not file.is_file():
        raise FileNotFoundError(f"No file {file} to begin with.")
    return file


def _load_beginning(initial_weights: str | Path) -> keras.Model:
    found = _beginning(initial_weights)
    return networks.load(found / "model.keras" if found.is_dir() else found)


def load_matching_weights(model: keras.Model, other: keras.Model) -> None:
    """Copy the weights of each layer that two networks have alike: its name and its shapes."""
    theirs = {layer.name: layer.get_weights() for layer in other.layers}
    copied = 0
    for layer in model.layers:
        mine, found = layer.get_weights(), theirs.get(layer.name, [])
        if mine and [w.shape for w in mine] == [w.shape for w in found]:
            layer.set_weights(found)
            copied += 1
    if not copied:
        raise ValueError(
            "Expected a model to begin with that has layers of the recipe, received one with "
            f"{', '.join(theirs)}."
        )


def _statistics(
    feed: DataLoader, beginning: keras.Model | None, note: Path
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return mean and variance of each coefficient; a resumed run has those that it began with.

    A network that begins with another's weights has that one's, which its layers have learned with.
    """
    if not note.exists():
        values = [array.tolist() for array in _normalization(beginning, feed) or feed.statistics()]
        _replace(note, lambda p: p.write_text(json.dumps(values)))
    mean, variance = json.loads(note.read_text())
    return np.array(mean), np.array(variance)


def _normalization(
    beginning: keras.Model | None, feed: DataLoader
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Mean and variance in a network that hears as many coefficients as this run; else None."""
    for layer in beginning.layers if beginning else ():
        if layer.name == "normalization":
            mean, variance = (np.array(layer.get_config()[key]) for key in ("mean", "variance"))
            if mean.shape == (feed.recipe.features.channels,):
                return mean, variance
    return None


_NOTE = "recipe.json"
"""How a run began, in its working folder."""


def _check_resumed(out: Path, work: Path, begin: dict[str, Any]) -> None:
    """Make sure that the run in a folder began as this one would."""
    if not (work / _NOTE).exists():
        raise FileNotFoundError(f"No run to resume in {out}. Start it without --resume.")
    begun = json.loads((work / _NOTE).read_text(encoding="utf-8"))
    inputs = begun.pop("inputs", {})
    # A setting that the run did not know, as it is newer, has its default: what was before it.
    begun = _as_json({**Recipe.from_dict(begun).to_dict(), "inputs": inputs})
    changed = [
        f"{section}.{key}: {begun.get(section, {}).get(key)!r} then, {value!r} now"
        for section, table in _as_json(begin).items()
        for key, value in table.items()
        if begun.get(section, {}).get(key) != value
    ]
    if changed:
        raise ValueError(
            f"The run in {out} began otherwise; a resumed run goes on as it began. "
            f"Different are {'; '.join(changed)}."
        )


def _as_json(tables: dict[str, Any]) -> dict[str, Any]:
    """Tables as a file gives them back: their tuples are lists."""
    return dict(json.loads(json.dumps(tables)))


def _check_free(out: Path, work: Path) -> None:
    """Make sure that no model and no run is lost."""
    has_model = (out / bundles.FILE).exists()
    if has_model or (work / _NOTE).exists():
        raise FileExistsError(
            f"{out} holds {'a model' if has_model else 'an unfinished run'} already. Go on with it "
            "(--resume), replace it (--overwrite) or choose another --out."
        )


def _begin_run(work: Path, begin: dict[str, Any]) -> None:
    """Make the working folder, in place of one that was there: the run can begin now."""
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    _replace(work / _NOTE, lambda p: p.write_text(json.dumps(begin, indent=1), encoding="utf-8"))
