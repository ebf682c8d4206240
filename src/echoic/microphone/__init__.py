"""Sound in blocks: a microphone and a file are the same iterator.

with Microphone() as source:  # or FileSource("stream.wav")
    for block in source:
        ...  # block.samples, block.time

A microphone outlives its sound system: when the device goes away, hangs or loses samples, the
iterator waits, reports it as an `Event`, opens the device again and goes on. What is missing is
counted, the clock jumps over it, and the block after it says ``gap``.
"""

from __future__ import annotations

import logging
import math
import queue
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from echoic.audio import SAMPLE_RATE, Resampler, Waveform
from echoic.microphone.portaudio import (
    OPEN_SECONDS,
    RESTART,
    Chunk,
    Device,
    MicrophoneError,
    Session,
    call_sound_system,
    devices,
    find_device,
    load,
    wait,
)
from echoic.microphone.sources import (
    BLOCK_SECONDS,
    Block,
    Event,
    FileSource,
    Kind,
    Level,
    Source,
    Status,
    dbfs,
)
from echoic.timeouts import POLL_SECONDS

__all__ = [
    "Block",
    "Device",
    "Event",
    "FileSource",
    "Level",
    "Microphone",
    "MicrophoneError",
    "Source",
    "Status",
    "call_sound_system",
    "devices",
    "find_device",
    "read_level",
]

logger = logging.getLogger(__name__)

QUEUE_SECONDS = 4.0
"""Sound (s) that waits for a slow listener before the older half of it is dropped."""

MUTED_SECONDS = 2.0
"""Exact zeros for longer (s) are no quiet room: a microphone has noise."""

FROZEN_SECONDS = 1.0
"""Without a callback for longer (s), the sound system hangs."""

GIVE_UP_SECONDS = 5.0
"""After hanging for longer (s), a stream is left behind and the device opened anew."""

RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Pauses (s) before the attempts to open a lost device; the last one repeats."""

LOST_SECONDS = 0.1
"""A stream that stays later than this (s) after a disturbance has lost what it is late by."""

DRIFT = 1e-3
"""How much slower than the computer's clock a sound card's may be (s/s)."""


class Microphone(Source):
    """A microphone, block by block, until `close`.

    The device is opened at 16,000 Hz or, where it refuses, at its own rate, and resampled. Of a
    device with two channels the mean is taken, of one with more the first.

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

    realtime = True

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
        is_index = isinstance(device, str) and device.isdecimal()
        self._request = int(device) if is_index else device  # type: ignore[arg-type]
        self._block_seconds = block_seconds
        self._limit = max(round(queue_seconds / block_seconds), 2)
        self._on_event = on_event or _log
        self._backend = backend
        self._clock = clock
        self._closed = False
        self._session: Session | None = None
        self._current: Session | None = None
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
        self._resampler = Resampler(SAMPLE_RATE)
        self._dropped = self._overflows = self._restarts = 0

    def open(self) -> Microphone:
        if self._session is not None:
            raise MicrophoneError("A microphone is opened once. Make another one.")
        self._backend = self._backend or call_sound_system(load)
        try:
            session = self._begin()
            if not wait(session.ready, OPEN_SECONDS):
                raise MicrophoneError(
                    f"The sound system has not answered for {OPEN_SECONDS:g} s. {RESTART}"
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
                chunk = self._session.queue.get(timeout=POLL_SECONDS)
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
        session = self._current or self._session
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
            latency=(session.latency if session else 0.0) + self._resampler.delay,
            level=self._level(),
            restarts=self._restarts,
        )

    def _begin(self, *, refresh: bool = False) -> Session:
        def find() -> Device:
            if isinstance(self._request, int) and (last := self._device):
                # Indexes change when devices come and go; what was meant is this one.
                for device in devices(backend=self._backend):
                    if (device.name, device.api) == (last.name, last.api):
                        return device
                raise MicrophoneError(f"{last.name} is not there.")
            return find_device(self._request, backend=self._backend)

        self._retry_at = None
        self._session = Session(
            self._backend, find, self._block_seconds, self._limit, self._clock, refresh=refresh
        )
        if self._closed:  # by another thread, which may not have seen this session
            self._session.stop()
        return self._session

    def _watch(self, session: Session) -> None:
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
        elif session.ready.is_set() and (silent := now - session.alive) > FROZEN_SECONDS:
            if self._state != "frozen":
                self._enter("frozen", f"{self._called}: the sound system hangs. Waiting for it.")
            if silent > GIVE_UP_SECONDS:
                session.stop()
                self._begin()

    def _take(self, session: Session, chunk: Chunk) -> Waveform:
        """Make samples of what the device gave, and find out what is missing before them."""
        duration = len(chunk.samples) / session.rate
        since, self._arrived = chunk.arrived - self._arrived, chunk.arrived
        if session is not self._current:
            self._meet(session, chunk, chunk.arrived - duration)
        elif chunk.frame != self._frame:
            self._skip(session, chunk.frame)
        else:
            self._settle(session, chunk, since, duration)
        self._frame = chunk.frame + len(chunk.samples)
        if chunk.samples.any():
            self._zeros = 0.0
            if self._state == "muted":
                self._enter("live", f"{self._called} gives sound again.")
        else:
            self._zeros += duration
            if self._zeros > MUTED_SECONDS and self._state == "live":
                what = "seems to be muted (digital silence); see its switch and its permissions"
                self._enter("muted", f"{self._called} {what}.")
        mono: Waveform = np.ascontiguousarray(chunk.samples.mean(axis=1, dtype=np.float32))
        return self._resampler.process(mono)

    def _meet(self, session: Session, chunk: Chunk, began: float) -> None:
        """Begin the stream, or continue it with a device that was opened again."""
        before, self._device = self._device, session.device
        at = f"at {session.rate:,} Hz"
        if self._current is None:
            self._origin = began - chunk.frame / session.rate
            self._splice(session, 0, 0)
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
        first, self._current = self._current is None, session
        self._failures = 0
        self._enter("live", message)
        if first and chunk.frame:
            self._skip(session, chunk.frame)

    def _skip(self, session: Session, frame: int) -> None:
        """Jump over what the queue has dropped."""
        self._overflows += 1
        before = self._position
        self._splice(session, frame, self._at(session, frame))
        missing = (self._position - before) / SAMPLE_RATE
        self._emit("dropped", f"The listener is too slow: {missing:.1f} s were dropped.")

    def _settle(self, session: Session, chunk: Chunk, since: float, duration: float) -> None:
        """Find out what was lost while the sound system hung, or when it says that it lost some.

        Its length is not reported. After the burst in which a system hands over what it could
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
                self._emit("dropped", f"The sound system lost {late:.1f} s.")
        if chunk.overflow:
            self._overflows += 1
        if chunk.overflow or since > FROZEN_SECONDS:
            self._unsettled = self._gap = True
            self._zeros = 0.0
        if self._state == "frozen":
            self._enter("live", f"{self._called} goes on after {since:.1f} s.")

    def _at(self, session: Session, frame: int) -> int:
        """Where a frame of the device is in the stream (samples at 16,000 Hz)."""
        frame_0, position = self._anchor
        return position + round((frame - frame_0) * SAMPLE_RATE / session.rate)

    def _splice(self, session: Session, frame: int, position: int) -> None:
        """Continue the stream at ``position`` with a device's frame; the clock never goes back."""
        position = max(position, self._position)
        self._dropped += position - self._position
        self._position = position
        self._anchor = (frame, position)
        self._gap = True
        self._zeros = 0.0
        self._resampler = Resampler(session.rate)

    def _measure(self, session: Session, chunk: Chunk) -> None:
        """Note how late a block is given."""
        end = self._at(session, chunk.frame + len(chunk.samples))
        self._backlog = max(self._clock() - self._origin - end / SAMPLE_RATE, 0.0)

    @property
    def _called(self) -> str:
        return self._device.name if self._device else self.name

    def _enter(self, state: Literal["live", "muted", "lost", "frozen"], message: str) -> None:
        self._state = state
        self._emit(state, message)

    def _emit(self, kind: Kind, message: str) -> None:
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
            raise MicrophoneError(
                f"{event.message.removesuffix(' Waiting for it.')} Restart the sound system, or "
                "unplug the microphone and plug it in again."
            )

    with Microphone(device, on_event=refuse, backend=backend) as source:
        blocks: list[Waveform] = []
        for block in source:
            blocks.append(block.samples)
            if source.status.samples >= seconds * SAMPLE_RATE:
                break
        status = source.status
    samples = np.concatenate(blocks)
    rms = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))))
    return Level(dbfs(float(np.abs(samples).max())), dbfs(rms)), status


def _log(event: Event) -> None:
    logger.log(logging.INFO if event.kind == "live" else logging.WARNING, event.message)


def _explained(error: Exception) -> MicrophoneError:
    return error if isinstance(error, MicrophoneError) else MicrophoneError(str(error))
