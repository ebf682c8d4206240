"""Arguments and options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DATA = Path("data/speech_commands_v0.02")
"""Where `echoic download` puts the data set."""

SAMPLE = Path("data/sample")
"""The synthetic sample set of the repository."""


class Side(StrEnum):
    """The sides of a split that can be evaluated."""

    validation = "validation"
    test = "test"


Json = Annotated[bool, typer.Option("--json", help="Print JSON lines on stdout and nothing else.")]

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Model: a name or a folder.", show_default="gru-12"),
]

DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        help="Microphone: its number or a part of its name.",
        show_default="the system's",
    ),
]

ModelArgument = Annotated[
    str | None, typer.Argument(help="Model: a name or a folder.", show_default="gru-12")
]

WavOption = Annotated[
    Path | None, typer.Option("--wav", help="Play a recording instead of the microphone.")
]

DataOption = Annotated[Path, typer.Option("--data", help="Data set: a folder for each word.")]

SplitOption = Annotated[Side, typer.Option("--split", help="Side of the data set.")]

TestSetOption = Annotated[
    Path | None,
    typer.Option("--test-set", help="Test archive instead of --data: a folder for each label."),
]

NegativesOption = Annotated[
    Path | None,
    typer.Option("--negatives", help="Recordings that contain none of the model's words."),
]

ExtraDataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--extra-data",
        help="Another data set, for training only; repeatable.",
        show_default="the recipe's",
    ),
]
