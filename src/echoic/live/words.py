"""Words from a microphone, a file or blocks, in two lines.

for word in echoic.listen():
    print(word.label, word.time)
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.audio import SAMPLE_RATE, Resampler
from echoic.live.listener import Listener, Output
from echoic.microphone import Block, Event, FileSource, Microphone, Source
from echoic.runtime.decoder import Detection
from echoic.runtime.recognizer import Model, Recognizer

logger = logging.getLogger(__name__)


def listen(
    model: Model = None,
    source: str | Path | Iterable[npt.ArrayLike | Block] | None = None,
    *,
    sample_rate: int | None = None,
    device: int | str | None = None,
) -> Generator[Detection, None, None]:
    """Detect words as they are spoken, with the model's tuned thresholds.

    Parameters
    ----------
    model
        See `Recognizer`; None means the default model.
    source
        None for the microphone; a recording; a `microphone.Source`; or an iterable of blocks, each
        an array (samples,), float32 in [-1, 1] or int16, or a `Block`. One array is one block.
    sample_rate
        Samples a second (Hz) of arrays; None means 16,000. Everything else states its own.
    device
        Which microphone, see `microphone.find_device`; None means the system's default.

    Yields
    ------
    Detection
        ``label``, ``time`` (s) on the stream's clock and ``confidence`` of each word, when it is
        detected. The generator ends with its source; closing it closes the source.

    Raises
    ------
    FileNotFoundError
        There is no such model or recording, or the model has no ``stream.tflite``.
    AudioError
        The recording, or a block, is no sound: see `audio.as_waveform`.
    MicrophoneError
        The microphone cannot be opened.
    """
    if device is not None and source is not None:
        raise ValueError(f"Expected one of source and device, received device={device!r} too.")
    if sample_rate is not None and (source is None or isinstance(source, str | Path)):
        raise ValueError(
            f"Expected sample_rate with blocks of samples only, received {sample_rate}. "
            "A microphone and a file state their own."
        )
    recognizer = Recognizer(model)
    listener = Listener(
        recognizer.stream(sample_rate=SAMPLE_RATE),
        config=recognizer.bundle.decoder,
        outputs=[_Log()],
    )
    blocks: Source | Generator[Block, None, None]
    if source is None:
        blocks = Microphone(device, on_event=listener.on_event)
    elif isinstance(source, str | Path):
        blocks = FileSource(source)
    else:
        if not isinstance(source, Iterable):
            raise TypeError(
                f"Expected a recording or an iterable of blocks, received {source!r} of type "
                f"{type(source).__name__}. A microphone is named by device."
            )
        resampler = Resampler(SAMPLE_RATE if sample_rate is None else sample_rate)
        blocks = _blocks([source] if isinstance(source, np.ndarray) else source, resampler)
    return _detect(listener, blocks)


def _detect(
    listener: Listener, blocks: Source | Generator[Block, None, None]
) -> Generator[Detection, None, None]:
    with closing(blocks):
        for block in blocks:
            yield from listener.process(block)


def _blocks(
    source: Iterable[npt.ArrayLike | Block], resampler: Resampler
) -> Generator[Block, None, None]:
    """Make blocks of arrays; at the end close the source, if it can be closed."""
    position = 0
    try:
        for item in source:
            if isinstance(item, Block):
                yield item
            elif len(samples := resampler.process(audio.as_waveform(item))):
                yield Block(samples, position / SAMPLE_RATE)
                position += len(samples)
        if len(rest := resampler.flush()):
            yield Block(rest, position / SAMPLE_RATE)
    finally:
        if (close := getattr(source, "close", None)) is not None:
            close()


class _Log(Output):
    """Logs what happens to the stream."""

    def on_event(self, event: Event) -> None:
        level = logging.INFO if event.kind == "live" else logging.WARNING
        logger.log(level, "%s", event.message)
