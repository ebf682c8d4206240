"""The command line: each verb reads its arguments, calls one function and shows the result.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. With ``--json`` stdout carries JSON
lines and nothing else; messages go to stderr.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import echoic
from echoic.cli import data, evaluate, explain, export, listen, predict, train
from echoic.files import discard


class Verbs(TyperGroup):
    """Turns an error into a line on stderr and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read stdout has read enough; what is left in its buffer goes nowhere.
            discard(sys.stdout.fileno())
            raise typer.Exit(1) from None
        except ModuleNotFoundError as error:
            if os.environ.get("ECHOIC_DEBUG") or (error.name or "echoic").startswith("echoic"):
                raise
            message = echoic.missing_package(f"echoic {ctx.invoked_subcommand}", error)
            print(f"echoic: {message}", file=sys.stderr)
            raise typer.Exit(1) from error
        except Exception as error:
            ours = type(error).__module__.startswith("echoic.")
            if os.environ.get("ECHOIC_DEBUG") or not (
                ours or isinstance(error, OSError | ValueError)
            ):
                raise
            print(f"echoic: {_message(error)}", file=sys.stderr)
            raise typer.Exit(1) from error


def _message(error: Exception) -> str:
    """Say what went wrong; the system's errors without their number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


app = typer.Typer(
    cls=Verbs,
    help="Recognize speech commands; train, evaluate and export the recognizer.",
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
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more on stderr.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="echoic: %(message)s"
    )
    logging.getLogger("echoic").setLevel(logging.DEBUG if verbose else logging.WARNING)


PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Listen": (
        predict.predict,
        listen.listen,
        listen.assistant,
        listen.icebreaker,
        listen.doctor,
    ),
    "Train (extra 'train', except download)": (
        data.download,
        train.train,
        train.soft_labels,
        export.export,
    ),
    "Measure and see (extra 'train')": (
        evaluate.evaluate,
        evaluate.compare,
        evaluate.tune,
        predict.plot,
        explain.explain,
        explain.memory,
    ),
}
"""The verbs, in the order of the help."""

for panel, verbs in PANELS.items():
    for verb in verbs:
        app.command(rich_help_panel=panel)(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    app(arguments)
