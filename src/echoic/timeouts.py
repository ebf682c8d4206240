"""Asking what may never answer."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from echoic.microphone import MicrophoneError

PATIENCE_SECONDS = 15.0
"""Longest time (s) that the sound system may take to say what there is."""

Answer = TypeVar("Answer")


def ask(call: Callable[[], Answer], *, seconds: float = PATIENCE_SECONDS) -> Answer:
    """Call a function of the sound system, on a thread that can be left behind.

    Parameters
    ----------
    call
        What to call; what it raises is raised here.
    seconds
        How long to wait for it (s).

    Raises
    ------
    MicrophoneError
        It has not come back. Its thread stays, and does not keep the program from ending.
    """
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    try:
        stderr = os.dup(2)
    except OSError:  # a process without a console
        stderr = None
    threading.Thread(target=run, name="echoic patience", daemon=True).start()
    try:
        # In slices: on Windows Ctrl-C does not end a wait for a lock.
        end = time.monotonic() + seconds
        while not future.done() and time.monotonic() < end:
            with suppress(TimeoutError):
                future.exception(timeout=0.05)
    finally:
        if stderr is not None:
            if not future.done():
                os.dup2(stderr, 2)  # sounddevice turns it away for as long as PortAudio starts
            os.close(stderr)
    if not future.done():
        raise MicrophoneError(
            f"The sound system has not answered for {seconds:.0f} s. Restart it, or unplug the "
            "microphone and plug it in again."
        )
    return future.result()
