"""Who is in training, who in validation, who in the test: the official split, by speaker.

Speech Commands comes as ``<word>/<speaker>_nohash_<n>.wav`` with two lists, of the validation and
of the test files. What no list names follows the rule by which the lists were made: a hash of the
speaker (Warden 2018, section 6.4). The same speaker is never on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from echoic import audio
from echoic.labels import BACKGROUND_NOISE

SplitName = Literal["training", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("training", "validation", "test")

_LISTS: dict[str, SplitName] = {"validation_list.txt": "validation", "testing_list.txt": "test"}
_BUCKETS = 2**27  # "no more than about 134 million files a word", says the official code


class DataError(ValueError):
    """A data set that cannot be used as it is; the message says why and what to do."""


@dataclass(frozen=True)
class Clip:
    """One recording of one word.

    Attributes
    ----------
    path
        Where it is.
    word
        What is said in it: the name of its folder.
    speaker
        Who says it: what stands before ``_nohash_``, else a hash of the file's content.
    split
        Which side it is on.
    """

    path: Path
    word: str
    speaker: str
    split: SplitName

    @property
    def name(self) -> str:
        """The path as the official lists write it: ``word/file``, on every system."""
        return f"{self.word}/{self.path.name}"


def speaker_of(path: Path) -> str:
    """Return who speaks in a file: by its name, else by its content, so that copies stay together.

    The official code also takes a whole file name for a speaker where ``_nohash_`` is missing;
    a hash of the content keeps two copies of one recording on the same side.
    """
    speaker, marker, _ = path.name.partition("_nohash_")
    return speaker if marker else hashlib.sha1(path.read_bytes()).hexdigest()[:8]


def hash_split(speaker: str, *, validation: float = 0.1, testing: float = 0.1) -> SplitName:
    """Return the side of a speaker by the SHA-1 rule of the data set.

    Parameters
    ----------
    speaker
        What stands before ``_nohash_`` in the file name.
    validation, testing
        The parts, as fractions.

    References
    ----------
    Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 6.4, and
    ``which_set`` in the data set's README.
    """
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % _BUCKETS
    share = number / (_BUCKETS - 1)
    if share < validation:
        return "validation"
    return "test" if share < validation + testing else "training"


def read_lists(root: Path) -> dict[str, SplitName]:
    """Read ``validation_list.txt`` and ``testing_list.txt``: from ``word/file`` to its side.

    A list that is missing counts as empty.
    """
    return {
        line.strip().replace("\\", "/"): split
        for name, split in _LISTS.items()
        if (root / name).exists()
        for line in (root / name).read_text(encoding="utf-8-sig").splitlines()
        if line.strip()
    }


def words_in(root: Path) -> list[str]:
    """Return the words of a data set: the names of its folders, sorted.

    Raises
    ------
    DataError
        There is no such folder, or no folder of recordings in it.
    """
    if not root.is_dir():
        raise DataError(
            f"No data set at {root}. Get the official one with 'echoic download', or name the "
            "folder that holds one folder of recordings a word with --data."
        )
    words = sorted(
        p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(("_", "."))
    )
    if not words:
        raise DataError(
            f"Expected one folder of recordings a word in {root}, as in yes/0a7c2a8d_nohash_0.wav; "
            "found no folder."
        )
    return words


def scan(root: Path, *, words: Iterable[str] | None = None) -> list[Clip]:
    """List the clips of a data set with their speakers and sides, sorted by name.

    Parameters
    ----------
    root
        A folder in the official layout; it may also be one of your own, a folder a word.
    words
        The words wanted; None means all that have a folder.

    Raises
    ------
    DataError
        The folder does not exist or holds no words, or a word that is wanted has no folder.
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
        for path in sorted(filter(audio.is_recording, (root / word).iterdir())):
            speaker = speaker_of(path)
            split = lists.get(f"{word}/{path.name}") or hash_split(speaker)
            clips.append(Clip(path, word, speaker, split))
    return clips


def missing_files(root: Path, split: SplitName, *, words: Iterable[str]) -> list[str]:
    """Names that the official list of a split has and the disk has not, for these words."""
    wanted = set(words)
    return [
        name
        for name, side in read_lists(root).items()
        if side == split and name.split("/")[0] in wanted and not (root / name).exists()
    ]


def noise_files(root: Path) -> list[Path]:
    """Return the long recordings of background noise, sorted; none is no error."""
    return sorted(filter(audio.is_recording, (root / BACKGROUND_NOISE).glob("*")))
