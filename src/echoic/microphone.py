"""Sound as it comes: a microphone and a file are the same iterator of blocks.

with Microphone() as source:  # or FileSource("stream.wav")
    for block in source:
        ...  # block.samples, block.time

A microphone outlives its sound system: when the device goes away, hangs or loses samples, the
iterator waits, reports it as an `Event`, opens the device again and goes on. What is missing is
counted, the clock jumps over it, and the block after it says ``gap``.
"""

from __future__ import annotations

import atexit
import logging
import math
import queue
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.audio import SAMPLE_RATE, Waveform

logger = logging.getLogger(__name__)

BLOCK_SECONDS = 0.02
"""Duration (s) of a block: a hop of the models."""

QUEUE_SECONDS = 4.0
"""Sound (s) that waits for a slow listener before the older half of it is dropped."""

RESAMPLER = "HQ"
"""soxr's quality: the one that files are read with. It holds back up to 40 ms in blocks of 20 ms;
the quicker "LQ" holds back 20 ms and takes 13 dB from 7 kHz, where the models expect fricatives."""

MUTED_SECONDS = 2.0
"""Exact zeros for longer (s) are no quiet room: a microphone has noise."""

FROZEN_SECONDS = 1.0
"""Without a callback for longer (s), the sound system hangs."""

GIVE_UP_SECONDS = 5.0
"""After hanging for longer (s), a stream is left behind and the device opened anew."""

OPEN_SECONDS = 15.0
"""Longest time (s) that the first opening may take."""

CLOSE_SECONDS = 2.0
"""Longest time (s) to wait for a stream to close; one that hangs is left behind."""

RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Pauses (s) before the attempts to open a lost device; the last one repeats."""

LOST_SECONDS = 0.1
"""A stream that stays later than this (s) after a disturbance has lost what it is late by."""

DRIFT = 1e-3
"""How much slower than the computer's clock a sound card's may be (s/s)."""

LEVEL_SECONDS = 0.3
"""Stretch (s) that the level of a `Status` is of."""

QUIETEST = -120.0
"""The level (dBFS) that stands for digital silence."""

_POLL_SECONDS = 0.05
# Waiting is done in slices: on Windows Ctrl-C does not end a wait for a lock.

State = Literal["opening", "live", "muted", "lost", "frozen", "closed"]
Kind = Literal["live", "muted", "lost", "frozen", "dropped"]


class MicrophoneError(RuntimeError):
    """A microphone that cannot be heard; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class Block:
    """A stretch of sound.

    Attributes
    ----------
    samples
        float32 of shape (samples,), mono, 16,000 Hz.
    time
        When the first sample was heard, in seconds since the stream began.
    gap
        Sound is missing before this block: a recognizer must forget what it heard.
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
        How often the sound system said that it lost samples, or a slow listener made the queue
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


@dataclass(frozen=True)
class Device:
    """A microphone.

    Attributes
    ----------
    index
        PortAudio's number for it; another one after a device came or went.
    name
        What the system calls it.
    api
        The system's interface to it, such as ``ALSA`` or ``Windows WASAPI``.
    channels
        Most channels that it records.
    rate
        Samples a second (Hz) that it prefers.
    default
        Whether the system takes this one when none is named.
    """

    index: int
    name: str
    api: str
    channels: int
    rate: int
    default: bool


def devices(*, backend: Any = None) -> list[Device]:
    """List the microphones.

    Parameters
    ----------
    backend
        A module like ``sounddevice``, which is the default.

    Raises
    ------
    MicrophoneError
        PortAudio is missing.
    """
    backend = backend or _sounddevice()
    apis = [api["name"] for api in backend.query_hostapis()]
    default = backend.default.device[0]
    return [
        Device(
            index,
            device["name"],
            apis[device["hostapi"]],
            device["max_input_channels"],
            round(device["default_samplerate"]),
            index == default,
        )
        for index, device in enumerate(backend.query_devices())
        if device["max_input_channels"] > 0
    ]


def find_device(device: int | str | None = None, *, backend: Any = None) -> Device:
    """Find a microphone.

    Parameters
    ----------
    device
        Its index, its name or a part of its name (case does not matter); None means the
        system's default. A device that several interfaces of the system offer is taken from the
        default's.
    backend
        A module like ``sounddevice``, which is the default.

    Raises
    ------
    MicrophoneError
        There is none, none is like that, or several are.
    """
    known = devices(backend=backend)
    if not known:
        raise MicrophoneError(f"There is no microphone. {_NO_DEVICE}")
    if device is None:
        found = [d for d in known if d.default]
        wanted = "a default microphone"
    elif isinstance(device, int) or device.isdecimal():
        found = [d for d in known if d.index == int(device)]
        wanted = f"a microphone with index {device}"
    else:
        name = device.casefold()
        found = [d for d in known if d.name.casefold() == name] or [
            d for d in known if name in d.name.casefold()
        ]
        wanted = f"a microphone named like {device!r}"
    if len(found) > 1:
        api = next((d.api for d in known if d.default), None)
        same = [d for d in found if d.api == api]
        found = same if len(same) == 1 else found
    if len(found) == 1:
        return found[0]
    if found:
        raise MicrophoneError(
            f"Expected one microphone, received {device!r}, which {len(found)} are named like:\n"
            f"{_listed(found)}\nName more of it, or its index."
        )
    raise MicrophoneError(f"Expected {wanted}; there are:\n{_listed(known)}")


def _listed(found: Iterable[Device]) -> str:
    return "\n".join(
        f"  {d.index}  {d.name} ({d.api}, {d.channels} ch, {d.rate:,} Hz)" for d in found
    )


class Source(ABC):
    """Sound, block by block, until it ends or `close` is called; use it in a ``with`` statement.

    One thread iterates. `status` and `close` may be called from any thread.
    """

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
        return Level(_dbfs(max(peaks)), _dbfs(math.sqrt(sum(powers) / sum(lengths))))


def _dbfs(amplitude: float) -> float:
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
        Give each block when a microphone would: when its last sample has been heard.

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
        self._realtime = realtime
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
        if self._realtime:
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


class Microphone(Source):
    """A microphone, block by block, until `close`.

    The device is opened at 16,000 Hz or, where it refuses, at its own rate, and resampled. Of a
    device with two channels the mean is heard, of one with more the first.

    Parameters
    ----------
    device
        See `find_device`. After a loss the same device is looked for again; None is whatever the
        system's default is by then.
    block_seconds
        Duration of a block (s); where the sound is resampled, of most blocks roughly.
    queue_seconds
        Sound (s) that waits for a slow listener; then the older half is dropped.
    on_event
        Called in the listening thread, in order with the blocks; None means to log.
    backend
        A module like ``sounddevice``, which is the default.
    clock
        Monotonic seconds.

    Raises
    ------
    MicrophoneError
        By `open`: PortAudio is missing, there is no such device, or it cannot be opened.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        block_seconds: float = BLOCK_SECONDS,
        queue_seconds: float = QUEUE_SECONDS,
        on_event: Callable[[Event], None] | None = None,
        backend: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("default" if device is None else str(device), block_seconds)
        self._request = device
        self._block_seconds = block_seconds
        self._limit = max(round(queue_seconds / block_seconds), 2)
        self._on_event = on_event or _log
        self._backend = backend
        self._clock = clock
        self._closed = False
        self._session: _Session | None = None
        self._heard: _Session | None = None
        self._device: Device | None = None
        self._failures = 0
        self._retry_at: float | None = None
        # The stream's clock: `_position` is the next sample to give; the device's frame
        # `_anchor[0]` is sample `_anchor[1]`; sample 0 was at `_origin` on the computer's clock.
        self._origin = 0.0
        self._anchor = (0, 0)
        self._frame = 0
        self._arrived = 0.0
        self._unsettled = False
        self._gap = False
        self._zeros = 0.0
        self._resampler: Any = None
        self._held_back = 0.0
        self._dropped = self._overflows = self._restarts = 0

    def open(self) -> Microphone:
        if self._session is not None:
            raise MicrophoneError("A microphone is opened once. Make another one.")
        self._backend = self._backend or _sounddevice()
        try:
            session = self._begin()
            if not _wait(session.ready, OPEN_SECONDS):
                raise MicrophoneError(
                    f"The sound system has not answered for {OPEN_SECONDS:.0f} s. Restart it, or "
                    "unplug the microphone and plug it in again."
                )
            if session.error:
                raise _explained(session.error) from session.error
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        self._closed = True
        if self._session and not self._session.close():
            logger.warning("The sound system hangs; the stream is left behind.")

    def __next__(self) -> Block:
        if self._session is None:
            self.open()
        while not self._closed:
            assert self._session
            try:
                chunk = self._session.queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                self._watch(self._session)
            else:
                samples = self._take(self._session, chunk)
                if len(samples):
                    gap, self._gap = self._gap, False
                    block = self._give(samples, gap=gap)
                    self._measure(self._session, chunk)
                    return block
        raise StopIteration

    @property
    def status(self) -> Status:
        session = self._heard or self._session
        return Status(
            "closed" if self._closed else self._state,
            self._device.name if self._device else self.name,
            session.rate if session else SAMPLE_RATE,
            time=self._position / SAMPLE_RATE,
            blocks=self._blocks,
            samples=self._samples,
            dropped=self._dropped,
            overflows=self._overflows,
            backlog=self._backlog,
            latency=(session.latency if session else 0.0) + self._held_back,
            level=self._level(),
            restarts=self._restarts,
        )

    def _begin(self, *, refresh: bool = False) -> _Session:
        def find() -> Device:
            if isinstance(self._request, int) and (last := self._device):
                # Indexes change when devices come and go; what was meant is this one.
                for device in devices(backend=self._backend):
                    if (device.name, device.api) == (last.name, last.api):
                        return device
                raise MicrophoneError(f"{last.name} is not there.")
            return find_device(self._request, backend=self._backend)

        self._retry_at = None
        self._session = _Session(
            self._backend, find, self._block_seconds, self._limit, self._clock, refresh=refresh
        )
        if self._closed:  # by another thread, which may not have seen this session
            self._session.stop()
        return self._session

    def _watch(self, session: _Session) -> None:
        """Look after a stream that gives nothing."""
        now = self._clock()
        if session.over.is_set() and not self._closed:
            if self._retry_at is None:
                session.stop()
                pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
                self._failures += 1
                self._retry_at = now + pause
                logger.debug("%s: %s", self.name, session.error or "the stream ended")
                if self._state != "lost":
                    reason = f" ({session.error})" if session.error else ""
                    self._enter("lost", f"{self._called} is gone{reason}. Waiting for it.")
            elif now >= self._retry_at and (
                session.closed.is_set() or now - self._retry_at > GIVE_UP_SECONDS
            ):
                # PortAudio lists the devices once. A server that was started again needs no new
                # list, a device that was plugged in again does.
                self._begin(refresh=self._failures > 1)
        elif (silent := now - session.alive) > FROZEN_SECONDS:
            if self._state != "frozen":
                self._enter("frozen", f"{self._called}: the sound system hangs. Waiting for it.")
            if silent > GIVE_UP_SECONDS and session.ready.is_set():
                session.stop()
                self._begin()

    def _take(self, session: _Session, chunk: _Chunk) -> Waveform:
        """Make samples of what the device gave, and find out what is missing before them."""
        duration = len(chunk.samples) / session.rate
        since, self._arrived = chunk.arrived - self._arrived, chunk.arrived
        if session is not self._heard:
            self._meet(session, chunk, chunk.arrived - duration)
        elif chunk.frame != self._frame:
            self._overflows += 1
            self._splice(session, chunk.frame, self._at(session, chunk.frame))
            missing = (chunk.frame - self._frame) / session.rate
            self._tell("dropped", f"The listener is too slow: {missing:.1f} s were dropped.")
        else:
            self._settle(session, chunk, since, duration)
        self._frame = chunk.frame + len(chunk.samples)
        if chunk.samples.any():
            self._zeros = 0.0
            if self._state == "muted":
                self._enter("live", f"{self._called} is heard again.")
        else:
            self._zeros += duration
            if self._zeros > MUTED_SECONDS and self._state == "live":
                self._enter("muted", f"{self._called} seems to be muted: digital silence.")
        mono: Waveform = np.ascontiguousarray(chunk.samples.mean(axis=1, dtype=np.float32))
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(mono)
        return mono

    def _meet(self, session: _Session, chunk: _Chunk, began: float) -> None:
        """Begin the stream, or continue it with a device that was opened again."""
        before, self._device = self._device, session.device
        at = f"at {session.rate:,} Hz"
        if self._heard is None:
            self._origin = began
            self._splice(session, chunk.frame, 0)
            self._gap = False
            message = f"Listening to {self._called} {at}."
        else:
            self._restarts += 1
            silent = began - self._origin - self._position / SAMPLE_RATE
            self._splice(session, chunk.frame, round((began - self._origin) * SAMPLE_RATE))
            same = before and session.device and before.name == session.device.name
            message = f"{self._called} is back after {max(silent, 0):.1f} s, {at}."
            if not same and before:
                message = f"Listening to {self._called} {at}; {before.name} is gone."
        self._heard = session
        self._failures = 0
        self._enter("live", message)

    def _settle(self, session: _Session, chunk: _Chunk, since: float, duration: float) -> None:
        """Find out what was lost while the sound system hung, or when it says that it lost some.

        Nothing tells how much it was. After the burst in which a system hands over what it could
        keep, the stream is as late as what it could not keep is long.
        """
        end = self._at(session, chunk.frame + len(chunk.samples)) / SAMPLE_RATE
        self._origin += DRIFT * duration
        late = chunk.arrived - self._origin - end
        if late < 0:
            self._origin, late = self._origin + late, 0.0
        if self._unsettled and since > duration / 2:
            self._unsettled = False
            if late > LOST_SECONDS:
                start = self._at(session, chunk.frame) + round(late * SAMPLE_RATE)
                self._splice(session, chunk.frame, start)
                self._tell("dropped", f"The sound system lost {late:.1f} s.")
        if chunk.overflow:
            self._overflows += 1
        if chunk.overflow or since > FROZEN_SECONDS:
            self._unsettled = self._gap = True
            self._zeros = 0.0
        if self._state == "frozen":
            self._enter("live", f"{self._called} goes on after {since:.1f} s.")

    def _at(self, session: _Session, frame: int) -> int:
        """Where a frame of the device is in the stream (samples at 16,000 Hz)."""
        frame_0, position = self._anchor
        return position + round((frame - frame_0) * SAMPLE_RATE / session.rate)

    def _splice(self, session: _Session, frame: int, position: int) -> None:
        """Continue the stream at ``position`` with a device's frame; the clock never goes back."""
        position = max(position, self._position)
        self._dropped += position - self._position
        self._position = position
        self._anchor = (frame, position)
        self._gap = True
        self._zeros = 0.0
        self._resampler = None
        if session.rate != SAMPLE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(
                session.rate, SAMPLE_RATE, 1, dtype="float32", quality=RESAMPLER
            )

    def _measure(self, session: _Session, chunk: _Chunk) -> None:
        """Note what waits in the resampler and how late a block is given."""
        end = self._at(session, chunk.frame + len(chunk.samples))
        if self._resampler is not None:
            self._held_back = max(self._held_back, (end - self._position) / SAMPLE_RATE)
        self._backlog = max(self._clock() - self._origin - end / SAMPLE_RATE, 0.0)

    @property
    def _called(self) -> str:
        return self._device.name if self._device else self.name

    def _enter(self, state: Literal["live", "muted", "lost", "frozen"], message: str) -> None:
        self._state = state
        self._tell(state, message)

    def _tell(self, kind: Kind, message: str) -> None:
        self._on_event(Event(self._position / SAMPLE_RATE, kind, message))


def read_level(
    device: int | str | None = None, *, seconds: float = 2.0, backend: Any = None
) -> tuple[Level, Status]:
    """Listen for a moment.

    Returns
    -------
    Level
        Of the whole stretch; -120 dBFS is digital silence, as of a muted microphone.
    Status
        At its end: the device, its rate and latency, what was dropped.

    Raises
    ------
    MicrophoneError
        The microphone cannot be opened, or sound does not come.
    """

    def refuse(event: Event) -> None:
        if event.kind in ("lost", "frozen"):
            raise MicrophoneError(event.message)

    with Microphone(device, on_event=refuse, backend=backend) as source:
        heard: list[Waveform] = []
        for block in source:
            heard.append(block.samples)
            if source.status.samples >= seconds * SAMPLE_RATE:
                break
        status = source.status
    samples = np.concatenate(heard)
    rms = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))))
    return Level(_dbfs(float(np.abs(samples).max())), _dbfs(rms)), status


def _log(event: Event) -> None:
    logger.log(logging.INFO if event.kind == "live" else logging.WARNING, event.message)


# --- PortAudio ---------------------------------------------------------------------------------


class _Chunk(NamedTuple):
    """What one callback brought: (frames, channels), its first frame's number, when it came."""

    samples: npt.NDArray[np.float32]
    frame: int
    arrived: float
    overflow: bool


class _Session:
    """One opening of a device, on a thread of its own: any call of PortAudio may never return.

    Attributes
    ----------
    queue
        The chunks.
    ready
        Set when the stream runs or cannot be opened.
    over
        Set when it gives no more: it cannot be opened, or has ended by itself.
    closed
        Set when nothing is left of it.
    alive
        When it last did something, on ``clock``.
    """

    def __init__(
        self,
        backend: Any,
        find: Callable[[], Device],
        block_seconds: float,
        limit: int,
        clock: Callable[[], float],
        *,
        refresh: bool,
    ) -> None:
        self.queue: queue.SimpleQueue[_Chunk] = queue.SimpleQueue()
        self.ready, self.over, self.closed = (threading.Event() for _ in range(3))
        self.error: Exception | None = None
        self.device: Device | None = None
        self.rate = SAMPLE_RATE
        self.latency = 0.0
        self.alive = clock()
        self._backend = backend
        self._find = find
        self._block_seconds = block_seconds
        self._limit = limit
        self._clock = clock
        self._refresh = refresh
        self._frame = 0
        self._patience = CLOSE_SECONDS
        self._stop = threading.Event()
        _sessions.add(self)
        threading.Thread(target=self._run, name="echoic microphone", daemon=True).start()

    def stop(self) -> None:
        """Ask for the end; `closed` tells when it has come."""
        self._stop.set()

    def close(self) -> bool:
        """Ask for the end and wait for it, once; whether it has come."""
        self.stop()
        patience, self._patience = self._patience, 0.0
        return _wait(self.closed, patience)

    def _run(self) -> None:
        stream = None
        try:
            stream = self._open()
            if not self._stop.is_set():
                stream.start()
                self.alive = self._clock()
                self.ready.set()
                self._stop.wait()
        except Exception as error:
            self.error = error
        finally:
            self.over.set()
            self.ready.set()
            try:
                if stream is not None:
                    stream.stop()
                    stream.close()
            except Exception as error:
                logger.debug("Closing the stream: %s", error)
            finally:
                _sessions.discard(self)
                self.closed.set()

    def _open(self) -> Any:
        if self._refresh and _sessions == {self}:
            # With a stream open elsewhere, PortAudio would take it down or hang with it.
            self._backend._terminate()
            self._backend._initialize()
        device = self._find()
        # Many devices of servers claim dozens of channels and fill them with copies.
        few = device.channels if device.channels <= 2 else 1
        refusal = None
        for rate, channels in dict.fromkeys(
            (rate, channels)
            for channels in (few, device.channels)
            for rate in (SAMPLE_RATE, device.rate)
        ):
            try:
                stream = self._backend.InputStream(
                    samplerate=rate,
                    blocksize=max(round(rate * self._block_seconds), 1),
                    device=device.index,
                    channels=channels,
                    dtype="float32",
                    callback=self._hear,
                    finished_callback=self.over.set,
                )
            except self._backend.PortAudioError as error:
                refusal = refusal or error
            else:
                self.device, self.rate, self.latency = device, rate, float(stream.latency)
                return stream
        raise MicrophoneError(f"{device.name} cannot be opened: {refusal}") from refusal

    def _hear(self, samples: npt.NDArray[np.float32], frames: int, _: Any, flags: Any) -> None:
        # In PortAudio's thread: a late return loses samples, an exception would be printed.
        try:
            if self.queue.qsize() >= self._limit:
                # Half at once: one gap, not one before each block.
                with suppress(queue.Empty):
                    for _ in range(self._limit // 2):
                        self.queue.get_nowait()
            self.alive = self._clock()
            overflow = bool(flags.input_overflow)
            self.queue.put(_Chunk(samples.copy(), self._frame, self.alive, overflow))
            self._frame += frames
        except Exception as error:
            self.error = error
            raise self._backend.CallbackAbort from error


_sessions: set[_Session] = set()


def _leave() -> None:
    """Close what is open as the program ends; what hangs must not keep it from ending."""
    ended = [session.close() for session in list(_sessions)]
    if all(ended):
        return
    import ctypes

    import sounddevice

    atexit.unregister(sounddevice._exit_handler)  # it would wait for the stream for ever
    ctypes.CDLL(sounddevice._libname)  # stays loaded: PortAudio's thread is still in it


def _wait(event: threading.Event, seconds: float) -> bool:
    """Wait for an event in slices."""
    end = time.monotonic() + seconds
    while not event.wait(_POLL_SECONDS):
        if time.monotonic() > end:
            return event.is_set()
    return True


def _sounddevice() -> Any:
    """Import sounddevice, and be the first to clean up when the program ends."""
    try:
        import sounddevice
    except ImportError as error:
        raise MicrophoneError(f"{error}. Install it: pip install sounddevice") from error
    except OSError as error:
        raise MicrophoneError(
            f"PortAudio, which reads the microphone, is missing ({error}). {_NO_PORTAUDIO}"
        ) from error
    atexit.unregister(_leave)
    atexit.register(_leave)
    return sounddevice


def _explained(error: Exception) -> MicrophoneError:
    return error if isinstance(error, MicrophoneError) else MicrophoneError(str(error))


_NO_PORTAUDIO = (
    "Install it: apt install libportaudio2 (Debian, Ubuntu), dnf install portaudio (Fedora), "
    "pacman -S portaudio (Arch), brew install portaudio (macOS); on Windows: pip install "
    "--force-reinstall sounddevice."
)
_NO_DEVICE = {
    "darwin": "Plug one in, and allow the terminal to use it: System Settings, Privacy & "
    "Security, Microphone.",
    "win32": "Plug one in, and allow desktop apps to use it: Settings, Privacy & security, "
    "Microphone.",
}.get(
    sys.platform,
    "Plug one in; with PulseAudio or PipeWire install ALSA's way to it: apt install "
    "libasound2-plugins (Debian, Ubuntu), dnf install alsa-plugins-pulseaudio (Fedora). A "
    "container sees no microphone of its host.",
)
