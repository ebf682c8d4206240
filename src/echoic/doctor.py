"""Checks of what listening needs, each with advice."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from echoic import microphone
from echoic.microphone.portaudio import OPEN_SECONDS, load
from echoic.microphone.sources import QUIETEST
from echoic.runtime import bundle as bundles
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import StreamingRecognizer
from echoic.timeouts import call_with_timeout

LISTENING = (
    *("numpy", "soundfile", "sounddevice", "soxr", "ai-edge-litert"),
    *("typer", "rich", "pydantic", "lazy_loader"),
)
"""Distributions that listening needs."""

TRAINING = (
    *("tensorflow", "keras", "librosa", "scipy", "scikit-learn", "matplotlib", "jinja2"),
    *("litert-quantizer", "flatbuffers", "threadpoolctl", "tensorboard"),
)
"""Distributions of the extra ``train``."""

TRAIN_EXTRA = "'echoic[train]'"

QUIET, CLIPPED = -70.0, -0.1
"""Peaks (dBFS) under and over which a microphone is set wrong."""

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes
    ----------
    name
        What was looked at.
    state
        ``ok``; ``note``, what listening can do without; or ``broken``, what it cannot.
    message
        What was found.
    advice
        What to do; empty where there is nothing to do.
    """

    name: str
    state: State
    message: str
    advice: str = ""


def run_checks(
    model: str | Path | None = None,
    *,
    device: int | str | None = None,
    data: str | Path,
    seconds: float | None = 2.0,
    backend: Any = None,
) -> Iterator[Check]:
    """Check everything that listening needs, one after another.

    Parameters
    ----------
    model
        A model's folder or name; None means the default model.
    device
        A microphone, see `microphone.find_device`.
    data
        Where the data set should be; training needs it, listening does not.
    seconds
        How long to listen for the level (s); None means not to.
    backend
        A module like ``sounddevice``, which is the default.
    """
    yield from (_versions("listening", LISTENING), _versions("training", TRAINING))
    portaudio = _guarded("PortAudio", lambda: _portaudio(backend))
    yield portaudio
    if portaudio.state != "broken":
        found = _guarded("microphone", lambda: _microphone(device, backend))
        yield found
        if found.state != "broken" and seconds is not None:
            yield _guarded("level", lambda: _level(device, seconds, backend), extra=seconds)
    yield _guarded("model", lambda: _model(model))
    yield _guarded("data set", lambda: _data(Path(data)))


def _versions(purpose: str, names: tuple[str, ...]) -> Check:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    message = ", ".join([f"Python {platform.python_version()}", *found])
    if missing:
        return Check(
            f"for {purpose}",
            "broken" if purpose == "listening" else "note",
            f"missing: {', '.join(missing)}; found: {message}",
            f"pip install {' '.join(missing) if purpose == 'listening' else TRAIN_EXTRA}",
        )
    return Check(f"for {purpose}", "ok", message)


def _portaudio(backend: Any) -> Check:
    backend = backend or load()
    return Check("PortAudio", "ok", str(backend.get_portaudio_version()[1]))


def _microphone(device: int | str | None, backend: Any) -> Check:
    known = microphone.devices(backend=backend)
    chosen = microphone.find_device(device, backend=backend)
    rate = f"{chosen.rate:,} Hz" + (", the default" if chosen.default else "")
    more = f"; {len(known) - 1} more: echoic listen --list-devices" if len(known) > 1 else ""
    return Check("microphone", "ok", f"{chosen.index}  {chosen.name} ({chosen.api}, {rate}){more}")


def _level(device: int | str | None, seconds: float, backend: Any) -> Check:
    level, status = microphone.read_level(device, seconds=seconds, backend=backend)
    message = (
        f"peak {level.peak:.0f} dB, mean {level.rms:.0f} dB of full scale in {seconds:g} s "
        f"at {status.device_rate:,} Hz"
    )
    if level.peak <= QUIETEST:
        return Check(
            "level",
            "broken",
            "digital silence: the microphone seems to be muted",
            "see its switch, the system's sound settings and the terminal's permissions",
        )
    if status.dropped:
        advice = "close what keeps the machine busy"
        return Check("level", "note", f"{message}; {status.dropped:,} samples lost", advice)
    if level.peak < QUIET:
        return Check("level", "note", f"{message}: very quiet", "raise the input level")
    if level.peak > CLIPPED:
        return Check("level", "note", f"{message}: too loud", "lower the input level")
    return Check("level", "ok", message)


def _model(model: str | Path | None) -> Check:
    bundle = Bundle.load(model)
    stream = StreamingRecognizer(bundle)
    sound = bundles.chirp(stream.model_rate, sample_rate=stream.model_rate)
    began = time.perf_counter()
    stream.process(sound)
    load = time.perf_counter() - began
    message = (
        f"{bundle.name} in {bundle.path}: stream.tflite matches its fingerprint; "
        f"processing takes {load:.1%} of real time"
    )
    if load > 0.5:
        advice = "the machine is busy, or too slow for this model: try a smaller one"
        return Check("model", "note", message, advice)
    return Check("model", "ok", message)


def _data(folder: Path) -> Check:
    if not folder.is_dir():
        return Check(
            "data set", "note", f"not at {folder}; only training needs it", "echoic download"
        )
    words = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(("_", "."))]
    lists = ["validation_list.txt", "testing_list.txt"]
    if missing := [name for name in lists if not (folder / name).is_file()]:
        return Check(
            "data set",
            "note",
            f"{folder}: {len(words)} words, without {' and '.join(missing)}",
            "the split then follows the speakers' hashes; echoic download fetches the whole set",
        )
    return Check("data set", "ok", f"{folder}: {len(words)} words and both lists")


def _guarded(name: str, check: Callable[[], Check], *, extra: float = 0.0) -> Check:
    """Turn an error, or a call that does not return, into a check."""
    try:
        seconds = OPEN_SECONDS + extra
        return call_with_timeout(check, seconds=seconds, what=f"The check of the {name}")
    except Exception as error:  # each ends in a line that says what is wrong
        head, _, advice = str(error).partition(". ")
        return Check(name, "broken", head or type(error).__name__, advice)
