"""Reports: figures and pictures of an evaluation, in a folder or in the model's own."""

from __future__ import annotations

import json
from pathlib import Path

from echoic import bundle as bundles
from echoic import plots
from echoic.bundle import Bundle
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.detection import StreamEvaluation
from echoic.evaluation.endless import EndlessEvaluation

Result = Evaluation | EndlessEvaluation | StreamEvaluation


def write_report(model: Bundle, result: Result, folder: str | Path) -> None:
    """Write ``report.json`` and pictures to a folder; of streams also what was said in them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    report = {"model": model.name, **result.report()}
    if isinstance(result, Evaluation):
        report["mistakes"] = result.mistakes()
    if isinstance(result, StreamEvaluation):
        result.write_truth(folder)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    _draw(model, result, folder)


def record(model: Bundle, result: Result) -> Bundle:
    """Write the figures into the model's folder, its card and its pictures."""
    _draw(model, result, model.path)
    return bundles.record(model, result.report())


def _draw(model: Bundle, result: Result, folder: Path) -> None:
    for name, figure in result.pictures(model.name).items():
        plots.save(figure, folder / name)
