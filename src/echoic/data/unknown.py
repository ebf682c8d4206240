"""Synthetic unknown words: recordings played backwards, and one word's start with another's end.

They teach a network that what merely sounds like a command is none.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from echoic import audio
from echoic.audio import Waveform
from echoic.data.sources import Source


def synthetic_unknown(
    source: Source, labels: Collection[str], rng: np.random.Generator
) -> Waveform:
    """Make a synthetic word from random recordings, (samples,) float32.

    Half of them are one recording backwards, unless that spells a label ("on" backwards is "no").
    The others are the first half of one word and the second half of another, by energy; two
    labels are not spliced, because they could make a third ("go" and "no").
    """
    while True:
        pair = rng.integers(len(source), size=2)
        first, second = (source.labels[i] for i in pair)
        beginning, end = audio.to_float32(source.read(pair))
        if rng.random() < 0.5:
            if first[::-1] not in labels:
                return beginning[::-1]
        elif first != second and not {first, second} <= set(labels):
            spliced = [beginning[: _middle(beginning)], end[_middle(end) :]]
            return audio.fix_length(np.concatenate(spliced), len(beginning))


def _middle(waveform: Waveform) -> int:
    """Return the sample before which half of the energy lies."""
    energy = np.cumsum(np.square(waveform))
    return int(np.searchsorted(energy, energy[-1] / 2))
