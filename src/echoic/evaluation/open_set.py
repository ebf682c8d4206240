"""Open set: how well words outside of the vocabulary are rejected."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic import metrics
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.origins import origin
from echoic.evaluation.result import DIGITS, Estimate, NotMeasured, fraction, proportion
from echoic.labels import SILENCE, UNKNOWN

RECALL = 0.95
"""Fraction of the commands that the threshold of the open set accepts."""


@dataclass(frozen=True)
class Refusal:
    """How well scores part commands from other words.

    Attributes
    ----------
    auroc
        Area under the ROC curve: the probability that a command scores above another word.
    false_accept_rate
        Fraction of the other words at or above the threshold, with their number.
    """

    auroc: float
    false_accept_rate: Estimate

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {"auroc": round(self.auroc, 5), **self.false_accept_rate.report("false_accept_rate")}


@dataclass(frozen=True)
class OtherWord:
    """What became of the clips of one word outside of the vocabulary.

    Attributes
    ----------
    word
        The word; None where the names of files do not tell it.
    in_training
        Whether training used clips of it.
    n
        Number of clips.
    rejected
        Fraction whose score is below the threshold.
    no_command
        Fraction that was not predicted as a command.
    taken_for
        The command that it was most often taken for; None where it was taken for none.
    """

    word: str | None
    in_training: bool
    n: int
    rejected: float
    no_command: float
    taken_for: str | None


@dataclass(frozen=True, eq=False)
class OpenSet:
    """How well words outside of the vocabulary are rejected.

    A clip's score is the largest probability of a command.

    Attributes
    ----------
    threshold
        The highest that accepts `RECALL` of the commands.
    commands, trained, unseen
        Scores of clips of the commands; of other words that training used; of other words that it
        never used: (n,), the last two may be empty.
    trained_refusal, unseen_refusal, refusal
        Figures of those two and of all other words; None without clips.
    words
        Each word, the least often rejected first.
    """

    threshold: float
    commands: npt.NDArray[np.float32]
    trained: npt.NDArray[np.float32]
    unseen: npt.NDArray[np.float32]
    trained_refusal: Refusal | None
    unseen_refusal: Refusal | None
    refusal: Refusal
    words: tuple[OtherWord, ...]

    def report(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "commands": len(self.commands),
            "recall": RECALL,
            "threshold": round(self.threshold, 5),
            "used_in_training": self.trained_refusal and self.trained_refusal.report(),
            "never_used_in_training": self.unseen_refusal and self.unseen_refusal.report(),
            "all": self.refusal.report(),
            "words": [
                {
                    "word": row.word,
                    "used_in_training": row.in_training,
                    "n": row.n,
                    "rejected": fraction(row.rejected),
                    "not_predicted_as_command": fraction(row.no_command),
                    "most_often_taken_for": row.taken_for,
                }
                for row in self.words
            ],
        }


def open_set(
    evaluation: Evaluation, *, unseen_words: Collection[str] = ()
) -> OpenSet | NotMeasured:
    """Compute how well words outside of the vocabulary are rejected.

    Parameters
    ----------
    evaluation
        The predictions.
    unseen_words
        Words that training never used.
    """
    examples = evaluation.examples
    labels = examples.labels
    commands = [i for i, label in enumerate(labels) if label not in (SILENCE, UNKNOWN)]
    known = np.isin(examples.targets, commands)
    other = np.zeros(len(examples), dtype=bool)
    if UNKNOWN in labels:
        other = examples.targets == labels.index(UNKNOWN)
    if not known.any() or not other.any():
        lacking = "words of the vocabulary" if other.any() else "words outside of the vocabulary"
        return NotMeasured(
            f"Expected clips of words of the vocabulary and of others; there are no {lacking}."
        )
    scores = evaluation.probabilities[:, commands].max(axis=1)
    words = np.array([origin(name).word or "" for name in examples.names])
    unseen = np.isin(words, list(unseen_words))
    _, threshold = metrics.false_accept_rate(scores[known], scores[other], recall=RECALL)
    rows = []
    for word in sorted({str(word) for word in words[other]}):
        which = other & (words == word)
        counts = np.bincount(evaluation.predicted[which], minlength=len(labels))[commands]
        n = int(which.sum())
        rows.append(
            OtherWord(
                word=word or None,
                in_training=not unseen[which].any(),
                n=n,
                rejected=float(np.mean(scores[which] < threshold)),
                no_command=float(1 - counts.sum() / n),
                taken_for=labels[commands[counts.argmax()]] if counts.any() else None,
            )
        )
    refusal = _refusal(scores[known], scores[other])
    assert refusal is not None  # there are others
    return OpenSet(
        threshold=threshold,
        commands=scores[known],
        trained=scores[other & ~unseen],
        unseen=scores[other & unseen],
        trained_refusal=_refusal(scores[known], scores[other & ~unseen]),
        unseen_refusal=_refusal(scores[known], scores[other & unseen]),
        refusal=refusal,
        words=tuple(sorted(rows, key=lambda row: (round(row.rejected, DIGITS), row.word or ""))),
    )


def _refusal(
    positive: npt.NDArray[np.float32], negative: npt.NDArray[np.float32]
) -> Refusal | None:
    """Compare scores of commands with those of other words; None without any of these."""
    from sklearn.metrics import roc_auc_score

    if not len(negative):
        return None
    rate, _ = metrics.false_accept_rate(positive, negative, recall=RECALL)
    n = len(negative)
    is_command = np.repeat([1, 0], [len(positive), n])
    auroc = roc_auc_score(is_command, np.concatenate([positive, negative]))
    return Refusal(float(auroc), proportion(round(rate * n), n))
