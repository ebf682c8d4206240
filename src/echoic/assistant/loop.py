"""The loop of an assistant: listen, decide, act, report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from echoic.assistant.actions import ActionError, Command, Function, Programs
from echoic.assistant.configuration import Configuration, read_configuration
from echoic.assistant.dialogue import NUMBERS, Dialogue, Order, State, Turn
from echoic.audio import SAMPLE_RATE
from echoic.live import Activity, EventName, Listener, Voice, half_duplex, loudspeaker
from echoic.timeouts import POLL_SECONDS, start_call

if TYPE_CHECKING:
    from echoic.microphone import Source

logger = logging.getLogger(__name__)


class Assistant:
    """Listens for a wake word, then for a command, and acts.

    An action that fails is reported and does not end the listening. While an action lasts, the
    microphone's sound is discarded, so that no command is obeyed late; a program that is not waited
    for lets the listening go on at once.

    Parameters
    ----------
    model
        A model's name or folder; None means the default model.
    wake
        The wake word.
    commands
        The commands by their words; `on` adds some.
    seconds, number_seconds
        Time (s) for a command after the wake word, and for a number after the command.
    dry_run
        Only report what would be done.
    folder
        Where the commands' relative paths begin, and where their programs run; None means the
        working directory.

    Raises
    ------
    ValueError
        A value of the wrong type, or a time that is not above 0.
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
        folder: Path | None = None,
    ) -> None:
        Configuration(wake=wake, seconds=seconds, number_seconds=number_seconds, dry_run=dry_run)
        self.model = model
        self.wake = wake
        self.commands = dict(commands or {})
        self.seconds = seconds
        self.number_seconds = number_seconds
        self.dry_run = dry_run
        self.folder = folder
        self._failure_level = logging.DEBUG

    @classmethod
    def load(cls, path: str | Path | None = None) -> Assistant:
        """Read a configuration file (TOML).

        Relative paths in it begin in its folder: of the model, of programs and in their arguments,
        and of modules of Python functions.

        Parameters
        ----------
        path
            The file; None means the sample that ships with echoic.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file is not TOML, or has an unknown key, a value that cannot be, or a program that
            is not there.
        """
        values, folder = read_configuration(path)
        return cls(**values, folder=folder)

    def on(
        self, word: str, *, number: bool = False, timeout: float | None = None
    ) -> Callable[[Function], Function]:
        """Return a decorator that makes a function the action of a word; see `Command`."""

        def add(function: Function) -> Function:
            self.commands[word] = Command(call=function, number=number, timeout=timeout)
            return function

        return add

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError where the model lacks a word, or where an action is not there.

        Parameters
        ----------
        labels
            Of the model.
        """
        words = [label for label in labels if not label.startswith("_")]
        if not self.commands:
            raise ValueError("Expected at least one command, received none.")
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
                command.check(self.folder)
            except ValueError as error:
                raise ValueError(f"commands.{word}: {error}") from error

    def run(
        self,
        source: Source,
        *,
        listener: Listener | None = None,
        voice: Voice | None = None,
    ) -> None:
        """Listen to a source to its end, and act.

        At the end a program that is waited for is ended; one that is not goes on.

        Parameters
        ----------
        source
            A microphone or a file, open; times are the stream's.
        listener
            With the labels of the model; its outputs receive an `Activity` for each change. None
            makes a listener of ``model``, and what fails is logged.
        voice
            Plays the chimes, which are not listened to; None means the system's loudspeaker, and
            no chimes where the source is a recording, which does not wait for them.

        Raises
        ------
        ValueError
            See `check`.
        """
        self._failure_level = logging.DEBUG if listener else logging.WARNING
        if listener is None:
            from echoic.runtime.bundle import Bundle
            from echoic.runtime.recognizer import StreamingRecognizer

            bundle = Bundle.load(self.model)
            stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
            listener = Listener(stream, config=bundle.decoder)
        self.check(listener.labels)
        if voice is None:
            voice = Voice(command=(), play=loudspeaker if source.realtime else None)
        numbers = {word: command.number for word, command in self.commands.items()}
        dialogue = Dialogue(
            self.wake, numbers, seconds=self.seconds, number_seconds=self.number_seconds
        )
        listener.on_status(Activity(0.0, "sleep", dialogue.state, f"say {self.wake!r}."))
        programs = Programs()
        try:
            for block in half_duplex(source, listener, voice):
                # A block may hold several words: each is answered before the next is processed.
                for d in listener.process(block):
                    turns = dialogue.on_word(d.time, d.label)
                    self._answer(turns, dialogue, source, listener, voice, programs)
                turns = dialogue.pass_time(block.end)
                self._answer(turns, dialogue, source, listener, voice, programs)
                self._report(programs, block.end, dialogue, listener)
        finally:
            programs.close()

    def _answer(
        self,
        turns: Sequence[Turn],
        dialogue: Dialogue,
        source: Source,
        listener: Listener,
        voice: Voice,
        programs: Programs,
    ) -> None:
        for turn in turns:
            listener.on_status(_activity(turn))
            if not (order := turn.order):
                voice.chime("sleep" if turn.state == "asleep" else "wake")
                continue
            ended = turn.time
            if source.realtime:
                event, message = self._act_deaf(order, source, listener, programs)
                ended = max(ended, source.status.time)
            else:
                event, message = self._act(order, programs)
            if (deaf := ended - turn.time) >= 1:
                end = "" if message.endswith((".", "!", "?")) else "."
                message += f"{end} {deaf:.0f} s of sound were discarded meanwhile."
            listener.on_status(_activity(dialogue.done(ended, message), event, order))
            voice.chime("done" if event == "done" else "sleep")

    def _act_deaf(
        self, order: Order, source: Source, listener: Listener, programs: Programs
    ) -> tuple[EventName, str]:
        """Act on a thread and discard the sound that arrives meanwhile, so that none waits.

        A microphone that is lost meanwhile is waited for before the end of the action is reported.
        """
        acting = start_call(lambda: self._act(order, programs), name="echoic action")
        try:
            for _ in source:
                listener.interrupt()
                if acting.done():
                    break
            while not acting.done():  # the source has ended; on Windows Ctrl-C ends no wait
                time.sleep(POLL_SECONDS)
        except BaseException:
            programs.close()
            raise
        return acting.result()

    def _act(self, order: Order, programs: Programs) -> tuple[EventName, str]:
        """Do what is ordered; return the event and the sentence that report it."""
        command = self.commands[order.command]
        if self.dry_run:
            return "done", f"Dry run: would {command}."
        try:
            return "done", command.act(order, programs, self.folder)
        except ActionError as error:
            return "failed", self._failed(order, error)

    def _failed(self, order: Order, error: ActionError) -> str:
        message = f"{order.command}: {error}"
        logger.log(self._failure_level, "%s", message, exc_info=error.__cause__)
        return message

    def _report(
        self, programs: Programs, time: float, dialogue: Dialogue, listener: Listener
    ) -> None:
        """Report programs that were started, not waited for, and have failed."""
        for order, error in programs.failures():
            turn = Turn(time, dialogue.state, self._failed(order, error))
            listener.on_status(_activity(turn, "failed", order))


_EVENTS: dict[State, EventName] = {
    "asleep": "sleep",
    "listening": "wake",
    "waiting for a number": "number",
    "acting": "command",
}


def _activity(turn: Turn, event: EventName | None = None, order: Order | None = None) -> Activity:
    order = order or turn.order
    return Activity(
        turn.time,
        event or _EVENTS[turn.state],
        turn.state,
        turn.reason,
        command=order.command if order else turn.command,
        number=order.number if order else None,
    )
