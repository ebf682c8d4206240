"""The loop: recognizer and decoder on the clock of a source, which may lose sound."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from echoic.config import DecoderConfig
from echoic.labels import SILENCE, UNKNOWN
from echoic.microphone import Block, Event
from echoic.runtime.decoder import Decoder, Detection

if TYPE_CHECKING:
    from echoic.runtime.recognizer import Posterior, StreamingRecognizer

ANEW = "The recognizer begins anew."
"""What follows from every event after which sound is missing."""


class Output:
    """What is made of a stream; here, nothing. A context: leaving it closes the output."""

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        """Take the next block and what was detected when it had been heard."""

    def on_event(self, event: Event) -> None:
        """Take what happened to the stream, at once."""

    def on_status(self, time: float, state: str) -> None:
        """Take what the program that listens does from an instant (s) on, for a person."""

    def close(self) -> None:
        """Finish; there will be no more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Listener:
    """Hears a stream block by block and tells which words were said.

    Where sound is missing, recognizer and decoder forget what they heard: words do not go on
    across a hole. How a stream is cut into blocks makes no difference to what is detected.

    Parameters
    ----------
    stream
        From `Recognizer.stream`, fresh.
    config
        When a word counts as said; None means the decoder's defaults.
    outputs
        Who is told; the list ``outputs`` may be changed before the first block.

    Attributes
    ----------
    labels
        In the order of the probabilities.
    resets
        How often the recognizer began anew.
    heard
        The posteriors of the block that is being told to the outputs, on the stream's clock.
    """

    def __init__(
        self,
        stream: StreamingRecognizer,
        *,
        config: DecoderConfig | None = None,
        outputs: Iterable[Output] = (),
    ) -> None:
        self._stream = stream
        self._decoder = Decoder(stream.labels, config=config, step=stream.step_seconds)
        self.labels = self._decoder.labels
        self.outputs = list(outputs)
        self.resets = 0
        self.heard: list[Posterior] = []
        self._start: float | None = None
        self._interrupted = False
        self._recent: deque[npt.NDArray[np.float32]] = deque(maxlen=self._decoder.window)

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """What the decoder compares with its thresholds: the smoothed posterior, (labels,)."""
        total = np.zeros(len(self.labels), np.float32)
        for row in self._recent:
            total += row
        return total / np.float32(self._decoder.window)

    @property
    def thresholds(self) -> dict[str, float]:
        """Probability from which each word fires."""
        config = self._decoder.config
        words = [label for label in self.labels if label not in (SILENCE, UNKNOWN)]
        return {word: config.words.get(word, config.enter) for word in words}

    def listen(self, source: Iterable[Block]) -> None:
        """Hear a source to its end."""
        for block in source:
            self.process(block)

    def process(self, block: Block) -> list[Detection]:
        """Hear the next block and tell the outputs; the detections are on the stream's clock."""
        if block.gap and not self._interrupted:
            self.on_event(Event(block.time, "dropped", "Sound is missing."))
        if self._start is None:
            self._start = block.time
        elif self._interrupted:
            self._stream.reset()
            self._decoder.reset()
            self._recent.clear()
            self._start = block.time
            self.resets += 1
        self._interrupted = False
        self.heard = [
            dataclasses.replace(p, time=self._start + p.time)
            for p in self._stream.process(block.samples)
        ]
        self._recent.extend(p.probabilities for p in self.heard)
        detections = self._decoder.process_many(
            [p.time for p in self.heard], [p.probabilities for p in self.heard]
        )
        for output in self.outputs:
            output.on_block(block, detections)
        return detections

    def interrupt(self) -> None:
        """Begin anew with the next block: the sound before it is not to be heard."""
        self._interrupted = True

    def on_event(self, event: Event) -> None:
        """Take what happened to the stream, before the block that it happened before."""
        if event.kind != "live":
            self._interrupted = True
            event = dataclasses.replace(event, message=f"{event.message} {ANEW}")
        for output in self.outputs:
            output.on_event(event)

    def on_status(self, time: float, state: str) -> None:
        """Tell the outputs what is done with the words from an instant (s) on."""
        for output in self.outputs:
            output.on_status(time, state)


def with_threshold(config: DecoderConfig, threshold: float | None) -> DecoderConfig:
    """Let every word fire from one threshold, 0 to 1; None changes nothing."""
    if threshold is None:
        return config
    return dataclasses.replace(config, enter=threshold, exit=min(config.exit, threshold), words={})
