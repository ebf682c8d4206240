"""PortAudio: the list of microphones, and one opened on a thread that can be left behind."""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from echoic.audio import SAMPLE_RATE
from echoic.timeouts import POLL_SECONDS, CallTimeoutError, call_with_timeout

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""Longest time (s) to wait for a stream to close; one that hangs is left behind."""

OPEN_SECONDS = 15.0
"""Longest time (s) that the sound system may take to say what there is, and to open a device."""

Result = TypeVar("Result")


class MicrophoneError(RuntimeError):
    """A microphone that gives no sound; the message says why and what to do."""


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


def call_sound_system(call: Callable[[], Result], *, seconds: float = OPEN_SECONDS) -> Result:
    """Call a function of the sound system, which may hang.

    Parameters
    ----------
    call
        What to call; what it raises is raised here.
    seconds
        How long to wait for it (s).

    Raises
    ------
    MicrophoneError
        It has not returned.
    """
    try:
        return call_with_timeout(call, seconds=seconds, what="The sound system")
    except CallTimeoutError as error:
        raise MicrophoneError(f"{error} {RESTART}") from error


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
    backend = backend or load()
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


class Chunk(NamedTuple):
    """What one callback brought: (frames, channels), its first frame's number, when it came."""

    samples: npt.NDArray[np.float32]
    frame: int
    arrived: float
    overflow: bool


class Session:
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
        self.queue: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
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
        self._close_seconds = CLOSE_SECONDS
        self._stop = threading.Event()
        _sessions.add(self)
        threading.Thread(target=self._run, name="echoic microphone", daemon=True).start()

    def stop(self) -> None:
        """Ask for the end; `closed` tells when it has come."""
        self._stop.set()

    def close(self) -> bool:
        """Ask for the end and wait for it, once; whether it has come."""
        self.stop()
        seconds, self._close_seconds = self._close_seconds, 0.0
        return wait(self.closed, seconds)

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
            # With a stream open elsewhere, PortAudio would take it down or hang with it: another
            # microphone's, or the last that sounddevice played, which stays open.
            with suppress(Exception):
                self._backend.stop()
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
                    callback=self._on_chunk,
                    finished_callback=self.over.set,
                )
            except self._backend.PortAudioError as error:
                refusal = refusal or error
            else:
                self.device, self.rate = device, rate
                # JACK's is sometimes hours.
                self.latency = stream.latency if 0 <= stream.latency < 10 else 0.0
                return stream
        raise MicrophoneError(f"{device.name} cannot be opened: {refusal}") from refusal

    def _on_chunk(self, samples: npt.NDArray[np.float32], frames: int, _: Any, flags: Any) -> None:
        # In PortAudio's thread: a late return loses samples, an exception would be printed.
        try:
            if self.queue.qsize() >= self._limit:
                # Half at once: one gap, not one before each block.
                with suppress(queue.Empty):
                    for _ in range(self._limit // 2):
                        self.queue.get_nowait()
            self.alive = self._clock()
            overflow = bool(flags.input_overflow)
            self.queue.put(Chunk(samples.copy(), self._frame, self.alive, overflow))
            self._frame += frames
        except Exception as error:
            self.error = error
            raise self._backend.CallbackAbort from error


_sessions: set[Session] = set()


def _leave() -> None:
    """Close what is open as the program ends; what hangs must not keep it from ending."""
    ended = [session.close() for session in list(_sessions)]
    if all(ended):
        return
    import ctypes

    import sounddevice

    atexit.unregister(sounddevice._exit_handler)  # it would wait for the stream for ever
    ctypes.CDLL(sounddevice._libname)  # stays loaded: PortAudio's thread is still in it


def wait(event: threading.Event, seconds: float) -> bool:
    """Wait for an event in slices."""
    end = time.monotonic() + seconds
    while not event.wait(POLL_SECONDS):
        if time.monotonic() > end:
            return event.is_set()
    return True


def load() -> Any:
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


RESTART = "Restart it, or unplug the microphone and plug it in again."
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
