"""Tuning: the decoder's settings, chosen on streams that no figure is reported on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
"""The grid: seconds, smoothed posteriors, parts of ``enter``, seconds."""

TUNING_SEED = 1000
"""Not that of `evaluate_stream`: the streams that are tuned on are not those that are reported."""


@dataclass(frozen=True)
class Candidate:
    """Settings, with what they do on streams of words and on recordings without any."""

    config: DecoderConfig
    words: Score
    others: Score

    @property
    def cost(self) -> tuple[float, float, float]:
        """What is to be small, in this order: errors a word, false accepts, delay."""
        delays = self.words.delays
        return (
            self.words.error_rate,
            self.others.false_accepts_per_hour,
            float(np.median(delays)) if delays else np.inf,
        )


@dataclass(frozen=True)
class Tuning:
    """What `tune` chose, and from what.

    Attributes
    ----------
    chosen
        The best candidate under the limit.
    before
        The settings that the model had.
    candidates
        All that were tried.
    limit
        False accepts an hour that were allowed.
    repeats
        How often the streams have the same words: see `Score.report`.
    """

    chosen: Candidate
    before: Candidate
    candidates: tuple[Candidate, ...]
    limit: float
    repeats: int = 1

    @property
    def config(self) -> DecoderConfig:
        """The settings to store."""
        return self.chosen.config

    def report(self) -> dict[str, Any]:
        """Return the choice and what it replaces as plain data."""
        return {
            "limit_per_hour": self.limit,
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
    limit: float = 10.0,
    snrs: Sequence[float] = SNRS,
    words: int | None = WORDS,
    seed: int = TUNING_SEED,
    tolerance: float = TOLERANCE,
    posterior_fn: PosteriorFn | None = None,
    on_progress: Progress | None = None,
) -> Tuning:
    """Choose the decoder's settings on validation streams and recordings without a word.

    Of the settings of a grid (`SMOOTHING`, `ENTER`, `EXIT`, `REFRACTORY`) and those that the
    model has, those with more than ``limit`` false accepts an hour are rejected. Of the others the
    one with the fewest errors a word is chosen: misses, wrong words among them, and false accepts
    in the streams of words, so that no miss is saved by firing at words that are to be ignored.
    Among equals it is the one with the fewest false accepts, then the fastest.

    Every stream is heard once; the settings are then tried on its posteriors. Store what was
    chosen with `bundle.set_decoder`.

    Parameters
    ----------
    model
        It must have a streaming file.
    data
        A data set; its validation side is heard, with that side's part of the background noise.
    negatives
        A folder of recordings in which no word of the vocabulary is said; not those on which
        figures are reported. None means that the limit is on the streams of words, for what fires
        there at words to be ignored and in noise.
    limit
        False accepts an hour that are allowed, at least 0.
    snrs, words, seed, tolerance, hear, on_progress
        See `evaluate_stream`; the seed differs, and so do the streams.

    Raises
    ------
    ValueError
        No setting keeps to the limit, or the data is a test archive, which has no such side.
    DataError, AudioError, FileNotFoundError
        The data cannot be read: see `speech_commands.load`, `audio.read`.
    """
    if not limit >= 0:
        raise ValueError(f"Expected a limit of at least 0 false accepts an hour, received {limit}.")
    if is_archive(data):
        raise ValueError(
            f"Expected a data set, received the test archive {data}: what is chosen on a test is "
            "not measured by it any more."
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
        others=other.heard if other else None,
        limit=limit,
        before=model.decoder,
        tolerance=tolerance,
    )


def choose(
    labels: Sequence[str],
    streams: Sequence[ScoredStream],
    *,
    others: ScoredStream | None,
    limit: float,
    before: DecoderConfig,
    tolerance: float = TOLERANCE,
) -> Tuning:
    """Choose settings on what was heard of streams and, where given, of others: see `tune`."""
    candidates = tuple(_sweep(labels, streams, others, before, tolerance))
    hours = candidates[0].others.hours
    if hours * limit < 1:
        logger.warning(
            "%.2f hours cannot show %g false accepts an hour: a single one is more. Tune on more "
            "recordings, or raise the limit.",
            hours,
            limit,
        )
    allowed = [c for c in candidates if c.others.false_accepts_per_hour <= limit]
    if not allowed:
        least = min(candidates, key=lambda c: c.others.false_accepts_per_hour).others
        raise ValueError(
            f"Expected settings with at most {limit:g} false accepts an hour, received none: the "
            f"strictest have {least.false_accepts_per_hour:.1f} ({least.false_accepts} in "
            f"{least.hours:.2f} h). Raise the limit, or train a model that knows more words."
        )
    chosen = min(allowed, key=lambda c: c.cost)
    return Tuning(chosen, candidates[0], candidates, limit, repeats([s.truth for s in streams]))


def _sweep(
    labels: Sequence[str],
    streams: Sequence[ScoredStream],
    others: ScoredStream | None,
    before: DecoderConfig,
    tolerance: float,
) -> Iterator[Candidate]:
    """Try the settings that the model has, then those of the grid; smooth once a window."""
    heard = [*streams, *([others] if others else [])]
    step = heard[0].posteriors.step
    for window, settings in itertools.groupby(
        (Decoder(labels, config=config, step=step) for config in (before, *_grid())),
        key=lambda decoder: decoder.window,
    ):
        smoothed = [_smoothed(h, window) for h in heard]
        for decoder in settings:
            scores = []
            for h, rows in zip(heard, smoothed, strict=True):
                decoder.reset()
                detections = decoder.decide(h.posteriors.times, rows)
                scores.append(
                    score_detections(detections, h.truth, duration=h.duration, tolerance=tolerance)
                )
            total = sum(scores[1 : len(streams)], start=scores[0])
            yield Candidate(decoder.config, total, scores[-1] if others else total)


def _grid() -> Iterator[DecoderConfig]:
    for smoothing, enter, part, refractory in itertools.product(SMOOTHING, ENTER, EXIT, REFRACTORY):
        yield DecoderConfig(
            smoothing=smoothing, enter=enter, exit=round(enter * part, 3), refractory=refractory
        )


def _smoothed(heard: ScoredStream, window: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = heard.posteriors.probabilities.astype(np.float64)
    return smooth(np.pad(rows, ((window - 1, 0), (0, 0))), window)
