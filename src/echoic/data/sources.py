"""From recordings to examples: waveforms in memory, silence cut from noise, unknown words drawn."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.augmentation import TALKERS, babble, random_crops, synthetic_noise
from echoic.config import DataConfig
from echoic.data.splits import Clip, DataError, SplitName, noise_files, scan, words_in
from echoic.labels import SILENCE, UNKNOWN

if TYPE_CHECKING:
    from echoic.audio import Waveform

logger = logging.getLogger(__name__)

SILENT, SYNTHETIC = -1, -2
"""What `Split.draw` says in place of a clip's index."""

MOST_DAMAGED = 0.005
"""Part of the files that may be damaged before a run stops."""

ARCHIVE_CLIPS = 4890
"""Clips in the official test archive of v0.02."""

_NOISE_PARTS: dict[SplitName, tuple[float, float]] = {
    "training": (0.0, 0.8),
    "validation": (0.8, 0.9),
    "test": (0.9, 1.0),
}
"""Each noise recording is split in time, so that no silence is heard on two sides."""


@dataclass(frozen=True)
class Examples:
    """Clips with their answers, ready to be scored: waveforms (n, samples) float32."""

    waveforms: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    names: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Split:
    """One side of a data set, in memory.

    Attributes
    ----------
    labels
        In the order of a model's outputs.
    clips
        The recordings that could be read.
    waveforms
        int16 array of shape (clips, samples).
    targets
        Index into ``labels`` of each clip's answer, shape (clips,).
    noises
        float32 waveforms: this side's part of each background noise.
    config
        What was asked for.
    damaged
        Recordings that were left out, with the reason.
    """

    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    waveforms: npt.NDArray[np.int16]
    targets: npt.NDArray[np.int64]
    noises: tuple[Waveform, ...]
    config: DataConfig
    damaged: tuple[str, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """Number of clips by label; for unknown words all that can be drawn from."""
        counter = Counter(self.labels[t] for t in self.targets)
        return {label: counter[label] for label in self.labels if label != SILENCE}

    def draw(
        self, rng: np.random.Generator, *, synthetic_unknown_fraction: float = 0.0
    ) -> npt.NDArray[np.int64]:
        """Draw the examples of an epoch: indices of clips in random order.

        Every clip of the vocabulary once, a fresh draw of the unknown words, and silence, in the
        proportions of the configuration. `SILENT` stands for a cut of noise, `SYNTHETIC` for a word
        to forge.
        """
        unknown = self._index(UNKNOWN)
        words = np.flatnonzero(self.targets != unknown)
        others = np.flatnonzero(self.targets == unknown)
        config = self.config
        known_part = 1 - config.unknown_fraction - config.silence_fraction
        total = len(words) / known_part if UNKNOWN in self.labels else len(words)
        n_unknown = min(round(total * config.unknown_fraction), len(others))
        n_forged = round(n_unknown * synthetic_unknown_fraction)
        n_silence = round(total * config.silence_fraction) if self._has_silence else 0
        drawn = np.concatenate(
            [
                words,
                rng.choice(others, n_unknown - n_forged, replace=False),
                np.full(n_forged, SYNTHETIC),
                np.full(n_silence, SILENT),
            ]
        )
        return rng.permutation(drawn).astype(np.int64)

    def take(
        self, indices: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return waveforms (n, samples) and targets (n,) of indices that `draw` gave."""
        waveforms = audio.to_float32(self.waveforms[indices])
        for i in np.flatnonzero(indices < 0):
            waveforms[i] = self._silence(rng) if indices[i] == SILENT else self._synthesize(rng)
        return waveforms, self.targets_of(indices)

    def targets_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the targets (n,) of indices that `draw` gave."""
        targets = self.targets[indices]
        targets[indices == SILENT] = self._index(SILENCE)
        targets[indices == SYNTHETIC] = self._index(UNKNOWN)
        return targets

    @cached_property
    def _words(self) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
        """The words of the recordings, and the index of each clip's among them."""
        words, index = np.unique([clip.word for clip in self.clips], return_inverse=True)
        return tuple(words.tolist()), index.astype(np.int64)

    @property
    def n_words(self) -> int:
        """How many kinds `words_of` tells apart."""
        return len(self._words[0]) + 2

    def words_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Tell which word each example is, unknown ones by name; silence and forged ones last.

        Finer than the targets, in which all unknown words are one.
        """
        words, index = self._words
        kinds = index[indices]
        kinds[indices == SILENT] = len(words)
        kinds[indices == SYNTHETIC] = len(words) + 1
        return kinds

    def examples(self, *, seed: int = 0) -> Examples:
        """Return the fixed examples of a validation or test set: the same at each call."""
        rng = np.random.default_rng(seed)
        indices = np.sort(self.draw(rng))
        waveforms, targets = self.take(indices, rng)
        names = [self.clips[i].name if i >= 0 else SILENCE for i in indices]
        return Examples(waveforms, targets, tuple(names), self.labels)

    def _silence(self, rng: np.random.Generator) -> Waveform:
        """Cut a clip from a random noise at 0 to -70 dB: a loud room, or hardly anything at all.

        Evenly in decibels: a recognizer that never heard a quiet room takes it for a word.
        """
        volume = np.float32(10 ** (rng.uniform(-70, 0) / 20))
        return random_crops(self.noises, 1, self.waveforms.shape[1], rng=rng)[0] * volume

    def _synthesize(self, rng: np.random.Generator) -> Waveform:
        """Make a word that is none: one played backwards, or one's beginning and another's end."""
        while True:
            clips = rng.integers(len(self.clips), size=2)
            word, other = (self.clips[i].word for i in clips)
            beginning, end = audio.to_float32(self.waveforms[clips])
            if rng.random() < 0.5:
                if word[::-1] not in self.labels:  # "on" backwards is "no"
                    return beginning[::-1]
            elif word != other and not {word, other} <= set(self.labels):
                # Two commands could make a third: "go" and "no" begin alike and end alike.
                spliced = [beginning[: _middle(beginning)], end[_middle(end) :]]
                return audio.fix_length(np.concatenate(spliced), len(beginning))

    @property
    def _has_silence(self) -> bool:
        return SILENCE in self.labels and bool(self.noises)

    def _index(self, label: str) -> int:
        return self.labels.index(label) if label in self.labels else -1


def load(
    root: str | Path, config: DataConfig, split: SplitName, *, extra_data: Sequence[str | Path] = ()
) -> Split:
    """Read one side of a data set into memory.

    Recordings of another rate, width or number of channels are converted; of one that is longer
    than a clip the loudest part is taken. What is damaged is left out, named in a warning and
    counted.

    Parameters
    ----------
    root
        The data set; the background noises are its own.
    config
        What is drawn from it.
    split
        Which side.
    extra_data
        More data sets, whose recordings of this side join in: other voices, other unknown words.

    Raises
    ------
    DataError
        The folder is not a data set, a word of the vocabulary has no clips on this side, or more
        than `MOST_DAMAGED` of the recordings cannot be used.
    AudioError
        A background noise cannot be read.
    """
    root = Path(root)
    labels = config.labels
    words = [label for label in labels if label not in (SILENCE, UNKNOWN)]
    needs_others = UNKNOWN in labels and config.unknown_fraction > 0
    found: list[Clip] = []
    for folder in (root, *map(Path, extra_data)):
        wanted = [w for w in words_in(folder) if w in words] if found else list(words)
        if needs_others:
            left_out = {*words, *config.unseen_words}
            wanted += [w for w in words_in(folder) if w not in left_out]
        found += scan(folder, words=wanted)
    if needs_others and {clip.word for clip in found} <= set(words):
        logger.warning("No other words in %s: %s cannot be learned.", root, UNKNOWN)
    clips = [clip for clip in found if clip.split == split]
    if lacking := sorted(set(words) - {clip.word for clip in clips}):
        raise DataError(
            f"No {split} recordings of {', '.join(lacking)} in {root}. A word needs recordings of "
            "enough speakers for each side; about ten speakers a word is the least."
        )
    n_samples = round(config.clip_seconds * audio.SAMPLE_RATE)
    clips, waveforms, damaged = _read_all(clips, n_samples)
    targets = [labels.index(c.word if c.word in labels else UNKNOWN) for c in clips]
    noises = _noises(root, config, split)
    if split == "training":
        noises += _babble(waveforms, config)
    if SILENCE in labels and not noises:
        logger.warning("No background noise in %s: there will be no examples of silence.", root)
    return Split(
        labels,
        tuple(clips),
        waveforms,
        np.array(targets, dtype=np.int64),
        tuple(noises),
        config,
        tuple(damaged),
    )


def load_folders(root: str | Path, *, labels: Sequence[str], clip_seconds: float = 1.0) -> Examples:
    """Read a test archive: one folder a label, ``_silence_`` and ``_unknown_`` among them.

    Raises
    ------
    DataError
        The folder does not exist, holds no recordings, has a folder that is no label of the
        model, or more than `MOST_DAMAGED` of its recordings cannot be used.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(
            f"No test set at {root}. Get the official one with 'echoic download --test-set'."
        )
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if strange := [p.name for p in folders if p.name not in labels]:
        raise DataError(
            f"Expected a folder a label of the model in {root}, received also "
            f"{', '.join(strange)}. The model's labels are {', '.join(labels)}."
        )
    clips = [
        Clip(path, folder.name, path.name, "test")
        for folder in folders
        for path in sorted(filter(audio.is_recording, folder.iterdir()))
    ]
    if not clips:
        raise DataError(f"No recordings in {root}.")
    clips, waveforms, _ = _read_all(
        clips, round(clip_seconds * audio.SAMPLE_RATE), silence_is_damage=False
    )
    return Examples(
        audio.to_float32(waveforms),
        np.array([labels.index(clip.word) for clip in clips], dtype=np.int64),
        tuple(clip.name for clip in clips),
        tuple(labels),
    )


def archive_warnings(clips: int) -> list[str]:
    """Say so where the clips are not as many as those of the official archive."""
    if clips == ARCHIVE_CLIPS:
        return []
    return [
        f"The official archive has {ARCHIVE_CLIPS:,} clips, this folder has {clips:,}: the "
        "figures are of another test."
    ]


def fingerprint(
    root: str | Path, config: DataConfig, *, extra_data: Sequence[str | Path] = ()
) -> str:
    """SHA-256 of the sorted names of the files that training may use: which data was it?"""
    names = sorted(
        clip.name
        for folder in (Path(root), *map(Path, extra_data))
        for clip in scan(
            folder, words=[w for w in words_in(folder) if w not in config.unseen_words]
        )
    )
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _read_all(
    clips: Sequence[Clip], n_samples: int, *, silence_is_damage: bool = True
) -> tuple[list[Clip], npt.NDArray[np.int16], list[str]]:
    """Read clips and sort out what is damaged; threads would gain nothing on such short files."""

    def read(clip: Clip) -> npt.NDArray[np.int16] | str:
        try:
            waveform = audio.read(clip.path)
        except (audio.AudioError, OSError) as error:
            return str(error)
        if silence_is_damage and not waveform.any():
            return f"{clip.path} is digital silence."
        return audio.to_int16(audio.fix_length(_loudest(waveform, n_samples), n_samples))

    waveforms = np.zeros((len(clips), n_samples), dtype=np.int16)
    kept: list[Clip] = []
    damaged: list[str] = []
    for clip in clips:
        result = read(clip)
        if isinstance(result, str):
            damaged.append(result)
        else:
            waveforms[len(kept)] = result
            kept.append(clip)
    if damaged:
        report = "\n  ".join(damaged)
        if len(damaged) > MOST_DAMAGED * len(clips):
            raise DataError(
                f"{len(damaged)} of {len(clips)} recordings cannot be used, more than "
                f"{MOST_DAMAGED:.1%}. Mend or remove them:\n  {report}"
            )
        logger.warning("%d of %d recordings left out:\n  %s", len(damaged), len(clips), report)
    return kept, waveforms[: len(kept)], damaged


def _loudest(waveform: Waveform, n_samples: int) -> Waveform:
    """Return the ``n_samples`` with the most energy of a recording that is longer."""
    if len(waveform) <= n_samples:
        return waveform
    energy = np.cumsum(np.square(np.append(0, waveform), dtype=np.float64))
    start = int(np.argmax(energy[n_samples:] - energy[:-n_samples]))
    return waveform[start : start + n_samples]


def _middle(waveform: Waveform) -> int:
    """Return the sample before which half of the energy lies."""
    energy = np.cumsum(np.square(waveform))
    return int(np.searchsorted(energy, energy[-1] / 2))


def _noises(root: Path, config: DataConfig, split: SplitName) -> list[Waveform]:
    """Return this side's part of each background noise, and its lossy copy where wanted."""
    low, high = _NOISE_PARTS[split]
    noises = []
    for path in noise_files(root):
        if path.stem not in config.unseen_noises:
            noise = audio.read(path)
            part = noise[int(low * len(noise)) : int(high * len(noise))]
            if not part.any():
                continue  # silence is noise, never digital zeros
            noises.append(part)
            if config.codec_noise and split == "training":
                noises.append(audio.through_opus(part))
    if split == "training":
        rng = np.random.default_rng(0)
        noises += [
            synthetic_noise(10 * audio.SAMPLE_RATE, sample_rate=audio.SAMPLE_RATE, rng=rng)
            for _ in range(config.synthetic_noises)
        ]
    return noises


def _babble(waveforms: npt.NDArray[np.int16], config: DataConfig) -> list[Waveform]:
    """Return noises of many who talk at once, made of clips: (clips, samples)."""
    rng = np.random.default_rng(1)
    clips_each = max(round(10 / config.clip_seconds), 1)
    drawn = (
        rng.integers(len(waveforms), size=TALKERS * clips_each) for _ in range(config.babble_noises)
    )
    return [babble(audio.to_float32(waveforms[i]), talkers=TALKERS, rng=rng) for i in drawn]
