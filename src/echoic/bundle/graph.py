"""A TFLite file at work: LiteRT with its mistakes turned into Python errors."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class GraphError(ValueError):
    """A file that is not a graph of echoic, or cannot be run."""


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what libraries write to the process's stderr; if they fail, it is shown.

    TensorFlow and LiteRT greet with notes that no setting turns off.
    """
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # a process without a console
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
            os.close(stderr)


class Graph:
    """One TFLite graph, loaded; safe to call from several threads.

    Parameters
    ----------
    path
        The file.
    signature
        Name of the function in it.

    Raises
    ------
    GraphError
        Truncated, not TFLite, or without that function.
    """

    def __init__(self, path: str | Path, *, signature: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.path = Path(path)
        content = self.path.read_bytes()
        if content[4:8] != b"TFL3":
            raise GraphError(
                f"Expected {self.path} to be a TFLite file, received {len(content):,} bytes that "
                "do not begin like one."
            )
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
                self._run = self._interpreter.get_signature_runner(signature)
        except (ValueError, RuntimeError) as error:
            raise GraphError(
                f"{self.path} cannot be run as {signature!r}; it is damaged, was not written by "
                f"echoic, or needs a newer LiteRT: {error}"
            ) from error
        self._inputs = {
            name: (tuple(int(n) for n in detail["shape"]), np.dtype(detail["dtype"]))
            for name, detail in self._run.get_input_details().items()
        }
        self._lock = threading.Lock()

    @property
    def inputs(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and dtype of each input, by name."""
        return dict(self._inputs)

    def __call__(self, **arrays: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Run the function once on named arrays; the result is a copy, yours to keep.

        Raises
        ------
        ValueError
            An input of another name, shape or dtype than the graph's: LiteRT would crash on some.
        """
        received = {name: (a.shape, a.dtype) for name, a in arrays.items()}
        if received != self._inputs:
            raise ValueError(f"Expected the inputs {self._inputs}, received {received}.")
        with self._lock:
            return {name: np.array(value) for name, value in self._run(**arrays).items()}
