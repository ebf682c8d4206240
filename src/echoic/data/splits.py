"""The official split by speaker: training, validation, test.

The two lists of Speech Commands come first; what is in neither follows the rule by which they
were made, a hash of the speaker (Warden 2018, section 6.4). No speaker is in two splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from echoic.data.layout import DataError, read_list, recordings_in, speaker_of, words_in

SplitName = Literal["training", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("training", "validation", "test")

LISTS: dict[SplitName, str] = {"validation": "validation_list.txt", "test": "testing_list.txt"}
"""File names of the official lists."""

_BUCKETS = 2**27  # "no more than about 134 million files a word", says the official code


@dataclass(frozen=True)
class Clip:
    """One recording of one word.

    Attributes
    ----------
    path
        Its file.
    word
        The word: the name of its folder.
    speaker
        See `layout.speaker_of`.
    split
        Its split.
    """

    path: Path
    word: str
    speaker: str
    split: SplitName

    @property
    def name(self) -> str:
        """The path as the official lists write it: ``word/file``, on every system."""
        return f"{self.word}/{self.path.name}"


def hash_split(speaker: str, *, validation: float = 0.1, test: float = 0.1) -> SplitName:
    """Return the split of a speaker by the SHA-1 rule of Speech Commands.

    Parameters
    ----------
    speaker
        What stands before ``_nohash_`` in the file name.
    validation, test
        Fractions of the speakers.

    References
    ----------
    Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 6.4, and
    ``which_set`` in the data set's README.
    """
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % _BUCKETS
    share = number / (_BUCKETS - 1)
    if share < validation:
        return "validation"
    return "test" if share < validation + test else "training"


def read_lists(root: Path) -> dict[str, SplitName]:
    """Read the official lists of a data set: ``word/file`` to its split."""
    return {name: split for split, file in LISTS.items() for name in read_list(root / file)}


def scan(root: Path, *, words: Iterable[str] | None = None) -> list[Clip]:
    """List the clips of a data set with their speakers and splits, sorted by name.

    Parameters
    ----------
    root
        A folder in the official layout, or one of your own with a folder a word.
    words
        The words to list; None means all that have a folder.

    Raises
    ------
    DataError
        The folder does not exist or holds no words, or a word to list has no folder.
    """
    present = words_in(root)
    wanted = present if words is None else list(words)
    if missing := sorted(set(wanted) - set(present)):
        raise DataError(
            f"Expected a folder for each word; {root} has none for {', '.join(missing)}. "
            f"It has {', '.join(present)}."
        )
    lists = read_lists(root)
    clips = []
    for word in sorted(wanted):
        for path in recordings_in(root / word):
            speaker = speaker_of(path)
            split = lists.get(f"{word}/{path.name}") or hash_split(speaker)
            clips.append(Clip(path, word, speaker, split))
    return clips


def missing_files(root: Path, split: SplitName, *, words: Iterable[str]) -> list[str]:
    """Return the names in a split's official list that are not on disk, for these words."""
    wanted = set(words)
    return [
        name
        for name in (read_list(root / LISTS[split]) if split in LISTS else ())
        if name.split("/")[0] in wanted and not (root / name).exists()
    ]
