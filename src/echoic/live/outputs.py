"""What is written of a stream: lines, JSON lines, the sound around each word, all sound."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from echoic import audio
from echoic.audio import SAMPLE_RATE
from echoic.live.listener import Output
from echoic.microphone import Block, Event
from echoic.runtime.decoder import Detection

CLIP_SECONDS = 1.0
"""Sound (s) that is kept of a detection: a clip as models are trained on."""

AFTER_SECONDS = 0.2
"""How much of it (s) follows the decision, which comes with the end of the word or later."""


class Lines(Output):
    """A line a word on stdout; what happens to the stream, and what is done, on stderr."""

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        for d in detections:
            print(f"{d.time:8.2f} s  {d.label:<10} {d.confidence:4.0%}", flush=True)

    def on_event(self, event: Event) -> None:
        self.on_status(event.time, event.message)

    def on_status(self, time: float, state: str) -> None:
        print(f"{time:8.2f} s  {state}", file=sys.stderr, flush=True)


class JsonLines(Lines):
    """An object a word on stdout: ``time`` (s), ``label``, ``confidence``."""

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        for d in detections:
            row = {
                "time": round(d.time, 3),
                "label": d.label,
                "confidence": round(d.confidence, 4),
            }
            print(json.dumps(row, ensure_ascii=False), flush=True)


class Clips(Output):
    """Keeps a second of sound around each detection, as ``LABEL_TIME.wav`` in a folder.

    The clip ends a fifth of a second after the decision, or where the stream ends or breaks off.
    Nothing that is there is replaced: another session's clip of that name gets a number.

    Attributes
    ----------
    folder
        Where; it is made if need be.
    saved
        The files, in order.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.saved: list[Path] = []
        self._sound = np.zeros(0, np.float32)
        self._end = 0
        self._waiting: deque[Detection] = deque()

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        start = round(block.time * SAMPLE_RATE)
        if start != self._end:
            self.close()
            self._sound = self._sound[:0]
        self._sound = np.concatenate([self._sound, block.samples])
        self._end = start + len(block.samples)
        self._waiting.extend(detections)
        while self._waiting and _samples(self._waiting[0].time + AFTER_SECONDS) <= self._end:
            self._save(self._waiting.popleft())
        self._sound = self._sound[-_samples(CLIP_SECONDS) :]

    def close(self) -> None:
        while self._waiting:
            self._save(self._waiting.popleft())

    def _save(self, detection: Detection) -> None:
        first = self._end - len(self._sound)
        end = min(_samples(detection.time + AFTER_SECONDS), self._end)
        start = max(end - _samples(CLIP_SECONDS), first)
        # A label is whatever a model's folder says.
        label = re.sub(r"[^\w-]", "_", detection.label)
        name = f"{label}_{detection.time:.2f}"
        path = self.folder / f"{name}.wav"
        number = 2
        while path.exists():
            path = self.folder / f"{name}_{number}.wav"
            number += 1
        audio.write(path, self._sound[start - first : end - first])
        self.saved.append(path)


class Recording(Output):
    """Writes all sound to a WAV file, 16 bit; what is missing is silence, so that times agree.

    Raises
    ------
    FileExistsError
        There is such a file.
    OSError
        It cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        import soundfile

        self.path = Path(path)
        if self.path.exists():
            raise FileExistsError(f"{self.path} is there already; name another file to record to.")
        try:
            self._file = soundfile.SoundFile(
                self.path, "w", SAMPLE_RATE, channels=1, format="WAV", subtype="PCM_16"
            )
        except soundfile.LibsndfileError as error:
            raise OSError(f"{self.path} cannot be written: {error}") from error
        self._end = 0

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        missing = round(block.time * SAMPLE_RATE) - self._end
        for start in range(0, missing, SAMPLE_RATE):
            self._write(np.zeros(min(SAMPLE_RATE, missing - start), np.float32))
        self._write(block.samples)

    def close(self) -> None:
        self._file.close()

    def _write(self, samples: audio.Waveform) -> None:
        import soundfile

        try:
            self._file.write(audio.to_int16(samples))
        except soundfile.LibsndfileError as error:
            raise OSError(f"{self.path} cannot be written: {error}") from error
        self._end += len(samples)


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
