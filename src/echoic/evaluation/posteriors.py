"""Posteriors of streams, from a model whose state is never reset within one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic import data as datasets
from echoic.audio import Waveform
from echoic.config import DecoderConfig
from echoic.evaluation.clips import Progress
from echoic.evaluation.scores import Score, score_detections
from echoic.evaluation.stream_builder import Stream, Word, build_stream
from echoic.labels import SILENCE
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Decoder, Detection
from echoic.runtime.recognizer import Posterior, StreamingRecognizer

SNRS = (20.0, 10.0, 0.0)
"""Signal-to-noise ratios (dB) at which a model is measured and tuned."""

WORDS = 500
"""Clips that are played at each SNR."""


class Streaming(Protocol):
    """A streaming recognizer: samples in, a posterior a step out, state kept between calls."""

    def process(self, samples: Waveform, /) -> Sequence[Posterior]: ...

    def reset(self) -> None: ...


class Posteriors(NamedTuple):
    """All posteriors of a stream: times (steps,) in seconds, probabilities (steps, labels)."""

    times: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float32]

    @property
    def step(self) -> float:
        """Time from one posterior to the next (s)."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else self.times[0]


PosteriorFn = Callable[[Iterable[Waveform]], Posteriors]
"""Gives the posteriors of waveforms, played one after another as one stream, from a fresh state."""


def make_posterior_fn(stream: Streaming, *, sample_rate: int = audio.SAMPLE_RATE) -> PosteriorFn:
    """Make a `PosteriorFn` of a streaming recognizer."""

    def posterior_fn(waveforms: Iterable[Waveform]) -> Posteriors:
        stream.reset()
        found = [p for block in _blocks(waveforms, sample_rate) for p in stream.process(block)]
        if not found:
            raise ValueError(
                "Expected sound of at least one step, received less: play a longer recording."
            )
        return Posteriors(
            np.array([p.time for p in found], dtype=np.float64),
            np.array([p.probabilities for p in found], dtype=np.float32),
        )

    return posterior_fn


def _blocks(waveforms: Iterable[Waveform], size: int) -> Iterator[Waveform]:
    """Cut long waveforms, so that their posteriors do not all wait in the recognizer."""
    for waveform in waveforms:
        for start in range(0, len(waveform), size):
            yield waveform[start : start + size]


def model_posterior_fn(model: Bundle, *, file: str = "stream") -> PosteriorFn:
    """Make a `PosteriorFn` of one of a model's streaming TFLite files.

    Raises
    ------
    FileNotFoundError
        The model has no such file: its network needs whole clips, or it must be exported again.
    """
    return make_posterior_fn(
        StreamingRecognizer(model, file=file), sample_rate=model.features.sample_rate
    )


@dataclass(frozen=True)
class ScoredStream:
    """A stream's posteriors with the words in it; the sound itself is no longer needed.

    Attributes
    ----------
    posteriors
        Of the whole stream.
    truth
        Its words.
    duration
        Length of the stream (s).
    """

    posteriors: Posteriors
    truth: tuple[Word, ...]
    duration: float

    def detections(self, labels: Sequence[str], config: DecoderConfig) -> list[Detection]:
        """Run the decoder over the posteriors, from a fresh state."""
        decoder = Decoder(labels, config=config, step=self.posteriors.step)
        return decoder.process_many(*self.posteriors)


@dataclass(frozen=True)
class Negatives:
    """Recordings without a word of the vocabulary, played one after another.

    Attributes
    ----------
    stream
        Their posteriors, as of one stream without words.
    files
        Their names.
    starts
        When each begins in the stream (s).
    """

    stream: ScoredStream
    files: tuple[str, ...]
    starts: npt.NDArray[np.float64]

    def locate(self, detection: Detection) -> dict[str, Any]:
        """Return in which file a detection fired, and at what time in it."""
        # A decision at the very end of a file is about that file.
        i = max(int(np.searchsorted(self.starts, detection.time)) - 1, 0)
        return {
            "file": self.files[i],
            "time": round(detection.time - float(self.starts[i]), 3),
            "label": detection.label,
            "confidence": round(detection.confidence, 4),
        }


def score(
    stream: ScoredStream, labels: Sequence[str], config: DecoderConfig, tolerance: float
) -> Score:
    """Decode a stream's posteriors and score the detections."""
    detections = stream.detections(labels, config)
    return score_detections(detections, stream.truth, duration=stream.duration, tolerance=tolerance)


def run_streams(
    model: Bundle,
    data: str | Path,
    *,
    split: datasets.SplitName,
    negatives: str | Path | None,
    snrs: Sequence[float],
    words: int | None,
    seed: int,
    posterior_fn: PosteriorFn | None,
    on_progress: Progress | None,
) -> tuple[dict[str, ScoredStream], Negatives | None]:
    """Run a model over streams of words and over recordings without: see `evaluate_stream`.

    Returns
    -------
    streams : dict of str to ScoredStream
        By name, such as ``20 dB``.
    negatives : Negatives or None
        None where no recordings were given.
    """
    if not snrs:
        raise ValueError("Expected at least one SNR (dB), received none.")
    posterior_fn = posterior_fn or model_posterior_fn(model)
    examples, noises = _material(model, data, split)
    paths = list(audio.find([Path(negatives)])) if negatives is not None else []
    if negatives is not None and not paths:
        raise FileNotFoundError(f"Expected recordings in {negatives}, received none.")
    total = len(snrs) + len(paths)
    rate = model.features.sample_rate
    streams = {}
    for number, snr in enumerate(snrs, start=1):
        stream = build_stream(
            examples, noises=noises, snr_db=snr, words=words, seed=seed, sample_rate=rate
        )
        streams[f"{snr:g} dB"] = score_stream(posterior_fn, stream)
        if on_progress:
            on_progress(number, total)
    if not paths:
        return streams, None
    starts = [0.0]

    def played() -> Iterator[Waveform]:
        for number, path in enumerate(paths, start=len(snrs) + 1):
            waveform = audio.read(path, sample_rate=rate)
            starts.append(starts[-1] + len(waveform) / rate)
            yield waveform
            if on_progress:
                on_progress(number, total)

    posteriors = posterior_fn(played())
    root = Path(str(negatives))
    names = tuple(
        path.relative_to(root if root.is_dir() else root.parent).as_posix() for path in paths
    )
    other = ScoredStream(posteriors, (), starts[-1])
    return streams, Negatives(other, names, np.array(starts[:-1]))


def score_stream(posterior_fn: PosteriorFn, stream: Stream) -> ScoredStream:
    """Compute the posteriors of a stream."""
    return ScoredStream(posterior_fn([stream.waveform]), stream.truth, stream.duration)


def repeats(truths: Sequence[tuple[Word, ...]]) -> int:
    """Return how many streams hold the same words, as at several SNRs; else 1."""
    known = bool(truths and truths[0])
    return len(truths) if known and truths.count(truths[0]) == len(truths) else 1


def is_archive(data: str | Path) -> bool:
    """Return whether a folder is a test archive, in which silence has a folder of its own."""
    return (Path(data) / SILENCE).is_dir()


def _material(
    model: Bundle, data: str | Path, split: datasets.SplitName
) -> tuple[datasets.Examples, list[Waveform]]:
    """Return the clips and the noises of a data set or a test archive."""
    if is_archive(data):
        examples = datasets.load_folders(data, labels=model.labels)
        silent = examples.targets == examples.labels.index(SILENCE)
        return examples, [examples.waveforms[silent].ravel()]
    loaded = datasets.load(data, model.recipe.data, split)
    return loaded.examples(), list(loaded.noises)
