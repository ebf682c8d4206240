"""SoftLabels that are kept: what a model said to each recording of a data set.

By them a model teaches that is too large to be kept itself, or too slow to be asked again: each
recording is heard as it is, which is what ``training.cache_teacher`` learns from.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echoic.data import Split

SUFFIX = ".npz"

_STEPS = 65_535
"""Probabilities are kept as so many parts of 1, in 16 bits."""


@dataclass(frozen=True)
class SoftLabels:
    """What a model said of recordings, by their names.

    Recordings of another edition of the data that have such a name are taken for the same.

    Attributes
    ----------
    name
        The model's.
    labels
        Its labels.
    pretrained_sources
        From what it knew more than its data told: names of `card.PRETRAINED`.
    recordings
        ``word/file``, (recordings,), ascending.
    said
        Probabilities, (recordings, labels), float32.
    """

    name: str
    labels: tuple[str, ...]
    pretrained_sources: tuple[str, ...]
    recordings: npt.NDArray[np.str_]
    said: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls,
        split: Split,
        said: npt.NDArray[np.float32],
        *,
        name: str,
        pretrained_sources: tuple[str, ...] = (),
    ) -> SoftLabels:
        """Take what was said of each clip of a split, (clips, labels)."""
        recordings, first = np.unique([clip.name for clip in split.clips], return_index=True)
        return cls(name, split.labels, pretrained_sources, recordings, said[first])

    @classmethod
    def load(cls, file: Path) -> SoftLabels:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            It holds no answers.
        """
        try:
            with np.load(file) as kept:
                return cls(
                    file.stem,
                    tuple(kept["labels"].tolist()),
                    tuple(kept["pretrained_sources"].tolist()),
                    np.char.decode(kept["recordings"], "utf-8"),
                    kept["said"].astype(np.float32) / _STEPS,
                )
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"Expected {file} to hold answers to recordings: {error}") from error

    def save(self, file: Path) -> None:
        """Write a file of numpy's."""
        np.savez_compressed(
            file,
            labels=np.array(self.labels),
            pretrained_sources=np.array(self.pretrained_sources, dtype=np.str_),
            recordings=np.char.encode(self.recordings, "utf-8"),
            said=np.round(self.said * _STEPS).astype(np.uint16),
        )

    def about(self, split: Split) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Say what the clips of a split are, (clips, labels), and of which it is known, (clips,).

        Of the others, nothing: zeros.
        """
        names = np.array([clip.name for clip in split.clips])
        places = np.searchsorted(self.recordings, names).clip(max=len(self.recordings) - 1)
        known = self.recordings[places] == names
        return np.where(known[:, None], self.said[places], np.float32(0)), known
