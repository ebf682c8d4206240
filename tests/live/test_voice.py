"""Speech and chimes, which are not listened to."""

from types import SimpleNamespace

import numpy as np

from echoic.audio import SAMPLE_RATE
from echoic.live import Voice, half_duplex
from echoic.microphone import Block


class Room:
    """Blocks of a tenth of a second, each given at its last sample."""

    def __init__(self, clock):
        self.clock = clock
        self.status = SimpleNamespace(backlog=0.0, latency=0.0)

    def __iter__(self):
        for number in range(20):
            self.clock[0] = (number + 1) / 10
            yield Block(np.zeros(SAMPLE_RATE // 10, np.float32), number / 10)


def test_its_chimes_are_not_listened_to():
    clock, played, interruptions, yielded = [0.0], [], [], []
    speaker = Voice(command=(), play=played.append, clock=lambda: clock[0])
    listener = SimpleNamespace(interrupt=lambda: interruptions.append(clock[0]))
    for block in half_duplex(Room(clock), listener, speaker):
        yielded.append(round(block.time, 1))
        if len(yielded) == 3:
            speaker.chime("wake")
    # Begun at 0.3 s, with 0.2 s to start, 0.18 s of notes and 0.3 s of echoes.
    assert yielded[2:5] == [0.2, 1.0, 1.1]
    assert len(interruptions) == 7
    (samples,) = played
    assert samples.dtype == np.float32
    assert len(samples) == 2880
    assert 0.1 < np.abs(samples).max() <= 0.15


def test_it_goes_on_without_a_loudspeaker(caplog):
    def play(samples):
        raise OSError("no device")

    speaker = Voice(command=(), play=play, clock=lambda: 0.0)
    source = SimpleNamespace(status=SimpleNamespace(backlog=0.0, latency=0.0))
    for _ in range(2):
        speaker.chime("sleep")
        assert not speaker.audible(source, Block(np.zeros(160, np.float32), 0.0))
    assert [r.getMessage() for r in caplog.records] == [
        "No sound can be played, there are no chimes: no device"
    ]
