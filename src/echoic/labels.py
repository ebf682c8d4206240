"""Vocabularies: which words a model can answer, and in which order.

The order is part of a model (`format.md`): ``_silence_``, ``_unknown_``, then the words.
"""

from __future__ import annotations

from collections.abc import Sequence

SILENCE = "_silence_"
"""Nobody speaks: noise, or nothing."""

UNKNOWN = "_unknown_"
"""Somebody says a word that is not in the vocabulary."""

BACKGROUND_NOISE = "_background_noise_"
"""The data set's folder of long noise recordings: no word, and never a label."""

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""The ten commands of the published 12-class protocol (Warden 2018, section 7)."""

NUMBERS = ("zero", "one", "four", "five", "eight")
"""What a command can carry: the numbers that many people have recorded."""

WORDS = (
    *("backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward"),
    *("four", "go", "happy", "house", "learn", "left", "marvin", "nine", "no", "off"),
    *("on", "one", "right", "seven", "sheila", "six", "stop", "three", "tree", "two"),
    *("up", "visual", "wow", "yes", "zero"),
)
"""All 35 words of Speech Commands v0.02, in alphabetical order."""


def vocabulary(name: str | Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a vocabulary, in the order of a model's outputs.

    Parameters
    ----------
    name
        ``"12"``: silence, unknown and the ten commands. ``"35"``: all words of v0.02 and nothing
        else (the published 35-class task). ``"commands"``: those of ``"12"`` and five numbers, so
        that a command can carry one. Or any words, as a sequence or separated by commas:
        silence and unknown are put before them.

    Raises
    ------
    ValueError
        No word, a word twice, a word that cannot be a folder's name, or a reserved name.
    """
    if name == "12":
        return (SILENCE, UNKNOWN, *COMMANDS)
    if name == "35":
        return WORDS
    if name == "commands":
        return (SILENCE, UNKNOWN, *COMMANDS, *NUMBERS)
    words = [w.strip() for w in name.split(",")] if isinstance(name, str) else list(name)
    if words[:2] == [SILENCE, UNKNOWN]:
        words = words[2:]
    if not words or not all(words):
        raise ValueError(f"Expected '12', '35', 'commands' or a list of words, received {name!r}.")
    if len(set(words)) < len(words):
        raise ValueError(f"Each word may stand once in a vocabulary, received {words}.")
    for word in words:
        if word.startswith(("_", ".")) or "/" in word or "\\" in word:
            raise ValueError(
                f"Expected words that are names of folders, received {word!r}; names that begin "
                f"with '_' are reserved ({SILENCE} and {UNKNOWN} are added by themselves)."
            )
    return (SILENCE, UNKNOWN, *words)
