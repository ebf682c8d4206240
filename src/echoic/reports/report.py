"""Reports of an evaluation: a folder with figures, pictures and a page, or the model's own card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from echoic import plots
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.result import Result
from echoic.evaluation.streams import StreamEvaluation
from echoic.reports.card import PROTOCOLS, write_card
from echoic.reports.commands import evaluate_command
from echoic.reports.confusions import confusions
from echoic.reports.format import count, percent, percents
from echoic.reports.page import Summary, write_page
from echoic.reports.pictures import pictures
from echoic.reports.sections import Section, Tile
from echoic.reports.streams import streams
from echoic.runtime import bundle as bundles
from echoic.runtime.bundle import Bundle

REPORT = "report.json"


def write_report(
    model: Bundle, result: Result, folder: str | Path, *, sections: Sequence[Section] = ()
) -> Path:
    """Write the figures and pictures of an evaluation to a folder.

    Always ``report.json`` and pictures (PNG); of streams also their words
    (``stream_20dB.tsv``); of clips also a page for people, ``index.html``, that holds everything.

    Parameters
    ----------
    model
        The model that was evaluated.
    result
        What `evaluate_split` and its like return.
    folder
        Made where it is not there.
    sections
        Of clips: more parts of the page, such as `analysis_sections` and `robustness_sections`.
        Confusions and streams are always there.

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
        parts = _in_order([*sections, confusions(result), streams(model)])
        report["sections"] = {part.key: part.data for part in parts}
    if isinstance(result, StreamEvaluation):
        result.write_truth(folder)
    (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _draw(model, result, folder)
    for part in parts:
        # `_draw` has drawn the confusion matrix.
        if part.figure is not None and part.key != "classes":
            plots.save(part.figure, folder / f"{part.key}.png")
    if not isinstance(result, Evaluation):
        return folder / REPORT
    return write_page(folder, title=model.name, summary=_summary(model, result), sections=parts)


def record(
    model: Bundle, result: Result, *, sections: Sequence[Section] = (), max_clips: int | None = None
) -> Bundle:
    """Write the figures of an evaluation into the model's folder, its card and its pictures.

    Parameters
    ----------
    model
        The model that was evaluated.
    result
        What `evaluate_split` and its like return.
    sections
        Of a report; their tiles are kept beside the figures.
    max_clips
        With how many clips robustness was evaluated; None means all.

    Returns
    -------
    Bundle
        The folder, read again.
    """
    _draw(model, result, model.path)
    figures = result.report()
    if sections:
        figures["report"] = {
            "max_clips": max_clips,
            "heads": [_head(section, tile) for section in sections for tile in section.tiles],
        }
    model = bundles.add_metrics(model, figures)
    write_card(model)
    return model


def _head(section: Section, tile: Tile) -> dict[str, str]:
    """Return a tile as it is kept in a model's folder."""
    notes = [tile.note]
    if tile.reference:
        name, level = tile.reference
        notes.insert(0, f"{name}: {percent(level)}")
    return {
        "section": section.title,
        "value": tile.value,
        "name": tile.name,
        "note": "; ".join(filter(None, notes)),
        "better": tile.better,
    }


def _draw(model: Bundle, result: Result, folder: Path) -> None:
    for name, figure in pictures(result, model.name).items():
        plots.save(figure, folder / name, colors=plots.CARD_COLORS)


def _in_order(sections: Sequence[Section]) -> list[Section]:
    """Put confusions after the classes; all else stays in order."""
    first = ("classes", "confusions")
    return sorted(sections, key=lambda s: first.index(s.key) if s.key in first else len(first))


def _summary(model: Bundle, result: Evaluation) -> Summary:
    """Make the head of the page."""
    accuracy = result.figures["accuracy"]
    split, data = result.details.get("split"), result.details.get("data")
    protocol = " ".join(filter(None, (result.protocol, split)))
    meaning = PROTOCOLS.get(protocol, "clips that the model was not trained on")
    of = f" of `{data}`" if data else ""
    return Summary(
        figure=percent(accuracy.value, 2),
        name=f"accuracy on {count(accuracy.n)} clips",
        interval=f"95 % interval {percents(accuracy.interval)}",
        level=accuracy.value,
        protocol=f"Protocol `{protocol}`{of}: {meaning}.",
        warnings=result.warnings,
        command=evaluate_command(
            model.name, data=data and f"data/{data}", split=split, report="FOLDER"
        ),
    )
