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
DEFAULTS = {"smoothing": 0.2, "enter": 0.8, "exit": 0.4, "refractory": 0.5, "words": {}}
DECODER = DEFAULTS | MODEL["decoder"]  # when a word counts as said: seconds and probabilities

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
recent = np.zeros((max(round(DECODER["smoothing"] * RATE / size), 1), len(LABELS)))
enter = np.array([DECODER["words"].get(label, DECODER["enter"]) for label in LABELS])
enter[[label.startswith("_") for label in LABELS]] = np.inf  # silence and unknown never fire
low = np.full(len(LABELS), True)  # below "exit" since it last fired
last = -np.inf
try:
    for number, block in enumerate(blocks, start=1):
        state = step(samples=block[None].astype(np.float32) / 32768, **state)
        recent = np.concatenate([recent[1:], state.pop("probabilities")])
        smooth, when = recent.mean(axis=0), number * size / RATE
        low |= smooth < DECODER["exit"]
        best = int(smooth.argmax())
        rested = when - last >= DECODER["refractory"] - size / RATE / 2
        if smooth[best] >= enter[best] and low[best] and rested:
            low[best], last = False, when
            print(f"{when:8.2f} s  {LABELS[best]}  {smooth[best]:.0%}", flush=True)
except KeyboardInterrupt:
    pass
