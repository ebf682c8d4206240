"""Recipes: everything that decides what a training gives, as a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from echoic.audio import SAMPLE_RATE
from echoic.augmentation import AugmentationConfig
from echoic.features import FeatureConfig
from echoic.models import STREAMABLE, ModelConfig
from echoic.speech_commands import DataConfig


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
    finish_epochs, finish_learning_rate, finish_strength
        Epochs after those, from this rate to zero along another cosine, with augmentation of this
        strength (`AugmentationConfig.milder`): what the hard examples blurred becomes sharp again.
    supervised_steps
        How many of the last steps of a clip are taught the answer (streamable networks).
    context
        Clips that follow each other without a pause in training, the network's state carried over
        (streamable networks); the first of them is heard from a blank state. 1: each alone.
    word_loss
        Weight of a second task in training alone: to name the word itself, where the labels call
        many words ``_unknown_``. What tells words apart helps to tell that one is none of them.
    teachers
        Models, or files of a model's `Answers`, that are learned from beside the true answers
        (Hinton et al. 2015): they tell how much a clip is like each of the words. Those that are
        not here, or that know none of the words, are left out: see `available_teachers`.
    teacher_weight
        Part of each answer that is what the teachers say, on the mean, to the same clip.
    ask_once
        Ask the teachers about each recording as it is, before the training, not about each clip as
        it is augmented: then training is as fast as without them, however slow they are. Of
        silence and of forged words the right answer alone is learned.
    calibrate
        Fold the temperature that fits validation best into the last layer: see `calibrate`. A
        network that has learned next to nothing becomes next to uniform by it.
    equal_priors
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
    finish_epochs: int = 0
    finish_learning_rate: float = 5e-4
    finish_strength: float = 0.3
    supervised_steps: int = 1
    context: int = 1
    word_loss: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.7
    ask_once: bool = False
    calibrate: bool = True
    equal_priors: bool = False
    seed: int = 0
    deterministic: bool = False

    @property
    def all_epochs(self) -> int:
        """Epochs of the whole run, the finish included."""
        return self.epochs + self.finish_epochs

    def __post_init__(self) -> None:
        object.__setattr__(self, "teachers", tuple(self.teachers))
        for name in (
            "epochs",
            "batch_size",
            "supervised_steps",
            "context",
            "learning_rate",
            "clip_norm",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"Expected training.{name} above 0, received {getattr(self, name)}."
                )
        if self.finish_epochs and not (
            self.finish_epochs > 0
            and self.finish_learning_rate > 0
            and 0 <= self.finish_strength <= 1
        ):
            raise ValueError(
                "Expected training.finish_epochs of at least 0, finish_learning_rate above 0 and "
                "finish_strength between 0 and 1, received "
                f"{self.finish_epochs}, {self.finish_learning_rate} and {self.finish_strength}."
            )
        if not self.word_loss >= 0:
            raise ValueError(
                f"Expected training.word_loss of at least 0, received {self.word_loss}."
            )
        if not 0 <= self.teacher_weight <= 1:
            raise ValueError(
                f"Expected training.teacher_weight between 0 and 1, received {self.teacher_weight}."
            )
        if self.batch_size % self.context:
            raise ValueError(
                f"Expected training.batch_size to be a multiple of training.context = "
                f"{self.context}, received {self.batch_size}."
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
        kinds = {row["type"] for row in self.model.layers}
        if not self.model.streamable and not kinds & {"mean", "attention"}:
            raise ValueError(
                "Expected a layer mean or attention in model.layers, of which one answer comes: "
                f"{', '.join(sorted(kinds - STREAMABLE.keys()))} needs the whole clip, gives none."
            )
        if self.training.context > 1:
            self._check_context()

    def _check_context(self) -> None:
        if not self.model.streamable:
            raise ValueError(
                "Expected training.context to be 1 for a network that needs the whole clip, "
                f"received {self.training.context}."
            )
        step = self.features.hop_length * self.model.stride
        if round(self.data.clip_seconds * self.features.sample_rate) % step:
            raise ValueError(
                f"Expected data.clip_seconds to be a whole number of the network's steps of {step} "
                f"samples where training.context is above 1, received {self.data.clip_seconds}."
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
