"""Scores of detections against the words of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import metrics
from echoic.evaluation.result import DIGITS, rounded
from echoic.evaluation.stream_builder import Word
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime.decoder import Detection

TOLERANCE = 0.75
"""Longest time (s) after the end of a word at which its detection is a hit."""


@dataclass(frozen=True)
class Score:
    """Hits, misses and false accepts of detections; see `score_detections`.

    Attributes
    ----------
    words
        Words of the vocabulary in the stream.
    hits
        Those that were detected, each once.
    wrong_words
        Those in whose place another word was detected. They are misses too.
    false_accepts
        Detections that are neither: in noise, at a word to be ignored, a second one of a word.
    on_unknown
        Those of them at an ``_unknown_`` word.
    duration
        Length of the sound (s).
    delays
        Time from the end of each hit word to its detection (s), below 0 where that came first.
    """

    words: int
    hits: int
    wrong_words: int
    false_accepts: int
    on_unknown: int
    duration: float
    delays: tuple[float, ...] = ()

    def __add__(self, other: Score) -> Score:
        return Score(
            self.words + other.words,
            self.hits + other.hits,
            self.wrong_words + other.wrong_words,
            self.false_accepts + other.false_accepts,
            self.on_unknown + other.on_unknown,
            self.duration + other.duration,
            self.delays + other.delays,
        )

    @property
    def misses(self) -> int:
        """Words that were not detected as what they are."""
        return self.words - self.hits

    @property
    def miss_rate(self) -> float:
        """Fraction of the words that were missed; NaN without words."""
        return self.misses / self.words if self.words else float("nan")

    @property
    def error_rate(self) -> float:
        """Misses (wrong words among them) and false accepts, a word: as in a word error rate."""
        return (self.misses + self.false_accepts) / self.words if self.words else float("nan")

    @property
    def hours(self) -> float:
        """Length of the sound (h)."""
        return self.duration / 3600

    @property
    def false_accepts_per_hour(self) -> float:
        """Mean number of false accepts in an hour of this; NaN for no time at all.

        None at all is not a rate of 0: `report` gives what the hours can show.
        """
        return self.false_accepts / self.hours if self.duration else float("nan")

    def report(self, *, repeats: int = 1) -> dict[str, Any]:
        """Return the figures as plain data.

        Rates are fractions from 0 to 1, delays seconds, undefined figures None. Without a false
        accept the rate is None as well: the hours can only bound it, by the interval's upper end.
        Where the same words were played several times (``repeats``), as at several SNRs, the
        intervals are as wide as of one time.
        """
        report: dict[str, Any] = {}
        if self.words:
            interval = metrics.wilson_interval(round(self.misses / repeats), self.words // repeats)
            report = {
                "words": self.words,
                "hits": self.hits,
                "misses": self.misses,
                "wrong_words": self.wrong_words,
                "miss_rate": round(self.miss_rate, DIGITS),
                "miss_rate_interval": rounded(interval),
                "error_rate": round(self.error_rate, DIGITS),
                "delay": {
                    "median": round(float(np.median(self.delays)), 3) if self.delays else None,
                    "p95": round(float(np.quantile(self.delays, 0.95)), 3) if self.delays else None,
                },
            }
        report["false_accepts"] = false_accepts(self.false_accepts, self.hours, repeats=repeats)
        if self.words:
            report["false_accepts"]["on_unknown"] = self.on_unknown
        return report


def false_accepts(count: int, hours: float, *, repeats: int = 1) -> dict[str, Any]:
    """Return a number of false accepts as plain data: count, hours, rate and its interval.

    Without a false accept the rate is None. For ``repeats`` see `Score.report`.
    """
    interval = metrics.poisson_interval(round(count / repeats), hours / repeats)
    return {
        "count": count,
        "hours": round(hours, 4),
        "per_hour": round(count / hours, DIGITS) if count else None,
        "interval": rounded(interval),
    }


def score_detections(
    detections: Sequence[Detection],
    truth: Sequence[Word],
    *,
    duration: float,
    tolerance: float = TOLERANCE,
) -> Score:
    """Compare detections with the words of a stream.

    A detection can match a word if its time is between the word's start and ``tolerance`` after
    its end. In order of time, each detection takes the first free word of its own label (a hit).
    Each of the others takes the first free word of another label but ``_unknown_`` (a wrong word).
    What is left is a false accept.

    Parameters
    ----------
    detections
        In any order.
    truth
        The words; ``_unknown_`` and ``_silence_`` stand for what is to be ignored.
    duration
        Length of the stream (s).
    tolerance
        Longest delay of a hit (s), at least 0.

    Raises
    ------
    ValueError
        A detection or a word outside the stream, or a tolerance below 0.
    """
    if not tolerance >= 0:
        raise ValueError(f"Expected a tolerance of at least 0 seconds, received {tolerance}.")
    times = [d.time for d in detections] + [word.start for word in truth]
    # A last step may end a rounding error after the stream.
    if times and not (min(times) >= 0 and max(times) <= duration + 1e-6):
        raise ValueError(
            f"Expected detections and words from 0 to {duration:g} s, the stream's duration, "
            f"received times from {min(times):g} to {max(times):g} s: pass both on the clock of "
            "the same stream."
        )
    ordered = sorted(detections, key=lambda d: d.time)
    words = sorted(word for word in truth if word.label not in (SILENCE, UNKNOWN))
    free = [True] * len(words)
    starts = np.array([word.start for word in words])
    ends = np.array([word.end for word in words]) + tolerance
    delays, wrong = [], 0
    others = []
    for detection in ordered:
        for i in _around(detection.time, starts, ends):
            if free[i] and words[i].label == detection.label:
                free[i] = False
                delays.append(detection.time - words[i].end)
                break
        else:
            others.append(detection)
    left = []
    for detection in others:
        # Its own label is not free here, or it would be a hit.
        candidates = [i for i in _around(detection.time, starts, ends) if free[i]]
        if candidates:
            free[candidates[0]] = False
            wrong += 1
        else:
            left.append(detection)
    ignored = [word for word in truth if word.label == UNKNOWN]
    starts = np.array([word.start for word in ignored])
    ends = np.array([word.end for word in ignored]) + tolerance
    on_unknown = sum(bool(_around(detection.time, starts, ends)) for detection in left)
    return Score(
        len(words), len(delays), wrong, len(left), on_unknown, float(duration), tuple(delays)
    )


def _around(
    time: float, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]
) -> list[int]:
    """Return which stretches hold an instant, the earliest first."""
    return np.flatnonzero((starts <= time) & (time <= ends)).tolist()
