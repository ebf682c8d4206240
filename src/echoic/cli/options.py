"""Options that several verbs take."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DATA = Path("data/speech_commands_v0.02")


SAMPLE = Path("data/sample")


class Side(StrEnum):
    """The sides of a split that may be evaluated."""

    validation = "validation"
    test = "test"


Json = Annotated[bool, typer.Option("--json", help="Print JSON lines on stdout, nothing else.")]


ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model's folder or name.", show_default="gru-12"),
]


DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        help="A microphone: its number or a part of its name.",
        show_default="the system's",
    ),
]


ModelArgument = Annotated[
    str | None, typer.Argument(help="A model's folder or name.", show_default="gru-12")
]
