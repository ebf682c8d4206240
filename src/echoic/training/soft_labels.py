"""Soft labels in a file: what a model says of each recording of a data set.

With such a file a model teaches that is too large to keep, or too slow to run again
(``training.cache_teacher``). Each recording was scored as it is, without augmentation.
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
"""Probabilities are stored as multiples of 1 / 65,535, in 16 bits."""


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities by a model for recordings, by their names.

    A recording of another edition of the data with the same name counts as the same.

    Attributes
    ----------
    name
        The model's name.
    labels
        The model's labels.
    pretrained_sources
        Pretrained networks that the model learned from: names of `card.PRETRAINED`.
    recordings
        ``word/file``, (recordings,), ascending.
    probabilities
        (recordings, labels), float32.
    """

    name: str
    labels: tuple[str, ...]
    pretrained_sources: tuple[str, ...]
    recordings: npt.NDArray[np.str_]
    probabilities: npt.NDArray[np.float32]

    @classmethod
    def from_split(
        cls,
        split: Split,
        probabilities: npt.NDArray[np.float32],
        *,
        name: str,
        pretrained_sources: tuple[str, ...] = (),
    ) -> SoftLabels:
        """Keep the probabilities for each recording of a split, (recordings, labels)."""
        recordings, first = np.unique(split.source.names, return_index=True)
        return cls(name, split.labels, pretrained_sources, recordings, probabilities[first])

    @classmethod
    def load(cls, file: Path) -> SoftLabels:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        ValueError
            The file holds no soft labels.
        """
        try:
            with np.load(file) as kept:
                return cls(
                    file.stem,
                    tuple(kept["labels"].tolist()),
                    tuple(kept["pretrained_sources"].tolist()),
                    np.char.decode(kept["recordings"], "utf-8"),
                    kept["probabilities"].astype(np.float32) / _STEPS,
                )
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected {file} to hold soft labels, received another file ({error}). Write one "
                "with 'echoic soft-labels'."
            ) from error

    def save(self, file: Path) -> None:
        """Write a file of numpy's."""
        np.savez_compressed(
            file,
            labels=np.array(self.labels),
            pretrained_sources=np.array(self.pretrained_sources, dtype=np.str_),
            recordings=np.char.encode(self.recordings, "utf-8"),
            probabilities=np.round(self.probabilities * _STEPS).astype(np.uint16),
        )

    def of_split(self, split: Split) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return the probabilities for a split, (recordings, labels), and which are known.

        Those of unknown recordings are zeros.
        """
        names = np.array(split.source.names)
        places = np.searchsorted(self.recordings, names).clip(max=len(self.recordings) - 1)
        known = self.recordings[places] == names
        return np.where(known[:, None], self.probabilities[places], np.float32(0)), known
