"""Verbs that measure a model: evaluate, compare, tune."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.cli.extras import import_tensorflow, require_training
from echoic.cli.options import (
    DATA,
    DataOption,
    Json,
    ModelArgument,
    NegativesOption,
    Side,
    SplitOption,
    TestSetOption,
)
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
    from echoic.evaluation import Result


class StreamingFile(StrEnum):
    """The TFLite files that process a stream."""

    stream = "stream"
    stream_int8 = "stream_int8"


def evaluate(
    model: ModelArgument = None,
    data: DataOption = DATA,
    split: SplitOption = Side.validation,
    test_set: TestSetOption = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Measure misses, false accepts and delay in streams.")
    ] = False,
    continuous: Annotated[
        bool,
        typer.Option("--continuous", help="Play the test archive as one stream without a reset."),
    ] = False,
    file: Annotated[
        StreamingFile | None,
        typer.Option(help="TFLite file that --continuous runs.", show_default="stream"),
    ] = None,
    negatives: NegativesOption = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write report.json, pictures and, for clips, a page to this folder."),
    ] = None,
    max_clips: Annotated[
        int | None,
        typer.Option(min=1, help="Clips in each condition of --report.", show_default="all"),
    ] = None,
    update_card: Annotated[
        bool,
        typer.Option("--update-card", help="Store the figures in the model's folder and card."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a model on clips or streams that training did not use."""
    if stream and continuous:
        raise typer.BadParameter("Expected one of --stream and --continuous, received both.")
    if continuous and not test_set:
        raise typer.BadParameter("Expected --test-set with --continuous, received none.")
    if file and not continuous:
        raise typer.BadParameter("Expected --continuous with --file, received --file alone.")
    if negatives and not stream:
        raise typer.BadParameter("Expected --stream with --negatives, received --negatives alone.")
    if max_clips and (not report or stream or continuous):
        raise typer.BadParameter("Expected --max-clips with --report of clips.")
    require_training()
    from echoic import evaluation, reports
    from echoic.data import load_folders
    from echoic.runtime.bundle import Bundle

    bundle = Bundle.load(model)
    side: SplitName = "test" if split is Side.test else "validation"
    result: Result
    with progress_bar("recordings" if stream else "clips") as progress:
        if stream:
            result = evaluation.evaluate_stream(
                bundle, test_set or data, split=side, negatives=negatives, on_progress=progress
            )
        elif test_set and continuous:
            examples = load_folders(test_set, labels=bundle.labels)
            result = evaluation.evaluate_continuous(
                bundle, examples, file=(file or StreamingFile.stream).value, on_progress=progress
            )
        elif test_set:
            result = evaluation.evaluate_test_set(bundle, test_set, on_progress=progress)
        else:
            result = evaluation.evaluate_split(bundle, data, split=side, on_progress=progress)
    page = None
    sections: list[reports.Section] = []
    if report:
        if isinstance(result, evaluation.Evaluation):
            sections += reports.analysis_sections(evaluation.analyze(bundle, result))
            with progress_bar("clips in other conditions") as progress:
                robustness = evaluation.evaluate_robustness(
                    bundle, result, noises=data, max_clips=max_clips, on_progress=progress
                )
            sections += reports.robustness_sections(robustness) if robustness else []
        page = reports.write_report(bundle, result, report, sections=sections)
    if update_card:
        reports.record(bundle, result, sections=sections, max_clips=max_clips)
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
        list[str], typer.Argument(metavar="MODEL", help="Models: names or folders, two or more.")
    ],
    data: DataOption = DATA,
    split: SplitOption = Side.validation,
    test_set: TestSetOption = None,
    as_json: Json = False,
) -> None:
    """Compare models on the same clips, with a significance test against the first."""
    if len(models) < 2:
        raise typer.BadParameter(f"Expected at least two models, received only {models[0]}.")
    require_training()
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
    data: DataOption = DATA,
    negatives: NegativesOption = None,
    max_false_accepts: Annotated[
        float, typer.Option(min=0, help="Allowed false accepts an hour.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Tune detection thresholds on validation streams, and store them in the model."""
    require_training()
    import_tensorflow()
    from echoic import evaluation
    from echoic.export import golden
    from echoic.reports import write_card
    from echoic.runtime import bundle as bundles

    bundle = bundles.Bundle.load(model)
    with progress_bar("recordings") as progress:
        tuning = evaluation.tune(
            bundle,
            data,
            negatives=negatives,
            max_false_accepts=max_false_accepts,
            on_progress=progress,
        )
    had_golden_file = (bundle.path / golden.FILE).exists()
    bundle = bundles.set_decoder(bundle, tuning.config)
    if had_golden_file:
        golden.write(bundle)
    write_card(bundle)
    if as_json:
        print_json({"model": bundle.name, **tuning.report()})
        return
    console = make_console()
    console.print(f"[bold]{bundle.name}[/]: best of {len(tuning.candidates)} settings")
    for name, candidate in (("before", tuning.before), ("chosen", tuning.chosen)):
        words, others = candidate.words, candidate.others
        settings = ", ".join(f"{k} {v:g}" for k, v in candidate.config.to_dict().items() if v)
        console.print(
            f"  {name}  {settings}\n"
            f"          {words.miss_rate:.1%} of {words.words:,} words missed, "
            f"{others.false_accepts} false accepts in {others.hours:.2f} h"
        )
