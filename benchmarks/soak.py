"""Does listening stay the same for an hour? The sample stream over and over, in noise.

    python benchmarks/soak.py [--minutes 60] [--virtual-microphone]

The sound takes the path of ``echoic listen --wav``, as fast as it can; with
``--virtual-microphone`` it is played to a PulseAudio of its own at real speed (30 minutes unless
said otherwise) and takes the path of ``echoic listen``. The noise is longer than the stream and
lies over it differently in each pass. A word counts as found where it is detected between its
beginning and a second after its end; its delay is from its end, so that a clock that drifts shows
as a delay that grows. Exit status 1 where resident memory grew or detections drifted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from echoic import audio
from echoic.audio import SAMPLE_RATE, Waveform
from echoic.labels import UNKNOWN
from echoic.live import Listener
from echoic.microphone import Block, FileSource, Microphone, Source
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import StreamingRecognizer

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"

NOISE_DBFS = -50.0
"""Level of the noise: a quiet room, in which every word is still found."""

MEMORY_BYTES = 2e6
"""What resident memory may grow by from the first pass to the last: 560 bytes a second of sound
over an hour, which is less than what one kept posterior a step would take."""

DRIFT_SECONDS = 0.08
"""What the median delay may change by: two steps of the model, for noise moves decisions."""

PATIENCE_SECONDS = 1.0
"""How late (s) a word may be found."""


class Endless(FileSource):
    """A recording over and over, in noise, for ``passes`` times."""

    def __init__(self, path: Path, noise: Waveform, *, passes: int) -> None:
        super().__init__(path)
        self._noise = noise
        self._end = passes * len(self._waveform)

    def __next__(self) -> Block:
        if self._position >= self._end:
            self.close()
            raise StopIteration
        where = np.arange(self._position, min(self._position + self._hop, self._end))
        return self._give(mixed(self._waveform, self._noise, where))


def mixed(stream: Waveform, noise: Waveform, where: np.ndarray) -> Waveform:
    """Return the samples of the endless sound at ``where``: float32 (samples,)."""
    total: Waveform = stream[where % len(stream)] + noise[where % len(noise)]
    return total


def room(stream: Waveform) -> Waveform:
    """Return the noise of the sample set at its level, of a length that fits no pass."""
    files = sorted((SAMPLE / "_background_noise_").glob("*.wav"))
    noise = np.concatenate([audio.read(path) for path in files])
    noise = np.resize(noise, len(stream) + 7_919)
    rms = float(np.sqrt(np.mean(np.square(noise, dtype=np.float64))))
    return (noise * (10 ** (NOISE_DBFS / 20) / rms)).astype(np.float32)


def resident() -> float | None:
    """Resident memory of this process (bytes); None where the system does not say it in a file."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
    return 1024 * float(line.split()[1])


class Passes:
    """What was detected, pass by pass; it keeps numbers only, and few."""

    def __init__(self, truth: list[tuple[float, float, str]], seconds: float, passes: int) -> None:
        self.truth = truth
        self.seconds = seconds
        self.detections = np.zeros(passes, np.int32)
        self.delays = np.full((passes, len(truth)), np.nan)

    def add(self, time: float, label: str) -> None:
        number, at = divmod(time, self.seconds)
        row = int(number)
        if not 0 <= row < len(self.detections):
            return
        self.detections[row] += 1
        for i, (start, end, word) in enumerate(self.truth):
            free = np.isnan(self.delays[row, i])
            if word == label and free and start < at < end + PATIENCE_SECONDS:
                self.delays[row, i] = at - end
                return


def trimmed(source: Iterable[Block]) -> Iterator[tuple[Block, float]]:
    """Give each block with the time of the first that is not digital silence."""
    began = None
    for block in source:
        if began is None and block.samples.any():
            began = block.time + float(np.flatnonzero(block.samples)[0]) / SAMPLE_RATE
        if began is not None:
            yield block, began


def soak(source: Source, listener: Listener, passes: Passes) -> dict[str, float | None]:
    """Hear all passes; return resident memory after the first, half of them and the last."""
    n = len(passes.detections)
    due = {"start": 1.0, "middle": n / 2, "end": n - 0.001}
    memory: dict[str, float | None] = {}
    begun = time.monotonic()
    shown = 0.0
    for block, began in trimmed(source):
        for detection in listener.process(block):
            passes.add(detection.time - began, detection.label)
        heard = (block.end - began) / passes.seconds
        for name, number in due.items():
            if name not in memory and heard >= number:
                memory[name] = resident()
        if heard >= n:
            break
        if (now := time.monotonic()) - shown > 10:
            shown = now
            print(f"pass {int(heard) + 1} of {n}, {now - begun:.0f} s", file=sys.stderr)
    return memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="of sound; 60, or 30 at real speed")
    parser.add_argument("--virtual-microphone", action="store_true")
    parser.add_argument("-m", "--model", help="a model's folder or name")
    arguments = parser.parse_args()
    minutes = arguments.minutes or (30 if arguments.virtual_microphone else 60)

    path = SAMPLE / "stream.wav"
    stream = audio.read(path)
    noise = room(stream)
    seconds = len(stream) / SAMPLE_RATE
    n = max(round(60 * minutes / seconds), 2)
    rows = [x.split("\t") for x in (SAMPLE / "stream.tsv").read_text().splitlines()]
    truth = [(float(a), float(b), word) for a, b, word in rows if word != UNKNOWN]
    passes = Passes(truth, seconds, n)
    bundle = Bundle.load(arguments.model)
    recognizer = StreamingRecognizer(bundle, sample_rate=SAMPLE_RATE)
    listener = Listener(recognizer, config=bundle.decoder)
    begun = time.monotonic()
    with ExitStack() as stack:
        source: Source
        if arguments.virtual_microphone:
            sys.path.append(str(ROOT / "tests"))
            from virtual_microphone import (  # type: ignore[import-not-found]
                VirtualMicrophone,
                why_not,
            )

            if reason := why_not():
                parser.error(reason)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="echoic"))
            microphone = VirtualMicrophone(Path(folder))
            os.environ.update(microphone.environment)
            stack.callback(microphone.kill)
            microphone.start()
            import sounddevice

            sounddevice._terminate()  # PortAudio lists the devices once
            sounddevice._initialize()
            source = stack.enter_context(Microphone(on_event=listener.on_event))
            # A second more: the last block must come.
            sound = np.tile(audio.to_int16(stream), n)
            extra = np.zeros(SAMPLE_RATE, np.int16)
            sound = np.concatenate([sound, extra])
            sound += np.resize(audio.to_int16(noise), len(sound))
            microphone.play(sound)
            del sound
        else:
            source = stack.enter_context(Endless(path, noise, passes=n))
        memory = soak(source, listener, passes)
        status = source.status
    took = time.monotonic() - begun
    return report(passes, memory, status, took)


def report(passes: Passes, memory: dict[str, float | None], status: object, took: float) -> int:
    """Print the figures; return the exit status."""
    n, words = passes.delays.shape
    found = np.isfinite(passes.delays).sum(axis=1)
    print(
        f"{n} passes of {passes.seconds:.2f} s, {n * passes.seconds / 60:.1f} min in {took:.0f} s"
    )
    for name, value in memory.items():
        print(
            f"resident memory, {name:<7}{'unknown' if value is None else f'{value / 1e6:.2f} MB'}"
        )
    medians = {}
    for name, row in (("first", 0), ("last", n - 1)):
        delays = passes.delays[row][np.isfinite(passes.delays[row])]
        medians[name] = statistics.median(delays) if len(delays) else float("nan")
        print(
            f"{name} pass: {passes.detections[row]} detections, {found[row]} of {words} words, "
            f"median delay {medians[name]:+.3f} s"
        )
    drift = medians["last"] - medians["first"]
    print(f"drift {drift:+.3f} s")
    print(
        f"detections a pass: {passes.detections.min()} to {passes.detections.max()}, "
        f"mean {passes.detections.mean():.2f}; words found: {found.min()} to {found.max()}"
    )
    for name in ("overflows", "dropped", "restarts"):
        print(f"{name} {getattr(status, name)}")
    start, end = memory.get("start"), memory.get("end")
    failed = False
    if "end" not in memory:
        print("FAILED: the sound ended before the last pass.")
        failed = True
    if start is not None and end is not None and end - start > MEMORY_BYTES:
        print(f"FAILED: resident memory grew by {(end - start) / 1e6:.2f} MB.")
        failed = True
    if not abs(drift) <= DRIFT_SECONDS:
        print(f"FAILED: detections drifted by {drift:+.3f} s.")
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
