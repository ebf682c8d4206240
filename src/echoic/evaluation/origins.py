"""Whose a clip is, and which word: what the names of files tell."""

from __future__ import annotations

from typing import NamedTuple

from echoic.data import Examples
from echoic.labels import SILENCE, UNKNOWN


class Origin(NamedTuple):
    """What a clip's name tells: the word and its speaker, None where it does not."""

    word: str | None
    speaker: str | None


def origin(name: str) -> Origin:
    """Read the word and the speaker from a clip's name in `Examples`.

    A data set's is ``word/speaker_nohash_n.wav``. In a test archive other words stand in the
    file's name, ``_unknown_/word_speaker_nohash_n.wav``; silence has neither.
    """
    folder, _, file = name.rpartition("/")
    before, marker, _ = file.partition("_nohash_")
    speaker = before if marker else None
    if folder == UNKNOWN:
        word, joined, who = before.rpartition("_")
        return Origin(word, who) if marker and joined else Origin(None, speaker)
    return Origin(None if folder in ("", SILENCE) else folder, speaker)


def speaker_groups(examples: Examples) -> list[str | int]:
    """Return whose each clip is, for `metrics.cluster_bootstrap_interval`.

    A clip of no speaker, such as silence, is a group of its own.
    """
    return [origin(name).speaker or i for i, name in enumerate(examples.names)]
