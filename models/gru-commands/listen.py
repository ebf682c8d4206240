"""Listen with a streaming model, on a Raspberry Pi or any computer with a microphone.

    pip install numpy sounddevice ai-edge-litert
    python listen.py                # the microphone, until Ctrl-C
    python listen.py command.wav    # a WAV file: 16 kHz, mono, 16 bit

It needs nothing but this file and its folder: stream_int8.tflite takes the next samples and its
own states, and gives the probability of each label. On a Raspberry Pi: sudo apt install
libportaudio2.
"""

import json
import queue
import sys
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

DEFAULTS: dict[str, Any] = {
    "smoothing": 0.2,
    "enter": 0.8,
    "exit": 0.4,
    "refractory": 0.5,
    "words": {},
}


def detect(
    posteriors: Iterable[np.ndarray], labels: list[str], settings: dict[str, Any], step: float
) -> Iterator[tuple[float, str, float]]:
    """Yield time (s), label and confidence of each detection; a posterior is one step (s)."""
    recent = np.zeros((max(round(settings["smoothing"] / step), 1), len(labels)))
    enter = np.array([settings["words"].get(label, settings["enter"]) for label in labels])
    enter[[label.startswith("_") for label in labels]] = np.inf  # silence and unknown never fire
    low = np.full(len(labels), True)  # below "exit" since it last fired
    last = -np.inf
    for number, posterior in enumerate(posteriors, start=1):
        recent = np.concatenate([recent[1:], posterior[None]])
        smooth, time = recent.mean(axis=0), number * step
        low |= smooth < settings["exit"]
        best = int(smooth.argmax())
        rested = time - last >= settings["refractory"] - step / 2
        if smooth[best] >= enter[best] and low[best] and rested:
            low[best], last = False, time
            yield time, labels[best], float(smooth[best])


def file_blocks(path: str, rate: int, size: int) -> Iterator[np.ndarray]:
    try:
        with wave.open(path, "rb") as file:
            kind = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            if kind != (rate, 1, 2):
                sys.exit(
                    f"Expected {rate} Hz, 1 channel, 2 bytes a sample, received {kind}: {path}"
                )
            while len(block := np.frombuffer(file.readframes(size), np.int16)) == size:
                yield block
    except (OSError, EOFError, wave.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it is empty"
        sys.exit(f"Expected a WAV file, received {path}: {reason}")


def microphone_blocks(rate: int, size: int) -> Iterator[np.ndarray]:
    import sounddevice

    blocks: queue.Queue[np.ndarray] = queue.Queue()

    def callback(block: np.ndarray, frames: int, time: object, status: object) -> None:
        if status:
            print(status, file=sys.stderr)
        blocks.put(block[:, 0].copy())

    settings = {"samplerate": rate, "channels": 1, "dtype": "int16", "blocksize": size}
    with sounddevice.InputStream(callback=callback, **settings):
        while True:
            yield blocks.get()


def main() -> None:
    from ai_edge_litert.interpreter import Interpreter

    folder = Path(__file__).resolve().parent
    model = json.loads((folder / "echoic.json").read_text(encoding="utf-8"))
    labels, rate = model["labels"], model["features"]["sample_rate"]
    file = str(folder / "stream_int8.tflite")
    runner = Interpreter(file, num_threads=1).get_signature_runner("step")
    states = {n: np.zeros(d["shape"], d["dtype"]) for n, d in runner.get_input_details().items()}
    size = states.pop("samples").shape[1]  # samples a step

    def posteriors(blocks: Iterable[np.ndarray], state: dict[str, Any]) -> Iterator[np.ndarray]:
        for block in blocks:
            state = runner(samples=block[None].astype(np.float32) / 32768, **state)
            yield state.pop("probabilities")[0]

    path = sys.argv[1] if len(sys.argv) > 1 else None
    blocks = file_blocks(path, rate, size) if path else microphone_blocks(rate, size)
    settings, rows = DEFAULTS | model["decoder"], posteriors(blocks, states)
    try:
        for time, label, confidence in detect(rows, labels, settings, size / rate):
            print(f"{time:8.2f} s  {label}  {confidence:.0%}", flush=True)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
