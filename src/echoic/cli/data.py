"""The verb download."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from echoic.cli.rendering import download_progress


class Version(StrEnum):
    """Published versions of Speech Commands."""

    v2 = "0.02"
    v1 = "0.01"


def download(
    version: Annotated[Version, typer.Option(help="Version of Speech Commands.")] = Version.v2,
    test_set: Annotated[
        bool, typer.Option("--test-set", help="Fetch the 12-class test archive of v0.02 instead.")
    ] = False,
    dest: Annotated[Path, typer.Option(help="Folder for the data set.")] = Path("data"),
    base_url: Annotated[
        str | None,
        typer.Option(help="Address of a mirror.", envvar="ECHOIC_DATA_URL", show_envvar=True),
    ] = None,
) -> None:
    """Download Speech Commands (CC BY 4.0, Warden 2018); resumable, verified by SHA-256."""
    from echoic.data import ARCHIVES, archives

    archive = ARCHIVES["test-set-0.02" if test_set else version.value]
    with download_progress() as progress:
        folder = archives.download(archive, dest, base_url=base_url, progress=progress)
    print(folder)
