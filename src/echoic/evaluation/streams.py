"""Streams: miss rate, false accepts and delay of detections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from echoic import audio
from echoic import data as datasets
from echoic.config import DecoderConfig
from echoic.evaluation.clips import Progress
from echoic.evaluation.posteriors import (
    SNRS,
    WORDS,
    Negatives,
    PosteriorFn,
    ScoredStream,
    is_archive,
    model_posterior_fn,
    repeats,
    run_streams,
    score,
    score_stream,
)
from echoic.evaluation.result import DIGITS, Estimate, Table
from echoic.evaluation.scores import TOLERANCE, Score, false_accepts, score_detections
from echoic.evaluation.stream_builder import Stream, Word, read_truth, write_truth
from echoic.labels import UNKNOWN
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Detection

THRESHOLDS = tuple(np.round(np.append(np.arange(0.3, 0.95, 0.05), [0.95, 0.97, 0.98, 0.99]), 2))
"""Thresholds ``enter`` of the points of a DET curve."""

NO_NEGATIVES = (
    "False accepts were counted in the streams of words; recordings without words were not given."
)


@dataclass(frozen=True)
class OperatingPoint:
    """One point of a DET curve.

    Attributes
    ----------
    enter
        The threshold.
    miss_rate
        Fraction of the words that were missed.
    false_accepts
        Their number.
    hours
        In which they were counted.
    """

    enter: float
    miss_rate: float
    false_accepts: int
    hours: float


@dataclass(frozen=True)
class StreamEvaluation:
    """Scores of a model's detections in streams.

    Attributes
    ----------
    details
        What identifies the test: data, split, seed, tolerance.
    config
        The decoder's settings.
    scores
        By the name of a stream, such as ``20 dB``.
    negatives
        Score of recordings without a word, None where there were none.
    accepted
        The detections in those: file, time in it (s), label, confidence.
    points
        The DET curve: the same with other thresholds ``enter``.
    truth
        The words of each stream.
    warnings
        What a reader of the figures must know.
    """

    details: dict[str, Any]
    config: DecoderConfig
    scores: dict[str, Score]
    negatives: Score | None = None
    accepted: tuple[dict[str, Any], ...] = ()
    points: tuple[OperatingPoint, ...] = ()
    truth: dict[str, tuple[Word, ...]] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    protocol: str = "stream"

    @property
    def total(self) -> Score:
        """Score of all streams with words."""
        first, *others = self.scores.values()
        return sum(others, start=first)

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data; see `Score.report`."""
        report: dict[str, Any] = {
            "protocol": self.protocol,
            **self.details,
            "decoder": self.config.to_dict(),
            "streams": {name: value.report() for name, value in self.scores.items()},
            "all": self.total.report(repeats=self.repeats),
        }
        if self.negatives:
            report["negatives"] = {
                **self.negatives.report(),
                "accepted": list(self.accepted),
            }
        report["det"] = [
            {
                "enter": point.enter,
                "miss_rate": round(point.miss_rate, DIGITS),
                "false_accepts": false_accepts(
                    point.false_accepts, point.hours, repeats=1 if self.negatives else self.repeats
                ),
            }
            for point in self.points
        ]
        report["warnings"] = list(self.warnings)
        return report

    @property
    def repeats(self) -> int:
        """How many of the streams hold the same words in the same noise, at other SNRs."""
        return repeats([self.truth.get(name, ()) for name in self.scores])

    @property
    def figures(self) -> dict[str, Estimate]:
        """Miss rate of all streams; false accepts an hour, None where there was none."""
        total = self.total.report(repeats=self.repeats)
        accepts = (self.negatives.report() if self.negatives else total)["false_accepts"]
        figures = {
            "false_accepts_per_hour": Estimate(accepts["per_hour"], tuple(accepts["interval"]))
        }
        if self.total.words:
            interval = tuple(total["miss_rate_interval"])
            figures["miss_rate"] = Estimate(total["miss_rate"], interval, self.total.words)
        return figures

    @property
    def tables(self) -> dict[str, Table]:
        """Scores by stream, and the points of the DET curve."""
        return {
            "streams": Table(
                ("stream", "words", "misses", "wrong_words", "false_accepts", "hours"),
                tuple(
                    (name, row.words, row.misses, row.wrong_words, row.false_accepts, row.hours)
                    for name, row in {**self.scores, "all": self.total}.items()
                ),
            ),
            "det": Table(
                ("enter", "miss_rate", "false_accepts", "hours"),
                tuple(
                    (point.enter, point.miss_rate, point.false_accepts, point.hours)
                    for point in self.points
                ),
            ),
        }

    @property
    def pictures(self) -> tuple[str, ...]:
        """The DET curve, where there is one."""
        return ("det.png",) if self.points else ()

    def write_truth(self, folder: Path) -> None:
        """Write the words of each stream to ``stream_20dB.tsv`` and the like."""
        for name, words in self.truth.items():
            write_truth(folder / f"stream_{name.replace(' ', '')}.tsv", words)


def evaluate_stream(
    model: Bundle,
    data: str | Path,
    *,
    split: datasets.SplitName = "validation",
    negatives: str | Path | None = None,
    snrs: Sequence[float] = SNRS,
    words: int | None = WORDS,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    config: DecoderConfig | None = None,
    posterior_fn: PosteriorFn | None = None,
    on_progress: Progress | None = None,
) -> StreamEvaluation:
    """Evaluate on words at known times in noise, and on recordings without any: ``stream``.

    Parameters
    ----------
    model
        It must have a streaming file.
    data
        A data set, one split of which is drawn by the model's recipe, with that split's part of
        the background noise; or a test archive, with its ``_silence_`` as the noise.
    split
        Which split of a data set.
    negatives
        A folder of recordings without any word of the vocabulary. They are played one after
        another, by name, without resets.
    snrs
        Signal-to-noise ratios (dB): a stream each, of the same words at the same times.
    words
        Clips in each stream; None means all.
    seed
        The same seed gives the same streams.
    tolerance
        Longest delay of a hit (s).
    config
        The decoder's settings; None means the model's own.
    posterior_fn
        What gives the posteriors; None means the model's ``stream.tflite``.
    on_progress
        Called with the number of recordings that are done, and of all.

    Raises
    ------
    DataError, AudioError, FileNotFoundError
        The data cannot be read: see `data.load`, `audio.read`.
    """
    config = config or model.decoder
    streams, other = run_streams(
        model,
        data,
        split=split,
        negatives=negatives,
        snrs=snrs,
        words=words,
        seed=seed,
        posterior_fn=posterior_fn,
        on_progress=on_progress,
    )
    details = {
        "data": Path(data).resolve().name,
        **({} if is_archive(data) else {"split": split}),
        "seed": seed,
        "tolerance": tolerance,
    }
    return _evaluation(model.labels, streams, other, details, config, tolerance)


def evaluate_recording(
    model: Bundle,
    path: str | Path,
    *,
    truth: str | Path | None = None,
    tolerance: float = TOLERANCE,
    config: DecoderConfig | None = None,
    posterior_fn: PosteriorFn | None = None,
) -> StreamEvaluation:
    """Evaluate on one recording whose words are known: ``stream``.

    Parameters
    ----------
    model
        It must have a streaming file.
    path
        The recording.
    truth
        The file of its words, see `read_truth`; None means the recording's name with the suffix
        ``.tsv``. A label that the model does not have counts as ``_unknown_``.
    tolerance, config, posterior_fn
        See `evaluate_stream`.

    Raises
    ------
    AudioError, FileNotFoundError, ValueError
        The recording or its truth cannot be read.
    """
    path = Path(path)
    rate = model.features.sample_rate
    truth_words = tuple(
        word if word.label in model.labels else word._replace(label=UNKNOWN)
        for word in read_truth(truth or path.with_suffix(".tsv"))
    )
    stream = Stream(audio.read(path, sample_rate=rate), truth_words, rate)
    scored = score_stream(posterior_fn or model_posterior_fn(model), stream)
    details = {"data": path.name, "tolerance": tolerance}
    return _evaluation(
        model.labels, {path.stem: scored}, None, details, config or model.decoder, tolerance
    )


def _evaluation(
    labels: Sequence[str],
    streams: dict[str, ScoredStream],
    negatives: Negatives | None,
    details: dict[str, Any],
    config: DecoderConfig,
    tolerance: float,
) -> StreamEvaluation:
    scores = {name: score(stream, labels, config, tolerance) for name, stream in streams.items()}
    accepted: list[Detection] = []
    other = None
    if negatives:
        accepted = negatives.stream.detections(labels, config)
        other = score_detections(accepted, (), duration=negatives.stream.duration)
    return StreamEvaluation(
        details,
        config,
        scores,
        other,
        tuple(negatives.locate(d) for d in accepted) if negatives else (),
        tuple(_points(labels, streams, negatives, config, tolerance)),
        {name: stream.truth for name, stream in streams.items()},
        () if negatives else (NO_NEGATIVES,),
    )


def _points(
    labels: Sequence[str],
    streams: dict[str, ScoredStream],
    negatives: Negatives | None,
    config: DecoderConfig,
    tolerance: float,
) -> Iterator[OperatingPoint]:
    """Move the threshold ``enter`` for all words alike; ``exit`` never exceeds it."""
    for enter in THRESHOLDS:
        moved = config.with_threshold(float(enter))
        first, *others = (score(stream, labels, moved, tolerance) for stream in streams.values())
        total = sum(others, start=first)
        if not total.words:
            return  # without words there is nothing to trade
        counted = score(negatives.stream, labels, moved, tolerance) if negatives else total
        yield OperatingPoint(float(enter), total.miss_rate, counted.false_accepts, counted.hours)
