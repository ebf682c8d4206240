"""Golden posteriors and detections of a streaming model, for other implementations to equal.

``golden.json`` in a model's folder holds what ``stream.tflite`` gives for the sample stream of the
repository, and the detections that the decoder makes of it with the settings in ``echoic.json``.
The detections belong to the rounded posteriors in the file, so another decoder that reads them has
to give exactly these.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from echoic import audio
from echoic.files import atomic
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Decoder
from echoic.runtime.recognizer import Recognizer

FILE = "golden.json"
"""Name of the file in a model's folder."""

SOUND = "data/sample/stream.wav"
"""The sound, seen from the root of the repository."""

DIGITS = 6
"""Decimals of times and probabilities."""

TOLERANCE = 1e-4
"""Largest difference of a probability between machines."""

logger = logging.getLogger(__name__)


class GoldenError(ValueError):
    """A model that does not give what its ``golden.json`` says."""


def compute(bundle: Bundle, sound: str | Path | None = None) -> dict[str, Any]:
    """Run ``stream.tflite`` over the sample stream, and the decoder over its posteriors.

    Parameters
    ----------
    bundle
        A model with ``stream.tflite``.
    sound
        The recording; None means `SOUND` in the repository.

    Returns
    -------
    dict
        ``sound``, ``file``, ``labels`` and ``decoder`` say what was run. ``times`` (steps,) in
        seconds, ``posteriors`` (steps, labels), ``verifier`` the scores of the verifier, none
        without one, and ``detections``, each with ``time``, ``label`` and ``confidence``.

    Raises
    ------
    FileNotFoundError
        The model has no ``stream.tflite``, or there is no such sound.
    """
    path = Path(sound) if sound is not None else find_sound()
    if path is None:
        raise FileNotFoundError(f"Expected {SOUND} in the repository, received none.")
    stream = Recognizer(bundle).stream()
    posteriors = stream.process(audio.read(path))
    times = [round(p.time, DIGITS) for p in posteriors]
    rows = [[round(float(x), DIGITS) for x in p.probabilities] for p in posteriors]
    return {
        "sound": SOUND,
        "file": "stream.tflite",
        "labels": list(bundle.labels),
        "decoder": bundle.decoder.to_dict(),
        "step": round(stream.step_seconds, DIGITS),
        "times": times,
        "posteriors": rows,
        "verifier": [],
        "detections": _detections(bundle, stream.step_seconds, times, rows),
    }


def write(bundle: Bundle, sound: str | Path | None = None) -> Path | None:
    """Write ``golden.json`` into a model's folder.

    Without a sound nothing is written and a warning says so: an installation has no sample set. A
    model without ``stream.tflite`` has no such file.

    Returns
    -------
    Path or None
        The file, where one was written.
    """
    file = bundle.path / FILE
    if "stream" not in bundle.fingerprints:
        file.unlink(missing_ok=True)
        return None
    if sound is None and (sound := find_sound()) is None:
        logger.warning("No %s: there is no %s to run. Export in a checkout.", FILE, SOUND)
        file.unlink(missing_ok=True)
        return None
    with atomic(file) as partial:
        partial.write_text(_text(compute(bundle, sound)), encoding="utf-8")
    return file


def check(bundle: Bundle, sound: str | Path | None = None) -> None:
    """Compare what a model gives now with its ``golden.json``.

    Raises
    ------
    FileNotFoundError
        The model has no ``golden.json``, or there is no such sound.
    GoldenError
        Posteriors differ by more than `TOLERANCE`, or times, labels, settings or detections differ.
    """
    path = bundle.path / FILE
    golden = json.loads(path.read_text(encoding="utf-8"))
    computed = compute(bundle, sound)
    exact = ("labels", "decoder", "step", "times", "verifier")
    if different := [key for key in exact if golden.get(key) != computed[key]]:
        raise GoldenError(
            f"Expected {path} to be of this model, received other {', '.join(different)}. "
            "Export the model again."
        )
    difference = np.abs(np.array(golden["posteriors"]) - np.array(computed["posteriors"])).max()
    if not difference <= TOLERANCE:
        raise GoldenError(
            f"Expected the posteriors of {path} within {TOLERANCE}, received a difference of "
            f"{difference:.2g}. Export the model again."
        )
    rows = golden["posteriors"]
    if golden["detections"] != _detections(bundle, golden["step"], golden["times"], rows):
        raise GoldenError(
            f"Expected the detections of {path} to be those of its posteriors, received others. "
            "Export the model again."
        )


def find_sound() -> Path | None:
    """Return `SOUND` in the working directory or in the checkout that this module is in."""
    roots = (Path(), Path(__file__).resolve().parents[3])
    return next((root / SOUND for root in roots if (root / SOUND).is_file()), None)


def _detections(
    bundle: Bundle, step: float, times: list[float], rows: list[list[float]]
) -> list[dict[str, Any]]:
    decoder = Decoder(bundle.labels, config=bundle.decoder, step=step)
    return [
        {"time": d.time, "label": d.label, "confidence": round(d.confidence, DIGITS)}
        for d in decoder.process_many(times, rows)
    ]


def _text(golden: dict[str, Any]) -> str:
    """Write JSON with a line for each step and each detection."""

    def lines(values: list[Any]) -> str:
        return "[\n  " + ",\n  ".join(json.dumps(v) for v in values) + "\n ]" if values else "[]"

    rows = ("posteriors", "detections")
    entries = (
        f" {json.dumps(key)}: {lines(value) if key in rows else json.dumps(value)}"
        for key, value in golden.items()
    )
    return "{\n" + ",\n".join(entries) + "\n}\n"
