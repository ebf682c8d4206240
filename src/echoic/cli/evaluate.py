"""Verbs that measure: evaluate, compare, tune."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.cli.options import DATA, Json, ModelArgument, Side
from echoic.cli.rendering import (
    make_console,
    print_json,
    progress_bar,
    show_comparison,
    show_evaluation,
    show_streams,
)

if TYPE_CHECKING:
    from echoic.data import SplitName
    from echoic.reports.report import Result


class Streaming(StrEnum):
    """The files of a model that hear a stream."""

    stream = "stream"
    stream_int8 = "stream_int8"


def evaluate(
    model: ModelArgument = None,
    data: Annotated[Path, typer.Option(help="A data set, for --split.")] = DATA,
    split: Annotated[Side, typer.Option(help="Which side of it.")] = Side.validation,
    test_set: Annotated[
        Path | None, typer.Option(help="A test archive instead: one folder a label.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Words in a stream: missed, false, how late.")
    ] = False,
    endless: Annotated[
        bool, typer.Option("--endless", help="The test archive as one stream, never reset.")
    ] = False,
    graph: Annotated[
        Streaming | None,
        typer.Option(help="With --endless: which file listens.", show_default="stream"),
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(help="With --stream: recordings without any of its words.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write report.json and pictures to this folder; of clips also a page."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="With --report: clips heard in each condition.", show_default="all"
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write the figures into the model's folder and card.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a model on clips that it was not trained on."""
    from echoic import evaluation, reports
    from echoic.data import load_folders
    from echoic.runtime.bundle import Bundle

    if endless and not test_set:
        raise typer.BadParameter("Expected --test-set with --endless.")
    if graph and not endless:
        raise typer.BadParameter("Expected --endless with --graph.")
    if negatives and not stream:
        raise typer.BadParameter("Expected --stream with --negatives.")
    if stream and endless:
        raise typer.BadParameter("Expected one of --stream and --endless.")
    if limit and (not report or stream or endless):
        raise typer.BadParameter("Expected --report of clips with --limit.")
    bundle = Bundle.load(model)
    side: SplitName = "test" if split is Side.test else "validation"
    result: Result
    with progress_bar("recordings" if stream else "clips") as progress:
        if stream:
            result = evaluation.evaluate_stream(
                bundle, test_set or data, split=side, negatives=negatives, on_progress=progress
            )
        elif test_set and endless:
            examples = load_folders(test_set, labels=bundle.labels)
            result = evaluation.evaluate_continuous(
                bundle, examples, graph=(graph or Streaming.stream).value, on_progress=progress
            )
        elif test_set:
            result = evaluation.evaluate_test_set(bundle, test_set, on_progress=progress)
        else:
            result = evaluation.evaluate_split(bundle, data, split=side, on_progress=progress)
    page = None
    sections: list[reports.Section] = []
    if report:
        if isinstance(result, evaluation.Evaluation):
            sections += evaluation.analyze(bundle, result)
            with progress_bar("clips in other conditions") as progress:
                sections += evaluation.evaluate_robustness(
                    bundle, result, noises=data, limit=limit, on_progress=progress
                )
        page = reports.write_report(bundle, result, report, sections=sections)
    if record:
        reports.record(bundle, result, sections=sections, max_clips=limit)
    if as_json:
        print_json({"model": bundle.name, **result.report()})
    elif isinstance(result, evaluation.StreamEvaluation):
        show_streams(bundle.name, result)
    else:
        show_evaluation(bundle.name, result)
    if page and not as_json:
        print(page)


def compare(
    models: Annotated[
        list[str], typer.Argument(metavar="MODEL", help="Folders or names, two or more.")
    ],
    data: Annotated[Path, typer.Option(help="A data set, for --split.")] = DATA,
    split: Annotated[Side, typer.Option(help="Which side of it.")] = Side.validation,
    test_set: Annotated[
        Path | None, typer.Option(help="A test archive instead: one folder a label.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure several models on the same clips: is one really better than the first?"""
    if len(models) < 2:
        raise typer.BadParameter(f"Expected at least two models, received {models[0]} alone.")
    from echoic import evaluation
    from echoic.runtime.bundle import Bundle

    bundles = [Bundle.load(model) for model in models]
    side: SplitName = "test" if split is Side.test else "validation"
    with progress_bar("clips") as progress:
        if test_set:
            result = evaluation.compare_test_set(bundles, test_set, on_progress=progress)
        else:
            result = evaluation.compare_split(bundles, data, split=side, on_progress=progress)
    if as_json:
        report = result.report()
        rows = report.pop("models")
        for row in rows:
            print_json({**row, **{k: v for k, v in report.items() if k != "n"}})
    else:
        show_comparison(result)


def tune(
    model: ModelArgument = None,
    data: Annotated[Path, typer.Option(help="A data set; its validation side is heard.")] = DATA,
    negatives: Annotated[
        Path | None, typer.Option(help="Recordings without any of its words.")
    ] = None,
    limit: Annotated[float, typer.Option(help="False accepts an hour that are allowed.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Choose when a word counts as said, on streams, and store it in the model."""
    from echoic import evaluation
    from echoic.reports.card import write_card
    from echoic.runtime import bundle as bundles

    bundle = bundles.Bundle.load(model)
    with progress_bar("recordings") as progress:
        tuning = evaluation.tune(
            bundle, data, negatives=negatives, limit=limit, on_progress=progress
        )
    write_card(bundles.set_decoder(bundle, tuning.config))
    if as_json:
        print_json({"model": bundle.name, **tuning.report()})
        return
    console = make_console()
    console.print(f"[bold]{bundle.name}[/], the best of {len(tuning.candidates)} settings:")
    for name, candidate in (("before", tuning.before), ("chosen", tuning.chosen)):
        words, others = candidate.words, candidate.others
        settings = ", ".join(f"{k} {v:g}" for k, v in candidate.config.to_dict().items() if v)
        console.print(
            f"  {name}  {settings}\n"
            f"          {words.miss_rate:.1%} of {words.words:,} words missed, "
            f"{others.false_accepts} false accepts in {others.hours:.2f} h"
        )
