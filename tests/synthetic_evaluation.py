"""Evaluations of known predictions, without a model or a sound."""

from __future__ import annotations

import numpy as np

from echoic import data as datasets
from echoic.evaluation import Evaluation

LABELS = ("_silence_", "_unknown_", "yes", "no")

UNKNOWN_CLIPS = [
    ("_unknown_/cat_0c540988_nohash_0.wav.wav", "_unknown_", "_unknown_"),
    ("_unknown_/cat_0c540989_nohash_0.wav.wav", "_unknown_", "_unknown_"),
    ("_unknown_/cat_0c540990_nohash_0.wav.wav", "_unknown_", "no"),
    ("_unknown_/wow_0c540988_nohash_1.wav.wav", "_unknown_", "yes"),
    ("_unknown_/wow_0c540991_nohash_0.wav.wav", "_unknown_", "_unknown_"),
]


def make_evaluation(clips, *, probability=0.7, labels=LABELS):
    """Make an evaluation of (name, true label, predicted label) triples."""
    targets = [labels.index(true) for _, true, _ in clips]
    predicted = [labels.index(answer) for _, _, answer in clips]
    n = len(clips)
    examples = datasets.Examples(
        np.zeros((n, 1), np.float32), np.array(targets), tuple(c[0] for c in clips), labels
    )
    probabilities = np.full((n, len(labels)), (1 - probability) / (len(labels) - 1), np.float32)
    probabilities[np.arange(n), predicted] = probability
    return Evaluation("archive-v0.02", {}, examples, probabilities)


def archive_clips(wrong=("bad",), *, speakers=20, clips=5):
    """Make clips of speakers who say words in turn; those of ``wrong`` are never understood."""
    found = [("_silence_/1.wav", "_silence_", "_silence_")]
    for number in range(speakers):
        who = wrong[number] if number < len(wrong) else f"{number:08x}"
        for take in range(clips):
            word, other = ("yes", "no") if take % 2 else ("no", "yes")
            predicted = other if who in wrong else word
            found.append((f"{word}/{who}_nohash_{take}.wav", word, predicted))
    return found
