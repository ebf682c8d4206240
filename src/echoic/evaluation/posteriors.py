"""Listening: the posteriors of streams, as a model gives them that never starts anew."""

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
"""Ratios of speech to noise (dB) at which a model is measured and tuned."""

WORDS = 500
"""Clips that are played at each ratio."""


class Streaming(Protocol):
    """What listens: samples in, a posterior a step out, the memory kept between calls."""

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
"""Listens to waveforms, one after another as one stream, from a fresh start."""


def make_posterior_fn(stream: Streaming, *, sample_rate: int = audio.SAMPLE_RATE) -> PosteriorFn:
    """Make a `PosteriorFn` of a streaming recognizer."""

    def posterior_fn(waveforms: Iterable[Waveform]) -> Posteriors:
        stream.reset()
        found = [p for block in _blocks(waveforms, sample_rate) for p in stream.process(block)]
        if not found:
            raise ValueError("Expected sound of at least one step, received less.")
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


def model_posterior_fn(model: Bundle, *, graph: str = "stream") -> PosteriorFn:
    """Make a `PosteriorFn` of a streaming file that a model ships.

    Raises
    ------
    FileNotFoundError
        The model has none: its network needs the whole clip, or it is to be exported again.
    """
    return make_posterior_fn(
        StreamingRecognizer(model, file=graph), sample_rate=model.features.sample_rate
    )


@dataclass(frozen=True)
class ScoredStream:
    """A stream's posteriors, with what was said in it; the sound itself is no longer needed."""

    posteriors: Posteriors
    truth: tuple[Word, ...]
    duration: float

    def detections(self, labels: Sequence[str], config: DecoderConfig) -> list[Detection]:
        """Decide, from a fresh start."""
        decoder = Decoder(labels, config=config, step=self.posteriors.step)
        return decoder.process_many(*self.posteriors)


@dataclass(frozen=True)
class Negatives:
    """What was heard of recordings without a word of the vocabulary, one after another."""

    heard: ScoredStream
    files: tuple[str, ...]
    starts: npt.NDArray[np.float64]

    def locate(self, detection: Detection) -> dict[str, Any]:
        """Tell in which file something fired, and where in it: to listen to it."""
        # A decision at the very end of a file is about that file.
        i = max(int(np.searchsorted(self.starts, detection.time)) - 1, 0)
        return {
            "file": self.files[i],
            "time": round(detection.time - float(self.starts[i]), 3),
            "label": detection.label,
            "confidence": round(detection.confidence, 4),
        }


def score(
    heard: ScoredStream, labels: Sequence[str], config: DecoderConfig, tolerance: float
) -> Score:
    """Decide and score."""
    return score_detections(
        heard.detections(labels, config), heard.truth, duration=heard.duration, tolerance=tolerance
    )


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
    """Hear streams of words, by the name of each, and recordings without: see `evaluate_stream`."""
    if not snrs:
        raise ValueError("Expected at least one ratio of speech to noise (dB), received none.")
    posterior_fn = posterior_fn or model_posterior_fn(model)
    examples, noises = _material(model, data, split)
    paths = list(audio.find([Path(negatives)])) if negatives is not None else []
    if negatives is not None and not paths:
        raise FileNotFoundError(f"No recordings in {negatives}.")
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
    heard = ScoredStream(posteriors, (), starts[-1])
    return streams, Negatives(heard, names, np.array(starts[:-1]))


def score_stream(posterior_fn: PosteriorFn, stream: Stream) -> ScoredStream:
    """Hear a stream from its beginning."""
    return ScoredStream(posterior_fn([stream.waveform]), stream.truth, stream.duration)


def repeats(truths: Sequence[tuple[Word, ...]]) -> int:
    """How many streams have the same words, as at several ratios to one noise; else 1."""
    told = bool(truths and truths[0])
    return len(truths) if told and truths.count(truths[0]) == len(truths) else 1


def is_archive(data: str | Path) -> bool:
    """Is this a test archive, in which silence has a folder, and not a data set?"""
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
