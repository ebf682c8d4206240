"""A recognizer of two words that needs no network, sound for it, and an output that takes notes."""

import numpy as np

from echoic import audio
from echoic.config import DecoderConfig
from echoic.live import Listener, Output
from echoic.microphone import Block, Status
from echoic.runtime.recognizer import Posterior

RATE = audio.SAMPLE_RATE
CONFIG = DecoderConfig(smoothing=0.12, enter=0.8, exit=0.4, refractory=0.3)


class Levels:
    """Recognizes two words by the mean of a step: "yes" is 0.5, "no" is -0.5."""

    step = 640
    labels = ("_silence_", "_unknown_", "yes", "no")
    step_seconds = step / RATE

    def __init__(self):
        self.reset()

    def reset(self):
        self.waiting = np.zeros(0, np.float32)
        self.steps = 0

    def process(self, samples):
        self.waiting = np.concatenate([self.waiting, samples])
        found = []
        while len(self.waiting) >= self.step:
            mean = self.waiting[: self.step].mean()
            self.waiting = self.waiting[self.step :]
            self.steps += 1
            row = np.full(len(self.labels), 0.03 / (len(self.labels) - 1), np.float32)
            row[2 if mean > 0.3 else 3 if mean < -0.3 else 0] = 0.97
            found.append(Posterior(self.steps * self.step_seconds, row))
        return found


class Notes(Output):
    """Keeps all that it receives."""

    def __init__(self):
        self.blocks, self.detections, self.events, self.closed = [], [], [], False

    def on_block(self, block, detections):
        self.blocks.append(block)
        self.detections += detections

    def on_event(self, event):
        self.events.append(event)

    def close(self):
        self.closed = True


class Fixed:
    """A source in a given state."""

    def __init__(self, **values):
        self.status = Status(**{"state": "live", "device": "USB Microphone", **values})


def spoken(*parts):
    """A waveform of parts (level, seconds)."""
    return np.concatenate([np.full(round(s * RATE), v, np.float32) for v, s in parts])


WORDS = spoken((0, 1), (0.5, 0.4), (0, 1), (-0.5, 0.4), (0, 0.5), (-0.5, 0.4), (0, 1))


def blocks(waveform, *, size=320, start=0.0, gap=False):
    return [
        Block(waveform[i : i + size], start + i / RATE, gap and i == 0)
        for i in range(0, len(waveform), size)
    ]


def listen(given_blocks, *, config=CONFIG):
    notes = Notes()
    listener = Listener(Levels(), config=config, outputs=[notes])
    listener.listen(given_blocks)
    return listener, notes
