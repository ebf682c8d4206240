"""Reports: figures, pictures and sounds of an evaluation, in a folder or in the model's own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echoic import plots
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.continuous import ContinuousEvaluation
from echoic.evaluation.streams import StreamEvaluation
from echoic.reports.card import PROTOCOLS, write_card
from echoic.reports.page import Summary, write_page
from echoic.reports.sections import Section, Sound, Tile
from echoic.runtime import bundle as bundles
from echoic.runtime.bundle import Bundle

Result = Evaluation | ContinuousEvaluation | StreamEvaluation

REPORT = "report.json"
ARCHIVE = "data/speech_commands_test_set_v0.02"
PAIRS, FILES = 8, 3
"""Confusions in a report, and recordings of each that may be listened to."""


def write_report(
    model: Bundle, result: Result, folder: str | Path, *, sections: Sequence[Section] = ()
) -> Path:
    """Write the figures and pictures of an evaluation to a folder.

    Always ``report.json`` and pictures (PNG); of streams also what was said in them
    (``stream_20dB.tsv``); of clips also a page for people, ``index.html``, that holds everything.

    Parameters
    ----------
    model
        Whose answers they are.
    result
        What `evaluate_split` and its like return.
    folder
        Made where it is not there.
    sections
        Of clips: more parts of the page, such as those of `analyze` and `evaluate_robustness`. Mistakes to
        listen to and what is known of the model in streams are always there.

    Returns
    -------
    Path
        The page, or ``report.json`` where there is none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    report = {"model": model.name, **result.report()}
    parts: list[Section] = []
    if isinstance(result, Evaluation):
        report["mistakes"] = result.mistakes()
        parts = _in_order([*sections, _mistakes(result), _streaming(model)])
        report["sections"] = {part.key: part.data for part in parts}
    if isinstance(result, StreamEvaluation):
        result.write_truth(folder)
    (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _draw(model, result, folder)
    for part in parts:
        # The confusion matrix has been drawn.
        if part.figure is not None and part.key != "classes":
            plots.save(part.figure, folder / f"{part.key}.png")
    if not isinstance(result, Evaluation):
        return folder / REPORT
    return write_page(folder, title=model.name, summary=_summary(model, result), sections=parts)


def record(
    model: Bundle, result: Result, *, sections: Sequence[Section] = (), max_clips: int | None = None
) -> Bundle:
    """Write the figures into the model's folder, its card and its pictures.

    Of the sections of a report, those of `evaluate_robustness` heard on ``max_clips`` clips, what stands at the
    head of its page is kept beside the figures.
    """
    _draw(model, result, model.path)
    figures = result.report()
    if sections:
        heads = [
            {"section": section.title, **dataclasses.asdict(tile)}
            for section in sections
            for tile in section.tiles
        ]
        figures["report"] = {"max_clips": max_clips, "heads": heads}
    model = bundles.add_metrics(model, figures)
    write_card(model)
    return model


def _draw(model: Bundle, result: Result, folder: Path) -> None:
    for name, figure in result.pictures(model.name).items():
        plots.save(figure, folder / name, colors=plots.CARD_COLORS)


def _in_order(sections: Sequence[Section]) -> list[Section]:
    """Mistakes follow the labels; all else stays in order."""
    first = ("classes", "mistakes")
    return sorted(sections, key=lambda s: first.index(s.key) if s.key in first else len(first))


# --- the head of the page ----------------------------------------------------------------------


def _summary(model: Bundle, result: Evaluation) -> Summary:
    report = result.report()
    low, high = report["interval"]
    side = report.get("split", "")
    protocol = f"{report['protocol']} {side}".strip()
    where = PROTOCOLS.get(protocol, "clips that it was not trained on")
    of = f" of `{report['data']}`" if "data" in report else ""
    command = f"echoic evaluate models/{model.name} "
    if side:
        command += f"--data data/{report['data']} --split {'test' if side == 'test' else side}"
    else:
        command += f"--test-set {ARCHIVE}"
    return Summary(
        figure=f"{report['accuracy']:.2%}",
        name=f"of {report['n']:,} clips are right",
        interval=f"95 % interval {low:.1%} – {high:.1%}",
        protocol=f"Protocol `{protocol}`{of}: {where}.",
        warnings=result.warnings,
        command=f"{command} --report FOLDER",
    )


# --- sections that every page has --------------------------------------------------------------


def _mistakes(result: Evaluation) -> Section:
    """Tell what is taken for what, with recordings to listen to."""
    labels, probabilities = result.examples.labels, result.probabilities
    said = result.confusion.sum(axis=1)
    wrong = int(said.sum() - result.confusion.trace())
    found = result.mistakes(pairs=PAIRS, files=FILES)
    sounds, data, rows = [], [], []
    for pair in found:
        true, answered = pair["true"], pair["answered"]
        of = int(said[labels.index(true)])
        clips = []
        for name, i in zip(pair["files"], pair["indices"], strict=True):
            heard = float(probabilities[i, labels.index(answered)])
            right = float(probabilities[i, labels.index(true)])
            clips.append({"file": name, "answered": round(heard, 4), "true": round(right, 4)})
            sounds.append(
                Sound(
                    name=name,
                    title=f"said “{true}”, heard “{answered}”",
                    note=f"{answered} {heard:.1%}, {true} {right:.1%}",
                    waveform=result.examples.waveforms[i],
                )
            )
        data.append(
            {**{k: pair[k] for k in ("true", "answered", "count")}, "of": of, "clips": clips}
        )
        rows.append((true, answered, f"{pair['count']:,}", f"{pair['count'] / of:.1%}"))
    if found:
        listed = sum(pair["count"] for pair in found)
        text = (
            f"{wrong:,} clips were taken for something else; the most frequent confusions are "
            f"{listed:,} of them. Of each the answers with the highest probability are below, as "
            "the model heard them: listen before you blame it, for some clips are cut short, some "
            "hold another word than their name says."
        )
    else:
        text = "Not one clip was taken for something else."
    return Section(
        key="mistakes",
        title="Mistakes to listen to",
        text=text,
        data=data,
        columns=("said", "heard as", "clips", "of its clips") if rows else (),
        rows=tuple(rows),
        sounds=tuple(sounds),
    )


def _streaming(model: Bundle) -> Section:
    """Tell what the model's folder knows of streams, or how to find out."""
    stream = model.metrics.get("stream")
    endless = model.metrics.get("archive-v0.02-endless")
    data = {"stream": stream, "endless": endless}
    if not (model.path / "stream.tflite").exists():
        text = "This model answers to whole clips: it has no file that listens to a stream."
        return Section(key="streaming", title="In a stream", text=text, data=data)
    command = f"echoic evaluate models/{model.name}"
    rows: list[tuple[str, ...]] = []
    tiles: tuple[Tile, ...] = ()
    if stream:
        accepts = stream.get("negatives", stream["all"])["false_accepts"]
        tiles = (
            Tile(
                value=f"{stream['all']['miss_rate']:.1%}",
                name="of words in streams missed",
                note=f"at {_per_hour(accepts)} false accepts an hour",
            ),
        )
        text = (
            f"Words of `{stream['data']}` at known times, in noise, decided as the model's "
            "settings say. A word is missed if it is not detected by "
            f"{stream['tolerance']:g} s after its "
            "end; delays, the median and what the latest 5 % exceed, are from there. Other sound "
            "holds none of its words. These figures were measured before and are kept in the "
            "model's folder; measure them again with"
        )
        streams = {**stream["streams"], "all": stream["all"]}
        if "negatives" in stream:
            streams["other sound"] = stream["negatives"]
        rows = [(name, *_stream_cells(row)) for name, row in streams.items()]
    else:
        text = "How many words in a stream are missed, and what fires in their place, is told by"
    source = "--data data/speech_commands_v0.02"
    if stream:
        source = f"--data data/{stream['data']}" if "split" in stream else f"--test-set {ARCHIVE}"
    text += f"\n\n    {command} --stream {source} --negatives FOLDER --record\n\n"
    if endless:
        text += (
            f"Without gaps and without resets, {endless['accuracy']:.2%} of {endless['n']:,} clips "
            "of the test archive are right (95 % interval "
            f"{_interval(endless)}; the mean of three orders):"
        )
    else:
        text += "Whether it stays right where clips follow each other without resets is told by"
    text += f"\n\n    {command} --endless --test-set {ARCHIVE} --record"
    columns: tuple[str, ...] = ("stream", "words", "missed (95 %)", "wrong word")
    columns += ("delay", "latest 5 %", "false accepts", "an hour (95 %)")
    return Section(
        key="streaming",
        title="In a stream",
        text=text,
        data=data,
        columns=columns if rows else (),
        rows=tuple(rows),
        tiles=tiles,
    )


def _stream_cells(row: dict[str, Any]) -> tuple[str, ...]:
    accepts = row["false_accepts"]
    low, high = accepts["interval"]
    interval = f" ({low:.1f} – {high:.1f})" if accepts["count"] else ""
    fired = (
        f"{accepts['count']:,} in {accepts['hours']:.2f} h",
        f"{_per_hour(accepts)}{interval}",
    )
    if "words" not in row:
        return (*("–" for _ in range(5)), *fired)
    low, high = row["miss_rate_interval"]
    delay = row["delay"]
    return (
        f"{row['words']:,}",
        f"{row['miss_rate']:.1%} ({low:.1%} – {high:.1%})",
        f"{row['wrong_words']:,}",
        *("–" if delay[k] is None else f"{delay[k]:.2f} s" for k in ("median", "p95")),
        *fired,
    )


def _per_hour(accepts: dict[str, Any]) -> str:
    """Tell a rate; where nothing was accepted, only the one that can be excluded."""
    if accepts["count"]:
        return f"{accepts['per_hour']:.1f}"
    return f"fewer than {accepts['interval'][1]:.1f}"


def _interval(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{low:.1%} – {high:.1%}"
