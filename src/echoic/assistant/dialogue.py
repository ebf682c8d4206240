"""From words and their times to orders: a pure state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NUMBERS = {
    word: number
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    )
}
"""Value of each word for a number."""

State = Literal["asleep", "listening", "waiting for a number", "acting"]


@dataclass(frozen=True)
class Order:
    """A complete command.

    Attributes
    ----------
    command
        The command's word.
    number
        Its number; None for a command without one.
    time
        Instant (s) at which it was complete, on the stream's clock.
    """

    command: str
    number: int | None
    time: float


@dataclass(frozen=True)
class Turn:
    """A change of state.

    Attributes
    ----------
    time
        Instant (s) of the change, on the stream's clock.
    state
        The new state.
    reason
        Its cause, for a person.
    command
        The word that waits for a number or is complete; None without one.
    order
        What is to be done; None where nothing is.
    """

    time: float
    state: State
    reason: str
    command: str | None = None
    order: Order | None = None


class Dialogue:
    """A state machine: words and time in, changes of state and orders out.

    Parameters
    ----------
    wake
        The wake word.
    commands
        Each command's word, and whether it needs a number.
    seconds, number_seconds
        Time (s) for a command after the wake word, and for a number after the command.
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
        """Process a word that was detected at a time (s), no earlier than the one before."""
        turns = self.pass_time(time)
        if word == self.wake:
            self._until = time + self.seconds
            turns.append(self._change(time, "listening", f"woken by {word!r}."))
        elif self.state == "listening" and word in self.commands:
            self._command = word
            if self.commands[word]:
                self._until = time + self.number_seconds
                reason = f"{word!r} needs one."
                turns.append(self._change(time, "waiting for a number", reason, command=word))
            else:
                turns.append(self._act(Order(word, None, time)))
        elif self.state == "waiting for a number" and word in NUMBERS:
            turns.append(self._act(Order(self._command, NUMBERS[word], time)))
        elif self.state in ("listening", "waiting for a number"):
            wanted = "a command" if self.state == "listening" else "a number"
            turns.append(self._change(time, "asleep", f"expected {wanted}, received {word!r}."))
        return turns

    def pass_time(self, time: float) -> list[Turn]:
        """Let time pass until an instant (s); without a word in time the state is asleep again."""
        if self.state in ("asleep", "acting") or time <= self._until:
            return []
        listening = self.state == "listening"
        wanted = "command" if listening else "number"
        seconds = self.seconds if listening else self.number_seconds
        return [self._change(self._until, "asleep", f"no {wanted} within {seconds:g} s.")]

    def done(self, time: float, reason: str) -> Turn:
        """End the action."""
        return self._change(time, "asleep", reason, command=self._command)

    def _act(self, order: Order) -> Turn:
        number = "" if order.number is None else f" {order.number}"
        self.state = "acting"
        return Turn(order.time, "acting", f"{order.command}{number}", order.command, order)

    def _change(
        self, time: float, state: State, reason: str, *, command: str | None = None
    ) -> Turn:
        self.state = state
        return Turn(time, state, reason, command)
