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
        Path | None, typer.Option(help="Folder for a copy of the model.", show_default="in place")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data set; its validation side calibrates int8.",
            show_default=f"{DATA}, else the sample set",
        ),
    ] = None,
    test_set: Annotated[
        Path | None,
        typer.Option(
            help="Test archive to measure the files on.", show_default="the validation side"
        ),
    ] = None,
    c_array: Annotated[
        bool, typer.Option("--c-array", help="Also write core_int8 as a C array for firmware.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Export a model to TFLite files, verify them against Keras, and measure them."""
    import_tensorflow()
    from echoic import export as exporting

    if data is None and not DATA.is_dir():
        data = SAMPLE
        logging.getLogger("echoic").warning(
            "Expected a data set at %s, received none: the synthetic sample calibrates int8. Run "
            "echoic download before you ship core_int8.",
            DATA,
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
