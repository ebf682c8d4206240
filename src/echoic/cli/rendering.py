"""What people see: tables, lines and progress bars; and the JSON lines that programs read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from echoic.doctor import Check
    from echoic.evaluation import Comparison, ContinuousEvaluation, Evaluation, StreamEvaluation
    from echoic.explain.recall import Memory
    from echoic.microphone import Device
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import Prediction


def make_console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def prediction_row(path: Path, prediction: Prediction) -> dict[str, Any]:
    return {
        "file": path.as_posix(),
        "start": round(prediction.start, 3),
        "end": round(prediction.end, 3),
        "label": prediction.label,
        "confidence": round(prediction.confidence, 4),
        "top": [[label, round(probability, 4)] for label, probability in prediction.top],
    }


def show_predictions(path: Path, predictions: list[Prediction]) -> None:
    from rich.markup import escape

    console = make_console()
    if len(predictions) == 1 and predictions[0].start == 0:
        (p,) = predictions
        others = ", ".join(f"{escape(x)} {y:.0%}" for x, y in p.top[1:] if y >= 0.005)
        console.print(
            f"{escape(str(path))}  [bold]{escape(p.label)}[/] {p.confidence:.0%}"
            + (f"  [dim]({others})[/]" if others else ""),
            soft_wrap=True,
        )
        return
    console.print(escape(str(path)), soft_wrap=True)
    for p in predictions:
        bar = "█" * round(20 * p.confidence)
        console.print(
            f"  {(p.start + p.end) / 2:6.1f} s  [bold]{escape(p.label):<10}[/] "
            f"{p.confidence:4.0%} [green]{bar}[/]"
        )
    if not predictions:
        console.print("  [dim]no word; --windows lists each window[/]")


def show_devices(found: list[Device], *, as_json: bool) -> None:
    from rich.markup import escape

    console = make_console()
    for d in found:
        if as_json:
            print_json(dataclasses.asdict(d))
        else:
            console.print(
                f"{'*' if d.default else ' '}{d.index:>3}  [bold]{escape(d.name)}[/]  "
                f"[dim]{escape(d.api)}, {d.channels} ch, {d.rate:,} Hz[/]",
                soft_wrap=True,
            )
    if not as_json:
        console.print("  [dim]* is the system's default[/]")


def show_check(check: Check) -> None:
    from rich.markup import escape

    style = {"ok": "green", "note": "yellow", "broken": "bold red"}[check.state]
    console = make_console()
    console.print(
        f"[{style}]{check.state:<6}[/] [bold]{check.name:<13}[/] {escape(check.message)}",
        soft_wrap=True,
    )
    if check.advice:
        console.print(f"{'':<20} {escape(check.advice)}", soft_wrap=True)


def show_evaluation(name: str, result: Evaluation | ContinuousEvaluation) -> None:
    from rich.table import Table

    from echoic.reports.format import count, percent, percents

    console = make_console()
    where = " ".join(str(v) for v in (result.protocol, *result.details.values()))
    console.print(f"[bold]{name}[/] on {where}")
    whole = result.figures["accuracy"]
    console.print(
        f"  accuracy [bold]{percent(whole.value, 2)}[/] of {count(whole.n)} clips "
        f"(95 % interval {percents(whole.interval)})"
    )
    if spoken := result.figures.get("accuracy_without_silence"):
        console.print(f"  {percent(spoken.value, 2)} of {count(spoken.n)} without _silence_")
    table = Table(box=None, pad_edge=True, header_style="dim")
    for column in ("label", "clips", "recall", "precision"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for label, n, recall, precision in result.tables["classes"].rows:
        table.add_row(label, count(n), percent(recall), percent(precision))
    console.print(table)
    mistakes = result.mistakes() if hasattr(result, "mistakes") else []
    if mistakes:
        console.print("  most frequent confusions, with the most confident mistakes of each:")
    for pair in mistakes:
        console.print(
            f"  {pair['count']:4}  {pair['true']} predicted as [bold]{pair['predicted']}[/]  "
            f"[dim]{', '.join(pair['files'])}[/]",
            soft_wrap=True,
        )


def show_comparison(result: Comparison) -> None:
    from rich.markup import escape
    from rich.table import Table

    from echoic.reports.format import count, kilobytes, percent, percents

    report = result.report()
    console = make_console()
    where = " ".join(str(report[k]) for k in ("protocol", "split", "data") if k in report)
    console.print(f"on {where}, {report['n']:,} clips")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("model")
    for column in ("accuracy", "95 %", "spoken", "weights", "clip", "stream_int8"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in report["models"]:
        without = row.get("without_silence")
        table.add_row(
            f"[bold]{escape(row['model'])}[/]",
            percent(row["accuracy"], 2),
            percents(row["interval"]),
            percent(without and without["accuracy"], 2),
            count(row["parameters"]),
            *map(kilobytes, row["sizes"].values()),
        )
    console.print(table)
    for row in report["models"][1:]:
        gain = row["difference"]
        interval = ""
        if gain["speaker_interval"]:
            low, high = (100 * x for x in gain["speaker_interval"])
            interval = f" (95 % interval {low:+.2f} to {high:+.2f}, speakers drawn anew)"
        console.print(
            f"  {escape(row['model'])} against {escape(gain['than'])}: "
            f"[bold]{100 * gain['accuracy']:+.2f}[/] points{interval}; it alone is right on "
            f"{gain['only_this_right']:,} clips, the other on {gain['only_first_right']:,}: "
            f"McNemar's p = {gain['mcnemar_p']:.2g}",
            soft_wrap=True,
        )
    console.print(
        "[dim]spoken: without _silence_; p: how likely clips part so unevenly if neither is "
        "better[/]",
        soft_wrap=True,
    )


def show_memory(result: Memory) -> None:
    from rich.table import Table

    console = make_console()
    config = result.config
    console.print("Each person says a name. Game 1: repeat all in order. Game 2: recall one name.")
    table = Table(box=None, pad_edge=True, header_style="dim")
    table.add_column("network")
    for column in ("weights", f"{config.people} in order", "reach", "gradient"):
        table.add_column(column, justify="right")
    for row in result.rows():
        far = "> " if row["reach"] == config.distance else ""
        table.add_row(
            row["network"],
            f"{row['parameters']:,}",
            f"{row['in_order'][-1]:.0%}",
            f"{far}{row['reach']} people",
            "–" if row["gradient"] is None else f"{row['gradient']:.2g}",
        )
    console.print(table)


def show_streams(name: str, result: StreamEvaluation) -> None:
    from rich.table import Table

    from echoic.reports.format import count, percent, seconds

    console = make_console()
    console.print(f"[bold]{name}[/] in streams of {result.details['data']}")
    table = Table(box=None, pad_edge=True, header_style="dim")
    for column in ("stream", "words", "missed", "for another", "false", "delay", "p95"):
        table.add_column(column, justify="left" if column == "stream" else "right")
    for stream, score in {**result.scores, "all": result.total}.items():
        row = score.report()
        table.add_row(
            stream,
            count(row["words"]),
            percent(row["miss_rate"]),
            count(row["wrong_words"]),
            count(score.false_accepts),
            *(seconds(row["delay"][key]) for key in ("median", "p95")),
        )
    console.print(table)
    if result.negatives:
        low, high = result.negatives.report()["false_accepts"]["interval"]
        console.print(
            f"  {result.negatives.false_accepts} false accepts in {result.negatives.hours:.2f} h "
            f"without a word: 95 % interval {low:.1f} – {high:.1f} an hour"
        )
        for found in result.accepted:
            console.print(
                f"  [dim]{found['file']} at {found['time']:.1f} s[/]  detected as {found['label']}",
                soft_wrap=True,
            )
    for warning in result.warnings:
        console.print(f"  [dim]{warning}[/]")


def show_files(bundle: Bundle) -> None:
    from rich.table import Table

    from echoic.reports.format import kilobytes, megabytes, microseconds, percent, points

    if (files := bundle.files) is None:
        return
    console = make_console()
    console.print(
        f"[bold]{bundle.name}[/] in {bundle.path}, measured on {files.n:,} clips ({files.protocol})"
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("file", no_wrap=True)
    for column in ("size", "accuracy", "points", "10 min", "call", "p99", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in files.measured.items():
        table.add_row(
            name,
            kilobytes(row.size),
            percent(row.accuracy, 2),
            points(row.difference, 2),
            percent(row.late_agreement),
            microseconds(row.median_latency),
            microseconds(row.p99_latency),
            megabytes(row.peak_memory),
        )
    console.print(table)
    console.print(
        "[dim]points: against the Keras network; 10 min: agrees with stream.tflite in the last\n"
        "minute of ten; call: the median of one, on one thread[/]"
    )


@contextmanager
def progress_bar(unit: str) -> Iterator[Any]:
    """A progress bar on stderr, where that is a terminal; yields ``report(done, total)``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = make_console(stderr=True)
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        unit,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def download_progress() -> Iterator[Any]:
    """Progress of a download: a bar a stage."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = make_console(stderr=True)
    with Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield report


@contextmanager
def training_progress() -> Iterator[Any]:
    """One line an epoch, and on a terminal a bar with the rate and the remaining time."""
    from rich.progress import BarColumn, Progress, TextColumn

    from echoic.reports.format import duration

    console = make_console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("reading the data", total=None, note="")

        def report(p: Any) -> None:
            note = f"{p.rate:,.0f} clips/s, {duration(p.remaining)} left"
            bar.update(
                task,
                description=f"epoch {p.epoch}/{p.epochs}",
                completed=p.clips,
                total=p.clips_per_epoch,
                note=f"loss {p.logs.get('loss', 0):.3f}  {note}",
            )
            if "val_accuracy" in p.logs:
                console.print(
                    f"epoch {p.epoch:>3}/{p.epochs}  loss {p.logs['loss']:.3f}  "
                    f"accuracy {p.logs['accuracy']:.1%}  "
                    f"validation [bold]{p.logs['val_accuracy']:.1%}[/]  [dim]{note}[/]",
                    soft_wrap=True,
                )

        yield report
