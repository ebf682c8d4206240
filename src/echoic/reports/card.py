"""The model card: what a model's folder says, for people, in the form that model hubs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from echoic.labels import SILENCE, UNKNOWN
from echoic.reports.commands import ARCHIVE, evaluate_command
from echoic.reports.templates import render
from echoic.runtime.bundle import Bundle

PROTOCOLS = {
    "archive-v0.02": (
        "the official 12-class test archive of Speech Commands v0.02 "
        "(`speech_commands_test_set_v0.02`), used neither in training nor to choose the weights"
    ),
    "archive-v0.02-endless": (
        "the same clips as one continuous stream, shuffled, without gaps and without resets; the "
        "prediction for a clip is that of its last frame; the mean of three orders"
    ),
    "archive-v0.02-endless int8": (
        "the same streams with `stream_int8.tflite`, whose weights are int8"
    ),
    "hash-split validation": (
        "the validation split of a data set; that of the training data chose the best epoch"
    ),
    "hash-split test": "the test split of a data set, by the official list and hash rule",
}


@dataclass(frozen=True)
class Pretrained:
    """A network that learned from other data.

    Attributes
    ----------
    source
        What it is, with a reference.
    terms
        The licence of what was learned from it, a sentence.
    """

    source: str
    terms: str


PRETRAINED = {
    "speech_embedding": Pretrained(
        "Google's speech embedding (Lin et al. 2020, "
        "[arXiv:2002.01322](https://arxiv.org/abs/2002.01322))",
        "What it learned from Google's speech embedding is Apache-2.0.",
    ),
    "whisper": Pretrained(
        "OpenAI's Whisper, tiny.en (Radford et al. 2022, "
        "[arXiv:2212.04356](https://arxiv.org/abs/2212.04356))",
        "What it learned from OpenAI's Whisper is MIT.",
    ),
}
"""By the files that data/make_*.py write."""


def write_card(bundle: Bundle) -> None:
    """Write the model card of a model into its folder."""
    (bundle.path / "README.md").write_text(card(bundle), encoding="utf-8", newline="\n")


def card(bundle: Bundle) -> str:
    """Return the model card of a model, as Markdown with a YAML header."""
    accuracies = {k: figures for k, figures in bundle.metrics.items() if "accuracy" in figures}
    return render(
        "card.md.j2",
        {},
        bundle=bundle,
        training=bundle.training,
        recipe=bundle.recipe,
        files=bundle.files,
        stream=bundle.metrics.get("stream"),
        present=list(bundle.fingerprints),
        words=[label for label in bundle.labels if label not in (SILENCE, UNKNOWN)],
        others=[f"`{label}`" for label in bundle.labels if label in (SILENCE, UNKNOWN)],
        accuracies=accuracies,
        by_label=_by_label(accuracies),
        protocols=PROTOCOLS,
        commands={protocol: _command(bundle, protocol) for protocol in accuracies},
        reports={
            protocol: row["report"] for protocol, row in accuracies.items() if "report" in row
        },
        report_commands={
            protocol: _command(
                bundle, protocol, report="report/", max_clips=row["report"]["max_clips"]
            )
            for protocol, row in accuracies.items()
            if "report" in row
        },
        stream_command=_stream_command(bundle),
        export_command=_export_command(bundle),
        clips={split: sum(counts.values()) for split, counts in bundle.training.counts.items()},
        commands_clips=_commands(bundle),
        teachers=[
            f"an earlier {name}" if name == bundle.name else name
            for name in bundle.training.teachers
        ],
        pretrained=[PRETRAINED[name] for name in bundle.training.pretrained_sources],
        is_speech_commands=_is_speech_commands(bundle),
        layers=[
            (row["type"], ", ".join(f"{key} {x}" for key, x in row.items() if key != "type"))
            for row in bundle.recipe.model.layers
        ],
    )


def _by_label(accuracies: dict[str, Any]) -> str | None:
    """Return the protocol whose figures by label the card shows, that of the confusion matrix."""
    float_ones = [k for k, row in accuracies.items() if row.get("file", "stream") == "stream"]
    return next(reversed(float_ones or list(accuracies)), None)


def _commands(bundle: Bundle) -> int:
    """Return how many clips of the vocabulary training had."""
    counts = bundle.training.counts["training"]
    return sum(n for label, n in counts.items() if label != UNKNOWN)


def _is_speech_commands(bundle: Bundle) -> bool:
    """Return whether the training data was Speech Commands, by its name."""
    return "speech commands" in bundle.training.data.lower().replace("_", " ")


def _command(bundle: Bundle, protocol: str, **more: Any) -> str:
    """Return the command that gives the figures of a protocol again."""
    figures = bundle.metrics[protocol]
    if protocol.startswith("archive"):
        file = figures.get("file", "stream")
        return evaluate_command(bundle.name, continuous="endless" in protocol, file=file, **more)
    data = f"data/{figures.get('data', 'speech_commands_v0.02')}"
    split = figures.get("split", "validation")
    return evaluate_command(bundle.name, data=data, split=split, **more)


def _stream_command(bundle: Bundle) -> str | None:
    """Return the command that gives the figures of streams again; None where there are none."""
    if not (figures := bundle.metrics.get("stream")):
        return None
    archive = "split" not in figures
    return evaluate_command(
        bundle.name,
        stream=True,
        data=None if archive else f"data/{figures['data']}",
        split="test" if figures.get("split") == "test" else None,
        negatives="negatives" in figures,
    )


def _export_command(bundle: Bundle) -> str | None:
    """Return the command that measures the TFLite files again; None where none was measured."""
    if (files := bundle.files) is None:
        return None
    command = f"echoic export models/{bundle.name} --data data/{files.calibration.data}"
    command += f" --test-set {ARCHIVE}" if files.protocol == "archive-v0.02" else ""
    return f"{command} --out runs/{bundle.name}"
