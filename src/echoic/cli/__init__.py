"""The command line: each verb reads its arguments, calls one function and shows what it gave.

Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. With ``--json`` stdout carries JSON
lines and nothing else; whatever is meant for people goes to stderr.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import echoic

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.console import Console

    from echoic.data import SplitName
    from echoic.doctor import Check
    from echoic.evaluation import Comparison, ContinuousEvaluation, Evaluation, StreamEvaluation
    from echoic.explain.recall import Memory
    from echoic.live import Clips, Listener, Output
    from echoic.microphone import Source
    from echoic.reports.report import Result
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import Prediction

DATA = Path("data/speech_commands_v0.02")
SAMPLE = Path("data/sample")


class Verbs(TyperGroup):
    """Turns what went wrong into a line on stderr and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        from echoic.data.archives import DownloadError
        from echoic.microphone import MicrophoneError

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Whoever read stdout has read enough; what is left in its buffer goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (OSError, ValueError, DownloadError, MicrophoneError) as error:
            if os.environ.get("ECHOIC_DEBUG"):
                raise
            print(f"echoic: {error}", file=sys.stderr)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Verbs,
    help="Train a speech command recognizer, use it, measure it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: echoic predict data/sample/stream.wav",
)


class Side(StrEnum):
    """The sides of a split that may be evaluated."""

    validation = "validation"
    test = "test"


class Streaming(StrEnum):
    """The files of a model that hear a stream."""

    stream = "stream"
    stream_int8 = "stream_int8"


class Version(StrEnum):
    """Published versions of Speech Commands."""

    v2 = "0.02"
    v1 = "0.01"


Json = Annotated[bool, typer.Option("--json", help="Print JSON lines on stdout, nothing else.")]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model's folder or name.", show_default="gru-12"),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        "-d",
        help="A microphone: its number or a part of its name.",
        show_default="the system's",
    ),
]
ModelArgument = Annotated[
    str | None, typer.Argument(help="A model's folder or name.", show_default="gru-12")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"echoic {echoic.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="echoic: %(message)s"
    )
    logging.getLogger("echoic").setLevel(logging.DEBUG if verbose else logging.WARNING)


# --- verbs -------------------------------------------------------------------------------------


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Recordings, or folders of recordings.")],
    model: ModelOption = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels to list.")] = 3,
    as_json: Json = False,
) -> None:
    """Name the words in recordings: any format, any rate, any length."""
    from echoic import audio
    from echoic.runtime.recognizer import Recognizer

    recognizer = Recognizer.load(model)
    failed = 0
    paths = list(audio.find(files))
    if not paths:
        raise FileNotFoundError(f"No recordings in {', '.join(map(str, files))}.")
    for path in paths:
        try:
            predictions = recognizer.predict(path, top=top)
        except (audio.AudioError, OSError) as error:
            print(f"echoic: {error}", file=sys.stderr)
            failed += 1
            continue
        if as_json:
            for prediction in predictions:
                _print_json(_as_dict(path, prediction))
        else:
            _show_predictions(path, predictions)
    if failed:
        print(f"echoic: {failed} of {len(paths)} recordings failed.", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def listen(
    model: ModelOption = None,
    device: DeviceOption = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the microphones, and end.")
    ] = False,
    wav: Annotated[
        Path | None, typer.Option(help="Hear a recording in place of the microphone.")
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="With --wav: at the speed of sound as it was.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, help="Probability that a word needs.", show_default="the model's"
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Keep a second of sound around each word in this folder.")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Write all sound to this file (WAV).")] = None,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Show what the network remembers, beside each label."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Name words as they are spoken. No audio leaves the machine; Ctrl-C ends."""
    if wav and (device is not None or list_devices):
        raise typer.BadParameter("Expected one of --wav and a microphone.")
    if realtime and not wav:
        raise typer.BadParameter("Expected --wav with --realtime.")
    if memory and as_json:
        raise typer.BadParameter("Expected one of --memory, which is a picture, and --json.")
    if list_devices:
        _show_devices(as_json=as_json)
        return
    from echoic.audio import SAMPLE_RATE
    from echoic.live import Clips, JsonLines, Listener, Recording, with_threshold
    from echoic.microphone import FileSource, Microphone, portaudio
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import StreamingRecognizer
    from echoic.timeouts import ask

    bundle = Bundle.load(model)
    stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
    influence = stream.influence() if memory else None
    if memory and influence is None:
        raise ValueError(
            f"Expected a model with a recurrent layer for --memory, received {bundle.name}, which "
            "carries no hidden state from step to step; listen without --memory."
        )
    listener = Listener(stream, config=with_threshold(bundle.decoder, threshold))
    source: Source
    if wav:
        source = FileSource(wav, realtime=realtime)
    else:
        backend = ask(portaudio.load)
        source = Microphone(device, on_event=listener.on_event, backend=backend)
    with ExitStack() as stack:
        stack.enter_context(source)
        if record:
            recording = Recording(record)
            stack.callback(print, f"All sound is in {record}.", file=sys.stderr)
            listener.outputs.append(stack.enter_context(recording))
        if save:
            clips = Clips(save)
            stack.callback(_show_clips, clips)
            listener.outputs.append(stack.enter_context(clips))
        show = JsonLines() if as_json else _live_output(listener, source, bundle.name, influence)
        listener.outputs.append(stack.enter_context(show))
        listener.listen(source)


@app.command()
def icebreaker(
    model: ModelOption = None,
    device: DeviceOption = None,
    wav: Annotated[
        Path | None, typer.Option(help="Hear a recording in place of the microphone.")
    ] = None,
) -> None:
    """Play the ice breaker by voice: say a new word each turn; all words so far come back."""
    if wav and device is not None:
        raise typer.BadParameter("Expected one of --wav and a microphone.")
    from echoic.audio import SAMPLE_RATE
    from echoic.explain import icebreaker as games
    from echoic.live import Listener, Voice
    from echoic.microphone import FileSource, Microphone, portaudio
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import StreamingRecognizer
    from echoic.timeouts import ask

    bundle = Bundle.load(model)
    stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
    circle = games.IceBreakerView(console=_console(), events=_console(stderr=True))
    listener = Listener(stream, config=bundle.decoder, outputs=[circle])
    game = games.IceBreaker(bundle.labels)
    source: Source
    if wav:
        source = FileSource(wav)
    else:
        source = Microphone(device, on_event=listener.on_event, backend=ask(portaudio.load))
    # A recording does not wait until something was said.
    with source, Voice(command=() if wav else None) as speaker:
        circle.begin(game)
        games.play(game, source, listener, speaker=speaker, on_turn=circle.show)
        circle.end(game)


@app.command()
def assistant(
    config: Annotated[
        Path | None,
        typer.Argument(help="What to do (TOML).", show_default="a sample, which only says it"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="A model's folder or name.", show_default="CONFIG's"),
    ] = None,
    device: DeviceOption = None,
    wav: Annotated[
        Path | None, typer.Option(help="Hear a recording in place of the microphone; play nothing.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Play no sounds.")] = False,
    as_json: Json = False,
) -> None:
    """Act on a wake word and a command. Ctrl-C ends."""
    if wav and device is not None:
        raise typer.BadParameter("Expected one of --wav and a microphone.")
    from echoic.assistant import Assistant
    from echoic.audio import SAMPLE_RATE
    from echoic.live import JsonLines, Listener, Voice, loudspeaker
    from echoic.microphone import FileSource, Microphone, portaudio
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import StreamingRecognizer
    from echoic.timeouts import ask

    helper = Assistant.load(config)
    bundle = Bundle.load(model or helper.model)
    helper.check(bundle.labels)
    stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
    listener = Listener(stream, config=bundle.decoder)
    source: Source
    if wav:
        source = FileSource(wav)
    else:
        source = Microphone(device, on_event=listener.on_event, backend=ask(portaudio.load))
    with source:
        show = (
            JsonLines() if as_json else _live_output(listener, source, bundle.name, influence=None)
        )
        listener.outputs.append(show)
        with show:
            # A recording does not wait until a chime was played.
            speaker = Voice(command=(), play=None if quiet or wav else loudspeaker)
            helper.run(source, listener=listener, speaker=speaker)


@app.command()
def doctor(
    model: ModelOption = None,
    device: DeviceOption = None,
    data: Annotated[Path, typer.Option(help="Where the data set should be.")] = DATA,
    level: Annotated[
        bool, typer.Option("--level/--no-level", help="Listen to the microphone for two seconds.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Look at all that listening needs, and say what to do where it is not there."""
    from echoic.doctor import run_checks

    broken = False
    for check in run_checks(model, device=device, data=data, seconds=2.0 if level else None):
        broken |= check.state == "broken"
        if as_json:
            _print_json(dataclasses.asdict(check))
        else:
            _show_check(check)
    if broken:
        raise typer.Exit(1)


@app.command()
def plot(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    model: ModelOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The picture (PNG).", show_default="FILE's name .png, here")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(metavar="RECIPE", help="Draw what a recipe's augmentation makes of it."),
    ] = None,
) -> None:
    """Draw a recording as the model hears it: waveform, MFCC, probabilities."""
    from echoic import plots
    from echoic.runtime.recognizer import Recognizer

    if augment:
        _import_tensorflow()
        from echoic.config import Recipe

        recipe = Recipe.load(augment)
        figure = plots.augmented(file, config=recipe.augmentation, feature_config=recipe.features)
    else:
        figure = plots.recording(Recognizer.load(model), file)
    target = out or Path(f"{file.stem}.png")
    plots.save(figure, target)
    print(target)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="A recording.")],
    model: ModelOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The picture (PNG).", show_default="FILE's name -explained.png, here"),
    ] = None,
    at: Annotated[
        float | None,
        typer.Option(help="Explain the answer at this time (s).", show_default="the surest"),
    ] = None,
) -> None:
    """Draw the memory at work: states, gates, and what the decision leaned on."""
    _import_tensorflow()
    from echoic import plots

    figure = plots.explained(model, file, at=at)
    target = out or Path(f"{file.stem}-explained.png")
    plots.save(figure, target)
    print(target)


@app.command()
def memory(
    out: Annotated[Path, typer.Option(help="The picture (PNG).")] = Path("memory.png"),
    seed: Annotated[int, typer.Option(min=0, help="Of the circles and of the weights.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Batches that each network learns from.")] = 800,
    as_json: Json = False,
) -> None:
    """Play the ice breaker: how far back do four networks remember? A minute or two."""
    _import_tensorflow()
    from echoic import plots
    from echoic.explain import recall as games

    config = games.MemoryConfig(seed=seed, steps=steps)
    with _bar("batches") as progress:
        result = games.measure(config, on_progress=progress)
    plots.save(result.figure(), out)
    if as_json:
        for row in result.rows():
            _print_json(row)
        return
    _show_memory(result)
    print(out)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a TOML file.")],
    data: Annotated[Path, typer.Option(help="A data set: one folder a word.")] = DATA,
    out: Annotated[
        Path | None, typer.Option(help="The model's folder.", show_default="models/RECIPE")
    ] = None,
    extra_data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Another data set that only training hears.", show_default="the recipe's"
        ),
    ] = None,
    teachers: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher",
            help="A model, or a file of its answers, to learn from as well.",
            show_default="the recipe's",
        ),
    ] = None,
    initial_weights: Annotated[
        str | None,
        typer.Option(help="A model whose weights are the beginning.", show_default="random ones"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override, as in training.epochs=5."),
    ] = None,
    data_name: Annotated[
        str | None, typer.Option(help="What the model card calls the data.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the model in --out.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes that prepare batches; 0 for a thread.",
            show_default="half of the cores",
        ),
    ] = None,
) -> None:
    """Train a model. Recipes: attention, bag, crnn, embedding, gru, lstm, rnn, small, whisper."""
    _import_tensorflow()
    from echoic import training
    from echoic.config import Recipe
    from echoic.training.batcher import usual_workers

    training.keep_memory()
    resolved = Recipe.load(recipe, overrides=settings or [])
    folder = out or Path("models") / Path(recipe).stem
    words = ["echoic", "train", recipe, "--data", str(data), "--out", str(folder)]
    words += [part for more in extra_data or [] for part in ("--extra-data", str(more))]
    words += [part for teacher in teachers or [] for part in ("--teacher", teacher)]
    words += ["--initial-weights", initial_weights] if initial_weights else []
    words += [part for setting in settings or [] for part in ("--set", setting)]
    words += ["--data-name", data_name] if data_name else []
    beside = [] if workers is None else ["--workers", str(workers)]
    with _training_view() as report:
        try:
            bundle = training.train(
                resolved,
                data=data,
                out=folder,
                extra_data=extra_data,
                teachers=teachers,
                initial_weights=initial_weights,
                data_name=data_name,
                command=_command_line(words),
                resume=resume,
                overwrite=overwrite,
                workers=usual_workers() if workers is None else workers,
                on_progress=report,
            )
        except KeyboardInterrupt:
            print(
                "\nStopped. All whole epochs are saved; go on with\n  "
                + _command_line([*words, *beside, "--resume"]),
                file=sys.stderr,
            )
            raise
    figures, how = next(iter(bundle.metrics.values())), bundle.training
    print(
        f"{bundle.path}: {figures['accuracy']:.1%} of {figures['n']:,} validation clips "
        f"(epoch {how.best_epoch} was the best)"
    )
    if how.extra_data:
        print(f"It also heard {', '.join(how.extra_data)}.")
    if how.teachers:
        print(f"It also learned from {', '.join(how.teachers)}.")


@app.command()
def soft_labels(
    model: ModelArgument = None,
    out: Annotated[Path | None, typer.Option(help="The file.", show_default="MODEL.npz")] = None,
    data: Annotated[Path, typer.Option(help="A data set; its training side is heard.")] = DATA,
    extra_data: Annotated[
        list[Path] | None,
        typer.Option(help="Another data set, heard as well.", show_default="the recipe's"),
    ] = None,
) -> None:
    """Write down what a model says to each recording, to teach where it is not."""
    _import_tensorflow()
    from echoic import training
    from echoic.runtime.bundle import Bundle

    bundle = Bundle.load(model)
    target = out or Path(f"{bundle.name}.npz")
    kept = training.write_soft_labels(bundle.path, data=data, out=target, extra_data=extra_data)
    print(f"{target}: answers to {len(kept.recordings):,} recordings")


@app.command()
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
    with _bar("recordings" if stream else "clips") as progress:
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
            with _bar("clips in other conditions") as progress:
                sections += evaluation.evaluate_robustness(
                    bundle, result, noises=data, limit=limit, on_progress=progress
                )
        page = reports.write_report(bundle, result, report, sections=sections)
    if record:
        reports.record(bundle, result, sections=sections, max_clips=limit)
    if as_json:
        _print_json({"model": bundle.name, **result.report()})
    elif isinstance(result, evaluation.StreamEvaluation):
        _show_streams(bundle.name, result)
    else:
        _show_evaluation(bundle.name, result)
    if page and not as_json:
        print(page)


@app.command()
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
    with _bar("clips") as progress:
        if test_set:
            result = evaluation.compare_test_set(bundles, test_set, on_progress=progress)
        else:
            result = evaluation.compare_split(bundles, data, split=side, on_progress=progress)
    if as_json:
        report = result.report()
        rows = report.pop("models")
        for row in rows:
            _print_json({**row, **{k: v for k, v in report.items() if k != "n"}})
    else:
        _show_comparison(result)


@app.command()
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
    with _bar("recordings") as progress:
        tuning = evaluation.tune(
            bundle, data, negatives=negatives, limit=limit, on_progress=progress
        )
    write_card(bundles.set_decoder(bundle, tuning.config))
    if as_json:
        _print_json({"model": bundle.name, **tuning.report()})
        return
    console = _console()
    console.print(f"[bold]{bundle.name}[/], the best of {len(tuning.candidates)} settings:")
    for name, candidate in (("before", tuning.before), ("chosen", tuning.chosen)):
        words, others = candidate.words, candidate.others
        settings = ", ".join(f"{k} {v:g}" for k, v in candidate.config.to_dict().items() if v)
        console.print(
            f"  {name}  {settings}\n"
            f"          {words.miss_rate:.1%} of {words.words:,} words missed, "
            f"{others.false_accepts} false accepts in {others.hours:.2f} h"
        )


@app.command("export")
def export_(
    model: ModelArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a copy of the model here.", show_default="in place")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A data set: its validation side gives the ranges of int8.",
            show_default=f"{DATA}, else the sample set",
        ),
    ] = None,
    test_set: Annotated[
        Path | None,
        typer.Option(help="Measure on this test archive.", show_default="the validation side"),
    ] = None,
    c_array: Annotated[
        bool, typer.Option("--c-array", help="Write core_int8 as C, for firmware.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make all TFLite files of a model, prove that they answer like it, and measure them."""
    _import_tensorflow()
    from echoic import export

    if data is None and not DATA.is_dir():
        data = SAMPLE
        logging.getLogger("echoic").warning(
            "No %s: the ranges of core_int8 are from the synthetic sample, not from people.", DATA
        )
    console = _console(stderr=True)
    with console.status("") as status:
        bundle = export.export(
            model,
            out=out,
            data=data or DATA,
            test_set=test_set,
            with_c_array=c_array,
            report=lambda stage: status.update(stage),
        )
    if as_json:
        _print_json({"model": bundle.name, **bundle.files})
    else:
        _show_files(bundle)


@app.command()
def download(
    version: Annotated[Version, typer.Option(help="Of Speech Commands.")] = Version.v2,
    test_set: Annotated[
        bool, typer.Option("--test-set", help="The 12-class test archive of v0.02 instead.")
    ] = False,
    dest: Annotated[Path, typer.Option(help="Folder to put it in.")] = Path("data"),
    base_url: Annotated[
        str | None, typer.Option(help="A mirror.", envvar="ECHOIC_DATA_URL", show_envvar=True)
    ] = None,
) -> None:
    """Fetch Speech Commands (CC BY 4.0, Warden 2018): checked, resumable, whole or not at all."""
    from echoic.data import ARCHIVES, archives

    archive = ARCHIVES["test-set-0.02" if test_set else version.value]
    with _stages() as progress:
        folder = archives.download(archive, dest, base_url=base_url, progress=progress)
    print(folder)


# --- what people see ---------------------------------------------------------------------------


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _as_dict(path: Path, prediction: Prediction) -> dict[str, Any]:
    return {
        "file": path.as_posix(),
        "start": round(prediction.start, 3),
        "end": round(prediction.end, 3),
        "label": prediction.label,
        "confidence": round(prediction.confidence, 4),
        "top": [[label, round(probability, 4)] for label, probability in prediction.top],
    }


def _show_predictions(path: Path, predictions: list[Prediction]) -> None:
    from rich.markup import escape

    from echoic.labels import SILENCE
    from echoic.runtime.recognizer import merge

    console = _console()
    if len(predictions) == 1:
        (p,) = predictions
        others = ", ".join(f"{escape(x)} {y:.0%}" for x, y in p.top[1:] if y >= 0.005)
        console.print(
            f"{escape(str(path))}  [bold]{escape(p.label)}[/] {p.confidence:.0%}"
            + (f"  [dim]({others})[/]" if others else ""),
            soft_wrap=True,
        )
        return
    console.print(f"{escape(str(path))}  [dim]{predictions[-1].end:.1f} s[/]", soft_wrap=True)
    words = [p for p in merge(predictions) if p.label != SILENCE]
    for p in words:
        bar = "█" * round(20 * p.confidence)
        console.print(
            f"  {(p.start + p.end) / 2:6.1f} s  [bold]{escape(p.label):<10}[/] "
            f"{p.confidence:4.0%} [green]{bar}[/]"
        )
    if not words:
        console.print("  [dim]no word; --json lists what each window heard[/]")


def _live_output(
    listener: Listener,
    source: Source,
    name: str,
    influence: npt.NDArray[np.float32] | None,
) -> Output:
    """The view where a terminal can show it, else lines."""
    console = _console()
    if not console.is_terminal or console.is_dumb_terminal:
        from echoic.live import Lines

        if influence is not None:
            print(
                "echoic: --memory needs a terminal that can be drawn on; words only.",
                file=sys.stderr,
            )
        return Lines()
    from echoic.live.heatmap import StateHeatmap
    from echoic.live.view import View

    trail = None if influence is None else StateHeatmap(influence)
    return View(listener, source, name=name, console=console, trail=trail)


def _show_clips(clips: Clips) -> None:
    n = len(clips.saved)
    print(f"{n} clip{'' if n == 1 else 's'} kept in {clips.folder}.", file=sys.stderr)


def _show_devices(*, as_json: bool) -> None:
    from rich.markup import escape

    from echoic import microphone
    from echoic.timeouts import ask

    console = _console()
    if not (found := ask(microphone.devices)):
        microphone.find_device()  # it says what to do
    for d in found:
        if as_json:
            _print_json(dataclasses.asdict(d))
        else:
            console.print(
                f"{'*' if d.default else ' '}{d.index:>3}  [bold]{escape(d.name)}[/]  "
                f"[dim]{escape(d.api)}, {d.channels} ch, {d.rate:,} Hz[/]",
                soft_wrap=True,
            )
    if not as_json:
        console.print("  [dim]* is the system's default[/]")


def _show_check(check: Check) -> None:
    from rich.markup import escape

    style = {"ok": "green", "note": "yellow", "broken": "bold red"}[check.state]
    console = _console()
    console.print(
        f"[{style}]{check.state:<6}[/] [bold]{check.name:<13}[/] {escape(check.message)}",
        soft_wrap=True,
    )
    if check.advice:
        console.print(f"{'':<20} {escape(check.advice)}", soft_wrap=True)


def _show_evaluation(name: str, result: Evaluation | ContinuousEvaluation) -> None:
    from rich.table import Table

    report = result.report()
    console = _console()
    low, high = report["interval"]
    details = getattr(result, "details", {})
    where = " ".join(str(v) for v in (report["protocol"], *details.values()))
    console.print(f"[bold]{name}[/] on {where}")
    console.print(
        f"  [bold]{report['accuracy']:.2%}[/] of {report['n']:,} clips "
        f"(95 % interval {low:.1%} – {high:.1%})"
    )
    if without := report.get("without_silence"):
        console.print(f"  {without['accuracy']:.2%} of {without['n']:,} without _silence_")
    table = Table(box=None, pad_edge=True, header_style="dim")
    for column in ("label", "clips", "recall", "precision"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for label, row in report["classes"].items():
        table.add_row(label, f"{row['n']:,}", _percent(row["recall"]), _percent(row["precision"]))
    console.print(table)
    mistakes = result.mistakes() if hasattr(result, "mistakes") else []
    if mistakes:
        console.print("  most frequent confusions, and the most certain of each to listen to:")
    for pair in mistakes:
        console.print(
            f"  {pair['count']:4}  {pair['true']} heard as [bold]{pair['answered']}[/]  "
            f"[dim]{', '.join(pair['files'])}[/]",
            soft_wrap=True,
        )


def _show_comparison(result: Comparison) -> None:
    from rich.markup import escape
    from rich.table import Table

    report = result.report()
    console = _console()
    where = " ".join(str(report[k]) for k in ("protocol", "split", "data") if k in report)
    console.print(f"on {where}, {report['n']:,} clips")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("model")
    for column in ("accuracy", "95 %", "spoken", "weights", "clip", "stream_int8"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in report["models"]:
        low, high = row["interval"]
        without = row.get("without_silence")
        weights = row["parameters"]
        table.add_row(
            f"[bold]{escape(row['model'])}[/]",
            f"{row['accuracy']:.2%}",
            f"{low:.1%} – {high:.1%}",
            f"{without['accuracy']:.2%}" if without else "–",
            "–" if weights is None else f"{weights:,}",
            *("–" if s is None else f"{s / 1e3:,.0f} kB" for s in row["sizes"].values()),
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


def _show_memory(result: Memory) -> None:
    from rich.table import Table

    console = _console()
    config = result.config
    console.print(
        "Each person says a name. One game: repeat them all, in order. The other: say the one\n"
        "that was marked, many people ago."
    )
    table = Table(box=None, pad_edge=True, header_style="dim")
    table.add_column("network")
    for column in ("weights", f"{config.people} in order", "remembers for", "gradient left"):
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


def _show_streams(name: str, result: StreamEvaluation) -> None:
    from rich.table import Table

    console = _console()
    console.print(f"[bold]{name}[/] in streams of {result.details['data']}")
    table = Table(box=None, pad_edge=True, header_style="dim")
    for column in ("stream", "words", "missed", "for another", "false", "delay", "p95"):
        table.add_column(column, justify="left" if column == "stream" else "right")
    for stream, score in {**result.scores, "all": result.total}.items():
        row = score.report()
        delay = row["delay"]
        table.add_row(
            stream,
            f"{row['words']:,}",
            _percent(row["miss_rate"]),
            f"{row['wrong_words']:,}",
            f"{score.false_accepts:,}",
            *("–" if delay[k] is None else f"{delay[k]:.2f} s" for k in ("median", "p95")),
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
                f"  [dim]{found['file']} at {found['time']:.1f} s[/]  heard as {found['label']}",
                soft_wrap=True,
            )
    for warning in result.warnings:
        console.print(f"  [dim]{warning}[/]")


def _show_files(bundle: Bundle) -> None:
    from rich.table import Table

    files = bundle.files
    console = _console()
    console.print(
        f"[bold]{bundle.name}[/] in {bundle.path}, measured on {files['n']:,} clips "
        f"({files['protocol']})"
    )
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("file", no_wrap=True)
    for column in ("size", "accuracy", "points", "10 min", "call", "p99", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in files["measured"].items():
        table.add_row(
            name,
            f"{row['size'] / 1e3:,.0f} kB",
            f"{row['accuracy']:.2%}",
            f"{100 * row['difference']:+.2f}",
            _percent(row["late_agreement"]),
            f"{1e6 * row['median_latency']:,.0f} us",
            f"{1e6 * row['p99_latency']:,.0f} us",
            "–" if row["peak_memory"] is None else f"{row['peak_memory'] / 1e6:.0f} MB",
        )
    console.print(table)
    console.print(
        "[dim]points: against the Keras network; 10 min: agrees with stream.tflite in the last\n"
        "minute of ten; call: the median of one, on one thread[/]"
    )


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{fraction:.1%}"


@contextmanager
def _bar(unit: str) -> Iterator[Any]:
    """A progress bar on stderr, where that is a terminal; yields ``report(done, total)``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = _console(stderr=True)
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
def _stages() -> Iterator[Any]:
    """Progress of a download: a bar a stage."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = _console(stderr=True)
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
def _training_view() -> Iterator[Any]:
    """One line an epoch, and on a terminal a bar with the rate and the remaining time."""
    from rich.progress import BarColumn, Progress, TextColumn

    console = _console(stderr=True)
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
            note = f"{p.rate:,.0f} clips/s, {_duration(p.remaining)} left"
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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _command_line(words: list[str]) -> str:
    import shlex
    import subprocess

    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes."""
    from echoic.runtime.tflite import quiet_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401 (whatever the backend, it writes TFLite)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    app(arguments)
