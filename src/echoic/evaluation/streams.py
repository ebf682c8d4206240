"""Words in streams: how many are missed, how often something else is taken for one, how late."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from echoic import audio, plots
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
from echoic.evaluation.scores import DIGITS, TOLERANCE, Score, false_accepts, score_detections
from echoic.evaluation.stream_builder import Stream, Word, read_truth, write_truth
from echoic.labels import UNKNOWN
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Detection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THRESHOLDS = tuple(np.round(np.append(np.arange(0.3, 0.95, 0.05), [0.95, 0.97, 0.98, 0.99]), 2))
"""Thresholds to enter of the points of a DET curve."""


NO_NEGATIVES = (
    "No recordings without words were heard: the false accepts are those in the streams of words."
)


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold of a DET curve: `hours` are those in which the false accepts were counted."""

    enter: float
    miss_rate: float
    false_accepts: int
    hours: float


@dataclass(frozen=True)
class StreamEvaluation:
    """A model's detections in streams, and what follows from them.

    Attributes
    ----------
    details
        What identifies the test: data, split, seed, tolerance.
    config
        The decoder's settings.
    scores
        By the name of a stream, such as ``20 dB``.
    negatives
        Score of recordings in which no word was said, None where there were none.
    accepted
        What fired in those: file, time in it (s), label, confidence.
    points
        The DET curve: the same with other thresholds to enter.
    truth
        What was said in each stream.
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
            "all": self.total.report(repeats=self._repeats),
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
                    point.false_accepts, point.hours, repeats=1 if self.negatives else self._repeats
                ),
            }
            for point in self.points
        ]
        report["warnings"] = list(self.warnings)
        return report

    @property
    def _repeats(self) -> int:
        """How many of the streams hold the same words in the same noise, at other ratios."""
        return repeats([self.truth.get(name, ()) for name in self.scores])

    def pictures(self, name: str) -> dict[str, Figure]:
        """Draw the DET curve, for a model of this name: file name to figure."""
        if not self.points:
            return {}
        counted = self.negatives or self.total
        figure = plots.det_curve(
            [point.false_accepts for point in self.points],
            [point.miss_rate for point in self.points],
            hours=counted.hours,
            repeats=1 if self.negatives else self._repeats,
            thresholds=[point.enter for point in self.points],
            chosen=(counted.false_accepts, self.total.miss_rate),
            title=f"{name} in streams: {self.total.words:,} words, {counted.hours:.2f} h of "
            + ("other sound" if self.negatives else "streams"),
        )
        return {"det.png": figure}

    def write_truth(self, folder: Path) -> None:
        """Write what was said in each stream to ``stream_20dB.tsv`` and the like."""
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
    """Evaluate on words at known times in noise, and on recordings without any. ``stream``.

    Parameters
    ----------
    model
        It must have a streaming file.
    data
        A data set, of which one side is taken as the model's recipe draws it, with that side's
        part of the background noise; or a test archive, with its ``_silence_`` as the noise.
    split
        Which side of a data set.
    negatives
        A folder of recordings in which no word of the vocabulary is said. They are heard one after
        another, by name, without resets.
    snrs
        Ratios of speech to noise (dB): a stream each, of the same words at the same times.
    words
        Clips in each stream; None means all.
    seed
        The same seed gives the same streams.
    tolerance
        Longest delay of a hit (s).
    config
        The decoder's settings; None means the model's own.
    posterior_fn
        What listens; None means the model's own streaming file.
    on_progress
        Called with the number of recordings that have been heard, and of all.

    Raises
    ------
    DataError, AudioError, FileNotFoundError
        The data cannot be read: see `speech_commands.load`, `audio.read`.
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
    """Evaluate on one recording whose words are known. Protocol ``stream``.

    Parameters
    ----------
    truth
        The file that says what is said in it, see `read_truth`; None means the recording's name
        with the suffix ``.tsv``. A label that the model does not have counts as ``_unknown_``.

    Raises
    ------
    AudioError, FileNotFoundError, ValueError
        The recording or its truth cannot be read.
    """
    path = Path(path)
    rate = model.features.sample_rate
    said = tuple(
        word if word.label in model.labels else word._replace(label=UNKNOWN)
        for word in read_truth(truth or path.with_suffix(".tsv"))
    )
    stream = Stream(audio.read(path, sample_rate=rate), said, rate)
    heard = score_stream(posterior_fn or model_posterior_fn(model), stream)
    details = {"data": path.name, "tolerance": tolerance}
    return _evaluation(
        model.labels, {path.stem: heard}, None, details, config or model.decoder, tolerance
    )


def _evaluation(
    labels: Sequence[str],
    streams: dict[str, ScoredStream],
    negatives: Negatives | None,
    details: dict[str, Any],
    config: DecoderConfig,
    tolerance: float,
) -> StreamEvaluation:
    scores = {name: score(heard, labels, config, tolerance) for name, heard in streams.items()}
    accepted: list[Detection] = []
    other = None
    if negatives:
        accepted = negatives.heard.detections(labels, config)
        other = score_detections(accepted, (), duration=negatives.heard.duration)
    return StreamEvaluation(
        details,
        config,
        scores,
        other,
        tuple(negatives.locate(d) for d in accepted) if negatives else (),
        tuple(_points(labels, streams, negatives, config, tolerance)),
        {name: heard.truth for name, heard in streams.items()},
        () if negatives else (NO_NEGATIVES,),
    )


def _points(
    labels: Sequence[str],
    streams: dict[str, ScoredStream],
    negatives: Negatives | None,
    config: DecoderConfig,
    tolerance: float,
) -> Iterator[OperatingPoint]:
    """Move the threshold to enter, for all words alike; the threshold to exit gives way to it."""
    for enter in THRESHOLDS:
        moved = dataclasses.replace(
            config, enter=float(enter), exit=min(config.exit, float(enter)), words={}
        )
        first, *others = (score(heard, labels, moved, tolerance) for heard in streams.values())
        total = sum(others, start=first)
        if not total.words:
            return  # without words there is nothing to trade
        counted = score(negatives.heard, labels, moved, tolerance) if negatives else total
        yield OperatingPoint(float(enter), total.miss_rate, counted.false_accepts, counted.hours)
