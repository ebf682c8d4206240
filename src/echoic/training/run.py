"""The run: a recipe and a data set in, a model's folder out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from echoic import evaluation, export, networks, plots, reports
from echoic.config import Recipe
from echoic.data import Dataset, Split
from echoic.files import atomic
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime import bundle as bundles
from echoic.training import calibration, distillation, weights
from echoic.training.callbacks import CsvLog, Progress, ProgressReporter
from echoic.training.checkpoints import Checkpoints, RunFolder, cached
from echoic.training.distillation import Ensemble
from echoic.training.loader import DataLoader, InputsAndTargets
from echoic.training.losses import compile_model
from echoic.training.soft_labels import SUFFIX, SoftLabels

logger = logging.getLogger(__name__)


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
        The model's folder. During the run its checkpoints, its ``log.csv`` and its TensorBoard
        events are in ``out/.training``.
    extra_data
        More data sets, whose training recordings join in: other voices, other words.
        Default: those of the recipe (``data.extra_data``) that lie beside ``data``.
    teachers
        Models whose soft labels are learned beside the targets (``training.teacher_weight``); of
        several, their mean. They must know a word of the recipe (`distillation.map_labels`).
        Default: those of the recipe (``training.teachers``) that exist and do.
    initial_weights
        A model or a Keras file: each layer with the same name and shapes begins with its weights,
        and the normalization is its own.
    data_name
        Name of the data in the model card; default: the folder's name.
    command
        The command in the model card that reproduces this run.
    resume
        Go on with the run in ``out``. Its recipe, recordings, teachers and initial weights must be
        the same.
    overwrite
        Replace a model in ``out``.
    workers
        Processes that prepare batches beside the training; a GPU needs many. 0: a thread of this
        process. What is learned does not depend on it. With any, a script calls this under ``if
        __name__ == "__main__":``, because each process imports the script.
    on_progress
        Called a few times a second and after every epoch.

    Returns
    -------
    Bundle
        With ``model.keras``, ``clip.tflite``, and its accuracy on the validation split.

    Raises
    ------
    FileExistsError
        ``out`` holds a model or an unfinished run, and neither ``resume`` nor ``overwrite``.
    FileNotFoundError, ValueError
        ``resume``, and there is no run in ``out``, or it began otherwise; or there is no such
        teacher, or one that cannot teach (`load_teachers`); or there are no such initial weights,
        or none for a layer of the recipe.
    ChildProcessError
        One of the ``workers`` ended.
    DataError
        See `data.Dataset`.
    """
    networks.check(recipe)
    out = Path(out)
    inputs = _find_inputs(recipe, data, extra_data, teachers, initial_weights)
    dataset = Dataset.scan(data, recipe.data, extra_data=inputs.extra_data)
    begin = {**recipe.to_dict(), "inputs": {**inputs.names, "files_sha256": dataset.fingerprint}}
    folder = RunFolder(out)
    folder.check(begin, resume=resume, overwrite=overwrite)
    if recipe.training.deterministic:
        _make_deterministic()

    logger.info("Reading %s", data)
    split, validation = dataset.load("training"), dataset.load("validation")
    if recipe.training.logit_adjustment:
        _warn_of_rare_words(split)
    ensemble = Ensemble(inputs.teachers, recipe) if inputs.teachers else None
    initial = weights.load_initial_weights(initial_weights) if initial_weights else None
    if not resume:
        folder.begin(begin)

    loader = _make_loader(split, recipe, ensemble, folder.path, workers)
    held_out = loader.clean(validation.examples())
    model, learner = _make_networks(recipe, loader, initial, folder.path)
    checkpoints = Checkpoints(folder.path)
    checkpoints.set_model(learner)
    done = checkpoints.restore() if resume else 0
    _fit(learner, loader, held_out, checkpoints, first_epoch=done, on_progress=on_progress)
    checkpoints.load_best()

    temperature, adjustment = _adjust(model, loader, held_out)
    record = bundles.TrainingRecord(
        data=data_name or Path(data).resolve().name,
        command=command or f"echoic.train(..., data={str(data)!r}, out={str(out)!r})",
        counts={"training": split.counts, "validation": validation.counts},
        damaged=len(split.damaged) + len(validation.damaged),
        files_sha256=dataset.fingerprint,
        **inputs.record,
        parameters=model.count_params(),
        temperature=temperature,
        logit_adjustment=adjustment,
        best_epoch=int(checkpoints.best["epoch"]),
        seed=recipe.training.seed,
        backend=keras.backend.backend(),
        versions=bundles.versions(),
    )
    bundle = bundles.write(
        out,
        save_network=lambda path: networks.save(model, path),
        tflite=export.float_graphs(model, recipe.features, seconds=recipe.data.clip_seconds),
        labels=split.labels,
        recipe=recipe,
        training=record,
    )
    picture = plots.history(checkpoints.curves, title=out.name)
    plots.save(picture, out / "history.png", colors=plots.CARD_COLORS)
    test_set = evaluation.draw_split(bundle, data, split="validation", loaded=validation)
    return reports.record(bundle, evaluation.evaluate(bundle, test_set))


def write_soft_labels(
    model: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    extra_data: Sequence[str | Path] | None = None,
) -> SoftLabels:
    """Write a model's soft labels of all training recordings, to teach without the model.

    Parameters
    ----------
    model
        The model.
    data, extra_data
        As for `train`, of the model's own recipe.
    out
        The file, ``NAME.npz``: a teacher for runs with ``training.cache_teacher``.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    ValueError
        ``out`` does not end with ``.npz``.
    DataError
        See `data.Dataset`.
    """
    out = Path(out)
    if out.suffix != SUFFIX:
        raise ValueError(f"Expected a file to write that ends with {SUFFIX}, received {out}.")
    bundle = bundles.Bundle.load(model)
    recipe = bundle.recipe
    extra_data = _available_extra_data(data, recipe) if extra_data is None else extra_data
    split = Dataset.scan(data, recipe.data, extra_data=extra_data).load("training")
    soft_labels = SoftLabels.from_split(
        split,
        Ensemble([bundle], recipe).soft_labels(split),
        name=out.stem,
        pretrained_sources=tuple(bundle.training.pretrained_sources),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic(out) as partial:
        soft_labels.save(partial)
    return soft_labels


# --- steps of a run ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Inputs:
    """What a run learns from besides its data set, and the names of it."""

    extra_data: Sequence[str | Path]
    teachers: list[distillation.Model]
    names: dict[str, Any]
    pretrained_sources: list[str]

    @property
    def record(self) -> dict[str, Any]:
        """The names as `TrainingRecord` has them."""
        return {**self.names, "pretrained_sources": self.pretrained_sources}


def _find_inputs(
    recipe: Recipe,
    data: str | Path,
    extra_data: Sequence[str | Path] | None,
    teachers: Sequence[str | Path] | None,
    initial_weights: str | Path | None,
) -> _Inputs:
    """Find extra data, teachers and initial weights, those of the recipe by default."""
    if extra_data is None:
        extra_data = _available_extra_data(data, recipe)
    if teachers is None:
        teachers = distillation.available_teachers(recipe)
    found = distillation.load_teachers(teachers, recipe)
    if not initial_weights:
        weights.warn_of_random_weights(recipe)
    names = {
        "extra_data": [Path(folder).resolve().name for folder in extra_data],
        "teachers": [distillation.teacher_name(teacher) for teacher in found],
        "initial_weights": (
            weights.find_initial_weights(initial_weights).name if initial_weights else None
        ),
    }
    sources = distillation.pretrained_sources(found, initial_weights)
    return _Inputs(extra_data, found, names, sources)


def _available_extra_data(data: str | Path, recipe: Recipe) -> list[Path]:
    """Return the recipe's extra data that lies beside the data; a warning names what does not."""
    folders = [Path(data).absolute().parent / name for name in recipe.data.extra_data]
    for folder in folders:
        if not folder.is_dir():
            logger.warning("Training without %s: there is no such folder.", folder)
    return [folder for folder in folders if folder.is_dir()]


def _warn_of_rare_words(split: Split) -> None:
    """Name words with so few recordings that a logit adjustment overrates them."""
    counts = {word: n for word, n in split.counts.items() if word not in (SILENCE, UNKNOWN)}
    mean = sum(counts.values()) / len(counts)
    if rare := [f"{word} ({n:,})" for word, n in counts.items() if n < mean / 3]:
        logger.warning(
            "Few recordings of %s, where the mean is %s a word: adjusted to equal priors, such a "
            "word may be detected where nobody says it. Prevent that with --set "
            "training.logit_adjustment=false.",
            ", ".join(rare),
            f"{mean:,.0f}",
        )


def _make_loader(
    split: Split, recipe: Recipe, ensemble: Ensemble | None, folder: Path, workers: int
) -> DataLoader:
    """Make the loader, with the teachers or with their soft labels of all recordings."""
    taught: dict[str, Any] = {"teacher": ensemble}
    if ensemble and recipe.training.cache_teacher:
        soft_labels = cached(folder / "soft_labels.npy", lambda: ensemble.soft_labels(split))
        taught = {"soft_labels": soft_labels}
    return DataLoader(split, recipe, **taught, workers=workers, folder=folder)


def _make_networks(
    recipe: Recipe, loader: DataLoader, initial: keras.Model | None, folder: Path
) -> tuple[keras.Model, keras.Model]:
    """Build the network, and the same with an auxiliary head, compiled for training."""
    keras.utils.set_random_seed(recipe.training.seed)
    mean, variance = weights.normalization(loader, initial, folder / "statistics.json")
    n_labels = len(loader.split.labels)
    model = networks.build(
        recipe.model,
        channels=recipe.features.channels,
        n_labels=n_labels,
        mean=mean,
        variance=variance,
    )
    if initial:
        weights.load_matching_weights(model, initial)
    learner = networks.add_auxiliary_head(model, loader.n_words)
    compile_model(learner, recipe.training, loader.steps_per_epoch, n_labels=n_labels)
    return model, learner


def _make_deterministic() -> None:
    """Use operations of the backend that give the same bits every time."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        keras.utils.set_random_seed(0)  # TensorFlow demands one; the run sets its own
        tf.config.experimental.enable_op_determinism()


def _adjust(
    model: keras.Model, loader: DataLoader, held_out: InputsAndTargets
) -> tuple[float | None, tuple[float, ...] | None]:
    """Fold temperature and priors into the network, as the recipe says; return both."""
    temperature = adjustment = None
    if loader.recipe.training.calibrate:
        temperature = round(calibration.calibrate(model, *held_out), 4)
    if loader.recipe.training.logit_adjustment:
        adjustment = tuple(calibration.adjust_logits(model, loader.priors()).tolist())
    return temperature, adjustment


def _fit(
    learner: keras.Model,
    loader: DataLoader,
    held_out: InputsAndTargets,
    checkpoints: Checkpoints,
    *,
    first_epoch: int,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    """Fit the network from an epoch on; the checkpoints keep every epoch."""
    config, folder = loader.recipe.training, checkpoints.folder
    if first_epoch == config.all_epochs:
        logger.warning("The run is done: its model is written again, to be tuned and exported.")
        return
    progress = ProgressReporter(
        loader.steps_per_epoch * loader.batch_size,
        config.all_epochs,
        loader.batch_size,
        on_progress or (lambda _: None),
    )
    log = CsvLog(folder / "log.csv", append=first_epoch > 0)
    with loader.batches(first_epoch=first_epoch) as batches, log:
        learner.fit(
            batches,
            shuffle=False,  # batches come shuffled
            initial_epoch=first_epoch,
            epochs=config.all_epochs,
            steps_per_epoch=loader.steps_per_epoch,
            validation_data=held_out,
            validation_batch_size=config.batch_size,
            callbacks=[
                checkpoints,
                progress,
                log,
                keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
            ],
            verbose=0,
        )
