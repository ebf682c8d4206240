"""Files: written whole or not at all; and what libraries write to the process's stderr."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Write a file or a folder beside its place and move it there when it is whole.

    ``with atomic("model.npz") as partial: np.savez(partial, ...)``. Whoever reads ``path``
    meanwhile sees what was there before. An error in the block leaves that as it was.

    Parameters
    ----------
    path
        Where the file shall be; a file that is there is replaced. A folder must not be there yet.

    Yields
    ------
    Path
        What to write: the same name, in a folder ``.NAME.partial``, so that writers that add a
        suffix add none. What a killed program left there is removed first.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        partial = folder / path.name
        yield partial
        partial.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard(descriptor: int) -> None:
    """Send whatever the process writes to a file descriptor nowhere from here on."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


@contextmanager
def saved_stderr() -> Iterator[int | None]:
    """Keep a copy of the process's stderr (file descriptor 2) for the length of a block.

    Yields
    ------
    int or None
        The copy's file descriptor; ``os.dup2(copy, 2)`` restores stderr. None in a process
        without a console.
    """
    try:
        stderr = os.dup(2)
    except OSError:
        yield None
        return
    try:
        yield stderr
    finally:
        os.close(stderr)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what libraries write to the process's stderr; an error in the block shows it.

    TensorFlow and LiteRT greet with notes that no setting turns off.
    """
    sys.stderr.flush()
    with saved_stderr() as stderr:
        if stderr is None:
            yield
            return
        with tempfile.TemporaryFile() as notes:
            os.dup2(notes.fileno(), 2)
            try:
                yield
            except BaseException:
                notes.seek(0)
                os.write(stderr, notes.read())
                raise
            finally:
                os.dup2(stderr, 2)


@contextmanager
def discarded_stderr() -> Iterator[None]:
    """Discard what libraries write to a terminal, where it would destroy a picture.

    A stderr that is no terminal stays as it is: somebody wants to read it.
    """
    with saved_stderr() as stderr:
        if stderr is None or sys.__stderr__ is None or not sys.__stderr__.isatty():
            yield
            return
        discard(2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)


@contextmanager
def reserved_stdout() -> Iterator[TextIO]:
    """Reserve stdout for a block's own lines.

    Whatever else the process, its threads and its programs print meanwhile goes to stderr: to
    ``sys.stdout`` and to file descriptor 1.

    Yields
    ------
    TextIO
        Writes to what was stdout.
    """
    stdout = sys.stdout
    stdout.flush()
    with contextlib.ExitStack() as stack:
        own: TextIO = stdout
        try:
            copy = os.dup(1) if stdout.fileno() == 1 else None
        except OSError:  # a process without a console, or a stdout that is no file
            copy = None
        if copy is not None:
            own = os.fdopen(copy, "w", encoding=stdout.encoding, errors=stdout.errors)
            stack.enter_context(own)
            os.dup2(2, 1)
            stack.callback(os.dup2, copy, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield own
