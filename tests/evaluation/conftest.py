"""Words that are tones, and a recognizer that knows them: streams without a network."""

from dataclasses import dataclass

import numpy as np
import pytest

from echoic import audio
from echoic.evaluation import make_posterior_fn

RATE = audio.SAMPLE_RATE
STEP = 640
LABELS = ("_silence_", "_unknown_", "yes", "no")
TONES = {"yes": 500, "no": 1000, "cat": 2000}  # Hz; each a whole number of periods a step
HEARD = {500: "yes", 1000: "no", 2000: "_unknown_"}


@dataclass(frozen=True)
class Posterior:
    time: float
    probabilities: np.ndarray


class Listener:
    """Knows a tone by its part of the power of a step; it is fed in blocks, as a recognizer is."""

    def __init__(self):
        self.reset()

    def reset(self):
        self._waiting = np.zeros(0, np.float32)
        self._steps = 0

    def process(self, samples):
        self._waiting = np.concatenate([self._waiting, samples])
        found = []
        while len(self._waiting) >= STEP:
            step, self._waiting = self._waiting[:STEP], self._waiting[STEP:]
            self._steps += 1
            found.append(Posterior(self._steps * STEP / RATE, self._hear(step)))
        return found

    def _hear(self, step):
        power = np.abs(np.fft.rfft(step)) ** 2
        parts = {f: power[f * STEP // RATE] / (power.sum() + 1e-9) for f in HEARD}
        best = max(parts, key=parts.get)
        label = HEARD[best] if parts[best] > 0.3 else "_silence_"
        row = np.full(len(LABELS), 0.01, np.float32)
        row[LABELS.index(label)] = 0.97
        return row


def make_tone(word, *, start=0.3, end=0.7):
    """A clip of a second in which a word sounds, (16000,) float32."""
    seconds = np.arange(RATE) / RATE
    wave = 0.3 * np.sin(2 * np.pi * TONES[word] * seconds)
    return (wave * ((seconds >= start) & (seconds < end))).astype(np.float32)


@pytest.fixture
def listener():
    """What a streaming recognizer is to an evaluation."""
    return Listener()


@pytest.fixture
def posterior_fn(listener):
    """The same, as a function of waveforms."""
    return make_posterior_fn(listener)


@pytest.fixture(scope="session")
def tone():
    """Make a clip of a word."""
    return make_tone


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """A data set in the layout of Speech Commands: eight speakers say each word once."""
    root = tmp_path_factory.mktemp("tones")
    names = []
    for word in TONES:
        (root / word).mkdir()
        for i in range(8):
            names.append(f"{word}/{i:08x}_nohash_0.wav")
            clip = make_tone(word, start=0.2 + 0.02 * i, end=0.6 + 0.02 * i)
            audio.write(root / names[-1], clip)
    (root / "validation_list.txt").write_text("\n".join(names) + "\n")
    (root / "testing_list.txt").write_text("")
    (root / "_background_noise_").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * RATE).astype(np.float32)
    audio.write(root / "_background_noise_" / "white.wav", noise)
    return root


@pytest.fixture
def negatives(tmp_path):
    """Recordings without a word, but for half a second of one in the second."""
    folder = tmp_path / "negatives"
    (folder / "b").mkdir(parents=True)
    noise = np.random.default_rng(1).normal(0, 0.05, 30 * RATE).astype(np.float32)
    audio.write(folder / "a.wav", noise)
    audio.write(folder / "b" / "c.wav", np.concatenate([noise, make_tone("no"), noise]))
    return folder
