"""Every setting that a person makes, and `Recipe`: what decides a training, as a TOML file.

The classes check themselves (`validation.settings`). Nothing here needs Keras: whether a table of
layers makes a network is checked where it is built, by `networks.check`.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from echoic.audio import SAMPLE_RATE
from echoic.labels import vocabulary
from echoic.validation import AsTuple, Fraction, Words, expected, refuse, settings


@settings("features")
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
        Number of cepstral coefficients kept, from the 0th; 0: the log-mel bands themselves.
    floor_db
        Power of a mel band below which everything is silence (dB): the smallest value of `log_mel`.
        The higher it is, the less digital silence differs from a quiet room; the lower, the fainter
        a voice may be. The rounding of 16-bit samples is at about -93.
    """

    sample_rate: int = Field(default=16_000, ge=1, le=1_000_000)
    n_fft: int = Field(default=512, ge=2, le=65_536)
    win_length: int = Field(default=512, ge=1)
    hop_length: int = Field(default=320, ge=1)
    n_mels: int = Field(default=40, ge=1)
    fmin: float = Field(default=20.0, ge=0)
    fmax: float = Field(default=7600.0, gt=0)
    n_mfcc: int = Field(default=40, ge=0)
    floor_db: float = Field(default=-60.0, ge=-120, le=0)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        limits = {
            "win_length": (self.n_fft, "n_fft"),
            "hop_length": (self.n_fft, "n_fft"),
            "n_mels": (self.n_fft // 2, "half of n_fft"),
            "n_mfcc": (self.n_mels, "n_mels"),
            "fmin": (self.fmax, "fmax"),
            "fmax": (self.sample_rate / 2, "half of sample_rate"),
        }
        refuse(
            f"Expected features.{name} at most {limit}, {what}, received {getattr(self, name)}."
            for name, (limit, what) in limits.items()
            if getattr(self, name) > limit
        )
        return self

    @property
    def channels(self) -> int:
        """Channels of a frame: ``n_mfcc`` coefficients or, where that is 0, ``n_mels`` bands."""
        return self.n_mfcc or self.n_mels

    @property
    def amin(self) -> float:
        """``floor_db`` as a power, librosa's name for it."""
        return float(10 ** (self.floor_db / 10))

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


Threshold = Annotated[float, Field(gt=0, le=1)]


@settings("decoder")
class DecoderConfig:
    """Detection thresholds and times; the key ``decoder`` of ``echoic.json``.

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

    smoothing: float = Field(default=0.2, ge=0)
    enter: Threshold = 0.8
    exit: Threshold = 0.4
    refractory: float = Field(default=0.5, ge=0)
    words: dict[str, Threshold] = field(default_factory=dict)

    @model_validator(mode="after")
    def _fall_before_the_next(self) -> Self:
        lowest = min(self.enter, *self.words.values(), 1.0)
        if self.exit > lowest:
            refuse(
                [
                    "Expected decoder.exit above 0 and at most the lowest threshold to enter, "
                    f"{lowest}, received {self.exit}."
                ]
            )
        return self

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderConfig:
        """Read what `to_dict` gave; what is absent takes its default.

        Raises
        ------
        ValueError
            An unknown key, or a value of the wrong type or range.
        """
        return cls(**values)

    def with_threshold(self, threshold: float) -> DecoderConfig:
        """Give every word the same threshold, above 0 and at most 1; ``exit`` never exceeds it."""
        return replace(self, enter=threshold, exit=min(self.exit, threshold), words={})

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)


def _vocabulary(value: Any) -> Any:
    if type(value) is int:  # TOML reads data.vocabulary=35 as a number
        return str(value)
    words = tuple(value) if isinstance(value, list | tuple) else value
    if not isinstance(words, str) and not (
        isinstance(words, tuple) and all(isinstance(word, str) for word in words)
    ):
        raise expected("to be a name or a list of words")
    return words


@settings("data")
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
        Part of the unknown examples in training that are synthetic: words played backwards, and
        the beginning of one word before the end of another. They teach that what merely sounds
        like a command is none.
    synthetic_noises
        Number of computed noises, ten seconds each, in training beside the recorded ones.
    babble_noises
        Number of noises, ten seconds each, made of six training clips at a time: people who talk
        all at once.
    unseen_words
        Words kept out altogether, so that rejection of new words can be measured.
    unseen_noises
        Background noises (file names without suffix) kept out, for the same reason.
    codec_noise
        Add each noise to training also as a lossy codec gives it. Where the speech of a data set
        came through one and its noises did not, a network could learn "lossless means silence".
    extra_data
        Names of more data sets, whose training sides join in, where they lie beside the one that
        is given.
    """

    vocabulary: Annotated[str | tuple[str, ...], BeforeValidator(_vocabulary)] = "12"
    clip_seconds: float = Field(default=1.0, gt=0)
    unknown_fraction: float = Field(default=0.1, ge=0)
    silence_fraction: float = Field(default=0.1, ge=0)
    synthetic_unknown_fraction: Fraction = 0.0
    synthetic_noises: int = Field(default=0, ge=0)
    babble_noises: int = Field(default=0, ge=0)
    unseen_words: Words = ()
    unseen_noises: Words = ()
    codec_noise: bool = False
    extra_data: Words = ()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        both = set(self.labels) & set(self.unseen_words)
        refuse(
            [
                "Expected data.unknown_fraction and data.silence_fraction to sum to less than 1, "
                f"received {self.unknown_fraction} and {self.silence_fraction}."
                if not self.unknown_fraction + self.silence_fraction < 1
                else None,
                "Expected data.unseen_words without words of the vocabulary, received "
                f"{', '.join(sorted(both))}. Take them out; [] keeps no word unseen."
                if both
                else None,
            ]
        )
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of a model's outputs."""
        return vocabulary(self.vocabulary)


def _low_and_high(value: Any) -> Any:
    if not (isinstance(value, list | tuple) and len(value) == 2):
        raise expected("as [low, high]")
    return tuple(value)


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if not value[0] <= value[1]:
        raise expected("as [low, high]")
    return value


def _at_least(bound: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    def check(value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] >= bound:
            raise expected(f"of at least {bound}")
        return value

    return check


Range = Annotated[tuple[float, float], BeforeValidator(_low_and_high), AfterValidator(_ascending)]


@settings("augmentation")
class AugmentationConfig:
    """How much each clip may change. A probability of 0 switches a transformation off.

    Attributes
    ----------
    mixup_probability
        Part of the clips that are mixed with another clip.
    speed_perturb_probability, speed_perturb
        Part of the clips that are played faster or slower, and by which factors.
    shift
        Largest displacement in time, either way (s).
    reverberation_probability, rt60
        Part of the clips that are placed in a synthetic room, and its reverberation times (s).
    noise_probability, snr
        Part of the clips that get background noise, and the signal-to-noise ratios (dB).
    gain
        Change of level (dB).
    random_eq
        Standard deviation of the microphone's response (dB).
    bandwidth_probability, bandwidth
        Part of the clips that a narrow line has carried, and where it cut (Hz).
    time_masks, time_mask
        Number of masks in time, and the longest (frames).
    frequency_masks, frequency_mask
        Number of masks in frequency, and the widest (mel bands).
    """

    mixup_probability: Fraction = 0.0
    speed_perturb_probability: Fraction = 0.5
    speed_perturb: Annotated[Range, AfterValidator(_at_least(0.1))] = (0.85, 1.15)
    shift: float = Field(default=0.1, ge=0)
    reverberation_probability: Fraction = 0.25
    rt60: Annotated[Range, AfterValidator(_at_least(0.05))] = (0.1, 0.7)
    noise_probability: Fraction = 0.8
    snr: Range = (0.0, 30.0)
    gain: Range = (-20.0, 6.0)
    random_eq: float = Field(default=4.0, ge=0)
    bandwidth_probability: Fraction = 0.2
    bandwidth: Annotated[Range, AfterValidator(_at_least(1))] = (3000.0, 7600.0)
    time_masks: int = Field(default=2, ge=0)
    time_mask: int = Field(default=12, ge=0)
    frequency_masks: int = Field(default=2, ge=0)
    frequency_mask: int = Field(default=7, ge=0)

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


def _row(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value.get("type"), str):
        raise expected('to be a table with a type, like { type = "gru", units = 128 }')
    return value


def _rows(value: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    if not value:
        raise expected("to have at least one row")
    return value


@settings("model")
class ModelConfig:
    """A network as a table: one row a layer, the first sees the coefficients.

    Attributes
    ----------
    layers
        Each row is ``{"type": ..., ...}``; the types are the keys of `networks.LAYERS`, what else
        a row may hold are the arguments of that function. `networks.check` looks at them.
    """

    layers: Annotated[
        tuple[Annotated[dict[str, Any], AfterValidator(_row)], ...], AsTuple, AfterValidator(_rows)
    ]


@settings("training")
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
        Part of a target's probability that all labels share; a teacher's stay as they are.
    cooldown_epochs, cooldown_learning_rate, cooldown_strength
        Epochs after those, from this rate to zero along another cosine, with augmentation of this
        strength (`AugmentationConfig.scaled`).
    loss_steps
        How many of the last steps of a clip the loss counts (streamable networks).
    clips_per_sequence
        Clips that follow each other without a pause in training, the network's state carried over
        (streamable networks); the first of them begins from zero states. 1: each alone.
    auxiliary_loss_weight
        Weight of a second task in training alone: to name the word itself, where the labels call
        many words ``_unknown_``. What tells words apart helps to tell that one is none of them.
    teachers
        Models, or files of a model's `SoftLabels`, whose probabilities are learned beside the
        targets (Hinton et al. 2015): they say how much a clip is like each of the words. Those that
        are not here, or that know none of the words, are left out: see `available_teachers`.
    teacher_weight
        Weight in each target of the teachers' mean probabilities for the same clip.
    cache_teacher
        Run the teachers once on each recording as it is, before the training, instead of on each
        augmented clip: then training is as fast as without them, however slow they are. Silence
        and synthetic words have their targets alone.
    calibrate
        Fold the temperature that fits validation best into the last layer: see `calibrate`. A
        network that has learned next to nothing becomes next to uniform by it.
    logit_adjustment
        Subtract the logarithm of the training priors from the logits, so that every label is as
        likely a priori, however often training had it: see `adjust_logits`.
    seed
        Of the weights, the draws and the augmentation.
    deterministic
        Use operations of the backend that give the same bits every time (slower).
    """

    epochs: int = Field(default=40, gt=0)
    batch_size: int = Field(default=128, gt=0)
    learning_rate: float = Field(default=2e-3, gt=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    cooldown_epochs: int = Field(default=0, ge=0)
    cooldown_learning_rate: float = Field(default=5e-4, gt=0)
    cooldown_strength: Fraction = 0.3
    loss_steps: int = Field(default=1, gt=0)
    clips_per_sequence: int = Field(default=1, gt=0)
    auxiliary_loss_weight: float = Field(default=0.0, ge=0)
    teachers: Words = ()
    teacher_weight: Fraction = 0.7
    cache_teacher: bool = False
    calibrate: bool = True
    logit_adjustment: bool = False
    seed: int = Field(default=0, ge=0)
    deterministic: bool = False

    @property
    def all_epochs(self) -> int:
        """Epochs of the whole run, the cooldown included."""
        return self.epochs + self.cooldown_epochs

    @model_validator(mode="after")
    def _divide(self) -> Self:
        if self.batch_size % self.clips_per_sequence:
            refuse(
                [
                    "Expected training.batch_size to be a multiple of training.clips_per_sequence "
                    f"= {self.clips_per_sequence}, received {self.batch_size}."
                ]
            )
        return self


@settings(title="a recipe")
class Recipe:
    """Everything that decides what a training gives, but for the data and the versions."""

    data: DataConfig = field(default_factory=DataConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    model: ModelConfig
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @model_validator(mode="after")
    def _can_be_exported(self) -> Self:
        rate, n_fft = self.features.sample_rate, self.features.n_fft
        refuse(
            [
                f"Expected features.sample_rate to be {SAMPLE_RATE}, the rate of every waveform "
                f"that echoic reads, received {rate}."
                if rate != SAMPLE_RATE
                else None,
                "Expected features.n_fft to be a power of two, as TFLite needs it, received "
                f"{n_fft}. Use the next power of two and set features.win_length."
                if n_fft & (n_fft - 1)
                else None,
            ]
        )
        return self

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

        Notes
        -----
        The rows of ``model.layers`` are checked by `networks.check`, where a network is built or
        trained: a program that only listens reads recipes too, and has no layers.
        """
        tables = _read_tables(str(name))
        for override in overrides:
            _override(tables, override)
        return cls.from_dict(tables)

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> Recipe:
        """Make a recipe of plain tables, as in TOML or in a bundle's ``echoic.json``.

        Keys of schema 1 are read too.

        Raises
        ------
        ValueError
            An unknown section or key, or a value of the wrong type or range.
        """
        return cls(**translate(tables))

    def to_dict(self) -> dict[str, Any]:
        """Return plain tables that `from_dict` makes the same recipe of."""
        return dataclasses.asdict(self)


def recipe_names() -> list[str]:
    """Names of the recipes that ship with echoic."""
    folder = resources.files("echoic") / "recipes"
    return sorted(
        p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")
    )


def _read_tables(name: str, *, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a recipe's tables; ``base = "name"`` begins with those of another."""
    if name in above:
        raise ValueError(f"Expected bases that end, received {' -> '.join((*above, name))}.")
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{source} is not TOML: {error}") from error
    base = tables.pop("base", None)
    tables = translate(tables)
    if base is None:
        return tables
    if not isinstance(base, str):
        raise ValueError(f"Expected base in {source} to be a recipe's name, received {base!r}.")
    merged = _read_tables(base, above=(*above, name))
    for section, table in tables.items():
        both = isinstance(table, Mapping) and section in merged
        merged[section] = {**merged[section], **table} if both else table
    return merged


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
    table = tables.get(section, {})
    if isinstance(table, Mapping):
        tables[section] = {**table, ALIASES.get(section, {}).get(key, key): value}


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

_METADATA_ALIASES = {
    "training": {
        "extra": "extra_data",
        "init": "initial_weights",
        "beyond_the_data": "pretrained_sources",
    },
    "metrics": {"graph": "file"},
    "report": {"limit": "max_clips"},
}
"""By part of ``echoic.json``: keys of schema 1, and what they are called since."""


def translate(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's tables with today's keys in place of those of schema 1.

    Raises
    ------
    ValueError
        A table holds both names of one key.
    """
    return {
        section: _renamed(table, ALIASES.get(section, {}), of=section)
        for section, table in tables.items()
    }


def translate_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``echoic.json`` of schema 1 says as schema 2 says it.

    Damaged parts stay as they are, to be refused by who checks the types.

    Raises
    ------
    ValueError
        A table holds both names of one key.
    """
    found = dict(metadata)
    if isinstance(found.get("recipe"), Mapping):
        found["recipe"] = translate(found["recipe"])
    training = _renamed(found.get("training"), _METADATA_ALIASES["training"], of="training")
    if isinstance(training, dict):
        sources = training.get("pretrained_sources", ())
        if isinstance(sources, bool):  # once there was no other
            training["pretrained_sources"] = ["speech_embedding"] if sources else []
        found["training"] = training
    if isinstance(found.get("metrics"), Mapping):
        found["metrics"] = {
            protocol.replace("hash-split testing", "hash-split test"): _translate_figures(figures)
            for protocol, figures in found["metrics"].items()
        }
    return {**found, "schema": 2}


def _translate_figures(figures: Any) -> Any:
    row = _renamed(figures, _METADATA_ALIASES["metrics"], of="metrics")
    if isinstance(row, dict):
        if row.get("split") == "testing":
            row["split"] = "test"
        if "report" in row:
            row["report"] = _renamed(row["report"], _METADATA_ALIASES["report"], of="report")
    return row


def _renamed(table: Any, names: Mapping[str, str], *, of: str) -> Any:
    """Return a table with its keys renamed, in their order; what is no table stays."""
    if not isinstance(table, Mapping):
        return table
    if both := [(old, new) for old, new in names.items() if old in table and new in table]:
        old, new = both[0]
        raise ValueError(
            f"Expected {of}.{new} or its old name, {of}.{old}, received both. Keep {of}.{new}."
        )
    return {names.get(key, key): value for key, value in table.items()}
