"""The ice breaker, a memory game, played by voice.

In each turn the player says a new word, and all words so far come back, in order. The game ends
when the player repeats a word, or when no word of the vocabulary is left. `IceBreaker` is pure:
words in, replies out. `play` is the loop around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.text import Text

from echoic.labels import SILENCE, UNKNOWN
from echoic.live import Listener, Output, Voice, half_duplex
from echoic.microphone import Event, Source

Ending = Literal["forgotten", "complete"]


@dataclass(frozen=True)
class Turn:
    """One turn of the game.

    Attributes
    ----------
    word
        The player's word.
    words
        All words so far, in order; a repeated word appears once.
    ending
        ``forgotten`` (the word was a repetition), ``complete`` (it was the last word of the
        vocabulary), or None (the game continues).
    """

    word: str
    words: tuple[str, ...]
    ending: Ending | None = None

    @property
    def reply(self) -> str:
        """The spoken reply: all words so far, and the ending if there is one."""
        spoken = ", ".join(self.words)
        if self.ending == "forgotten":
            return f"You forgot: you had said {self.word} already. {spoken}."
        if self.ending == "complete":
            return f"{spoken}. That is every word I know: nobody forgot."
        return f"{spoken}."


class IceBreaker:
    """The game.

    Parameters
    ----------
    labels
        Labels of the model, with at least one word.

    Attributes
    ----------
    vocabulary
        The words among the labels, in their order.
    words
        Words so far, in order.
    ending
        How the game ended; None while it continues.

    Raises
    ------
    ValueError
        The labels contain no word.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.vocabulary = tuple(x for x in labels if x not in (SILENCE, UNKNOWN))
        if not self.vocabulary:
            raise ValueError(f"Expected labels with a word among them, received {tuple(labels)}.")
        self.words: tuple[str, ...] = ()
        self.ending: Ending | None = None

    def on_word(self, word: str) -> Turn:
        """Process the player's word.

        Raises
        ------
        ValueError
            The game is over, or the word is not in the vocabulary.
        """
        if self.ending:
            raise ValueError(f"Expected no word after the game is over, received {word!r}.")
        if word not in self.vocabulary:
            raise ValueError(f"Expected one of {', '.join(self.vocabulary)}, received {word!r}.")
        if word in self.words:
            self.ending = "forgotten"
        else:
            self.words += (word,)
            if len(self.words) == len(self.vocabulary):
                self.ending = "complete"
        return Turn(word, self.words, self.ending)


def play(
    game: IceBreaker,
    source: Source,
    listener: Listener,
    *,
    voice: Voice,
    on_turn: Callable[[float, Turn], None],
) -> None:
    """Play until the game or the source ends.

    Parameters
    ----------
    game
        A new game.
    source
        Open microphone or file.
    listener
        Listener with the labels of the game.
    voice
        Speaks the replies; the listener drops blocks that arrive meanwhile.
    on_turn
        Called before each reply, with the time (s) of the detection and the turn.
    """
    for block in half_duplex(source, listener, voice):
        for detection in listener.process(block):
            turn = game.on_word(detection.label)
            on_turn(detection.time, turn)
            voice.say(turn.reply)
            if turn.ending:
                voice.wait()
                return
            if not voice.silent:
                break


class IceBreakerView(Output):
    """Shows a line for each turn.

    Parameters
    ----------
    console
        Console for the turns.
    events
        Console for the rules and the events of the stream.
    """

    def __init__(self, *, console: Console, events: Console) -> None:
        self._console = console
        self._events = events

    def begin(self, game: IceBreaker) -> None:
        """Print the rules."""
        self._note(
            "Say a new word each turn; all words so far come back, in order.\n"
            "A repeated word ends the game. Ctrl-C exits.\n"
            f"Words: {', '.join(game.vocabulary)}."
        )

    def show(self, time: float, turn: Turn) -> None:
        """Print a turn."""
        line = Text(f"{time:8.2f} s  ")
        for word in turn.words:
            line.append(word, style="bold" if word == turn.word else "")
            line.append(" ")
        if turn.ending == "forgotten":
            line.append(f"({turn.word} again)")
        line.rstrip()
        self._console.print(line, soft_wrap=True, highlight=False)

    def end(self, game: IceBreaker) -> None:
        """Print the ending."""
        n = f"{len(game.words)} {'word' if len(game.words) == 1 else 'words'}"
        self._note(
            {
                "forgotten": f"You forgot, after {n}.",
                "complete": f"All {n}: nobody forgot.",
                None: f"The sound ended after {n}: nobody forgot.",
            }[game.ending]
        )

    def on_event(self, event: Event) -> None:
        self._note(f"{event.time:8.2f} s  {event.message}")

    def _note(self, text: str) -> None:
        self._events.print(text, soft_wrap=True, highlight=False, markup=False)
