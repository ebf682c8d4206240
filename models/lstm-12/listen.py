"""Listen with a streaming model, on a Raspberry Pi or anything with a microphone.

    pip install numpy sounddevice ai-edge-litert
    python listen.py                # the microphone, until Ctrl-C
    python listen.py command.wav    # a WAV file: 16 kHz, mono, 16 bit

This file and the folder that it is in are all there is to it: stream_int8.tflite takes the next
samples and its own states, and gives the probability of each label. On a Raspberry Pi:
sudo apt install libportaudio2.
"""

import json
import queue
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

FOLDER = Path(__file__).resolve().parent
MODEL = json.loads((FOLDER / "echoic.json").read_text(encoding="utf-8"))
LABELS = MODEL["labels"]
RATE = MODEL["features"]["sample_rate"]
ENTER, EXIT, SMOOTHING = 0.7, 0.4, 0.2  # probability, probability, seconds

FILE = str(FOLDER / "stream_int8.tflite")
step = Interpreter(FILE, num_threads=1).get_signature_runner("step")
state = {n: np.zeros(d["shape"], d["dtype"]) for n, d in step.get_input_details().items()}
size = state.pop("samples").shape[1]  # samples a step


def file_blocks(path: str) -> Iterator[np.ndarray]:
    with wave.open(path, "rb") as file:
        kind = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if kind != (RATE, 1, 2):
            sys.exit(f"Expected {RATE} Hz, 1 channel, 2 bytes a sample, received {kind}: {path}")
        while len(block := np.frombuffer(file.readframes(size), np.int16)) == size:
            yield block


def microphone_blocks() -> Iterator[np.ndarray]:
    import sounddevice

    heard: queue.Queue[np.ndarray] = queue.Queue()

    def callback(block: np.ndarray, frames: int, time: object, status: object) -> None:
        if status:
            print(status, file=sys.stderr)
        heard.put(block[:, 0].copy())

    with sounddevice.InputStream(
        samplerate=RATE, channels=1, dtype="int16", blocksize=size, callback=callback
    ):
        while True:
            yield heard.get()


blocks = file_blocks(sys.argv[1]) if len(sys.argv) > 1 else microphone_blocks()
recent = np.zeros((max(round(SMOOTHING * RATE / size), 1), len(LABELS)))
said = None
try:
    for number, block in enumerate(blocks, start=1):
        result = step(samples=block[None].astype(np.float32) / 32768, **state)
        recent = np.roll(recent, -1, axis=0)
        recent[-1] = result.pop("probabilities")[0]
        state = result
        smooth = recent.mean(axis=0)
        best = int(smooth.argmax())
        if said is not None and smooth[said] < EXIT:
            said = None
        if best != said and smooth[best] >= ENTER:
            said = best
            if not LABELS[best].startswith("_"):
                when = number * size / RATE
                print(f"{when:8.2f} s  {LABELS[best]}  {smooth[best]:.0%}", flush=True)
except KeyboardInterrupt:
    pass
