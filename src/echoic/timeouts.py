"""Calls that may never return, on threads that can be left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from echoic.files import saved_stderr

POLL_SECONDS = 0.05
"""Slice (s) that waiting is done in: on Windows Ctrl-C does not end a wait for a lock."""

Result = TypeVar("Result")


class CallTimeoutError(TimeoutError):
    """A call has not returned in time; its thread is left behind."""


def start_call(call: Callable[[], Result], *, name: str = "echoic call") -> Future[Result]:
    """Begin a call on a thread of its own, which does not keep the program from ending.

    Parameters
    ----------
    call
        What to call; the future has what it returns or raises.
    name
        Name of the thread.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def call_with_timeout(call: Callable[[], Result], *, seconds: float, what: str) -> Result:
    """Call a function and wait for it no longer than a given time.

    Parameters
    ----------
    call
        What to call; what it raises is raised here.
    seconds
        How long to wait for it (s).
    what
        Subject of the error's message, such as ``"The sound system"``.

    Raises
    ------
    CallTimeoutError
        It has not returned. Its thread goes on.
    """
    with saved_stderr() as stderr:
        future = start_call(call)
        try:
            end = time.monotonic() + seconds
            while not future.done() and (left := end - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    future.exception(timeout=min(POLL_SECONDS, left))
        finally:
            if stderr is not None and not future.done():
                os.dup2(stderr, 2)  # sounddevice turns it away for as long as PortAudio starts
    if not future.done():
        raise CallTimeoutError(f"{what} has not answered for {seconds:g} s.")
    return future.result()
