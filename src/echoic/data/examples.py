"""From recordings to examples: words, unknown words, and silence cut from noise.

`Dataset` is what one scan of the folders found; it loads a split with its noises. `Split` draws
the examples of an epoch, and the fixed examples of validation and test.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.audio import Waveform
from echoic.augmentation import TALKERS, babble, random_crops, synthetic_noise
from echoic.config import DataConfig
from echoic.data.layout import DataError, noise_files, recordings_in, words_in
from echoic.data.sources import Source, read_clips
from echoic.data.splits import Clip, SplitName, scan
from echoic.data.unknown import synthetic_unknown
from echoic.labels import SILENCE, UNKNOWN

logger = logging.getLogger(__name__)

SILENT, SYNTHETIC = -1, -2
"""Indices that `Split.draw` returns for silence and for a synthetic unknown word."""

ARCHIVE_CLIPS = 4890
"""Clips in the official test archive of v0.02."""

_NOISE_PARTS: dict[SplitName, tuple[float, float]] = {
    "training": (0.0, 0.8),
    "validation": (0.8, 0.9),
    "test": (0.9, 1.0),
}
"""Part of each noise recording in each split, so that no second of noise is in two splits."""


@dataclass(frozen=True)
class Examples:
    """Clips with their targets, ready to be scored.

    Attributes
    ----------
    waveforms
        (n, samples) float32.
    targets
        Index into ``labels`` of each clip, (n,).
    names
        ``word/file`` of each clip, or ``_silence_``.
    labels
        In the order of a model's outputs.
    """

    waveforms: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    names: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes
    ----------
    labels
        In the order of a model's outputs.
    source
        The recordings.
    targets
        Index into ``labels`` of each recording, (recordings,).
    noises
        float32 waveforms: this split's part of each background noise.
    config
        What is drawn from it.
    damaged
        The reason for each recording that was left out.
    """

    labels: tuple[str, ...]
    source: Source
    targets: npt.NDArray[np.int64]
    noises: tuple[Waveform, ...]
    config: DataConfig
    damaged: tuple[str, ...] = field(default=())

    @property
    def counts(self) -> dict[str, int]:
        """Number of recordings by label; of unknown words, all that can be drawn from."""
        counter = Counter(self.labels[t] for t in self.targets)
        return {label: counter[label] for label in self.labels if label != SILENCE}

    def draw(
        self, rng: np.random.Generator, *, synthetic_unknown_fraction: float = 0.0
    ) -> npt.NDArray[np.int64]:
        """Draw the examples of an epoch: indices of recordings in random order.

        Every recording of the vocabulary once, a fresh draw of unknown words, and silence, in the
        proportions of the configuration. `SILENT` and `SYNTHETIC` stand for examples that `take`
        makes.
        """
        unknown = self._index(UNKNOWN)
        words = np.flatnonzero(self.targets != unknown)
        others = np.flatnonzero(self.targets == unknown)
        config = self.config
        known_part = 1 - config.unknown_fraction - config.silence_fraction
        total = len(words) / known_part if UNKNOWN in self.labels else len(words)
        n_unknown = min(round(total * config.unknown_fraction), len(others))
        n_synthetic = round(n_unknown * synthetic_unknown_fraction)
        n_silence = round(total * config.silence_fraction) if self._has_silence else 0
        drawn = np.concatenate(
            [
                words,
                rng.choice(others, n_unknown - n_synthetic, replace=False),
                np.full(n_synthetic, SYNTHETIC),
                np.full(n_silence, SILENT),
            ]
        )
        return rng.permutation(drawn).astype(np.int64)

    def take(
        self, indices: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return the waveforms (n, samples) and targets (n,) of indices that `draw` returned."""
        waveforms = audio.to_float32(self.source.read(np.maximum(indices, 0)))
        for i in np.flatnonzero(indices < 0):
            waveforms[i] = (
                self._silence(rng)
                if indices[i] == SILENT
                else synthetic_unknown(self.source, self.labels, rng)
            )
        return waveforms, self.targets_of(indices)

    def targets_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the targets (n,) of indices that `draw` returned."""
        targets = self.targets[indices]
        targets[indices == SILENT] = self._index(SILENCE)
        targets[indices == SYNTHETIC] = self._index(UNKNOWN)
        return targets

    @cached_property
    def _words(self) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
        """The words of the recordings, sorted, and the index of each recording's among them."""
        words, index = np.unique(self.source.labels, return_inverse=True)
        return tuple(words.tolist()), index.astype(np.int64)

    @property
    def n_words(self) -> int:
        """Number of classes that `words_of` tells apart."""
        return len(self._words[0]) + 2

    def words_of(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the class of each example's word; silence and synthetic words come last.

        Finer than the targets, in which all unknown words are one.
        """
        words, index = self._words
        kinds = index[indices]
        kinds[indices == SILENT] = len(words)
        kinds[indices == SYNTHETIC] = len(words) + 1
        return kinds

    def examples(self, *, seed: int = 0) -> Examples:
        """Return the fixed examples of a validation or test split: the same at each call."""
        rng = np.random.default_rng(seed)
        indices = np.sort(self.draw(rng))
        waveforms, targets = self.take(indices, rng)
        names = [self.source.names[i] if i >= 0 else SILENCE for i in indices]
        return Examples(waveforms, targets, tuple(names), self.labels)

    def _silence(self, rng: np.random.Generator) -> Waveform:
        """Cut a clip from a random noise at 0 to -70 dB: from a loud room to hardly anything.

        Evenly in decibels; a network trained without quiet rooms takes one for a word.
        """
        volume = np.float32(10 ** (rng.uniform(-70, 0) / 20))
        return random_crops(self.noises, 1, self.source.n_samples, rng=rng)[0] * volume

    @property
    def _has_silence(self) -> bool:
        return SILENCE in self.labels and bool(self.noises)

    def _index(self, label: str) -> int:
        return self.labels.index(label) if label in self.labels else -1


@dataclass(frozen=True)
class Dataset:
    """The recordings of a data set, found by one scan and not read yet.

    Attributes
    ----------
    root
        Its folder.
    config
        What is drawn from it.
    clips
        All its recordings but those of unseen words.
    extra_clips
        The same of other data sets, which join in for training.
    """

    root: Path
    config: DataConfig
    clips: tuple[Clip, ...]
    extra_clips: tuple[Clip, ...] = ()

    @classmethod
    def scan(
        cls, root: str | Path, config: DataConfig, *, extra_data: Sequence[str | Path] = ()
    ) -> Dataset:
        """Scan the folders.

        Parameters
        ----------
        root
            The data set; its background noises are the ones in use.
        config
            What is drawn from it.
        extra_data
            More data sets, whose training recordings join in: other voices, other unknown words.

        Raises
        ------
        DataError
            A folder is not a data set, or a word of the vocabulary has no folder.
        """
        root = Path(root)
        present = words_in(root)
        words = set(_words(config)) | (set(present) - set(config.unseen_words))
        clips = scan(root, words=words)
        extra: list[Clip] = []
        for folder in map(Path, extra_data):
            extra += scan(folder, words=set(words_in(folder)) - set(config.unseen_words))
        return cls(root, config, tuple(clips), tuple(extra))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the sorted names of the recordings."""
        names = sorted(clip.name for clip in (*self.clips, *self.extra_clips))
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def load(self, split: SplitName) -> Split:
        """Read one split into memory.

        Recordings of another rate, width or number of channels are converted; of one that is
        longer than a clip the loudest part is taken. Damaged recordings are left out; a warning
        names them.

        Raises
        ------
        DataError
            A word of the vocabulary has no recordings in this split, or more than
            `sources.MAX_DAMAGED` of the recordings cannot be used.
        AudioError
            A background noise cannot be read.
        """
        config, labels = self.config, self.config.labels
        words = set(_words(config))
        found = (*self.clips, *(self.extra_clips if split == "training" else ()))
        if UNKNOWN not in labels or not config.unknown_fraction:
            found = tuple(clip for clip in found if clip.word in words)
        elif {clip.word for clip in found} <= words:
            logger.warning("No other words in %s: %s cannot be learned.", self.root, UNKNOWN)
        clips = [clip for clip in found if clip.split == split]
        if lacking := sorted(words - {clip.word for clip in clips}):
            raise DataError(
                f"No {split} recordings of {', '.join(lacking)} in {self.root}. A word needs "
                "recordings of enough speakers for each split; about ten speakers a word is the "
                "least."
            )
        source, damaged = read_clips(clips, round(config.clip_seconds * audio.SAMPLE_RATE))
        targets = [labels.index(w if w in labels else UNKNOWN) for w in source.labels]
        noises = _noises(self.root, config, split)
        if split == "training":
            noises += _babble(source, config)
        if SILENCE in labels and not noises:
            logger.warning(
                "No background noise in %s: there will be no examples of silence.", self.root
            )
        return Split(
            labels, source, np.array(targets, dtype=np.int64), tuple(noises), config, damaged
        )


def load(
    root: str | Path, config: DataConfig, split: SplitName, *, extra_data: Sequence[str | Path] = ()
) -> Split:
    """Scan a data set and read one split into memory; see `Dataset`.

    Raises
    ------
    DataError, AudioError
        See `Dataset.scan` and `Dataset.load`.
    """
    return Dataset.scan(root, config, extra_data=extra_data).load(split)


def load_folders(root: str | Path, *, labels: Sequence[str], clip_seconds: float = 1.0) -> Examples:
    """Read a test archive: one folder a label, ``_silence_`` and ``_unknown_`` among them.

    Raises
    ------
    DataError
        The folder does not exist, holds no recordings, has a folder that is no label of the
        model, or more than `sources.MAX_DAMAGED` of its recordings cannot be used.
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
        for path in recordings_in(folder)
    ]
    if not clips:
        raise DataError(f"No recordings in {root}.")
    source, _ = read_clips(clips, round(clip_seconds * audio.SAMPLE_RATE), silence_is_damage=False)
    return Examples(
        audio.to_float32(source.waveforms),
        np.array([labels.index(word) for word in source.labels], dtype=np.int64),
        source.names,
        tuple(labels),
    )


def archive_warnings(clips: int) -> list[str]:
    """Return a warning where the number of clips is not that of the official test archive."""
    if clips == ARCHIVE_CLIPS:
        return []
    return [
        f"The official archive has {ARCHIVE_CLIPS:,} clips, this folder has {clips:,}: the "
        "figures are of another test."
    ]


def _words(config: DataConfig) -> list[str]:
    """Return the labels that are words."""
    return [label for label in config.labels if label not in (SILENCE, UNKNOWN)]


def _noises(root: Path, config: DataConfig, split: SplitName) -> list[Waveform]:
    """Return this split's part of each noise; for training, coded copies and synthetic noises."""
    low, high = _NOISE_PARTS[split]
    noises = []
    for path in noise_files(root):
        if path.stem not in config.unseen_noises:
            noise = audio.read(path)
            part = noise[int(low * len(noise)) : int(high * len(noise))]
            if not part.any():
                continue  # an example of silence is noise, never digital zeros
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


def _babble(source: Source, config: DataConfig) -> list[Waveform]:
    """Return babble noises, made of recordings."""
    rng = np.random.default_rng(1)
    clips_each = max(round(10 / config.clip_seconds), 1)
    drawn = (
        rng.integers(len(source), size=TALKERS * clips_each) for _ in range(config.babble_noises)
    )
    return [babble(audio.to_float32(source.read(i)), talkers=TALKERS, rng=rng) for i in drawn]
