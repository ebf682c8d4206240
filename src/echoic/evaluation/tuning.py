"""Tuning: detection thresholds and times, chosen on validation streams."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic.config import DecoderConfig
from echoic.evaluation.clips import Progress
from echoic.evaluation.posteriors import (
    SNRS,
    WORDS,
    PosteriorFn,
    ScoredStream,
    is_archive,
    repeats,
    run_streams,
)
from echoic.evaluation.scores import TOLERANCE, Score, score_detections
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Decoder, smooth

logger = logging.getLogger(__name__)

SMOOTHING = (0.0, 0.08, 0.16, 0.24, 0.32, 0.4)
ENTER = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99)
EXIT = (0.25, 0.5, 0.75)
REFRACTORY = (0.3, 0.5, 0.7)
"""The grid: seconds, probabilities, fractions of ``enter``, seconds."""

TUNING_SEED = 1000
"""Not the seed of `evaluate_stream`: tuning and reports use different streams."""


@dataclass(frozen=True)
class Candidate:
    """Settings of the decoder with their scores.

    Attributes
    ----------
    config
        The settings.
    words
        Score on the streams of words.
    others
        Score on recordings without words; that of the streams where there are none.
    """

    config: DecoderConfig
    words: Score
    others: Score

    @property
    def cost(self) -> tuple[float, float, float]:
        """What is minimized, in this order: error rate, false accepts an hour, median delay (s)."""
        delays = self.words.delays
        return (
            self.words.error_rate,
            self.others.false_accepts_per_hour,
            float(np.median(delays)) if delays else np.inf,
        )


@dataclass(frozen=True)
class Tuning:
    """The result of `tune`.

    Attributes
    ----------
    chosen
        The best candidate with few enough false accepts.
    before
        The settings that the model had.
    candidates
        All that were tried.
    max_false_accepts
        False accepts an hour that were allowed.
    repeats
        How many streams have the same words: see `Score.report`.
    """

    chosen: Candidate
    before: Candidate
    candidates: tuple[Candidate, ...]
    max_false_accepts: float
    repeats: int = 1

    @property
    def config(self) -> DecoderConfig:
        """The settings to store."""
        return self.chosen.config

    def report(self) -> dict[str, Any]:
        """Return the choice and what it replaces as plain data."""
        return {
            "max_false_accepts_per_hour": self.max_false_accepts,
            "candidates": len(self.candidates),
            **{
                name: {
                    "decoder": candidate.config.to_dict(),
                    "streams": candidate.words.report(repeats=self.repeats),
                    "others": candidate.others.report(
                        repeats=self.repeats if candidate.others is candidate.words else 1
                    )["false_accepts"],
                }
                for name, candidate in (("before", self.before), ("chosen", self.chosen))
            },
        }


def tune(
    model: Bundle,
    data: str | Path,
    *,
    negatives: str | Path | None = None,
    max_false_accepts: float = 10.0,
    snrs: Sequence[float] = SNRS,
    words: int | None = WORDS,
    seed: int = TUNING_SEED,
    tolerance: float = TOLERANCE,
    posterior_fn: PosteriorFn | None = None,
    on_progress: Progress | None = None,
) -> Tuning:
    """Tune detection thresholds on validation streams.

    The grid is `SMOOTHING`, `ENTER`, `EXIT` and `REFRACTORY`, with the model's own settings.
    Candidates with more than ``max_false_accepts`` false accepts an hour are rejected. Of the
    others, the one with the lowest error rate is chosen: misses, wrong words among them, and false
    accepts in the streams of words, a word. Ties go to fewer false accepts, then to less delay.

    The model runs once over every stream; the candidates are tried on its posteriors. Store the
    result with `bundle.set_decoder`.

    Parameters
    ----------
    model
        It must have a streaming file.
    data
        A data set; its validation split is used, with that split's part of the background noise.
    negatives
        A folder of recordings without any word of the vocabulary; not those of the reported
        figures. None means that false accepts are counted in the streams of words.
    max_false_accepts
        False accepts an hour that are allowed, at least 0.
    snrs, words, seed, tolerance, posterior_fn, on_progress
        See `evaluate_stream`; the default seed differs, and so do the streams.

    Raises
    ------
    ValueError
        No candidate has so few false accepts, or the data is a test archive, which has no splits.
    DataError, AudioError, FileNotFoundError
        The data cannot be read: see `data.load`, `audio.read`.
    """
    if not max_false_accepts >= 0:
        raise ValueError(
            f"Expected max_false_accepts of at least 0 an hour, received {max_false_accepts}."
        )
    if is_archive(data):
        raise ValueError(
            f"Expected a data set, received the test archive {data}: settings tuned on a test "
            "set can no longer be measured on it. Tune on validation."
        )
    streams, other = run_streams(
        model,
        data,
        split="validation",
        negatives=negatives,
        snrs=snrs,
        words=words,
        seed=seed,
        posterior_fn=posterior_fn,
        on_progress=on_progress,
    )
    return choose(
        model.labels,
        list(streams.values()),
        others=other.stream if other else None,
        max_false_accepts=max_false_accepts,
        before=model.decoder,
        tolerance=tolerance,
    )


def choose(
    labels: Sequence[str],
    streams: Sequence[ScoredStream],
    *,
    others: ScoredStream | None,
    max_false_accepts: float,
    before: DecoderConfig,
    tolerance: float = TOLERANCE,
) -> Tuning:
    """Choose settings on the posteriors of streams and, where given, of others: see `tune`."""
    candidates = tuple(_sweep(labels, streams, others, before, tolerance))
    hours = candidates[0].others.hours
    if hours * max_false_accepts < 1:
        logger.warning(
            "%.2f hours cannot show %g false accepts an hour: a single one is more. Tune on more "
            "recordings, or allow more false accepts.",
            hours,
            max_false_accepts,
        )
    allowed = [c for c in candidates if c.others.false_accepts_per_hour <= max_false_accepts]
    if not allowed:
        least = min(candidates, key=lambda c: c.others.false_accepts_per_hour).others
        raise ValueError(
            f"Expected settings with at most {max_false_accepts:g} false accepts an hour, received "
            f"none: the strictest have {least.false_accepts_per_hour:.1f} ({least.false_accepts} "
            f"in {least.hours:.2f} h). Allow more, or train a model that rejects more words."
        )
    chosen = min(allowed, key=lambda c: c.cost)
    return Tuning(
        chosen, candidates[0], candidates, max_false_accepts, repeats([s.truth for s in streams])
    )


def _sweep(
    labels: Sequence[str],
    streams: Sequence[ScoredStream],
    others: ScoredStream | None,
    before: DecoderConfig,
    tolerance: float,
) -> Iterator[Candidate]:
    """Score the model's own settings, then those of the grid; smooth once a window."""
    every = [*streams, *([others] if others else [])]
    step = every[0].posteriors.step
    for window, settings in itertools.groupby(
        (Decoder(labels, config=config, step=step) for config in (before, *_grid())),
        key=lambda decoder: decoder.window,
    ):
        smoothed = [_smoothed(stream, window) for stream in every]
        for decoder in settings:
            scores = []
            for stream, rows in zip(every, smoothed, strict=True):
                decoder.reset()
                detections = decoder.decide(stream.posteriors.times, rows)
                scores.append(
                    score_detections(
                        detections, stream.truth, duration=stream.duration, tolerance=tolerance
                    )
                )
            total = sum(scores[1 : len(streams)], start=scores[0])
            yield Candidate(decoder.config, total, scores[-1] if others else total)


def _grid() -> Iterator[DecoderConfig]:
    for smoothing, enter, part, refractory in itertools.product(SMOOTHING, ENTER, EXIT, REFRACTORY):
        yield DecoderConfig(
            smoothing=smoothing, enter=enter, exit=round(enter * part, 3), refractory=refractory
        )


def _smoothed(stream: ScoredStream, window: int) -> npt.NDArray[np.float64]:
    rows = stream.posteriors.probabilities.astype(np.float64)
    return smooth(np.pad(rows, ((window - 1, 0), (0, 0))), window)
