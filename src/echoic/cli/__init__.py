"""The command line: each verb reads its arguments, calls one function and shows what it gave.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. With ``--json`` stdout carries JSON
lines and nothing else; whatever is meant for people goes to stderr.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import echoic
from echoic.cli import data, evaluate, explain, export, listen, predict, train
from echoic.files import discard


class Verbs(TyperGroup):
    """Turns what went wrong into a line on stderr and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read stdout has read enough; what is left in its buffer goes nowhere.
            discard(sys.stdout.fileno())
            raise typer.Exit(1) from None
        except Exception as error:
            ours = type(error).__module__.startswith("echoic.")
            if os.environ.get("ECHOIC_DEBUG") or not (
                ours or isinstance(error, OSError | ValueError)
            ):
                raise
            print(f"echoic: {error}", file=sys.stderr)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Verbs,
    help="Train a speech command recognizer, use it, measure it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: echoic predict data/sample/stream.wav",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"echoic {echoic.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="echoic: %(message)s"
    )
    logging.getLogger("echoic").setLevel(logging.DEBUG if verbose else logging.WARNING)


for verb in (
    predict.predict,
    listen.listen,
    listen.icebreaker,
    listen.assistant,
    listen.doctor,
    predict.plot,
    explain.explain,
    explain.memory,
    train.train,
    train.soft_labels,
    evaluate.evaluate,
    evaluate.compare,
    evaluate.tune,
    export.export,
    data.download,
):
    app.command()(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    app(arguments)
