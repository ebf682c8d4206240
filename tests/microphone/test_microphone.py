"""Microphones: a made-up sound card for each way to fail, and a real sound server."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from echoic import audio, microphone
from echoic.microphone import (
    FileSource,
    Microphone,
    MicrophoneError,
    devices,
    find_device,
    portaudio,
)
from virtual_microphone import why_not

RATE = 16_000
HOP = 320


def eventually(condition):
    """Wait for what another thread does in its own time."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Clock:
    """Time that goes on by a step whenever somebody looks."""

    def __init__(self):
        self.now = 100.0
        self.step = 0.0

    def __call__(self):
        self.now += self.step
        return self.now


class Stream:
    """A stream of the made-up sound card; the test says what it hears."""

    def __init__(self, card, *, samplerate, blocksize, device, channels, dtype, **callbacks):
        card.attempts.append((samplerate, channels))
        if card.refusals:
            raise card.refusals.pop(0)
        if (samplerate, channels) not in card.formats:
            raise card.PortAudioError("Invalid sample rate", -9997)
        assert dtype == "float32"
        self.card, self.device, self.rate = card, device, samplerate
        self.shape = (blocksize, channels)
        self.callback = callbacks["callback"]
        self.finished = callbacks["finished_callback"]
        self.latency = 0.04
        self.calls = []

    def start(self):
        self.calls.append("start")
        self.card.streams.append(self)
        self.card.on_start(self)

    def stop(self):
        self.calls.append("stop")
        self.card.hangs.wait(30)

    def close(self):
        self.calls.append("close")

    def hear(self, value=0.5, blocks=1, *, after=None, overflow=False):
        """Let blocks come, each when it has been heard, or ``after`` so many seconds."""
        for _ in range(blocks):
            samples = np.zeros(self.shape, np.float32) + np.float32(value)
            self.card.clock.now += len(samples) / self.rate if after is None else after
            self.callback(samples, len(samples), None, SimpleNamespace(input_overflow=overflow))


class Card:
    """A module like sounddevice, with what it needs of it."""

    class PortAudioError(Exception):
        pass

    class CallbackAbort(Exception):
        pass

    def __init__(self, *names, channels=1, rate=RATE, formats=None, default=0):
        self.clock = Clock()
        self.infos = [self.info(name, channels=channels, rate=rate) for name in names]
        self.default = SimpleNamespace(device=[default if names else -1, -1])
        self.formats = formats or {(RATE, 1)}
        self.refusals = []
        self.attempts = []
        self.streams = []
        self.listings = 0
        self.playing = True
        self.hangs = threading.Event()
        self.hangs.set()
        self.on_start = lambda stream: None

    @staticmethod
    def info(name, *, channels=1, rate=RATE, api=0):
        return {
            "name": name,
            "hostapi": api,
            "max_input_channels": channels,
            "default_samplerate": float(rate),
        }

    def query_devices(self):
        return list(self.infos)

    def query_hostapis(self):
        return [{"name": "ALSA"}, {"name": "JACK"}]

    def InputStream(self, **options):
        return Stream(self, **options)

    def stop(self):
        self.playing = False

    def _terminate(self):
        assert not self.playing  # PortAudio would free what sounddevice goes on to use
        self.listings += 1

    def _initialize(self):
        pass


@pytest.fixture
def card():
    return Card("Headset")


@pytest.fixture
def events():
    return []


@pytest.fixture
def listen(events):
    """Make a microphone of a card; it is closed in the end."""
    made = []

    def make(card, device=None, *, on_event=events.append, **options):
        source = Microphone(device, on_event=on_event, backend=card, clock=card.clock, **options)
        made.append((card, source))
        return source.open()

    yield make
    for card, source in made:
        card.hangs.set()
        source.close()


def kinds(events):
    return [event.kind for event in events]


class TestDevices:
    def test_lists_what_records(self):
        card = Card("Webcam", "Headset", rate=44_100, default=1)
        card.infos.insert(0, card.info("Speakers", channels=0))
        webcam, headset = devices(backend=card)
        assert (webcam.index, webcam.name, webcam.default) == (1, "Webcam", True)
        assert (headset.index, headset.rate, headset.channels) == (2, 44_100, 1)
        assert headset.api == "ALSA"

    @pytest.mark.parametrize("device", [1, "1", "head", "HEADSET"])
    def test_finds_by_index_and_by_a_part_of_the_name(self, device):
        assert find_device(device, backend=Card("Webcam", "Headset")).name == "Headset"

    def test_takes_the_default(self):
        assert find_device(backend=Card("Webcam", "Headset", default=1)).name == "Headset"

    def test_a_whole_name_wins_over_a_part_of_another(self):
        assert find_device("mic", backend=Card("Mic 2", "Mic")).index == 1

    def test_of_several_interfaces_takes_the_one_of_the_default(self):
        card = Card("Webcam", "Headset")
        card.infos.insert(0, card.info("Headset", api=1))
        card.default.device[0] = 1
        assert find_device("headset", backend=card).api == "ALSA"

    def test_lists_what_it_could_have_been(self):
        card = Card("Webcam", "Headset 1", "Headset 2")
        with pytest.raises(MicrophoneError, match=r"received 'head', which 2 .*\n  1  Headset 1"):
            find_device("head", backend=card)
        with pytest.raises(MicrophoneError, match=r"named like 'usb'; there are:\n  0  Webcam"):
            find_device("usb", backend=card)
        with pytest.raises(MicrophoneError, match="with index 9; there are"):
            find_device(9, backend=card)
        card.default.device[0] = -1
        with pytest.raises(MicrophoneError, match="Expected a default microphone; there are"):
            find_device(backend=card)

    def test_no_microphone_at_all(self):
        with pytest.raises(MicrophoneError, match="There is no microphone"):
            find_device(backend=Card())


class TestFileSource:
    @pytest.fixture
    def recording(self, tmp_path):
        waveform = np.linspace(-1, 1, 5000, dtype=np.float32)
        audio.write(tmp_path / "a.wav", waveform)
        return tmp_path / "a.wav"

    @pytest.mark.parametrize("hop", [1, 320, 333, 5000, 9999])
    def test_blocks_are_the_file(self, recording, hop):
        with FileSource(recording, block_seconds=hop / RATE) as source:
            blocks = list(source)
        np.testing.assert_array_equal(
            np.concatenate([b.samples for b in blocks]), audio.read(recording)
        )
        assert {len(b.samples) for b in blocks[:-1]} <= {hop}
        assert [b.time for b in blocks] == [i * hop / RATE for i in range(len(blocks))]
        assert blocks[-1].end == 5000 / RATE
        assert not any(b.gap for b in blocks)

    def test_status(self, recording):
        with FileSource(recording) as source:
            next(source)
            status = source.status
            assert (status.state, status.blocks, status.samples) == ("live", 1, HOP)
            assert status.device == str(recording)
            assert not status.resampling
            assert status.level.peak == pytest.approx(0, abs=0.01)
            assert status.level.rms == pytest.approx(-0.6, abs=0.1)
        assert source.status.state == "closed"
        assert list(source) == []

    def test_in_real_time_no_block_comes_before_it_is_heard(self, recording):
        began = time.monotonic()
        with FileSource(recording, realtime=True, block_seconds=0.1) as source:
            for block in source:
                assert time.monotonic() - began >= block.end
        assert source.status.backlog >= 0

    def test_refuses_what_is_no_recording(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="No such recording"):
            FileSource(tmp_path / "a.wav")

    @pytest.mark.parametrize("seconds", [0, -1, 1e-6, float("nan")])
    def test_refuses_blocks_of_nothing(self, recording, seconds):
        with pytest.raises(ValueError, match="at least one sample, received block_seconds"):
            FileSource(recording, block_seconds=seconds)


class TestListening:
    def test_gives_blocks_with_their_times(self, card, listen, events):
        source = listen(card)
        stream = card.streams[0]
        stream.hear(0.1)
        stream.hear(0.2)
        first, second = next(source), next(source)
        assert (first.time, second.time) == (0, 0.02)
        assert first.samples.dtype == np.float32
        np.testing.assert_array_equal(second.samples, np.full(HOP, 0.2, np.float32))
        assert not first.gap
        assert not second.gap
        assert kinds(events) == ["live"]
        assert events[0].message == "Listening to Headset at 16,000 Hz."

    def test_status_tells_everything(self, card, listen):
        source = listen(card)
        assert source.status.state == "opening"
        card.streams[0].hear(0.5, blocks=10)
        card.clock.now += 1
        for _ in range(10):
            next(source)
        status = source.status
        assert (status.state, status.device, status.device_rate) == ("live", "Headset", RATE)
        assert (status.blocks, status.samples, status.time) == (10, 3200, 0.2)
        assert (status.dropped, status.overflows, status.restarts) == (0, 0, 0)
        assert status.latency == 0.04
        assert status.backlog == pytest.approx(1, abs=0.01)
        assert status.level.peak == pytest.approx(-6.02, abs=0.01)
        assert status.level.rms == pytest.approx(-6.02, abs=0.01)

    def test_iterates_until_it_is_closed(self, card, listen):
        source = listen(card)
        card.streams[0].hear(blocks=3)
        heard = 0
        for _ in source:
            heard += 1
            if heard == 2:
                source.close()
        assert heard == 2
        eventually(lambda: card.streams[0].calls == ["start", "stop", "close"])
        assert source.status.state == "closed"

    def test_can_be_closed_from_another_thread(self, card, listen):
        source = listen(card)
        threading.Timer(0.1, source.close).start()
        assert list(source) == []

    def test_an_error_in_the_loop_closes_it(self, card):
        source = Microphone(backend=card, clock=card.clock)
        with pytest.raises(KeyboardInterrupt), source:
            raise KeyboardInterrupt
        eventually(lambda: card.streams[0].calls == ["start", "stop", "close"])
        assert source._session not in portaudio._sessions

    def test_is_opened_once(self, card, listen):
        with pytest.raises(MicrophoneError, match="opened once"):
            listen(card).open()

    def test_logs_events_that_nobody_takes(self, card, listen, caplog):
        source = listen(card, on_event=None)
        card.streams[0].hear()
        with caplog.at_level(logging.INFO, logger="echoic"):
            next(source)
        assert "Listening to Headset" in caplog.text

    def test_two_channels_are_averaged(self, listen):
        card = Card("Headset", channels=2, formats={(RATE, 2)})
        source = listen(card)
        card.streams[0].hear([0.5, 0.25])
        np.testing.assert_array_equal(next(source).samples, np.full(HOP, 0.375, np.float32))

    def test_of_many_channels_one_is_opened(self, listen):
        card = Card("pulse", channels=32, formats={(RATE, 1), (RATE, 32)})
        listen(card)
        assert card.attempts == [(RATE, 1)]

    def test_all_channels_are_opened_where_a_device_insists(self, listen):
        card = Card("Mixer", channels=8, rate=48_000, formats={(48_000, 8)})
        listen(card)
        assert card.attempts == [(RATE, 1), (48_000, 1), (RATE, 8), (48_000, 8)]


class TestResampling:
    @pytest.mark.parametrize("rate", [48_000, 44_100])
    def test_gives_what_the_file_would_have_given(self, listen, rate):
        card = Card("Headset", rate=rate, formats={(rate, 1)})
        source = listen(card)
        stream = card.streams[0]
        noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
        for block in noise.reshape(50, -1, 1):
            stream.hear(block)
        heard = [next(source)]
        while heard[-1].end < 0.9:
            heard.append(next(source))
        samples = np.concatenate([b.samples for b in heard])
        assert heard[0].time == 0
        expected = audio.resample(noise, rate, RATE)[: len(samples)]
        np.testing.assert_allclose(samples, expected, atol=1e-6)
        status = source.status
        assert status.resampling
        assert status.device_rate == rate
        assert 0.04 < status.latency <= 0.04 + 0.041
        assert status.dropped == 0

    def test_time_goes_on_where_the_device_does_after_a_gap(self, listen, events):
        card = Card("Headset", rate=48_000, formats={(48_000, 1)})
        source = listen(card, queue_seconds=1.0)
        stream = card.streams[0]
        for i in range(70):
            stream.hear(i / 100)  # the sound tells when it was heard
            if i == 10:
                next(source)
        block = next(source)
        while not block.gap:
            block = next(source)
        assert block.time > 25 * 0.02
        assert block.time / 0.02 == pytest.approx(round(block.time / 0.02))
        middle = len(block.samples) // 2
        heard = (block.time + middle / RATE) // 0.02
        assert block.samples[middle] == pytest.approx(heard / 100, abs=0.004)
        assert kinds(events) == ["live", "dropped"]
        status = source.status
        assert status.time == (status.samples + status.dropped) / RATE


class TestOpeningFails:
    def test_no_microphone(self, listen):
        with pytest.raises(MicrophoneError, match="There is no microphone"):
            listen(Card())

    def test_no_such_microphone(self, card, listen):
        with pytest.raises(MicrophoneError, match=r"named like 'usb'; there are:\n  0  Headset"):
            listen(card, "usb")

    def test_a_device_that_refuses_everything(self, card, listen):
        card.refusals = [card.PortAudioError("Device unavailable", -9985)]
        with pytest.raises(MicrophoneError, match="Headset cannot be opened: .*unavailable"):
            listen(card)

    def test_a_sound_system_that_does_not_answer(self, card, monkeypatch):
        release = threading.Event()
        card.query_devices = lambda: release.wait(30) and []
        monkeypatch.setattr(microphone, "OPEN_SECONDS", 0.1)
        monkeypatch.setattr(portaudio, "CLOSE_SECONDS", 0.1)
        with pytest.raises(MicrophoneError, match="has not answered"):
            Microphone(backend=card).open()
        release.set()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("raise OSError('PortAudio library not found')", "apt install libportaudio2"),
            ("raise ImportError('No module named sounddevice')", "pip install sounddevice"),
        ],
    )
    def test_without_portaudio(self, tmp_path, monkeypatch, content, reason):
        (tmp_path / "sounddevice.py").write_text(content)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        with pytest.raises(MicrophoneError, match=reason):
            devices()
        with pytest.raises(MicrophoneError, match=reason):
            Microphone().open()


class TestMuted:
    def test_digital_silence_is_reported_and_its_end(self, card, listen, events):
        source = listen(card)
        stream = card.streams[0]
        stream.hear(0.5)
        stream.hear(0.0, blocks=99)
        for _ in range(100):
            next(source)
        assert kinds(events) == ["live"]
        stream.hear(0.0, blocks=3)
        next(source)
        assert not next(source).samples.any()
        assert (source.status.state, kinds(events)) == ("muted", ["live", "muted"])
        stream.hear(1e-5)
        next(source)
        assert not next(source).gap
        assert source.status.state == "live"
        assert [e.message for e in events[1:]] == [
            "Headset seems to be muted (digital silence); see its switch and its permissions.",
            "Headset gives sound again.",
        ]
        assert source.status.dropped == 0

    def test_a_quiet_room_is_not_muted(self, card, listen, events):
        source = listen(card)
        card.streams[0].hear(1e-6, blocks=150)
        for _ in range(150):
            next(source)
        assert kinds(events) == ["live"]


class TestSlowListener:
    def test_the_older_half_is_dropped_and_counted(self, card, listen, events):
        source = listen(card, queue_seconds=0.2)
        stream = card.streams[0]
        for i in range(16):
            stream.hear((i + 1) / 100)
        heard = [next(source) for _ in range(6)]
        # 10 fit: the eleventh pushes 5 out, the sixteenth another 5.
        assert [round(b.samples[0] * 100) for b in heard] == [11, 12, 13, 14, 15, 16]
        assert [b.gap for b in heard] == [True] + [False] * 5
        assert heard[0].time == pytest.approx(10 * 0.02)
        stream.hear(0.5, blocks=11)
        after = next(source)
        assert after.gap
        assert after.time == pytest.approx(21 * 0.02)
        assert not next(source).gap
        status = source.status
        assert (status.dropped, status.overflows) == (15 * HOP, 2)
        assert status.time == (status.samples + status.dropped) / RATE
        assert kinds(events) == ["live", "dropped", "dropped"]
        assert events[1].message == "The listener is too slow: 0.2 s were dropped."
        assert events[2].time == pytest.approx(after.time)

    def test_an_overflow_that_the_system_reports(self, card, listen, events):
        source = listen(card)
        stream = card.streams[0]
        stream.hear(blocks=10)
        stream.hear(after=0.52, overflow=True)
        stream.hear(blocks=2)
        heard = [next(source) for _ in range(13)]
        # How much was lost shows when the next block is as late as this one.
        assert [b.gap for b in heard[9:]] == [False, True, True, False]
        assert heard[10].time == pytest.approx(10 * 0.02)
        assert heard[11].time == pytest.approx(11 * 0.02 + 0.5, abs=0.01)
        assert source.status.overflows == 1
        assert source.status.dropped == pytest.approx(0.5 * RATE, rel=0.01)
        assert [e.message for e in events[1:]] == ["The sound system lost 0.5 s."]

    def test_an_overflow_that_lost_nothing(self, card, listen, events):
        source = listen(card)
        card.streams[0].hear(overflow=True, blocks=1)
        card.streams[0].hear(blocks=9)
        for _ in range(10):
            next(source)
        assert source.status.dropped == 0
        assert kinds(events) == ["live"]


class TestLost:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        monkeypatch.setattr(microphone, "POLL_SECONDS", 0.002)

    def test_goes_on_when_the_device_is_back(self, card, listen, events):
        source = listen(card)
        card.streams[0].hear(blocks=5)
        for _ in range(5):
            next(source)
        card.refusals = [card.PortAudioError("Device unavailable", -9985) for _ in range(3)]
        card.on_start = lambda stream: stream.hear(0.25)
        card.clock.step = 0.05
        card.streams[0].finished()
        block = next(source)
        assert block.gap
        assert block.samples[0] == 0.25
        assert kinds(events) == ["live", "lost", "live"]
        assert events[1].message == "Headset is gone. Waiting for it."
        assert "Headset is back after" in events[2].message
        # Pauses of 0.25, 0.5, 1 and 2 s before the four attempts.
        assert block.time - events[1].time >= 3.75
        assert len(card.attempts) == 5
        assert card.listings == 3
        status = source.status
        assert (status.state, status.restarts) == ("live", 1)
        assert status.time == (status.samples + status.dropped) / RATE
        eventually(lambda: card.streams[0].calls == ["start", "stop", "close"])

    def test_says_so_once_however_slowly_the_attempts_fail(self, card, listen, events):
        source = listen(card)
        card.streams[0].hear()
        next(source)
        card.clock.step = 0.05
        attempts = iter(range(3))

        def query_devices():
            if next(attempts, None) is None:
                return card.infos
            card.clock.now += 3
            time.sleep(0.02)
            return []

        card.query_devices = query_devices
        card.on_start = lambda stream: stream.hear()
        card.streams[0].finished()
        next(source)
        assert kinds(events) == ["live", "lost", "live"]

    def test_what_was_heard_before_the_loss_is_still_given(self, card, listen, events):
        source = listen(card)
        card.streams[0].hear(blocks=5)
        card.streams[0].finished()
        assert [next(source).time for _ in range(5)] == [i * 0.02 for i in range(5)]
        assert kinds(events) == ["live"]

    @pytest.mark.parametrize("device", [1, "1"])
    def test_an_index_means_the_same_device_afterwards(self, listen, device):
        card = Card("Webcam", "Headset")
        source = listen(card, device)
        card.streams[0].hear()
        next(source)
        card.infos.insert(0, card.info("Dock"))
        card.on_start = lambda stream: stream.hear()
        card.clock.step = 0.05
        card.streams[0].finished()
        next(source)
        assert card.streams[1].device == 2
        assert source.status.device == "Headset"

    def test_an_index_never_becomes_another_device(self, listen):
        card = Card("Webcam", "Headset")
        source = listen(card, 1)
        card.streams[0].hear()
        next(source)
        webcam, headset = card.infos
        card.infos = [webcam, card.info("Dock")]

        def come_back():
            card.infos = [headset]
            return list(card.infos)

        tries = iter([lambda: [webcam], come_back])
        card.query_devices = lambda: next(tries, come_back)()
        card.on_start = lambda stream: stream.hear()
        card.clock.step = 0.05
        card.streams[0].finished()
        next(source)
        assert [s.device for s in card.streams] == [1, 0]
        assert source.status.device == "Headset"

    def test_another_default_is_named(self, listen, events):
        card = Card("Headset", "Webcam")
        source = listen(card)
        card.streams[0].hear()
        next(source)
        card.default.device[0] = 1
        card.on_start = lambda stream: stream.hear()
        card.clock.step = 0.05
        card.streams[0].finished()
        assert next(source).gap
        assert events[-1].message == "Listening to Webcam at 16,000 Hz; Headset is gone."

    def test_an_exception_in_the_callback(self, card, listen, events):
        source = listen(card)
        stream = card.streams[0]
        stream.hear()
        next(source)
        with pytest.raises(card.CallbackAbort):  # what PortAudio is told to stop with
            stream.callback(None, HOP, None, SimpleNamespace(input_overflow=False))
        card.on_start = lambda stream: stream.hear()
        card.clock.step = 0.05
        stream.finished()
        assert next(source).gap
        assert kinds(events) == ["live", "lost", "live"]
        assert "has no attribute 'copy'" in events[1].message


class TestFrozen:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        monkeypatch.setattr(microphone, "POLL_SECONDS", 0.002)
        monkeypatch.setattr(portaudio, "CLOSE_SECONDS", 0.1)

    def frozen(self, listen, card, events, then):
        """Listen to a stream that gives five blocks and hangs; ``then`` happens."""

        def on_event(event):
            events.append(event)
            if event.kind == "frozen":
                card.clock.step = 0
                then()

        source = listen(card, on_event=on_event)
        card.streams[0].hear(blocks=5)
        for _ in range(5):
            next(source)
        card.clock.step = 0.05
        return source

    def test_goes_on_after_a_hang_that_lost_sound(self, card, listen, events):
        def thaw():
            card.streams[0].hear(after=2.02)
            card.streams[0].hear(blocks=3)

        source = self.frozen(listen, card, events, thaw)
        heard = [next(source) for _ in range(4)]
        assert [b.gap for b in heard] == [True, True, False, False]
        assert kinds(events) == ["live", "frozen", "live", "dropped"]
        assert heard[1].time - heard[0].end == pytest.approx(3.1, abs=0.2)
        assert source.status.restarts == 0
        assert source.status.state == "live"

    def test_goes_on_after_a_hang_that_kept_it(self, card, listen, events):
        def thaw():
            lost = card.clock.now + 2 - card.streams[0].heard_at
            card.streams[0].hear(after=2)
            card.streams[0].hear(after=0, blocks=round(lost / 0.02) - 1)
            card.streams[0].hear(blocks=2)

        card.on_start = lambda stream: setattr(stream, "heard_at", card.clock.now + 0.1)
        source = self.frozen(listen, card, events, thaw)
        heard = [next(source)]
        while heard[-1].time < 3.1:
            heard.append(next(source))
        assert [b.gap for b in heard] == [True] + [False] * (len(heard) - 1)
        assert kinds(events) == ["live", "frozen", "live"]
        assert source.status.dropped == 0

    def test_leaves_a_stream_behind_that_hangs_for_long(self, card, listen, events):
        def hang():
            card.hangs.clear()
            card.on_start = lambda stream: stream.hear(0.25)
            card.clock.step = 0.05

        source = self.frozen(listen, card, events, hang)
        block = next(source)
        assert block.gap
        assert block.samples[0] == 0.25
        assert block.time > 5
        assert kinds(events) == ["live", "frozen", "live"]
        assert source.status.restarts == 1
        eventually(lambda: card.streams[0].calls == ["start", "stop"])  # it has its own thread
        assert card.listings == 0  # it would hang with the stream

    def test_closing_leaves_it_behind_too(self, card, listen, events, caplog):
        source = self.frozen(listen, card, events, lambda: source.close())
        card.hangs.clear()
        assert list(source) == []
        assert "left behind" in caplog.text


class TestJack:
    """A sound server that has one rate, 48,000 Hz, and a client that plays 240 and 720 Hz."""

    program = """
import json
import numpy as np
from echoic.microphone import Microphone
with Microphone("sine") as source:
    heard = []
    for block in source:
        heard.append(block.samples)
        if source.status.samples > 32_000:
            break
    status = source.status
samples = np.concatenate(heard)[-16_000:]
power = np.abs(np.fft.rfft(samples)) ** 2
share = (power[235:246].sum() + power[715:726].sum()) / power.sum()
print(json.dumps([float(share), status.device_rate, status.resampling, status.latency]))
"""

    @pytest.fixture
    def jack(self, monkeypatch):
        if missing := [c for c in ("jackd", "jack_simple_client") if not shutil.which(c)]:
            pytest.skip(f"there is no {', '.join(missing)}: apt install jackd2")
        if reason := why_not():
            pytest.skip(reason)
        name = f"echoic{os.getpid()}"
        monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
        monkeypatch.setenv("JACK_NO_START_SERVER", "1")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        server = "jackd --no-realtime -n NAME -d dummy -r 48000 -p 1024".replace("NAME", name)
        processes = [subprocess.Popen(server.split(), **quiet)]
        try:
            subprocess.run(["jack_wait", "-w", "-t", "30"], check=True, **quiet)
            processes.append(subprocess.Popen(["jack_simple_client", "sine", name], **quiet))
            end = time.monotonic() + 30
            while b"sine:output1" not in subprocess.check_output(["jack_lsp"]):
                assert time.monotonic() < end
                time.sleep(0.1)
            yield
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(30)

    def test_is_resampled_from_its_rate(self, jack):
        command = [sys.executable, "-c", self.program]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        share, rate, resampling, latency = json.loads(done.stdout)
        assert share > 0.8
        assert (rate, resampling) == (48_000, True)
        assert 0 < latency < 1


class TestReadLevel:
    def test_of_a_tone(self):
        card = Card("Headset")
        card.on_start = lambda stream: stream.hear(0.5, blocks=60)
        level, status = microphone.read_level(seconds=1, backend=card)
        assert level.peak == pytest.approx(-6.02, abs=0.01)
        assert level.rms == pytest.approx(-6.02, abs=0.01)
        assert (status.samples, status.device) == (RATE, "Headset")

    def test_of_digital_silence(self):
        card = Card("Headset")
        card.on_start = lambda stream: stream.hear(0, blocks=60)
        level, _ = microphone.read_level(seconds=1, backend=card)
        assert level == microphone.Level(-120, -120)
        assert json.dumps(level.peak) == "-120.0"

    def test_where_no_sound_comes(self, card):
        with pytest.raises(MicrophoneError, match="the sound system hangs"):
            microphone.read_level(backend=card)


PROGRAM = """
import sys
from echoic.microphone import Microphone
with Microphone() as source:
    for block in source:
        print(block.time, flush=True)
"""


class TestVirtualMicrophone:
    """The same with PortAudio, ALSA and PulseAudio; what is asserted holds on a busy machine."""

    noise = np.random.default_rng(0).integers(-20_000, 20_000, RATE, dtype=np.int16)

    def until(self, source, condition, limit=60):
        """Listen until a condition holds; give what was heard."""
        heard = []
        end = time.monotonic() + limit
        for block in source:
            heard.append(block)
            if condition():
                return heard
            assert time.monotonic() < end, source.status
        raise AssertionError(source.status)

    def test_hears_what_is_played_bit_for_bit(self, virtual_microphone):
        with Microphone() as source:
            player = virtual_microphone.play(self.noise)
            heard = self.until(source, lambda: player.poll() is not None)
            end = source.status.time + 1
            heard += self.until(source, lambda: source.status.time >= end)
            status = source.status
        samples = np.concatenate([b.samples for b in heard])
        start = np.flatnonzero(samples)[0]
        expected = audio.to_float32(self.noise[np.flatnonzero(self.noise)[0] :])
        np.testing.assert_array_equal(samples[start : start + len(expected)], expected)
        assert not any(b.gap for b in heard)
        assert (status.dropped, status.device_rate, status.restarts) == (0, RATE, 0)

    def test_is_listed(self, virtual_microphone):
        assert find_device("pulse").channels > 0
        assert find_device().default
        level, status = microphone.read_level(seconds=0.2)
        assert level.rms == -120
        assert status.time >= 0.2

    def test_goes_on_with_a_server_that_was_started_again(self, virtual_microphone, events):
        def on_event(event):
            events.append(event)
            if event.kind == "lost":
                virtual_microphone.start()

        with Microphone(on_event=on_event) as source:
            self.until(source, lambda: source.status.time > 0.3)
            virtual_microphone.kill()
            heard = self.until(source, lambda: source.status.restarts)
            assert heard[-1].gap
            virtual_microphone.play(self.noise)
            self.until(source, lambda: source.status.level.peak > -20)
            status = source.status
        assert [k for k in kinds(events) if k != "muted"] == ["live", "lost", "live"]
        assert status.time == pytest.approx((status.samples + status.dropped) / RATE)

    def test_goes_on_with_a_server_that_hung(self, virtual_microphone, events):
        def on_event(event):
            events.append(event)
            if event.kind == "frozen":
                virtual_microphone.thaw()

        with Microphone(on_event=on_event) as source:
            self.until(source, lambda: source.status.time > 0.3)
            virtual_microphone.freeze()
            heard = self.until(source, lambda: kinds(events)[-1] == "live" and len(events) > 1)
            assert heard[-1].gap
            virtual_microphone.play(self.noise)
            self.until(source, lambda: source.status.level.peak > -20)
        assert "frozen" in kinds(events)

    def test_opens_the_device_again_after_a_long_hang(self, virtual_microphone, monkeypatch):
        monkeypatch.setattr(microphone, "GIVE_UP_SECONDS", 1.2)
        with Microphone() as source:
            self.until(source, lambda: source.status.time > 0.3)
            first = source._session

            def thaw():
                while source._session is first:
                    time.sleep(0.05)
                virtual_microphone.thaw()

            virtual_microphone.freeze()
            threading.Thread(target=thaw, daemon=True).start()
            heard = self.until(source, lambda: source.status.restarts)
            assert heard[-1].gap
            virtual_microphone.play(self.noise)
            self.until(source, lambda: source.status.level.peak > -20)
            assert first.closed.wait(30)  # what was left behind ends when it can

    def test_notices_the_mute_button(self, virtual_microphone, events):
        with Microphone(on_event=events.append) as source:
            virtual_microphone.play(np.tile(self.noise, 60))
            self.until(source, lambda: source.status.level.peak > -20)
            virtual_microphone.mute()
            self.until(source, lambda: source.status.state == "muted")
            virtual_microphone.mute(False)
            self.until(source, lambda: source.status.state == "live")
            assert source.status.level.peak > -20
        assert kinds(events)[-2:] == ["muted", "live"]

    @pytest.mark.parametrize("frozen", [False, True])
    def test_ctrl_c_ends_the_program(self, virtual_microphone, frozen):
        command = [sys.executable, "-c", PROGRAM]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout
            assert program.stdout.readline() == "0.0\n"
            if frozen:
                virtual_microphone.freeze()
                time.sleep(0.5)
            program.send_signal(signal.SIGINT)
            try:
                _, errors = program.communicate(timeout=60)
            finally:
                program.kill()
        assert "KeyboardInterrupt" in errors
        assert ("left behind" in errors) == frozen
        assert program.returncode == -signal.SIGINT  # of KeyboardInterrupt, not of a crash
