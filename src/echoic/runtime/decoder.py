"""The decoder: posteriors in, step by step; detections out.

A pure state machine, as in keyword spotting since Chen, Parada and Heigold, "Small-footprint
keyword spotting using deep neural networks", ICASSP 2014: posteriors are averaged over a short
window, and a word fires where its average is the highest of all labels and reaches a threshold.
Two rules keep one word from being two detections: hysteresis (the word must fall below a lower
threshold before it can fire again) and a refractory time (after a detection no word fires).
``_silence_`` and ``_unknown_`` never fire, but they bid like any label: what is more probably
one of them is no word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echoic.config import DecoderConfig
from echoic.labels import SILENCE, UNKNOWN

__all__ = ["Decoder", "Detection", "smooth"]

Floats = npt.NDArray[np.float64]

TOLERANCE = 0.05
"""How far probabilities may be from summing to 1: twelve that are rounded to 8 bits may be."""


@dataclass(frozen=True)
class Detection:
    """A word that was recognized in a stream.

    Attributes
    ----------
    time
        The instant of the decision on the stream's clock (s).
    label
        The word.
    confidence
        Its smoothed posterior at that instant, 0 to 1.
    """

    time: float
    label: str
    confidence: float


class Decoder:
    """Turns the posteriors of a stream into detections.

    The result does not depend on how the stream is cut into calls.

    Parameters
    ----------
    labels
        In the order of the posteriors.
    config
        Thresholds and times; None means the defaults.
    step
        Time (s) from one posterior to the next.

    Raises
    ------
    ValueError
        No word among the labels, a threshold for a word that is not among them, or a step that is
        not above 0.
    """

    def __init__(
        self, labels: Sequence[str], *, config: DecoderConfig | None = None, step: float
    ) -> None:
        self.labels = tuple(labels)
        self.config = config or DecoderConfig()
        self.step = step
        if not 0 < step < np.inf:
            raise ValueError(f"Expected a step above 0 seconds, received {step}.")
        words = [label for label in self.labels if label not in (SILENCE, UNKNOWN)]
        if not words:
            raise ValueError(f"Expected labels with a word among them, received {self.labels}.")
        if strange := sorted(set(self.config.words) - set(words)):
            raise ValueError(
                f"Expected thresholds for words of the vocabulary ({', '.join(words)}), "
                f"received one for {', '.join(strange)}."
            )
        self.window = max(1, round(self.config.smoothing / step))
        """Steps that are averaged."""
        self.thresholds = {x: self.config.words.get(x, self.config.enter) for x in words}
        """Smoothed posterior from which each word fires."""
        # No posterior reaches an infinite threshold.
        self._enter = np.array([self.thresholds.get(x, np.inf) for x in self.labels])
        # Half a step less, for times are sums of rounded steps.
        self._refractory = self.config.refractory - step / 2
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next posterior may be of another stream, with another clock."""
        # Before a stream there is nothing, so a window that it does not yet fill cannot be sure.
        self._recent = np.zeros((self.window - 1, len(self.labels)))
        self._smoothed = np.zeros(len(self.labels))
        self._steps = 0
        self._time = -np.inf
        self._last = -np.inf
        self._low = np.full(len(self.labels), -1)  # the step at which a label was last below exit
        self._fired = np.full(len(self.labels), -2)  # and at which it last fired

    @property
    def smoothed(self) -> Floats:
        """The smoothed posterior of the last step, (labels,); zeros before the first."""
        return self._smoothed

    def process(self, time: float, probabilities: npt.ArrayLike) -> Detection | None:
        """Take the posterior of one step.

        Parameters
        ----------
        time
            End of the step on the stream's clock (s), later than that of the step before.
        probabilities
            Shape (labels,), from 0 to 1, of sum 1.

        Raises
        ------
        ValueError
            Another shape, no probabilities, or a time that does not advance.
        """
        row = np.asarray(probabilities, dtype=np.float64)
        if row.shape != (len(self.labels),):
            raise ValueError(
                f"Expected probabilities of shape ({len(self.labels)},), one a label, "
                f"received shape {row.shape}."
            )
        detections = self.process_many([time], row[None])
        return detections[0] if detections else None

    def process_many(self, times: npt.ArrayLike, probabilities: npt.ArrayLike) -> list[Detection]:
        """Take the posteriors of several steps, as `process` does one by one, only faster.

        Parameters
        ----------
        times
            End of each step on the stream's clock (s), ascending, shape (steps,).
        probabilities
            Shape (steps, labels), from 0 to 1, each row of sum 1.

        Raises
        ------
        ValueError
            Other shapes, no probabilities, or a time that does not advance.
        """
        instants = np.asarray(times, dtype=np.float64)
        rows = np.asarray(probabilities, dtype=np.float64)
        if not len(rows):
            return []
        self._check(instants, rows)
        heard = np.concatenate([self._recent, rows])
        self._recent = heard[len(rows) :]
        return self.decide(instants, smooth(heard, self.window))

    def decide(self, times: Floats, smoothed: Floats) -> list[Detection]:
        """Take posteriors that are already smoothed and known to be valid.

        For sweeps over thresholds, which smooth a stream once: see `smooth`. Shapes are those of
        `process_many`.
        """
        n = len(times)
        best = smoothed.argmax(axis=1)
        confidence = smoothed[np.arange(n), best]
        # Only where a word reaches its threshold can anything happen, and whether it has been low
        # since it last fired is a matter of two numbers: no other step needs a look.
        steps = np.flatnonzero(confidence >= self._enter[best])
        low = np.where(smoothed < self.config.exit, np.arange(n)[:, None] + self._steps, -1)
        low = np.maximum.accumulate(np.maximum(low, self._low), axis=0)
        lows = low[steps, best[steps]]
        detections = []
        for i, label, low_at, time in zip(
            steps.tolist(), best[steps].tolist(), lows.tolist(), times[steps].tolist(), strict=True
        ):
            if low_at > self._fired[label] and time - self._last >= self._refractory:
                self._fired[label], self._last = i + self._steps, time
                detections.append(Detection(time, self.labels[label], float(confidence[i])))
        self._low = low[-1]
        self._smoothed = smoothed[-1].copy()  # a view would keep the whole block
        self._steps += n
        self._time = float(times[-1])
        return detections

    def _check(self, times: Floats, rows: Floats) -> None:
        if times.ndim != 1 or rows.shape != (len(times), len(self.labels)):
            raise ValueError(
                f"Expected times of shape (steps,) and probabilities of shape (steps, "
                f"{len(self.labels)}), received shapes {times.shape} and {rows.shape}."
            )
        before = np.concatenate([[self._time], times[:-1]])
        if not (np.isfinite(times).all() and (times > before).all()):
            wrong = int(np.argmin(np.isfinite(times) & (times > before)))
            raise ValueError(
                f"Expected times that advance, received {times[wrong]:g} s after "
                f"{before[wrong]:g} s. Call reset() before another stream."
            )
        sums = rows.sum(axis=1)
        # Written so that NaN is wrong too.
        right = (rows >= 0).all(axis=1) & (np.abs(sums - 1) <= TOLERANCE)
        if not right.all():
            wrong = int(np.argmin(right))
            raise ValueError(
                f"Expected probabilities from 0 to 1 of sum 1, received "
                f"{np.round(rows[wrong], 4).tolist()}, of sum {sums[wrong]:.4g}, at "
                f"{times[wrong]:g} s. Take the softmax of logits."
            )


def smooth(probabilities: Floats, window: int) -> Floats:
    """Average each step with the ``window - 1`` before it: (steps, labels), fewer by as many.

    The terms are added oldest first, so that a step has the same bits alone and in any block.
    """
    n = len(probabilities) - window + 1
    total = np.zeros((n, probabilities.shape[1]))
    for first in range(window):
        total += probabilities[first : first + n]
    return total / window
