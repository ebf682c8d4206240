"""What does listening cost? The same sound through echoic's stream, Keras, and others.

    pip install pymicro-wakeword pyopen-wakeword pocketsphinx
    python benchmarks/latency.py [FILE] [--rounds 3]

Each way runs in a process of its own on one thread, the ways taking turns; the best of the rounds
counts. *start-up* is from the first import to ready; *memory* the largest resident size. Keras is
what tutorials do: librosa's MFCC of the last second and ``model.predict``, four times a second,
where echoic's stream answers 25 times. The others listen for one phrase, echoic and pocketsphinx
for ten words. Compare the ratios: times are of one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
BLOCK = 640
"""Samples that arrive at once: 40 ms."""

Run = Callable[[bytes], object]


def echoic_stream(graph: str) -> Run:
    import numpy as np

    import echoic

    stream = echoic.Recognizer.load().stream(file=graph)
    return lambda block: stream.process(np.frombuffer(block, np.int16))


def keras_predict() -> Run:
    import numpy as np

    from echoic import features, networks
    from echoic.runtime.bundle import Bundle

    bundle = Bundle.load()
    model = networks.load(bundle)
    window = np.zeros(16_000, np.float32)
    waiting = 0

    def hear(block: bytes) -> None:
        nonlocal window, waiting
        samples = np.frombuffer(block, np.int16).astype(np.float32) / 32768
        window = np.concatenate([window[len(samples) :], samples])
        waiting += len(samples)
        if waiting >= 4000:
            waiting -= 4000
            model.predict(features.compute(window, bundle.features)[None], verbose=0)

    hear(bytes(8000))  # librosa and Keras compile at the first call
    return hear


def pymicro_wakeword() -> Run:
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    model, features = MicroWakeWord.from_builtin(Model.ALEXA), MicroWakeWordFeatures()
    return lambda block: [model.process_streaming(x) for x in features.process_streaming(block)]


def pyopen_wakeword() -> Run:
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    model = OpenWakeWord.from_builtin(Model.ALEXA)
    features = OpenWakeWordFeatures.from_builtin()
    return lambda block: [
        list(model.process_streaming(x)) for x in features.process_streaming(block)
    ]


def pocketsphinx() -> Run:
    import tempfile

    from pocketsphinx import Decoder

    with tempfile.NamedTemporaryFile("w", suffix=".list", delete=False) as phrases:
        phrases.write("".join(f"{word} /1e-10/\n" for word in WORDS))
    decoder = Decoder(kws=phrases.name, lm=None, loglevel="FATAL")
    Path(phrases.name).unlink()
    decoder.start_utt()
    return lambda block: (decoder.process_raw(block, False, False), decoder.hyp())


WAYS: dict[str, Callable[[], Run]] = {
    "echoic, stream": lambda: echoic_stream("stream"),
    "echoic, stream_int8": lambda: echoic_stream("stream_int8"),
    "Keras predict, 4 a second": keras_predict,
    "pymicro-wakeword": pymicro_wakeword,
    "pyopen-wakeword": pyopen_wakeword,
    "pocketsphinx": pocketsphinx,
}


def run(way: str, path: str) -> dict[str, float]:
    """Hear the file in this process; return start-up (s), time a second of sound (s), memory."""
    begun = time.perf_counter()
    hear = WAYS[way]()
    start_up = time.perf_counter() - begun
    import wave

    with wave.open(path, "rb") as file:
        sound = file.readframes(file.getnframes())
    blocks = [sound[i : i + 2 * BLOCK] for i in range(0, len(sound) - 2 * BLOCK, 2 * BLOCK)]
    begun = time.perf_counter()
    for block in blocks:
        hear(block)
    seconds = time.perf_counter() - begun
    status = Path("/proc/self/status")
    peak = 0.0
    if status.exists():
        (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        peak = 1024 * float(line.split()[1])
    sound_seconds = len(blocks) * BLOCK / 16_000
    return {"start_up": start_up, "seconds": seconds / sound_seconds, "memory": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="data/sample/stream.wav")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(run(arguments.way, arguments.file)))
        return

    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way, rows in results.items():
            done = subprocess.run(
                [sys.executable, __file__, arguments.file, "--way", way],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **THREADS, **QUIET},
            )
            if done.returncode == 0:
                rows.append(json.loads(done.stdout.splitlines()[-1]))
            elif "ModuleNotFoundError" not in done.stderr:
                raise RuntimeError(f"{way} failed:\n{done.stderr}")
    print(f"{'':28}{'us a second of sound':>21}{'ratio':>8}{'start-up':>11}{'memory':>9}")
    reference = min(row["seconds"] for row in results["echoic, stream"])
    for way, rows in results.items():
        if not rows:
            print(f"{way:28}  not installed")
            continue
        best = {key: min(row[key] for row in rows) for key in rows[0]}
        print(
            f"{way:28}{1e6 * best['seconds']:21,.0f}{best['seconds'] / reference:8.1f}"
            f"{best['start_up']:9.2f} s{best['memory'] / 1e6:6.0f} MB"
        )


if __name__ == "__main__":
    main()
