"""The layout of a data set on disk: a folder a word, noises, and the official lists.

Speech Commands comes as ``<word>/<speaker>_nohash_<n>.wav``, with long recordings of noise in
``_background_noise_`` and two lists, of the validation and of the test files. A folder of your
own recordings in this layout works as well, with or without lists.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from echoic import audio
from echoic.labels import BACKGROUND_NOISE


class DataError(ValueError):
    """A data set that cannot be used as it is; the message says why and what to do."""


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
            "received a folder without folders."
        )
    return words


def recordings_in(folder: Path) -> list[Path]:
    """Return the recordings in a folder, sorted."""
    return sorted(filter(audio.is_recording, folder.iterdir()))


def noise_files(root: Path) -> list[Path]:
    """Return the recordings of background noise of a data set, sorted; there may be none."""
    return sorted(filter(audio.is_recording, (root / BACKGROUND_NOISE).glob("*")))


def read_list(file: Path) -> list[str]:
    """Return the names in an official list, ``word/file`` each; a missing list is empty."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    return [line.strip().replace("\\", "/") for line in lines if line.strip()]


def speaker_of(path: Path) -> str:
    """Return the speaker of a recording: what stands before ``_nohash_``, else a content hash.

    The official code takes the whole file name for the speaker where ``_nohash_`` is missing; a
    hash of the content keeps copies of one recording in one split.
    """
    speaker, marker, _ = path.name.partition("_nohash_")
    return speaker if marker else hashlib.sha1(path.read_bytes()).hexdigest()[:8]
