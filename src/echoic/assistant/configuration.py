"""A configuration file (TOML): what an assistant is to do."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from dataclasses import field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from echoic.assistant.actions import Command
from echoic.validation import settings

Seconds = Annotated[float, Field(gt=0)]


@settings("", title="the configuration")
class Configuration:
    """The keys of a configuration file.

    Attributes
    ----------
    model
        A model's name, or a path that begins beside the file; None means the default model.
    wake
        The wake word.
    seconds, number_seconds
        Time (s) for a command after the wake word, and for a number after the command.
    dry_run
        Only report what would be done.
    commands
        The commands by their words.
    """

    model: str | None = None
    wake: str = "go"
    seconds: Seconds = 4.0
    number_seconds: Seconds = 4.0
    dry_run: bool = False
    commands: dict[str, Any] = field(default_factory=dict)


def read_configuration(path: str | Path | None = None) -> tuple[dict[str, Any], Path | None]:
    """Read and check a configuration file.

    Parameters
    ----------
    path
        The file; None means the sample that ships with echoic.

    Returns
    -------
    settings : dict
        Arguments of `Assistant`.
    folder : Path or None
        The file's folder, where relative paths begin; None for the sample. Python modules are
        looked for there, too.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is not TOML, or has an unknown key, a value that cannot be, or a program that is
        not there.
    """
    source = (
        resources.files("echoic") / "assistant" / "default.toml" if path is None else Path(path)
    )
    if path is not None and not Path(path).exists():
        raise FileNotFoundError(f"No such configuration: {path}")
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source} is not TOML: {error}") from error
    folder = None if path is None else Path(path).resolve().parent
    try:
        configuration = Configuration(**tables)
        values = {f.name: getattr(configuration, f.name) for f in dataclasses.fields(configuration)}
        values["commands"] = {
            word: _command(word, table, folder) for word, table in configuration.commands.items()
        }
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    if folder:
        values["model"] = _model(configuration.model, folder)
        if any(command.call for command in values["commands"].values()):
            _import_from(folder)
    return values, folder


def _command(word: str, table: Any, folder: Path | None) -> Command:
    if not isinstance(table, dict):
        raise ValueError(f"Expected commands.{word} to be a table, received {table!r}.")
    try:
        command = Command(**table)
        if command.run:
            command.check(folder)
    except ValueError as error:
        raise ValueError(f"commands.{word}: {error}") from error
    return command


def _model(name: str | None, folder: Path) -> str | None:
    """Return a folder beside the file or, for a name without one, the name of a model."""
    if name is None:
        return None
    beside = (folder / Path(name).expanduser()).resolve()
    return name if Path(name).name == name and not beside.is_dir() else str(beside)


def _import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
