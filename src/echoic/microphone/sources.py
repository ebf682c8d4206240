"""A source of sound: blocks, what happens to them, and the simplest one, a file."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from echoic import audio
from echoic.audio import SAMPLE_RATE, Waveform

BLOCK_SECONDS = 0.02
"""Duration (s) of a block: a hop of the models."""

LEVEL_SECONDS = 0.3
"""Stretch (s) that the level of a `Status` is of."""

QUIETEST = -120.0
"""The level (dBFS) that stands for digital silence."""

State = Literal["opening", "live", "muted", "lost", "frozen", "closed"]
Kind = Literal["live", "muted", "lost", "frozen", "dropped"]


@dataclass(frozen=True, eq=False)
class Block:
    """A stretch of sound.

    Attributes
    ----------
    samples
        float32 of shape (samples,), mono, 16,000 Hz.
    time
        Time of the first sample, in seconds since the stream began.
    gap
        Sound is missing before this block: a recognizer must be reset.
    """

    samples: Waveform
    time: float
    gap: bool = False

    @property
    def end(self) -> float:
        """When the last sample was over, in seconds since the stream began."""
        return self.time + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Event:
    """Something happened to a stream.

    Attributes
    ----------
    time
        Seconds since the stream began; the blocks up to it have been given.
    kind
        ``live`` (sound comes, at first or again), ``muted`` (digital silence), ``lost`` (the
        device is gone), ``frozen`` (the sound system hangs) or ``dropped`` (samples are missing).
    message
        The same for a person.
    """

    time: float
    kind: Kind
    message: str


@dataclass(frozen=True)
class Level:
    """How loud it is: the peak and the root of the mean square, in dB of full scale (1.0)."""

    peak: float = QUIETEST
    rms: float = QUIETEST


@dataclass(frozen=True)
class Status:
    """A snapshot of a stream.

    Attributes
    ----------
    state
        ``opening``, ``live``, ``muted``, ``lost``, ``frozen`` or ``closed``.
    device
        Name of the microphone or file.
    device_rate
        Samples a second that it gives (Hz); another than 16,000 is resampled.
    time
        Seconds since the stream began, at the end of the last block.
    blocks, samples
        What was given, at 16,000 Hz; ``time`` is ``(samples + dropped) / 16,000``.
    dropped
        Samples that are missing, at 16,000 Hz, for whatever reason.
    overflows
        How often the sound system reported lost samples, or a slow listener made the queue
        drop them.
    backlog
        How long ago the last block could have been given (s).
    latency
        What the sound system and the resampler hold back (s), as far as they say.
    level
        Of the last 0.3 s.
    restarts
        How often the device was opened again.
    """

    state: State
    device: str
    device_rate: int = SAMPLE_RATE
    time: float = 0.0
    blocks: int = 0
    samples: int = 0
    dropped: int = 0
    overflows: int = 0
    backlog: float = 0.0
    latency: float = 0.0
    level: Level = Level()
    restarts: int = 0

    @property
    def resampling(self) -> bool:
        """Whether the device has another rate than the models."""
        return self.device_rate != SAMPLE_RATE


class Source(ABC):
    """Sound, block by block, until it ends or `close` is called; use it in a ``with`` statement.

    One thread iterates. `status` and `close` may be called from any thread.

    Attributes
    ----------
    name
        Of the device or file.
    realtime
        Whether sound goes on while nobody takes it.
    """

    realtime = False

    def __init__(self, name: str, block_seconds: float) -> None:
        if not block_seconds * SAMPLE_RATE >= 1:
            raise ValueError(
                f"Expected blocks of at least one sample, received block_seconds={block_seconds}."
            )
        self.name = name
        self._state: State = "opening"
        self._blocks = self._samples = self._position = 0
        self._backlog = 0.0
        recent = max(round(LEVEL_SECONDS / block_seconds), 1)
        self._levels: deque[tuple[int, float, float]] = deque(maxlen=recent)

    @abstractmethod
    def __next__(self) -> Block: ...

    @abstractmethod
    def open(self) -> Self:
        """Begin to listen; ``with`` does it."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening; the iterator ends."""

    @property
    @abstractmethod
    def status(self) -> Status:
        """How the stream is doing."""

    def __iter__(self) -> Iterator[Block]:
        return self

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _give(self, samples: Waveform, *, gap: bool = False) -> Block:
        block = Block(samples, self._position / SAMPLE_RATE, gap)
        self._position += len(samples)
        self._samples += len(samples)
        self._blocks += 1
        power = float(np.dot(samples, samples))
        self._levels.append((len(samples), float(np.abs(samples).max()), power))
        return block

    def _level(self) -> Level:
        levels = list(self._levels)
        if not levels:
            return Level()
        lengths, peaks, powers = zip(*levels, strict=True)
        return Level(dbfs(max(peaks)), dbfs(math.sqrt(sum(powers) / sum(lengths))))


def dbfs(amplitude: float) -> float:
    return max(20 * math.log10(amplitude), QUIETEST) if amplitude > 0 else QUIETEST


class FileSource(Source):
    """A recording, block by block.

    Parameters
    ----------
    path
        Any file that `audio.read` reads.
    block_seconds
        Duration of a block (s); the last may be shorter.
    realtime
        Give each block when a microphone would: when its last sample is over.

    Raises
    ------
    FileNotFoundError, AudioError
        See `audio.read`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        block_seconds: float = BLOCK_SECONDS,
        realtime: bool = False,
    ) -> None:
        super().__init__(str(path), block_seconds)
        self._waveform = audio.read(path)
        self._hop = round(block_seconds * SAMPLE_RATE)
        self.realtime = realtime
        self._began = 0.0

    def open(self) -> FileSource:
        self._state = "live"
        self._began = time.monotonic()
        return self

    def close(self) -> None:
        self._state = "closed"

    def __next__(self) -> Block:
        if self._state == "opening":
            self.open()
        samples = self._waveform[self._position : self._position + self._hop]
        if self._state == "closed" or not len(samples):
            self.close()
            raise StopIteration
        if self.realtime:
            due = self._began + (self._position + len(samples)) / SAMPLE_RATE
            time.sleep(max(due - time.monotonic(), 0.0))
            self._backlog = time.monotonic() - due
        return self._give(samples)

    @property
    def status(self) -> Status:
        return Status(
            self._state,
            self.name,
            time=self._position / SAMPLE_RATE,
            blocks=self._blocks,
            samples=self._samples,
            backlog=self._backlog,
            level=self._level(),
        )
