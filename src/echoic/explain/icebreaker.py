"""The ice breaker of college days, played by voice.

Each turn the player says one word that was not said yet, and hears all words so far, in order.
Whoever says a word again has forgotten it; when no word of the vocabulary is left, nobody has.
The game is pure: words in, what to repeat out. `play` is the loop around it.
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
    """What became of a word.

    Attributes
    ----------
    word
        What the player said.
    words
        All words so far, in order; a word that was said again is in it once.
    ending
        ``forgotten`` (the word had been said), ``complete`` (it was the last of the vocabulary),
        or None: the game goes on.
    """

    word: str
    words: tuple[str, ...]
    ending: Ending | None = None

    @property
    def reply(self) -> str:
        """What is to be said: the words, and how the game ended if it did."""
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
        Of the model; its words are what can be said.

    Attributes
    ----------
    vocabulary
        The words, in the order of the labels.
    words
        What was said, in order.
    ending
        How the game ended; None while it goes on.

    Raises
    ------
    ValueError
        No word among the labels.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.vocabulary = tuple(x for x in labels if x not in (SILENCE, UNKNOWN))
        if not self.vocabulary:
            raise ValueError(f"Expected labels with a word among them, received {tuple(labels)}.")
        self.words: tuple[str, ...] = ()
        self.ending: Ending | None = None

    def on_word(self, word: str) -> Turn:
        """Take the player's word.

        Raises
        ------
        ValueError
            The game is over, or the word is not in its vocabulary.
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
    speaker: Voice,
    on_turn: Callable[[float, Turn], None],
) -> None:
    """Play until the game or the sound ends.

    Parameters
    ----------
    game
        Fresh.
    source
        Microphone or file, open.
    listener
        With the labels of the game.
    speaker
        Says the words; nothing that arrives meanwhile is heard.
    on_turn
        Called before each reply, with the instant of the decision on the stream's clock (s).
    """
    for block in half_duplex(source, listener, speaker):
        for detection in listener.process(block):
            turn = game.on_word(detection.label)
            on_turn(detection.time, turn)
            speaker.say(turn.reply)
            if turn.ending:
                speaker.wait()
                return
            if not speaker.silent:
                break


class IceBreakerView(Output):
    """Shows the memory as it grows, a line a turn.

    Parameters
    ----------
    console
        For the game.
    events
        For the rules and for what happens to the stream.
    """

    def __init__(self, *, console: Console, events: Console) -> None:
        self._console = console
        self._events = events

    def begin(self, game: IceBreaker) -> None:
        """Tell the rules."""
        self._note(
            "Say a word, and each turn another one. All words so far come back, in order.\n"
            "Who says a word again has forgotten it. Ctrl-C ends.\n"
            f"The words: {', '.join(game.vocabulary)}."
        )

    def show(self, time: float, turn: Turn) -> None:
        """Show a turn."""
        line = Text(f"{time:8.2f} s  ")
        for word in turn.words:
            line.append(word, style="bold" if word == turn.word else "")
            line.append(" ")
        if turn.ending == "forgotten":
            line.append(f"({turn.word} again)")
        line.rstrip()
        self._console.print(line, soft_wrap=True, highlight=False)

    def end(self, game: IceBreaker) -> None:
        """Tell how it ended."""
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
