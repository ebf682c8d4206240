"""The loop: recognizer and decoder on the clock of a source that may lose sound."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt

from echoic.config import DecoderConfig
from echoic.microphone import Block, Event
from echoic.runtime.decoder import Decoder, Detection

if TYPE_CHECKING:
    from echoic.runtime.recognizer import Posterior, StreamingRecognizer

RESTART = "The recognizer starts over."
"""Consequence of every event after which sound is missing."""


EventName = Literal["wake", "number", "command", "done", "failed", "sleep"]


@dataclass(frozen=True)
class Activity:
    """A change in what the program that uses the words does, such as an assistant.

    Attributes
    ----------
    time
        Instant (s) of the change, on the stream's clock.
    event
        What happened: ``wake`` (it was woken), ``number`` (a command waits for its number),
        ``command`` (a command is complete, and its action begins), ``done`` or ``failed`` (the
        action has ended), ``sleep`` (it waits for the wake word, without an action).
    state
        What it does now, for a person.
    message
        The cause, for a person.
    command, number
        The command that this is about, and its number.
    """

    time: float
    event: EventName
    state: str
    message: str
    command: str | None = None
    number: int | None = None

    def __str__(self) -> str:
        return f"{self.state.capitalize()}: {self.message}"


class Output:
    """Receives what a `Listener` receives and detects; this base class ignores all of it.

    A context manager: leaving it closes the output.
    """

    def on_block(self, block: Block, detections: Sequence[Detection]) -> None:
        """Receive the next block and the words that were detected at its end."""

    def on_event(self, event: Event) -> None:
        """Receive an event of the stream, as soon as it happens."""

    def on_status(self, activity: Activity) -> None:
        """Receive what the program that uses the words does from now on."""

    def close(self) -> None:
        """Finish the output; nothing follows."""

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
    """Detects words in a stream, block by block, and passes them to its outputs.

    Where sound is missing, recognizer and decoder are reset: no word spans a gap. The detections
    do not depend on how the stream is cut into blocks.

    Parameters
    ----------
    stream
        From `Recognizer.stream`, fresh.
    config
        Detection thresholds and times; None means the decoder's defaults.
    outputs
        Receivers; the list ``outputs`` may be changed before the first block.

    Attributes
    ----------
    labels
        In the order of the probabilities.
    posteriors
        Posteriors of the current block, on the stream's clock.
    resets
        Number of times that the recognizer started over.
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
        self.posteriors: list[Posterior] = []
        self.resets = 0
        self._start: float | None = None
        self._interrupted = False

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Smoothed posterior that the decoder compares with its thresholds, (labels,)."""
        return self._decoder.smoothed

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Smoothed posterior at which each word is detected."""
        return self._decoder.thresholds

    def listen(self, source: Iterable[Block]) -> None:
        """Process a source to its end."""
        for block in source:
            self.process(block)

    def process(self, block: Block) -> list[Detection]:
        """Process the next block, pass it to the outputs, and return its detections.

        Parameters
        ----------
        block
            Sound at 16 kHz.

        Returns
        -------
        list of Detection
            Times are on the stream's clock (s).
        """
        if block.gap and not self._interrupted:
            self.on_event(Event(block.time, "dropped", "Sound is missing."))
        if self._start is None:
            self._start = block.time
        elif self._interrupted:
            self._stream.reset()
            self._decoder.reset()
            self._start = block.time
            self.resets += 1
        self._interrupted = False
        self.posteriors = [
            dataclasses.replace(p, time=self._start + p.time)
            for p in self._stream.process(block.samples)
        ]
        detections = self._decoder.process_many(
            [p.time for p in self.posteriors], [p.probabilities for p in self.posteriors]
        )
        for output in self.outputs:
            output.on_block(block, detections)
        return detections

    def interrupt(self) -> None:
        """Reset recognizer and decoder before the next block."""
        self._interrupted = True

    def on_event(self, event: Event) -> None:
        """Receive an event of the stream, before the block that follows it."""
        if event.kind != "live":
            self._interrupted = True
            event = dataclasses.replace(event, message=f"{event.message} {RESTART}")
        for output in self.outputs:
            output.on_event(event)

    def on_status(self, activity: Activity) -> None:
        """Pass what the program that uses the words does to the outputs."""
        for output in self.outputs:
            output.on_status(activity)
