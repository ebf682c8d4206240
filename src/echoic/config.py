"""Every setting that a person makes, and `Recipe`: what decides a training, as a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from echoic.audio import SAMPLE_RATE
from echoic.labels import vocabulary

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """How sound becomes numbers. Stored with every model; nothing about features lives elsewhere.

    Attributes
    ----------
    sample_rate
        Samples a second (Hz).
    n_fft
        Length of a frame (samples). A power of two, where the model is to be exported.
    win_length
        Length of the Hann window (samples), aligned with the right end of the frame, so that a
        window shorter than ``n_fft`` costs no latency.
    hop_length
        Distance of two frames (samples).
    n_mels, fmin, fmax
        Number of mel bands (Slaney's scale and norm, librosa's default), between these
        frequencies (Hz).
    n_mfcc
        Number of cepstral coefficients kept, from the 0th; 0 means log-mel without the DCT.
    floor_db
        Power of a mel band below which everything is silence (dB): the smallest value of `log_mel`.
        The higher it is, the less digital silence differs from a quiet room; the lower, the fainter
        a voice may be. The rounding of 16-bit samples is at about -93.
    """

    sample_rate: int = 16_000
    n_fft: int = 512
    win_length: int = 512
    hop_length: int = 320
    n_mels: int = 40
    fmin: float = 20.0
    fmax: float = 7600.0
    n_mfcc: int = 40
    floor_db: float = -60.0

    def __post_init__(self) -> None:
        bounds = {
            "sample_rate": (1, 1_000_000),
            "n_fft": (2, 65_536),
            "win_length": (1, self.n_fft),
            "hop_length": (1, self.n_fft),
            "n_mels": (1, self.n_fft // 2),
            "n_mfcc": (0, self.n_mels),
            "fmin": (0, self.fmax),
            "fmax": (self.fmin, self.sample_rate / 2),
            "floor_db": (-120, 0),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(
                    f"Expected FeatureConfig.{name} between {low} and {high}, received {value}."
                )

    @property
    def amin(self) -> float:
        """``floor_db`` as a power, librosa's name for it."""
        return float(10 ** (self.floor_db / 10))

    @property
    def channels(self) -> int:
        """Channels of a frame: ``n_mfcc`` coefficients, or ``n_mels`` bands where it is 0."""
        return self.n_mfcc or self.n_mels

    @property
    def padding(self) -> int:
        """Zeros before the first sample; also the samples that a stream keeps between hops."""
        return self.n_fft - self.hop_length

    def n_frames(self, n_samples: int) -> int:
        """Frames of a waveform of ``n_samples`` samples."""
        return n_samples // self.hop_length

    def time(self, frame: int) -> float:
        """Return the instant (s) at which frame ``frame`` is complete."""
        return (frame + 1) * self.hop_length / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """When a word counts as said; the key ``decoder`` of ``echoic.json``.

    Attributes
    ----------
    smoothing
        Window (s) over which posteriors are averaged, rounded to whole steps, at least one.
    enter
        Smoothed posterior from which a word fires, above 0 and at most 1.
    exit
        Smoothed posterior under which a word must fall before it can fire again.
    refractory
        Time (s) after a detection in which no word fires, rounded to whole steps.
    words
        Words with a threshold of their own in place of ``enter``.
    """

    smoothing: float = 0.2
    enter: float = 0.8
    exit: float = 0.4
    refractory: float = 0.5
    words: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", {str(k): float(v) for k, v in self.words.items()})
        for name in ("smoothing", "refractory"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(
                    f"Expected DecoderConfig.{name} of at least 0 seconds, "
                    f"received {getattr(self, name)}."
                )
        for name, value in {"enter": self.enter, **self.words}.items():
            if not 0 < value <= 1:
                raise ValueError(
                    f"Expected a threshold above 0 and at most 1, received {value} for {name!r}."
                )
        if not 0 < self.exit <= min(self.enter, *self.words.values(), 1.0):
            raise ValueError(
                "Expected DecoderConfig.exit above 0 and at most the lowest threshold to enter, "
                f"{min(self.enter, *self.words.values(), 1.0)}, received {self.exit}."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderConfig:
        """Read what `to_dict` gave; what is absent takes its default.

        Raises
        ------
        ValueError
            An unknown key, or a value outside its range.
        """
        known = [f.name for f in dataclasses.fields(cls)]
        if strange := [key for key in values if key not in known]:
            raise ValueError(
                f"Expected decoder settings among {', '.join(known)}, "
                f"received {', '.join(strange)}."
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is drawn from a data set.

    Attributes
    ----------
    vocabulary
        ``"12"``, ``"35"``, ``"commands"`` or words: see `labels.vocabulary`.
    clip_seconds
        Length of an example (s); shorter recordings are followed by zeros.
    unknown_fraction, silence_fraction
        Parts of an epoch, and of a validation or test set, that are other words and silence.
    synthetic_unknown_fraction
        Part of the unknown examples in training that nobody has said: words played backwards, and
        the beginning of one word before the end of another. They teach that what merely sounds
        like a command is none.
    synthetic_noises
        Number of computed noises, ten seconds each, that training hears beside the recorded ones.
    babble_noises
        Number of noises, ten seconds each, made of six training clips at a time: people who talk
        all at once, of whom nobody is meant.
    unseen_words
        Words kept out altogether, so that rejection of words never heard can be measured.
    unseen_noises
        Background noises (file names without suffix) kept out, for the same reason.
    codec_noise
        Let training hear each noise also through a lossy codec. Where the speech of a data set
        came through one and its noises did not, a network could learn "lossless means silence".
    extra_data
        Names of more data sets, of which training alone hears its side, where they lie beside the
        one that is given.
    """

    vocabulary: str | tuple[str, ...] = "12"
    clip_seconds: float = 1.0
    unknown_fraction: float = 0.1
    silence_fraction: float = 0.1
    synthetic_unknown_fraction: float = 0.0
    synthetic_noises: int = 0
    babble_noises: int = 0
    unseen_words: tuple[str, ...] = ()
    unseen_noises: tuple[str, ...] = ()
    codec_noise: bool = False
    extra_data: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("unseen_words", "unseen_noises", "extra_data"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not isinstance(self.vocabulary, str):
            object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        if not 0 <= self.synthetic_unknown_fraction <= 1:
            raise ValueError(
                f"Expected synthetic_unknown_fraction between 0 and 1, received {self.synthetic_unknown_fraction}."
            )
        if not (
            self.unknown_fraction >= 0
            and self.silence_fraction >= 0
            and self.unknown_fraction + self.silence_fraction < 1
        ):
            raise ValueError(
                "Expected unknown_fraction and silence_fraction to be at least 0 and to sum to "
                f"less than 1, received {self.unknown_fraction} and {self.silence_fraction}."
            )
        if both := set(self.labels) & set(self.unseen_words):
            raise ValueError(
                f"Words of the vocabulary cannot be unseen: {', '.join(sorted(both))}. "
                "Set data.unseen_words without them; [] keeps none out."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of a model's outputs."""
        return vocabulary(self.vocabulary)


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How much each clip may change. A probability of 0 switches a transformation off.

    Attributes
    ----------
    mixup_probability
        Part of the clips through which another clip is heard.
    speed_perturb_probability, speed
        Part of the clips that are played faster or slower, and by which factors.
    shift
        Largest displacement in time, either way (s).
    reverberation_probability, rt60
        Part of the clips that are heard in a synthetic room, and its reverberation times (s).
    noise_probability, snr
        Part of the clips that get background noise, and the signal-to-noise ratios (dB).
    gain
        Change of level (dB).
    channel
        Standard deviation of the microphone's response (dB).
    bandwidth_probability, bandwidth
        Part of the clips that a narrow line has carried, and where it cut (Hz).
    time_masks, time_mask
        Number of masks in time, and the longest (frames).
    frequency_masks, frequency_mask
        Number of masks in frequency, and the widest (mel bands).
    """

    mixup_probability: float = 0.0
    speed_perturb_probability: float = 0.5
    speed_perturb: Range = (0.85, 1.15)
    shift: float = 0.1
    reverberation_probability: float = 0.25
    rt60: Range = (0.1, 0.7)
    noise_probability: float = 0.8
    snr: Range = (0.0, 30.0)
    gain: Range = (-20.0, 6.0)
    random_eq: float = 4.0
    bandwidth_probability: float = 0.2
    bandwidth: Range = (3000.0, 7600.0)
    time_masks: int = 2
    time_mask: int = 12
    frequency_masks: int = 2
    frequency_mask: int = 7

    def scaled(self, strength: float) -> AugmentationConfig:
        """Return the same transformations, rarer and smaller.

        Parameters
        ----------
        strength
            What probabilities, masks, the microphone's deviation and the changes of level are
            multiplied with, 0 to 1. The ranges of what else happens stay as they are.
        """
        low, high = self.gain
        return replace(
            self,
            mixup_probability=strength * self.mixup_probability,
            speed_perturb_probability=strength * self.speed_perturb_probability,
            reverberation_probability=strength * self.reverberation_probability,
            noise_probability=strength * self.noise_probability,
            bandwidth_probability=strength * self.bandwidth_probability,
            gain=(strength * low, strength * high),
            random_eq=strength * self.random_eq,
            time_mask=round(strength * self.time_mask),
            frequency_mask=round(strength * self.frequency_mask),
        )

    def __post_init__(self) -> None:
        for name in ("speed_perturb", "rt60", "snr", "gain", "bandwidth"):
            low, high = (float(x) for x in getattr(self, name))
            object.__setattr__(self, name, (low, high))
            if not low <= high:
                raise ValueError(
                    f"Expected AugmentationConfig.{name} as [low, high], received {[low, high]}."
                )
        least = {"speed_perturb": 0.1, "rt60": 0.05, "bandwidth": 1.0}
        for name, bound in least.items():
            if not getattr(self, name)[0] >= bound:
                raise ValueError(
                    f"Expected AugmentationConfig.{name} of at least {bound}, "
                    f"received {list(getattr(self, name))}."
                )
        for name in (
            "shift",
            "random_eq",
            "time_masks",
            "time_mask",
            "frequency_masks",
            "frequency_mask",
        ):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(
                    f"Expected AugmentationConfig.{name} of at least 0, received {value}."
                )
        for name in ("mixup", "speed_perturb", "reverberation", "noise", "bandwidth"):
            value = getattr(self, f"{name}_probability")
            if not 0 <= value <= 1:
                raise ValueError(
                    f"Expected AugmentationConfig.{name}_probability between 0 and 1, "
                    f"received {value}."
                )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A network as a table: one row a layer, the first sees the coefficients.

    Attributes
    ----------
    layers
        Each row is ``{"type": ..., ...}``; the types are the keys of `LAYERS`, what else a row
        may hold are the arguments of that function.
    """

    layers: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(dict(row) for row in self.layers))
        if not self.layers:
            raise ValueError("Expected ModelConfig.layers to have at least one row, received none.")
        from echoic.networks.layers import check_row

        for number, row in enumerate(self.layers, start=1):
            check_row(number, row)

    @property
    def streamable(self) -> bool:
        """Whether every layer knows one step."""
        from echoic.networks.layers import STREAMABLE

        return all(row["type"] in STREAMABLE for row in self.layers)

    @property
    def stride(self) -> int:
        """Frames that the network takes for each of its steps."""
        return int(np.prod([row.get("strides", 1) for row in self.layers]))


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How the weights are found.

    Attributes
    ----------
    epochs, batch_size
        Passes over the data, and clips a step.
    learning_rate, warmup_epochs
        Peak rate of AdamW, reached linearly, then falling to zero along a cosine.
    weight_decay
        Decoupled (Loshchilov and Hutter 2019); biases and normalizations are spared.
    clip_norm
        Largest norm of a step's gradient: the cure for gradients that explode.
    label_smoothing
        Part of the true answer's probability that every label shares; a teacher's stay as they are.
    cooldown_epochs, cooldown_learning_rate, cooldown_strength
        Epochs after those, from this rate to zero along another cosine, with augmentation of this
        strength (`AugmentationConfig.scaled`): what the hard examples blurred becomes sharp again.
    loss_steps
        How many of the last steps of a clip are taught the answer (streamable networks).
    context
        Clips that follow each other without a pause in training, the network's state carried over
        (streamable networks); the first of them is heard from a blank state. 1: each alone.
    auxiliary_loss_weight
        Weight of a second task in training alone: to name the word itself, where the labels call
        many words ``_unknown_``. What tells words apart helps to tell that one is none of them.
    teachers
        Models, or files of a model's `SoftLabels`, that are learned from beside the true answers
        (Hinton et al. 2015): they tell how much a clip is like each of the words. Those that are
        not here, or that know none of the words, are left out: see `available_teachers`.
    teacher_weight
        Part of each answer that is what the teachers say, on the mean, to the same clip.
    cache_teacher
        Ask the teachers about each recording as it is, before the training, not about each clip as
        it is augmented: then training is as fast as without them, however slow they are. Of
        silence and of forged words the right answer alone is learned.
    calibrate
        Fold the temperature that fits validation best into the last layer: see `calibrate`. A
        network that has learned next to nothing becomes next to uniform by it.
    logit_adjustment
        Release a network for which every label is as likely as any other before it hears anything,
        however often training heard each: see `adjust_logits`.
    seed
        Of the weights, the draws and the augmentation.
    deterministic
        Ask the backend for operations that give the same bits every time (slower).
    """

    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup_epochs: float = 1.0
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    cooldown_epochs: int = 0
    cooldown_learning_rate: float = 5e-4
    cooldown_strength: float = 0.3
    loss_steps: int = 1
    clips_per_sequence: int = 1
    auxiliary_loss_weight: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.7
    cache_teacher: bool = False
    calibrate: bool = True
    logit_adjustment: bool = False
    seed: int = 0
    deterministic: bool = False

    @property
    def all_epochs(self) -> int:
        """Epochs of the whole run, the finish included."""
        return self.epochs + self.cooldown_epochs

    def __post_init__(self) -> None:
        object.__setattr__(self, "teachers", tuple(self.teachers))
        for name in (
            "epochs",
            "batch_size",
            "loss_steps",
            "clips_per_sequence",
            "learning_rate",
            "clip_norm",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"Expected training.{name} above 0, received {getattr(self, name)}."
                )
        if self.cooldown_epochs and not (
            self.cooldown_epochs > 0
            and self.cooldown_learning_rate > 0
            and 0 <= self.cooldown_strength <= 1
        ):
            raise ValueError(
                "Expected training.cooldown_epochs of at least 0, cooldown_learning_rate above 0 and "
                "cooldown_strength between 0 and 1, received "
                f"{self.cooldown_epochs}, {self.cooldown_learning_rate} and {self.cooldown_strength}."
            )
        if not self.auxiliary_loss_weight >= 0:
            raise ValueError(
                f"Expected training.auxiliary_loss_weight of at least 0, received {self.auxiliary_loss_weight}."
            )
        if not 0 <= self.teacher_weight <= 1:
            raise ValueError(
                f"Expected training.teacher_weight between 0 and 1, received {self.teacher_weight}."
            )
        if self.batch_size % self.clips_per_sequence:
            raise ValueError(
                f"Expected training.batch_size to be a multiple of training.clips_per_sequence = "
                f"{self.clips_per_sequence}, received {self.batch_size}."
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training gives, but for the data and the versions."""

    data: DataConfig
    features: FeatureConfig
    model: ModelConfig
    augmentation: AugmentationConfig
    training: TrainingConfig

    def __post_init__(self) -> None:
        if self.features.sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"Expected features.sample_rate to be {SAMPLE_RATE}, the rate of every waveform "
                f"that echoic reads, received {self.features.sample_rate}."
            )
        if self.features.n_fft & (self.features.n_fft - 1):
            raise ValueError(
                f"Expected features.n_fft to be a power of two, as TFLite needs it, received "
                f"{self.features.n_fft}. Use the next power of two and set features.win_length."
            )
        from echoic.networks.layers import STREAMABLE

        kinds = {row["type"] for row in self.model.layers}
        if not self.model.streamable and not kinds & {"mean", "attention"}:
            raise ValueError(
                "Expected a layer mean or attention in model.layers, of which one answer comes: "
                f"{', '.join(sorted(kinds - STREAMABLE.keys()))} needs the whole clip, gives none."
            )
        if self.training.clips_per_sequence > 1:
            self._check_context()

    def _check_context(self) -> None:
        if not self.model.streamable:
            raise ValueError(
                "Expected training.clips_per_sequence to be 1 for a network that needs the whole clip, "
                f"received {self.training.clips_per_sequence}."
            )
        step = self.features.hop_length * self.model.stride
        if round(self.data.clip_seconds * self.features.sample_rate) % step:
            raise ValueError(
                f"Expected data.clip_seconds to be a whole number of the network's steps of {step} "
                f"samples where training.clips_per_sequence is above 1, received {self.data.clip_seconds}."
            )

    @classmethod
    def load(cls, name: str | Path, *, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe that ships with echoic, by its name, or a TOML file.

        Parameters
        ----------
        name
            A name in `recipe_names`, or a path that ends in ``.toml``. A recipe that says
            ``base = "gru"`` starts from that one and changes what it names.
        overrides
            Each ``"section.key=value"``, the value in TOML (a bare word is a string).

        Raises
        ------
        FileNotFoundError
            There is no such recipe.
        ValueError
            Not TOML, an unknown section or key, or a value of the wrong type or range.
        """
        tables = _read_tables(str(name))
        for override in overrides:
            _override(tables, override)
        return cls.from_dict(tables)

    @classmethod
    def from_dict(cls, tables: dict[str, Any]) -> Recipe:
        """Make a recipe of plain tables, as in TOML or in a bundle's ``echoic.json``."""
        sections = {
            "data": DataConfig,
            "features": FeatureConfig,
            "model": ModelConfig,
            "augmentation": AugmentationConfig,
            "training": TrainingConfig,
        }
        tables = translate(tables)
        if unknown := tables.keys() - sections.keys():
            raise ValueError(
                f"A recipe has no section {', '.join(sorted(unknown))}; "
                f"its sections are {', '.join(sections)}."
            )
        return cls(
            **{name: _fill(kind, name, tables.get(name, {})) for name, kind in sections.items()}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables that `from_dict` makes the same recipe of."""
        return dataclasses.asdict(self)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with echoic."""
    folder = resources.files("echoic") / "recipes"
    return sorted(
        p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")
    )


def _read_tables(name: str) -> dict[str, Any]:
    """Read a recipe's tables; ``base = "name"`` begins with those of another."""
    if name.endswith(".toml"):
        source = Path(name)
    else:
        source = Path(str(resources.files("echoic") / "recipes" / f"{name}.toml"))
    if not source.exists():
        raise FileNotFoundError(
            f"No recipe {name!r}. echoic has {', '.join(recipe_names())}; "
            "a recipe of your own is a path that ends in .toml."
        )
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source} is not TOML: {error}") from error
    if (base := tables.pop("base", None)) is None:
        return tables
    merged = _read_tables(base)
    for section, table in tables.items():
        merged[section] = {**merged.get(section, {}), **table}
    return merged


def _fill(kind: Any, section: str, table: dict[str, Any]) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := table.keys() - fields.keys():
        raise ValueError(
            f"Section [{section}] has no key {', '.join(sorted(unknown))}; "
            f"its keys are {', '.join(fields)}."
        )
    # TOML reads data.vocabulary=35 as a number.
    table = {
        key: str(value) if isinstance(fields[key].default, str) and type(value) is int else value
        for key, value in table.items()
    }
    for key, value in table.items():
        default = fields[key].default
        if isinstance(default, bool | int | float) and not _fits(value, default):
            raise ValueError(
                f"Expected {section}.{key} to be {type(default).__name__}, received {value!r}."
            )
        if isinstance(default, tuple) and isinstance(value, str):
            raise ValueError(f"Expected {section}.{key} to be a list, received {value!r}.")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except TypeError as error:
        raise ValueError(f"Section [{section}]: {error}") from error


def _fits(value: Any, default: bool | int | float) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int) or (isinstance(default, float) and isinstance(value, float))


def _override(tables: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    section, dot, key = path.strip().partition(".")
    if not (equals and dot and key):
        raise ValueError(
            f"Expected an override as section.key=value, received {override!r}; "
            "for example training.epochs=5."
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    tables.setdefault(section, {})[key] = value


# --- older schemas -------------------------------------------------------------------------------

ALIASES = {
    "data": {
        "forged_fraction": "synthetic_unknown_fraction",
        "lossy_noise": "codec_noise",
        "extra": "extra_data",
    },
    "augmentation": {
        "channel": "random_eq",
        "speed": "speed_perturb",
        "speed_probability": "speed_perturb_probability",
    },
    "training": {
        "finish_epochs": "cooldown_epochs",
        "finish_learning_rate": "cooldown_learning_rate",
        "finish_strength": "cooldown_strength",
        "supervised_steps": "loss_steps",
        "context": "clips_per_sequence",
        "word_loss": "auxiliary_loss_weight",
        "ask_once": "cache_teacher",
        "equal_priors": "logit_adjustment",
    },
}
"""By section of a recipe: keys of schema 1, and what they are called since."""

_RECORD_ALIASES = {
    "extra": "extra_data",
    "init": "initial_weights",
    "beyond_the_data": "pretrained_sources",
}


def translate(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's tables with the keys of today in place of those of schema 1."""
    return {
        section: {ALIASES.get(section, {}).get(key, key): value for key, value in table.items()}
        if isinstance(table, Mapping)
        else table
        for section, table in tables.items()
    }


def translate_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``echoic.json`` says with the keys of today in place of those of schema 1."""
    if metadata["schema"] != 1:
        return dict(metadata)
    training = {_RECORD_ALIASES.get(k, k): v for k, v in metadata["training"].items()}
    sources = training.get("pretrained_sources") or []
    training["pretrained_sources"] = ["speech_embedding"] if sources is True else list(sources)
    metrics = {}
    for protocol, figures in metadata["metrics"].items():
        row = {"file" if k == "graph" else k: v for k, v in figures.items()}
        if row.get("split") == "testing":
            row["split"] = "test"
        if "report" in row:
            row["report"] = {
                "max_clips" if k == "limit" else k: v for k, v in row["report"].items()
            }
        metrics[protocol.replace("hash-split testing", "hash-split test")] = row
    return {
        **metadata,
        "schema": 2,
        "recipe": translate(metadata["recipe"]),
        "training": training,
        "metrics": metrics,
    }
