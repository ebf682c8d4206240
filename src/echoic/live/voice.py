"""Speaking without hearing oneself: half-duplex, as a walkie-talkie is."""

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
"""How long (s) after the end of playback sound is still discarded: a room goes on ringing, and
buffers on the way to and from it hold some more."""

PLAY_SECONDS = 2.0
"""Longest time (s) that it may take to tell a sound card to play."""

START_SECONDS = 0.2
"""How long (s) a sound card may take to begin to play."""

CHIMES = {"wake": (660.0, 880.0), "done": (880.0, 1320.0), "sleep": (440.0, 330.0)}
"""Frequencies (Hz) of the two notes of each chime."""

PATIENCE_SECONDS = 10.0
"""Longest time (s) that a program may take to begin to speak and to end."""

WORD_SECONDS = 1.0
"""Time (s) that it may take for each word besides."""


def voice() -> tuple[str, ...] | None:
    """Return the command that speaks what it reads: espeak-ng's; None where it is not installed."""
    program = shutil.which("espeak-ng")
    return (program, "--stdin") if program else None


def chime(name: str, *, seconds: float = 0.09, level: float = 0.15) -> Waveform:
    """Two soft notes of `CHIMES`, each ``seconds`` long: float32 (samples,) at 16 kHz."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = level * np.sin(np.pi * t / seconds) ** 2
    notes = [envelope * np.sin(2 * np.pi * frequency * t) for frequency in CHIMES[name]]
    return np.concatenate(notes, dtype=np.float32)


def loudspeaker(samples: Waveform) -> None:
    """Begin to play samples (16 kHz, mono) through the system's default output.

    Raises
    ------
    MicrophoneError
        The sound system hangs.
    """
    import sounddevice

    call_sound_system(lambda: sounddevice.play(samples, SAMPLE_RATE), seconds=PLAY_SECONDS)


class Voice:
    """Says text through a program of the system, and knows until when it may be heard.

    Use it in a ``with`` statement; leaving it ends what is being said. Without a program it is
    silent.

    Parameters
    ----------
    command
        Program and arguments that speak the UTF-8 text on their stdin and end when it was heard;
        None means `voice`, an empty sequence no program.
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
        self._command = list((voice() or ()) if command is None else command)
        self._play = play
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0
        self._quiet_at = -float("inf")

    @property
    def silent(self) -> bool:
        """Whether there is no program to speak with."""
        return not self._command

    @property
    def speaking(self) -> bool:
        """Whether something is being said at this moment."""
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
        """Begin to say it and return at once; what was being said ends."""
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
        self._deadline = self._clock() + PATIENCE_SECONDS + WORD_SECONDS * len(text.split())
        assert self._process.stdin
        with suppress(OSError):  # it may have ended already; its status tells
            self._process.stdin.write(text.encode())
        with suppress(OSError):
            self._process.stdin.close()

    def chime(self, name: str) -> None:
        """Begin to play one of `CHIMES` and return at once."""
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
        """Return when all was said."""
        while self.speaking:
            time.sleep(0.02)

    def stop(self) -> None:
        """End what is being said."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        self._quiet_at = self._clock() + SETTLE_SECONDS

    def audible(self, source: Source, block: Block) -> bool:
        """Whether a block that ``source`` has just given may hold what is or was being said."""
        if self.speaking:
            return True
        # When its first sample was heard: a block may have waited, in the queue and below it.
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


def half_duplex(source: Source, listener: Listener, speaker: Voice) -> Iterator[Block]:
    """Give the blocks of a source that are worth posterior_fn.

    What arrives while the speaker may be heard is taken from the source and discarded, so that
    nothing waits, and the listener begins anew with the first block after it.
    """
    for block in source:
        if speaker.audible(source, block):
            listener.interrupt()
        else:
            yield block
