"""What a command does: run a program, call a Python function, post to an address."""

from __future__ import annotations

import dataclasses
import http.client
import json
import threading
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from echoic.assistant.dialogue import Order
from echoic.assistant.programs import Program, find_program
from echoic.timeouts import CallTimeoutError, call_with_timeout
from echoic.validation import Words, refuse, settings

TIMEOUT_SECONDS = 5.0
"""Longest time (s) of an action, where its command names none."""

LONGEST_MESSAGE = 300
"""Characters that a report shows of an error's message."""

Function = Callable[[Order], object]


class ActionError(Exception):
    """An action that failed; the message says how, for a person."""


@settings("", title="a command")
class Command:
    """What a command does: exactly one of ``run``, ``call`` and ``post``.

    Attributes
    ----------
    run
        A program and its arguments; an argument that is ``{number}`` becomes the number. No shell
        reads them.
    call
        A Python function, or ``"module:function"``; it receives the `Order`.
    post
        An address (http, https) that receives the order as JSON.
    number
        Whether the command waits for a number.
    wait
        Whether a program's end is waited for. Without that it is started and left running, also
        when the assistant ends.
    timeout
        Longest time (s) of the action; None means `TIMEOUT_SECONDS`. A program that takes longer
        is ended with all that it started.
    """

    run: Words = ()
    call: str | Function = ""
    post: str = ""
    number: bool = False
    wait: bool = True
    timeout: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        given = [name for name in ("run", "call", "post") if getattr(self, name)]
        problems = []
        if len(given) != 1:
            problems.append(
                f"Expected one of run, call and post, received {' and '.join(given) or 'none'}."
            )
        if isinstance(self.call, str) and self.call and not all(self.call.partition(":")):
            problems.append(f"Expected call as 'module:function', received {self.call!r}.")
        if self.post and not self.post.startswith(("http://", "https://")):
            problems.append(f"Expected post to be an http address, received {self.post!r}.")
        if not self.wait and not self.run:
            problems.append("Expected wait = false with run only, received it without.")
        if not self.wait and self.timeout is not None:
            problems.append(
                f"Expected no timeout with wait = false, received {self.timeout:g}: a program that "
                "is not waited for is not ended."
            )
        refuse(problems)
        return self

    def __str__(self) -> str:
        if self.run:
            return f"{'run' if self.wait else 'start'} {list(self.run)}"
        return f"post to {self.post}" if self.post else f"call {_name(self.call)}"

    def check(self, folder: Path | None = None) -> None:
        """Raise ValueError where its program or its function is not there.

        Parameters
        ----------
        folder
            Where a relative path begins; None means the working directory.
        """
        if self.run:
            try:
                find_program(self.run[0], folder)
            except FileNotFoundError as error:
                raise ValueError(str(error)) from None
        elif self.call:
            _function(self.call)

    def act(self, order: Order, programs: Programs, folder: Path | None = None) -> str:
        """Do it, and return how that went: "done" or what was started.

        Parameters
        ----------
        order
            The command.
        programs
            Runs its program.
        folder
            Working directory of its program; None means this process's.

        Raises
        ------
        ActionError
            It failed, or was not done in time.
        """
        seconds = self.timeout or TIMEOUT_SECONDS
        if self.run:
            number = "" if order.number is None else str(order.number)
            arguments = [number if a == "{number}" else a for a in self.run]
            if self.wait:
                programs.run(arguments, folder, seconds=seconds)
            else:
                programs.start(order, arguments, folder)
                return f"{order.command}: the program {self.run[0]!r} was started."
        elif self.post:
            _post(self.post, order, seconds)
        else:
            _call(self.call, order, seconds)
        return f"{order.command} is done."


class Programs:
    """The programs that commands run: those that are waited for, and those that are not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._awaited: list[Program] = []
        self._started: list[tuple[Order, str, Program]] = []

    def run(self, arguments: Sequence[str], folder: Path | None, *, seconds: float) -> None:
        """Run a program to its end; after some seconds, end it and all that it started.

        Raises
        ------
        ActionError
            It cannot be started, failed, or was not done in time.
        """
        name = arguments[0]
        with self._lock:
            program = self._program(arguments, folder)
            self._awaited.append(program)
        try:
            in_time = program.wait(seconds)
        finally:
            program.kill()
            failure = program.close()
            self._awaited.remove(program)
        if not in_time:
            raise ActionError(
                f"the program {name!r} was not done after {seconds:g} s; it was stopped."
            )
        if failure:
            raise ActionError(f"the program {name!r} {failure}")

    def start(self, order: Order, arguments: Sequence[str], folder: Path | None) -> None:
        """Start a program and leave it running.

        Raises
        ------
        ActionError
            It cannot be started.
        """
        with self._lock:
            self._started.append((order, arguments[0], self._program(arguments, folder)))

    def failures(self) -> list[tuple[Order, ActionError]]:
        """Return which of the started programs have failed since the last call, and how."""
        failed: list[tuple[Order, ActionError]] = []
        for started in list(self._started):
            order, name, program = started
            if program.poll():
                self._started.remove(started)
                if failure := program.close():
                    failed.append((order, ActionError(f"the program {name!r} {failure}")))
        return failed

    def close(self) -> None:
        """End the programs that are waited for and leave the others running; none starts later."""
        with self._lock:
            self._closed = True
            for program in self._awaited:
                program.kill()
            for *_, program in self._started:
                program.release()

    def _program(self, arguments: Sequence[str], folder: Path | None) -> Program:
        if self._closed:
            raise ActionError("the assistant has ended.")
        try:
            return Program([find_program(arguments[0], folder), *arguments[1:]], folder)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in an argument
            reason = getattr(error, "strerror", None) or error
            raise ActionError(
                f"the program {arguments[0]!r} cannot be started: {reason}"
            ) from error


def _function(call: str | Function) -> Function:
    """Import a function; a ValueError says what is missing."""
    if not isinstance(call, str):
        return call
    module, _, name = call.partition(":")
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"Expected a function, received {call!r}; there is no module {error.name!r}."
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"Expected a function, received {call!r}; its module fails: {_explain(error)}"
        ) from error
    if not hasattr(imported, name):
        raise ValueError(f"Expected a function, received {call!r}; {module} has no {name!r}.")
    if not callable(function := getattr(imported, name)):
        raise ValueError(f"Expected a function, received {call!r}, which cannot be called.")
    return function


def _name(call: str | Function) -> str:
    return call if isinstance(call, str) else getattr(call, "__name__", repr(call))


def _call(call: str | Function, order: Order, seconds: float) -> None:
    name = f"the function {_name(call)!r}"
    try:
        call_with_timeout(lambda: _function(call)(order), seconds=seconds, what=name)
    except CallTimeoutError:
        raise ActionError(
            f"{name} was not done after {seconds:g} s; it goes on in the background."
        ) from None
    except (Exception, SystemExit) as error:  # whatever a function raises, the listening goes on
        raise ActionError(f"{name} failed: {_explain(error)}") from error


def _explain(error: BaseException) -> str:
    """Return an error's message and where it was raised, for who wrote the function."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    elif isinstance(error, KeyError):
        text = f"there is no {text}"
    elif isinstance(error, SystemExit):
        text = f"it ended with status {error.code}"
    text = " ".join(text.split())
    if len(text) > LONGEST_MESSAGE:
        text = f"{text[:LONGEST_MESSAGE]}..."
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not Path(f.filename).is_relative_to(Path(__file__).parents[1])]
    where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""
    return " ".join(filter(None, [text, f"({where})" if text and where else where]))


def _post(address: str, order: Order, seconds: float) -> None:
    body = json.dumps(dataclasses.asdict(order)).encode()
    headers = {"Content-Type": "application/json"}

    def send() -> None:
        request = urllib.request.Request(address, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=seconds):
            pass

    slow = f"{address} has not answered after {seconds:g} s."
    try:
        # With a timeout of its own: the socket's starts over with each byte.
        call_with_timeout(send, seconds=seconds, what=address)
    except urllib.error.HTTPError as error:
        with error:
            raise ActionError(f"{address} answered {error.code} {error.reason}".rstrip()) from None
    except TimeoutError:
        raise ActionError(slow) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise ActionError(slow) from None
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise ActionError(f"{address} cannot be reached: {reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ActionError(f"{address} gave no proper answer: {error}") from error
