"""An assistant: a wake word, then a command, perhaps a number; then something is done.

    assistant = Assistant(wake="go")

    @assistant.on("left")
    def left(order):
        print(order.time)

    with Microphone() as source:
        assistant.run(source)

`Dialogue` decides from words and their times alone; `Assistant` listens and acts.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from echoic.audio import SAMPLE_RATE

if TYPE_CHECKING:
    from echoic.live import Listener, Voice
    from echoic.microphone import Source

logger = logging.getLogger(__name__)

NUMBERS = {
    word: number
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
}
"""What the words for numbers stand for."""

POLL_SECONDS = 0.05
"""Slice (s) that the end of an action is waited for in."""

Result = TypeVar("Result")
State = Literal["asleep", "listening", "waiting for a number", "acting"]


@dataclass(frozen=True)
class Order:
    """What was asked for: a command, its number if it has one, and when it was complete (s)."""

    command: str
    number: int | None
    time: float


@dataclass(frozen=True)
class Turn:
    """A change of state, when (s), why, and what is to be done."""

    time: float
    state: State
    reason: str
    order: Order | None = None


class Dialogue:
    """Words and time in, states and orders out: a pure state machine.

    Parameters
    ----------
    wake
        The word that wakes it.
    commands
        Each command, and whether it waits for a number.
    seconds, number_seconds
        How long it waits for a command after the wake word, and for a number after the command.
    """

    def __init__(
        self,
        wake: str,
        commands: Mapping[str, bool],
        *,
        seconds: float = 4.0,
        number_seconds: float = 4.0,
    ) -> None:
        self.wake = wake
        self.commands = commands
        self.seconds = seconds
        self.number_seconds = number_seconds
        self.state: State = "asleep"
        self._until = 0.0
        self._command = ""

    def on_word(self, time: float, word: str) -> list[Turn]:
        """Take a word that was detected at a time (s), no earlier than the last."""
        turns = self.pass_time(time)
        if word == self.wake:
            turns.append(self._wait(time, "listening", self.seconds, f"Woken by {word!r}."))
        elif self.state == "listening" and word in self.commands:
            self._command = word
            if self.commands[word]:
                reason = f"{word!r} needs a number."
                turns.append(self._wait(time, "waiting for a number", self.number_seconds, reason))
            else:
                turns.append(self._act(Order(word, None, time)))
        elif self.state == "waiting for a number" and word in NUMBERS:
            turns.append(self._act(Order(self._command, NUMBERS[word], time)))
        elif self.state in ("listening", "waiting for a number"):
            wanted = "a command" if self.state == "listening" else "a number"
            turns.append(self._sleep(time, f"Expected {wanted}, received {word!r}."))
        return turns

    def pass_time(self, time: float) -> list[Turn]:
        """Let time pass; back to sleep where nothing came within it."""
        if self.state in ("asleep", "acting") or time <= self._until:
            return []
        wanted = "command" if self.state == "listening" else "number"
        return [self._sleep(self._until, f"No {wanted} came.")]

    def done(self, time: float, reason: str) -> Turn:
        """Take that the action has ended."""
        return self._sleep(time, reason)

    def _wait(self, time: float, state: State, seconds: float, reason: str) -> Turn:
        self.state, self._until = state, time + seconds
        return Turn(time, state, reason)

    def _act(self, order: Order) -> Turn:
        self.state = "acting"
        number = "" if order.number is None else f" {order.number}"
        return Turn(order.time, "acting", f"{order.command}{number}", order)

    def _sleep(self, time: float, reason: str) -> Turn:
        self.state = "asleep"
        return Turn(time, "asleep", reason)


@dataclass(frozen=True)
class Command:
    """What a command does: one of ``run``, ``call`` and ``post``.

    Attributes
    ----------
    run
        A program and its arguments; an argument that is ``{number}`` becomes the number. No shell.
    call
        A Python function, or ``"module:function"``; it is given the `Order`.
    post
        An address (http, https) that is sent the order as JSON.
    number
        The command waits for a number.
    timeout
        Longest time (s) that it may take.
    """

    run: Sequence[str] = ()
    call: str | Callable[[Order], object] = ""
    post: str = ""
    number: bool = False
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if sum(map(bool, (self.run, self.call, self.post))) != 1:
            raise ValueError(
                f"Expected one of run, call and post, received run={self.run!r}, "
                f"call={self.call!r}, post={self.post!r}."
            )
        if isinstance(self.run, str) or not all(isinstance(a, str) for a in self.run):
            raise ValueError(f"Expected run to be a list of strings, received {self.run!r}.")
        if not (callable(self.call) or isinstance(self.call, str)) or (
            isinstance(self.call, str) and self.call and not all(self.call.partition(":"))
        ):
            raise ValueError(f"Expected call as 'module:function', received {self.call!r}.")
        if self.post and not str(self.post).startswith(("http://", "https://")):
            raise ValueError(f"Expected post to be an http address, received {self.post!r}.")
        if not isinstance(self.number, bool):
            raise ValueError(f"Expected number to be true or false, received {self.number!r}.")
        _positive("timeout", self.timeout)

    def __str__(self) -> str:
        if self.run:
            return f"run {list(self.run)}"
        return f"post {self.post}" if self.post else f"call {self.call}"

    def act(self, order: Order, *, running: list[subprocess.Popen[bytes]] | None = None) -> None:
        """Do it; what goes wrong is raised, a time that runs out as TimeoutError.

        A program that is started is added to ``running``.
        """
        if self.run:
            number = "" if order.number is None else str(order.number)
            nowhere = subprocess.DEVNULL  # stdout is the detections', and a pipe can be held open
            arguments = [number if a == "{number}" else a for a in self.run]
            with subprocess.Popen(
                arguments, stdin=nowhere, stdout=nowhere, stderr=nowhere
            ) as program:
                if running is not None:
                    running.append(program)
                try:
                    status = program.wait(self.timeout)
                except BaseException:
                    program.kill()
                    raise
            if status:
                raise subprocess.CalledProcessError(status, arguments)
        elif self.post:
            body = json.dumps(dataclasses.asdict(order)).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(self.post, data=body, headers=headers)
            _within(self.timeout, lambda: _send(request, self.timeout))
        else:
            _within(self.timeout, lambda: _function(self.call)(order))


class Assistant:
    """Listens for a wake word, then for a command, and acts.

    What an action does wrong is reported and never ends the listening. While it lasts, what a
    microphone hears is discarded: nothing said meanwhile is obeyed late.

    Parameters
    ----------
    model
        A model's folder or name; None means the default one.
    wake, commands, seconds, number_seconds
        See `Dialogue` and `Command`; `on` adds commands.
    dry_run
        Only say what would be done.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        wake: str = "go",
        commands: Mapping[str, Command] | None = None,
        seconds: float = 4.0,
        number_seconds: float = 4.0,
        dry_run: bool = False,
    ) -> None:
        _positive("seconds", seconds)
        _positive("number_seconds", number_seconds)
        self.model = model
        self.wake = wake
        self.commands = dict(commands or {})
        self.seconds = seconds
        self.number_seconds = number_seconds
        self.dry_run = dry_run
        self._failure_level = logging.DEBUG

    @classmethod
    def load(cls, path: str | Path | None = None) -> Assistant:
        """Read a configuration (TOML); None means the sample that ships with echoic.

        Modules of Python functions that it names are also looked for beside it.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            Not TOML, an unknown key, or a value that cannot be.
        """
        file = resources.files("echoic") / "assistants" / "default.toml"
        source = file if path is None else Path(path)
        try:
            tables = tomllib.loads(source.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{source} is not TOML: {error}") from error
        keys = ("model", "wake", "commands", "seconds", "number_seconds", "dry_run")
        _known("the configuration", tables, keys)
        for key, kind in (("model", str), ("wake", str), ("dry_run", bool), ("commands", dict)):
            if key in tables and not isinstance(tables[key], kind):
                raise ValueError(f"Expected {key} as {kind.__name__}, received {tables[key]!r}.")
        commands = {}
        for word, table in tables.pop("commands", {}).items():
            _known(f"commands.{word}", table, [f.name for f in dataclasses.fields(Command)])
            try:
                commands[word] = Command(**table)
            except ValueError as error:
                raise ValueError(f"commands.{word}: {error}") from error
        if path is not None and any(command.call for command in commands.values()):
            folder = str(Path(path).resolve().parent)
            if folder not in sys.path:
                sys.path.append(folder)
        return cls(**tables, commands=commands)

    def on(
        self, word: str, *, number: bool = False, timeout: float = 5.0
    ) -> Callable[[Callable[[Order], object]], Callable[[Order], object]]:
        """Let a function be called with the `Order` when a command is said."""

        def add(function: Callable[[Order], object]) -> Callable[[Order], object]:
            self.commands[word] = Command(call=function, number=number, timeout=timeout)
            return function

        return add

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError where a model cannot hear a word, or a function cannot be called."""
        words = [label for label in labels if not label.startswith("_")]
        if not self.commands:
            raise ValueError("Expected a command or more, received none.")
        for word in (self.wake, *self.commands):
            if word not in words:
                raise ValueError(
                    f"Expected words that the model knows, received {word!r}; "
                    f"it knows {', '.join(words)}."
                )
        if self.wake in self.commands:
            raise ValueError(f"Expected a wake word that is no command, received {self.wake!r}.")
        counting = [word for word, command in self.commands.items() if command.number]
        if counting and not NUMBERS.keys() & set(words):
            raise ValueError(
                f"Expected a model that knows numbers, for {', '.join(counting)}, received one "
                f"that knows {', '.join(words)}."
            )
        for word, command in self.commands.items():
            try:
                if command.call and not callable(_function(command.call)):
                    raise TypeError("not callable")
            except (Exception, SystemExit) as error:
                raise ValueError(
                    f"commands.{word}: {command.call!r} cannot be called: "
                    f"{type(error).__name__}: {error}"
                ) from error

    def run(
        self,
        source: Source,
        *,
        listener: Listener | None = None,
        speaker: Voice | None = None,
    ) -> None:
        """Listen to a source to its end, and act.

        Parameters
        ----------
        source
            A microphone or a file, open; time is the stream's.
        listener
            Hears it, with the labels of the model; None makes one of ``model``, and what goes
            wrong is logged.
        speaker
            Plays the chimes, which are never heard; None means the system's loudspeaker, and
            nothing where the source is a recording, which does not wait for them.

        Raises
        ------
        ValueError
            See `check`.
        """
        from echoic.live import Listener, Voice, half_duplex, loudspeaker

        self._failure_level = logging.DEBUG if listener else logging.WARNING
        if listener is None:
            from echoic.runtime.bundle import Bundle
            from echoic.runtime.recognizer import StreamingRecognizer

            bundle = Bundle.load(self.model)
            stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
            listener = Listener(stream, config=bundle.decoder)
        self.check(listener.labels)
        if speaker is None:
            speaker = Voice(command=(), play=loudspeaker if source.realtime else None)
        numbers = {word: command.number for word, command in self.commands.items()}
        dialogue = Dialogue(
            self.wake, numbers, seconds=self.seconds, number_seconds=self.number_seconds
        )
        _tell(listener, Turn(0.0, dialogue.state, f"say {self.wake!r}."))
        for block in half_duplex(source, listener, speaker):
            # A block may hold several words: each is answered before the next is taken.
            for d in listener.process(block):
                turns = dialogue.on_word(d.time, d.label)
                self._answer(turns, dialogue, source, listener, speaker)
            self._answer(dialogue.pass_time(block.end), dialogue, source, listener, speaker)

    def _answer(
        self,
        turns: Sequence[Turn],
        dialogue: Dialogue,
        source: Source,
        listener: Listener,
        speaker: Voice,
    ) -> None:
        for turn in turns:
            _tell(listener, turn)
            if not turn.order:
                speaker.chime("sleep" if turn.state == "asleep" else "wake")
                continue
            ended = turn.time
            if source.realtime:
                chime, outcome = self._act_deaf(turn.order, source, listener)
                ended = max(ended, source.status.time)
            else:
                chime, outcome = self._act(turn.order)
            if (deaf := ended - turn.time) >= 1:
                outcome += f" Nothing was heard for {deaf:.0f} s."
            _tell(listener, dialogue.done(ended, outcome))
            speaker.chime(chime)

    def _act_deaf(self, order: Order, source: Source, listener: Listener) -> tuple[str, str]:
        """Act on a thread, and discard what is heard meanwhile: nothing waits to be heard late.

        A microphone that is lost meanwhile is waited for before the end of the action is told.
        """
        running: list[subprocess.Popen[bytes]] = []
        acting = _begin(lambda: self._act(order, running=running))
        try:
            for _ in source:
                listener.interrupt()
                if acting.done():
                    break
            while not acting.done():  # the source has ended; on Windows Ctrl-C ends no wait
                time.sleep(POLL_SECONDS)
        finally:
            for program in running:
                program.kill()  # where the listening ends before it does
        return acting.result()

    def _act(
        self, order: Order, *, running: list[subprocess.Popen[bytes]] | None = None
    ) -> tuple[str, str]:
        """Do what is ordered; the chime and the sentence that tell how it went."""
        command = self.commands[order.command]
        if self.dry_run:
            return "done", f"Dry run: would {command}."
        try:
            command.act(order, running=running)
        except (Exception, SystemExit) as error:  # whatever an action raises, the loop goes on
            logger.log(self._failure_level, "%s failed", order.command, exc_info=True)
            return "sleep", f"{order.command} failed: {type(error).__name__}: {error}"
        return "done", f"{order.command} is done."


def _tell(listener: Listener, turn: Turn) -> None:
    listener.on_status(turn.time, f"{turn.state.capitalize()}: {turn.reason}")


def _function(call: str | Callable[[Order], object]) -> Callable[[Order], object]:
    if not isinstance(call, str):
        return call
    module, _, name = call.partition(":")
    return getattr(import_module(module), name)


def _send(request: urllib.request.Request, timeout: float) -> None:
    with urllib.request.urlopen(request, timeout=timeout):
        pass


def _begin(call: Callable[[], Result]) -> Future[Result]:
    """Call on a thread that can be left behind."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="echoic action", daemon=True).start()
    return future


def _within(seconds: float, call: Callable[[], object]) -> None:
    future = _begin(call)
    try:
        future.result(timeout=seconds)
    except TimeoutError:
        if future.done():
            raise
        raise TimeoutError(f"not done after {seconds:g} s") from None


def _known(where: str, table: Any, keys: Collection[str]) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"Expected {where} to be a table, received {table!r}.")
    if unknown := table.keys() - set(keys):
        raise ValueError(
            f"Expected the keys {', '.join(keys)} in {where}, "
            f"received {', '.join(sorted(unknown))}."
        )


def _positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f"Expected {name} to be a time over 0 s, received {value!r}.")
