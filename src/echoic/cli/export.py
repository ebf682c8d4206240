"""The verb export."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from echoic.cli.extras import import_tensorflow
from echoic.cli.options import DATA, SAMPLE, Json, ModelArgument
from echoic.cli.rendering import make_console, print_json, show_files


def export(
    model: ModelArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a copy of the model here.", show_default="in place")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A data set: its validation side gives the ranges of int8.",
            show_default=f"{DATA}, else the sample set",
        ),
    ] = None,
    test_set: Annotated[
        Path | None,
        typer.Option(help="Measure on this test archive.", show_default="the validation side"),
    ] = None,
    c_array: Annotated[
        bool, typer.Option("--c-array", help="Write core_int8 as C, for firmware.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make all TFLite files of a model, prove that they answer like it, and measure them."""
    import_tensorflow()
    from echoic import export as exporting

    if data is None and not DATA.is_dir():
        data = SAMPLE
        logging.getLogger("echoic").warning(
            "No %s: the ranges of core_int8 are from the synthetic sample, not from people.", DATA
        )
    console = make_console(stderr=True)
    with console.status("") as status:
        bundle = exporting.export(
            model,
            out=out,
            data=data or DATA,
            test_set=test_set,
            with_c_array=c_array,
            report=lambda stage: status.update(stage),
        )
    if as_json:
        print_json({"model": bundle.name, **(bundle.files.to_dict() if bundle.files else {})})
    else:
        show_files(bundle)
