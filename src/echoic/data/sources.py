"""Sources: recordings of one length that are read by index.

`InMemorySource` holds all waveforms as an array, or maps them from a file: then the processes
that prepare batches share one copy. Whatever has the attributes of `Source` may take its place.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.audio import Waveform
from echoic.data.layout import DataError
from echoic.data.splits import Clip

logger = logging.getLogger(__name__)

MAX_DAMAGED = 0.005
"""Fraction of the recordings that may be damaged before a run stops."""


class Source(Protocol):
    """Recordings of one length, read by index."""

    def __len__(self) -> int: ...

    @property
    def n_samples(self) -> int:
        """Samples of each recording."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The word of each recording."""
        ...

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speaker of each recording."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each recording, ``word/file``."""
        ...

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """Return the waveforms of recordings, (n, samples)."""
        ...

    def share(self, file: Path) -> Source:
        """Return the same source in a form that is cheap to send to another process.

        It may write a file, which must exist for as long as the result is in use.
        """
        ...


@dataclass(frozen=True)
class InMemorySource:
    """Recordings as one array.

    Attributes
    ----------
    clips
        The recordings.
    array
        int16 waveforms of shape (clips, samples), or a file of numpy's that holds them and is
        mapped into memory when it is first read.
    """

    clips: tuple[Clip, ...]
    array: npt.NDArray[np.int16] | Path

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def waveforms(self) -> npt.NDArray[np.int16]:
        """The array, (clips, samples)."""
        if isinstance(self.array, Path):
            return np.asarray(np.load(self.array, mmap_mode="r"))
        return self.array

    @property
    def n_samples(self) -> int:
        """Samples of each recording."""
        return int(self.waveforms.shape[1])

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The word of each recording."""
        return tuple(clip.word for clip in self.clips)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """The speaker of each recording."""
        return tuple(clip.speaker for clip in self.clips)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each recording, ``word/file``."""
        return tuple(clip.name for clip in self.clips)

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """Return the waveforms of recordings, (n, samples)."""
        return self.waveforms[indices]

    def share(self, file: Path) -> InMemorySource:
        """Write the array to a file; the result maps it."""
        np.save(file, self.waveforms)
        return InMemorySource(self.clips, file)


def read_clips(
    clips: Sequence[Clip], n_samples: int, *, silence_is_damage: bool = True
) -> tuple[InMemorySource, tuple[str, ...]]:
    """Read recordings into memory, and leave out what is damaged.

    Recordings of another rate, width or number of channels are converted; of a recording that is
    too long the ``n_samples`` with the most energy are taken, a short one is followed by zeros.

    Returns
    -------
    source
        What could be read.
    damaged
        The reason for each recording that was left out; a warning names them.

    Raises
    ------
    DataError
        More than `MAX_DAMAGED` of the recordings cannot be used.
    """
    # In one thread: more gain nothing on files this short.
    waveforms = np.zeros((len(clips), n_samples), dtype=np.int16)
    kept: list[Clip] = []
    damaged: list[str] = []
    for clip in clips:
        try:
            waveform = audio.read(clip.path)
        except (audio.AudioError, OSError) as error:
            damaged.append(str(error))
            continue
        if silence_is_damage and not waveform.any():
            damaged.append(f"{clip.path} is digital silence.")
            continue
        waveforms[len(kept)] = audio.to_int16(
            audio.fix_length(_loudest(waveform, n_samples), n_samples)
        )
        kept.append(clip)
    if damaged:
        report = "\n  ".join(damaged)
        if len(damaged) > MAX_DAMAGED * len(clips):
            raise DataError(
                f"Expected at most {MAX_DAMAGED:.1%} damaged recordings, received {len(damaged)} "
                f"of {len(clips)}. Mend or remove them:\n  {report}"
            )
        logger.warning("%d of %d recordings left out:\n  %s", len(damaged), len(clips), report)
    return InMemorySource(tuple(kept), waveforms[: len(kept)]), tuple(damaged)


def _loudest(waveform: Waveform, n_samples: int) -> Waveform:
    """Return the ``n_samples`` with the most energy of a longer recording."""
    if len(waveform) <= n_samples:
        return waveform
    energy = np.cumsum(np.square(np.append(0, waveform), dtype=np.float64))
    start = int(np.argmax(energy[n_samples:] - energy[:-n_samples]))
    return waveform[start : start + n_samples]
