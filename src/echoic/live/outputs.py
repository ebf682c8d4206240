"""What is written of a stream: lines, JSON lines, the sound around each word, all sound."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from echoic import audio
from echoic.audio import SAMPLE_RATE
from echoic.live.listener import Activity, Output
from echoic.microphone import Block, Event
from echoic.runtime.decoder import Detection

CLIP_SECONDS = 1.0
"""Length (s) of a saved clip: that of the clips that models are trained on."""

AFTER_SECONDS = 0.2
"""Part of it (s) after the decision, which comes with the end of the word or later."""


class Lines(Output):
    """Prints a line for each word; events and activities go to stderr.

    Parameters
    ----------
    file
        For the words; None means stdout.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        for d in detections:
            self._print(f"{d.time:8.2f} s  {d.label:<10} {d.confidence:4.0%}")

    def on_event(self, event: Event) -> None:
        print(f"{event.time:8.2f} s  {event.message}", file=sys.stderr, flush=True)

    def on_status(self, activity: Activity) -> None:
        print(f"{activity.time:8.2f} s  {activity}", file=sys.stderr, flush=True)

    def _print(self, line: str) -> None:
        print(line, file=self._file, flush=True)


class JsonLines(Lines):
    """Prints a JSON object for each word and for each activity; events go to stderr.

    A word has ``time`` (s), ``label`` and ``confidence``; an activity has ``time`` (s), ``event``,
    ``command``, ``number`` and ``message``.
    """

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        for d in detections:
            self._print_json(
                time=round(d.time, 3), label=d.label, confidence=round(d.confidence, 4)
            )

    def on_status(self, activity: Activity) -> None:
        self._print_json(
            time=round(activity.time, 3),
            event=activity.event,
            command=activity.command,
            number=activity.number,
            message=activity.message,
        )

    def _print_json(self, **row: float | int | str | None) -> None:
        self._print(json.dumps(row, ensure_ascii=False))


class Clips(Output):
    """Saves a second of sound around each detection, as ``LABEL_TIME.wav`` in a folder.

    The clip ends a fifth of a second after the decision, or where the stream ends or breaks off.
    No file is replaced: where the name is taken, a number follows it.

    Attributes
    ----------
    folder
        For the files; it is made if need be.
    saved
        The files, in order.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise FileExistsError(f"Expected a folder, received the file {folder}.") from error
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
