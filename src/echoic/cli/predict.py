"""Verbs about recordings: predict, plot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from echoic.cli.extras import import_tensorflow, require_training
from echoic.cli.options import Json, ModelOption
from echoic.cli.rendering import prediction_row, print_json, show_predictions


def predict(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders of recordings.")],
    model: ModelOption = None,
    top: Annotated[int, typer.Option(min=1, help="Labels to list for each prediction.")] = 3,
    windows: Annotated[
        bool,
        typer.Option("--windows", help="List the windows of a long recording, not its words."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Recognize the words in recordings of any format, rate and length."""
    from echoic import audio
    from echoic.runtime.recognizer import Recognizer

    recognizer = Recognizer.load(model)
    failed = 0
    paths = list(audio.find(files))
    if not paths:
        raise FileNotFoundError(f"No recordings in {', '.join(map(str, files))}.")
    for path in paths:
        try:
            predictions = recognizer.predict(path, windows=windows, top=top)
        except (audio.AudioError, OSError) as error:
            print(f"echoic: {error}", file=sys.stderr)
            failed += 1
            continue
        if as_json:
            for prediction in predictions:
                print_json(prediction_row(path, prediction))
        else:
            show_predictions(path, predictions)
    if failed:
        print(f"echoic: {failed} of {len(paths)} recordings failed.", file=sys.stderr)
        raise typer.Exit(1)


def plot(
    file: Annotated[Path, typer.Argument(help="Recording.")],
    model: ModelOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Picture (PNG).", show_default="FILE's name .png, here")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(metavar="RECIPE", help="Draw examples of this recipe's augmentation instead."),
    ] = None,
) -> None:
    """Draw a recording's waveform, features and probabilities."""
    require_training()
    from echoic import plots
    from echoic.runtime.recognizer import Recognizer

    if augment:
        import_tensorflow()
        from echoic.config import Recipe

        recipe = Recipe.load(augment)
        figure = plots.augmented(file, config=recipe.augmentation, feature_config=recipe.features)
    else:
        figure = plots.recording(Recognizer.load(model), file)
    target = out or Path(f"{file.stem}.png")
    plots.save(figure, target)
    print(target)
