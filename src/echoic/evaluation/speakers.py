"""Per speaker: how much the accuracy differs between speakers, beside chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import metrics
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.origins import origin, speaker_groups
from echoic.evaluation.result import Estimate, NotMeasured, fraction, proportion, rounded

DRAWS = 1000
"""How often chance is drawn to see how much speakers would differ by it alone."""

WORST = 10
"""Speakers that are listed."""

GROUPS = ((1, 5), (6, 10), (11, 20), (21, 40), (41, None))
"""Speakers by number of clips, from and to."""


@dataclass(frozen=True)
class SpeakerGroup:
    """Speakers who gave about as many clips.

    Attributes
    ----------
    clips
        How many clips, as a range.
    speakers
        Number of speakers.
    accuracy
        Of their clips together.
    worst
        Accuracy of the worst of them.
    """

    clips: str
    speakers: int
    accuracy: Estimate
    worst: float


@dataclass(frozen=True, eq=False)
class PerSpeaker:
    """How much the accuracy differs between speakers, beside what chance alone would give.

    Standard deviations are weighted by clips.

    Attributes
    ----------
    names
        Speakers, (speakers,).
    clips, hits
        Number of clips of each, and of those that were right: (speakers,) int64.
    chance
        Accuracies that chance alone gave as many clips: (draws, speakers), 0 to 1.
    overall
        Accuracy of all clips, those of no speaker among them; its interval takes clips as
        independent.
    speaker_interval
        Interval of that accuracy from resampled speakers.
    deviation, deviation_by_chance, deviation_by_chance_interval, deviation_beyond_chance
        Standard deviation of the accuracies; the same by chance, mean and 95 % interval; what is
        left when chance is taken out.
    percentile_10, percentile_10_by_chance
        Accuracy that one speaker in ten does not exceed.
    groups
        Speakers by number of clips.
    """

    names: tuple[str, ...]
    clips: npt.NDArray[np.int64]
    hits: npt.NDArray[np.int64]
    chance: npt.NDArray[np.float64]
    overall: Estimate
    speaker_interval: tuple[float, float]
    deviation: float
    deviation_by_chance: float
    deviation_by_chance_interval: tuple[float, float]
    deviation_beyond_chance: float
    percentile_10: float
    percentile_10_by_chance: float
    groups: tuple[SpeakerGroup, ...]

    @property
    def accuracy(self) -> npt.NDArray[np.float64]:
        """Accuracy of each speaker, (speakers,)."""
        return self.hits / self.clips

    @property
    def worst(self) -> list[int]:
        """Indices of the `WORST` speakers; ties go to those with more clips."""
        return [int(i) for i in np.lexsort((-self.clips, self.accuracy))[:WORST]]

    @property
    def differs(self) -> bool:
        """Whether the accuracies spread by more than chance gives in 39 of 40 cases."""
        return self.deviation > self.deviation_by_chance_interval[1]

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        overall, accuracy = self.overall.report(), self.accuracy
        return {
            "speakers": len(self.names),
            "clips": int(self.clips.sum()),
            "clips_of_a_speaker": {
                "median": float(np.median(self.clips)),
                "least": int(self.clips.min()),
                "most": int(self.clips.max()),
            },
            "accuracy": overall["accuracy"],
            "interval": overall["interval"],
            "speaker_interval": rounded(self.speaker_interval),
            "median": fraction(np.median(accuracy)),
            "percentile_10": fraction(self.percentile_10),
            "percentile_10_by_chance": fraction(self.percentile_10_by_chance),
            "standard_deviation": fraction(self.deviation),
            "standard_deviation_by_chance": fraction(self.deviation_by_chance),
            "standard_deviation_by_chance_interval": rounded(self.deviation_by_chance_interval),
            "standard_deviation_beyond_chance": fraction(self.deviation_beyond_chance),
            "worst": [
                {
                    "speaker": self.names[i],
                    "n": int(self.clips[i]),
                    "accuracy": fraction(accuracy[i]),
                }
                for i in self.worst
            ],
            "by_clips": [
                {
                    "clips": group.clips,
                    "speakers": group.speakers,
                    **group.accuracy.report(),
                    "worst": fraction(group.worst),
                }
                for group in self.groups
            ],
        }


def per_speaker(evaluation: Evaluation) -> PerSpeaker | NotMeasured:
    """Compute how much speakers differ, beside what chance gives for as many clips."""
    examples = evaluation.examples
    who = [origin(name).speaker for name in examples.names]
    known = np.array([speaker is not None for speaker in who])
    names, index = np.unique([s for s in who if s is not None], return_inverse=True)
    if len(names) < 2:
        found = f"all clips are of one speaker, {names[0]}" if len(names) else "no clip names one"
        return NotMeasured(
            f"Expected clips of at least two speakers; {found}. Speakers are read from file "
            "names, as in yes/0a7c2a8d_nohash_0.wav."
        )
    right = evaluation.predicted == examples.targets
    clips = np.bincount(index)
    hits = np.bincount(index, weights=right[known]).astype(np.int64)
    accuracy = hits / clips
    p = hits.sum() / clips.sum()
    chance = np.random.default_rng(0).binomial(clips, p, (DRAWS, len(clips))) / clips
    deviation, expected = _deviation(accuracy, clips, p), _deviation(chance, clips, p)
    low, high = np.quantile(expected, (0.025, 0.975))
    return PerSpeaker(
        names=tuple(str(name) for name in names),
        clips=clips,
        hits=hits,
        chance=chance,
        overall=evaluation.figures["accuracy"],
        speaker_interval=metrics.cluster_bootstrap_interval(right, speaker_groups(examples)),
        deviation=float(deviation),
        deviation_by_chance=float(expected.mean()),
        deviation_by_chance_interval=(float(low), float(high)),
        deviation_beyond_chance=float(
            np.sqrt(max(float(deviation**2 - np.mean(expected**2)), 0.0))
        ),
        percentile_10=float(np.quantile(accuracy, 0.1)),
        percentile_10_by_chance=float(np.quantile(chance, 0.1, axis=1).mean()),
        groups=tuple(_groups(clips, hits)),
    )


def _groups(clips: npt.NDArray[np.int64], hits: npt.NDArray[np.int64]) -> list[SpeakerGroup]:
    """Group speakers by number of clips; a group without speakers is left out."""
    groups = []
    for low, high in GROUPS:
        which = (clips >= low) & (clips <= (high or clips.max()))
        if which.any():
            groups.append(
                SpeakerGroup(
                    clips=f"{low} – {high}" if high else f"{low} or more",
                    speakers=int(which.sum()),
                    accuracy=proportion(int(hits[which].sum()), int(clips[which].sum())),
                    worst=float((hits[which] / clips[which]).min()),
                )
            )
    return groups


def _deviation(
    accuracy: npt.NDArray[np.float64], clips: npt.NDArray[np.int64], overall: float
) -> npt.NDArray[np.float64]:
    """Return the standard deviation of accuracies, (..., speakers), weighted by clips.

    Weighted so that its square is Pearson's chi-squared but for a factor, the usual measure of
    whether proportions differ, and is what chance gives plus the variance of the speakers.
    """
    return np.asarray(np.sqrt(np.average((accuracy - overall) ** 2, weights=clips, axis=-1)))
