"""Speech and chimes, half-duplex: what is played is not listened to."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np

from echoic.audio import SAMPLE_RATE, Waveform
from echoic.live.listener import Listener
from echoic.microphone import Block, Source, call_sound_system

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.3
"""Time (s) after the end of playback in which sound is still discarded: the room reverberates, and
buffers delay the sound on both ways."""

PLAY_SECONDS = 2.0
"""Longest time (s) until the sound system has accepted a sound."""

START_SECONDS = 0.2
"""Longest time (s) until a sound card begins to play."""

CHIMES = {"wake": (660.0, 880.0), "done": (880.0, 1320.0), "sleep": (440.0, 330.0)}
"""Frequencies (Hz) of the two notes of each chime."""

PROGRAM_SECONDS = 10.0
"""Longest time (s) that a speech program needs beside its words."""

WORD_SECONDS = 1.0
"""Longest time (s) that it needs for a word."""


def speech_program() -> tuple[str, ...] | None:
    """Return espeak-ng and its arguments; None where it is not installed."""
    program = shutil.which("espeak-ng")
    return (program, "--stdin") if program else None


def chime(name: str, *, seconds: float = 0.09, level: float = 0.15) -> Waveform:
    """Synthesize one of `CHIMES`.

    Parameters
    ----------
    name
        A key of `CHIMES`.
    seconds
        Length (s) of each of its two notes.
    level
        Peak amplitude, of at most 1.

    Returns
    -------
    np.ndarray [shape=(samples,), dtype=float32]
        At 16 kHz.
    """
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = level * np.sin(np.pi * t / seconds) ** 2
    notes = [envelope * np.sin(2 * np.pi * frequency * t) for frequency in CHIMES[name]]
    return np.concatenate(notes, dtype=np.float32)


def loudspeaker(samples: Waveform) -> None:
    """Start to play samples (16 kHz, mono) through the system's default output.

    Raises
    ------
    MicrophoneError
        The sound system hangs.
    """
    import sounddevice

    call_sound_system(lambda: sounddevice.play(samples, SAMPLE_RATE), seconds=PLAY_SECONDS)


class Voice:
    """Speaks text by a program of the system, plays chimes, and knows until when they are audible.

    A context manager: leaving it ends the speech. Without a program there is no speech.

    Parameters
    ----------
    command
        Program and arguments that speak the UTF-8 text on stdin and end with the speech; None means
        `speech_program`, an empty sequence no program.
    play
        Starts to play samples, such as `loudspeaker`; None means no chimes.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        *,
        command: Sequence[str] | None = None,
        play: Callable[[Waveform], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = list((speech_program() or ()) if command is None else command)
        self._play = play
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0
        self._quiet_at = -float("inf")

    @property
    def silent(self) -> bool:
        """Whether there is no program that speaks."""
        return not self._command

    @property
    def speaking(self) -> bool:
        """Whether the program speaks at this moment."""
        process = self._process
        if process is None:
            return False
        if process.poll() is None and self._clock() < self._deadline:
            return True
        if process.returncode is None:
            logger.warning("%s does not end; text only from here on.", self._command[0])
            self._command = []
        elif process.returncode:
            logger.warning("%s cannot speak; text only from here on.", self._command[0])
            self._command = []
        self.stop()
        return False

    def say(self, text: str) -> None:
        """Start to speak a text and return at once; earlier speech ends."""
        self.stop()
        if self.silent:
            return
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            logger.warning("%s; text only from here on.", error)
            self._command = []
            return
        self._deadline = self._clock() + PROGRAM_SECONDS + WORD_SECONDS * len(text.split())
        assert self._process.stdin
        with suppress(OSError):  # it may have ended already, see its status
            self._process.stdin.write(text.encode())
        with suppress(OSError):
            self._process.stdin.close()

    def chime(self, name: str) -> None:
        """Start to play one of `CHIMES` and return at once."""
        if self._play is None:
            return
        samples = chime(name)
        try:
            self._play(samples)
        except Exception as error:  # PortAudio's are its own; without a chime all goes on
            logger.warning("No sound can be played, there are no chimes: %s", error)
            self._play = None
            return
        seconds = START_SECONDS + len(samples) / SAMPLE_RATE + SETTLE_SECONDS
        self._quiet_at = max(self._quiet_at, self._clock() + seconds)

    def wait(self) -> None:
        """Wait for the end of the speech."""
        while self.speaking:
            time.sleep(0.02)

    def stop(self) -> None:
        """End the speech."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        self._quiet_at = self._clock() + SETTLE_SECONDS

    def audible(self, source: Source, block: Block) -> bool:
        """Whether a block that ``source`` has just given may hold speech or a chime."""
        if self.speaking:
            return True
        # Since its first sample was recorded: a block may have waited, in the queue and below it.
        status = source.status
        late = status.backlog + status.latency + (block.end - block.time)
        return self._clock() - late < self._quiet_at

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def half_duplex(source: Source, listener: Listener, voice: Voice) -> Iterator[Block]:
    """Yield the blocks of a source in which the voice is not audible.

    The others are read and discarded, so that none waits, and the listener starts over with the
    first block after them.
    """
    for block in source:
        if voice.audible(source, block):
            listener.interrupt()
        else:
            yield block
