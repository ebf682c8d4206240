"""Verbs that train a model or its student: train, soft-labels."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from echoic.cli.extras import import_tensorflow
from echoic.cli.options import DATA, DataOption, ExtraDataOption, ModelArgument
from echoic.cli.rendering import training_progress


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe: a name or a TOML file.")],
    data: DataOption = DATA,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the model.", show_default="models/RECIPE")
    ] = None,
    extra_data: ExtraDataOption = None,
    teachers: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            help="Model, or file of soft labels, to distil from; repeatable.",
            show_default="the recipe's",
        ),
    ] = None,
    initial_weights: Annotated[
        str | None,
        typer.Option(help="Model to take matching weights from.", show_default="random weights"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting, as in training.epochs=5; repeatable.",
        ),
    ] = None,
    data_name: Annotated[
        str | None, typer.Option(help="Name of the data set in the model card.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model in --out.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that prepare batches; 0 means a thread.",
            show_default="half of the cores",
        ),
    ] = None,
) -> None:
    """Train a model. Recipes: attention, bag, crnn, embedding, gru, lstm, rnn, small, whisper."""
    import_tensorflow()
    from echoic import training
    from echoic.config import Recipe
    from echoic.training.batcher import usual_workers

    training.keep_memory()
    resolved = Recipe.load(recipe, overrides=settings or [])
    folder = out or Path("models") / Path(recipe).stem
    words = ["echoic", "train", recipe, "--data", str(data), "--out", str(folder)]
    words += [part for more in extra_data or [] for part in ("--extra-data", str(more))]
    words += [part for teacher in teachers or [] for part in ("--teacher", teacher)]
    words += ["--initial-weights", initial_weights] if initial_weights else []
    words += [part for setting in settings or [] for part in ("--set", setting)]
    words += ["--data-name", data_name] if data_name else []
    beside = [] if workers is None else ["--workers", str(workers)]
    with training_progress() as report:
        try:
            bundle = training.train(
                resolved,
                data=data,
                out=folder,
                extra_data=extra_data,
                teachers=teachers,
                initial_weights=initial_weights,
                data_name=data_name,
                command=_command_line(words),
                resume=resume,
                overwrite=overwrite,
                workers=usual_workers() if workers is None else workers,
                on_progress=report,
            )
        except KeyboardInterrupt:
            print(
                "\nStopped. All finished epochs are saved; resume with\n  "
                + _command_line([*words, *beside, "--resume"]),
                file=sys.stderr,
            )
            raise
    figures, how = next(iter(bundle.metrics.values())), bundle.training
    print(
        f"{bundle.path}: {figures['accuracy']:.1%} of {figures['n']:,} validation clips "
        f"(best epoch: {how.best_epoch})"
    )
    if how.extra_data:
        print(f"Extra training data: {', '.join(how.extra_data)}.")
    if how.teachers:
        print(f"Teachers: {', '.join(how.teachers)}.")


def soft_labels(
    model: ModelArgument = None,
    out: Annotated[Path | None, typer.Option(help="File (NPZ).", show_default="MODEL.npz")] = None,
    data: DataOption = DATA,
    extra_data: ExtraDataOption = None,
) -> None:
    """Store a model's probabilities for each training recording, to distil from later."""
    import_tensorflow()
    from echoic import training
    from echoic.runtime.bundle import Bundle

    bundle = Bundle.load(model)
    target = out or Path(f"{bundle.name}.npz")
    kept = training.write_soft_labels(bundle.path, data=data, out=target, extra_data=extra_data)
    print(f"{target}: soft labels of {len(kept.recordings):,} recordings")


def _command_line(words: list[str]) -> str:
    import shlex
    import subprocess

    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
