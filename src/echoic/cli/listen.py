"""Verbs that need no training storey: listen, assistant, icebreaker, doctor."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echoic.cli.options import DATA, DeviceOption, Json, ModelOption, WavOption
from echoic.cli.rendering import make_console, print_json, show_check, show_devices

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from echoic.live import Clips, Listener, Output
    from echoic.microphone import Device, Source


def listen(
    model: ModelOption = None,
    device: DeviceOption = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the microphones and exit.")
    ] = False,
    wav: WavOption = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play --wav at its own speed.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, help="Probability that a detection needs.", show_default="the model's"
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Folder for a second of sound around each word.")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="File (WAV) for all sound.")] = None,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Show the hidden state of the network."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Recognize words from a microphone. No audio leaves the machine; Ctrl-C exits."""
    if wav and (device is not None or list_devices):
        raise typer.BadParameter("Expected one of --wav and a microphone, received both.")
    if realtime and not wav:
        raise typer.BadParameter("Expected --wav with --realtime, received --realtime alone.")
    if memory and as_json:
        raise typer.BadParameter(
            "Expected one of --memory, which is a picture, and --json, received both."
        )
    if list_devices:
        show_devices(_devices(), as_json=as_json)
        return
    from echoic.audio import SAMPLE_RATE
    from echoic.live import Clips, JsonLines, Listener, Recording
    from echoic.microphone import FileSource, Microphone
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import StreamingRecognizer

    bundle = Bundle.load(model)
    stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
    influence = stream.influence() if memory else None
    if memory and influence is None:
        raise ValueError(
            f"Expected a model with a recurrent layer for --memory, received {bundle.name}, which "
            "carries no hidden state from step to step. Listen without --memory."
        )
    config = bundle.decoder if threshold is None else bundle.decoder.with_threshold(threshold)
    listener = Listener(stream, config=config)
    source: Source
    if wav:
        source = FileSource(wav, realtime=realtime)
    else:
        source = Microphone(device, on_event=listener.on_event)
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


def assistant(
    config: Annotated[
        Path | None,
        typer.Argument(help="Configuration (TOML).", show_default="a dry run"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model: a name or a folder.", show_default="CONFIG's"),
    ] = None,
    device: DeviceOption = None,
    wav: WavOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Play no sounds.")] = False,
    as_json: Json = False,
) -> None:
    """Run an action for each wake word and command. Ctrl-C exits."""
    if wav and device is not None:
        raise typer.BadParameter("Expected one of --wav and a microphone, received both.")
    from echoic.assistant import Assistant
    from echoic.audio import SAMPLE_RATE
    from echoic.files import reserved_stdout
    from echoic.live import JsonLines, Lines, Listener, Voice, loudspeaker
    from echoic.microphone import FileSource, Microphone
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import StreamingRecognizer

    with ExitStack() as stack:
        terminal = not as_json and _can_draw()
        # What an action prints must not stand among the words: other programs read those.
        words = None if terminal else stack.enter_context(reserved_stdout())
        helper = Assistant.load(config)
        bundle = Bundle.load(model or helper.model)
        try:
            helper.check(bundle.labels)
        except ValueError as error:
            raise ValueError(f"{config}: {error}" if config else str(error)) from error
        stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
        listener = Listener(stream, config=bundle.decoder)
        source = FileSource(wav) if wav else Microphone(device, on_event=listener.on_event)
        stack.enter_context(source)
        show: Output
        if terminal:
            show = _view(listener, source, bundle.name)
        else:
            show = JsonLines(words) if as_json else Lines(words)
        listener.outputs.append(stack.enter_context(show))
        # A recording does not wait until a chime was played.
        voice = Voice(command=(), play=None if quiet or wav else loudspeaker)
        helper.run(source, listener=listener, voice=voice)


def icebreaker(
    model: ModelOption = None,
    device: DeviceOption = None,
    wav: WavOption = None,
) -> None:
    """Play a memory game by voice: say a new word each turn; echoic repeats all words so far."""
    if wav and device is not None:
        raise typer.BadParameter("Expected one of --wav and a microphone, received both.")
    from echoic.audio import SAMPLE_RATE
    from echoic.explain import icebreaker as games
    from echoic.live import Listener, Voice
    from echoic.microphone import FileSource, Microphone
    from echoic.runtime.bundle import Bundle
    from echoic.runtime.recognizer import StreamingRecognizer

    bundle = Bundle.load(model)
    stream = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
    view = games.IceBreakerView(console=make_console(), events=make_console(stderr=True))
    listener = Listener(stream, config=bundle.decoder, outputs=[view])
    game = games.IceBreaker(bundle.labels)
    source = FileSource(wav) if wav else Microphone(device, on_event=listener.on_event)
    # A recording does not wait until a reply was spoken.
    with source, Voice(command=() if wav else None) as voice:
        view.begin(game)
        games.play(game, source, listener, voice=voice, on_turn=view.show)
        view.end(game)


def doctor(
    model: ModelOption = None,
    device: DeviceOption = None,
    data: Annotated[Path, typer.Option(help="Data set to look for.")] = DATA,
    level: Annotated[
        bool,
        typer.Option("--level/--no-level", help="Measure the microphone's level for two seconds."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Check everything that listening needs, and say how to repair what is missing."""
    from echoic.doctor import run_checks

    broken = False
    for check in run_checks(model, device=device, data=data, seconds=2.0 if level else None):
        broken |= check.state == "broken"
        if as_json:
            print_json(dataclasses.asdict(check))
        else:
            show_check(check)
    if broken:
        raise typer.Exit(1)


def _live_output(
    listener: Listener,
    source: Source,
    name: str,
    influence: npt.NDArray[np.float32] | None,
) -> Output:
    """The view where a terminal can show it, else lines."""
    if _can_draw():
        return _view(listener, source, name, influence)
    from echoic.live import Lines

    if influence is not None:
        print(
            "echoic: --memory needs a terminal that can be drawn on; words only.",
            file=sys.stderr,
        )
    return Lines()


def _can_draw() -> bool:
    """Whether stdout is a terminal that can show the view."""
    console = make_console()
    return console.is_terminal and not console.is_dumb_terminal


def _view(
    listener: Listener,
    source: Source,
    name: str,
    influence: npt.NDArray[np.float32] | None = None,
) -> Output:
    from echoic.live.heatmap import StateHeatmap
    from echoic.live.view import View

    heatmap = None if influence is None else StateHeatmap(influence)
    return View(listener, source, name=name, console=make_console(), heatmap=heatmap)


def _show_clips(clips: Clips) -> None:
    n = len(clips.saved)
    print(f"{n} clip{'' if n == 1 else 's'} kept in {clips.folder}.", file=sys.stderr)


def _devices() -> list[Device]:
    """All microphones; where there is none, the error says what to do."""
    from echoic import microphone

    found = microphone.call_sound_system(microphone.devices)
    if not found:
        microphone.find_device()  # it says what to do
    return found
