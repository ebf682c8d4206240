"""Listening live: the loop, what is kept of it, and the view."""

import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from echoic import audio
from echoic.config import DecoderConfig
from echoic.live import Clips, JsonLines, Lines, Listener, Output, Recording, with_threshold
from echoic.live.view import View
from echoic.microphone import Block, Event, FileSource, Level, MicrophoneError, Status
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Detection
from echoic.runtime.recognizer import Posterior, Recognizer
from echoic.timeouts import ask

RATE = audio.SAMPLE_RATE
CONFIG = DecoderConfig(smoothing=0.12, enter=0.8, exit=0.4, refractory=0.3)


class Levels:
    """Knows two words by the mean of a step: "yes" is 0.5, "no" is -0.5."""

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
    """Writes down all that it is told."""

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
    """A source that is as a test says."""

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


def heard(given_blocks, *, config=CONFIG):
    notes = Notes()
    listener = Listener(Levels(), config=config, outputs=[notes])
    listener.listen(given_blocks)
    return listener, notes


class TestListener:
    def test_tells_words_and_times(self):
        _, notes = heard(blocks(WORDS))
        assert [d.label for d in notes.detections] == ["yes", "no", "no"]
        for d, start in zip(notes.detections, (1.0, 2.4, 3.3), strict=True):
            assert start < d.time < start + 0.3
            assert d.confidence >= CONFIG.enter

    @given(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
    def test_any_blocks_give_the_same_detections(self, sizes):
        edges = [0, *np.cumsum(sizes).tolist(), len(WORDS)]
        edges = sorted({min(e, len(WORDS)) for e in edges})
        cut = [Block(WORDS[a:b], a / RATE) for a, b in pairwise(edges)]
        assert heard(cut)[1].detections == heard(blocks(WORDS))[1].detections

    def test_the_probabilities_are_what_the_decoder_decides_on(self):
        confidences = []

        class Compare(Output):
            def on_block(self, block, detections):
                for d in detections:
                    row = listener.probabilities[listener.labels.index(d.label)]
                    confidences.append((d.confidence, float(row)))

        listener = Listener(Levels(), config=CONFIG, outputs=[Compare()])
        listener.listen(blocks(WORDS))
        assert len(confidences) == 3
        for decided, shown in confidences:
            assert shown == pytest.approx(decided, abs=1e-5)

    def test_a_gap_begins_anew_on_the_streams_clock(self):
        # Too short a piece on either side of the hole, and long enough together.
        piece = spoken((0, 0.4), (0.5, 0.08))
        rest = spoken((0.5, 0.08), (0, 0.4))
        joined = np.concatenate([piece, rest])
        assert [d.label for d in heard(blocks(joined))[1].detections] == ["yes"]
        after = blocks(rest, start=9.0, gap=True)
        listener, notes = heard([*blocks(piece), *after])
        assert notes.detections == []
        assert listener.resets == 1
        (event,) = notes.events
        assert event.time == 9.0
        assert event.message == "Sound is missing. The recognizer begins anew."

    def test_times_after_a_gap_are_the_streams(self):
        _, notes = heard([*blocks(WORDS), *blocks(WORDS, start=100.0, gap=True)])
        first, second = notes.detections[:3], notes.detections[3:]
        assert [d.label for d in second] == [d.label for d in first]
        assert [d.time for d in second] == pytest.approx([d.time + 100 for d in first])

    @pytest.mark.parametrize("kind", ["lost", "frozen", "muted", "dropped"])
    def test_an_event_begins_anew_and_is_told_once(self, kind):
        notes = Notes()
        listener = Listener(Levels(), config=CONFIG, outputs=[notes])
        piece = spoken((0, 0.4), (0.5, 0.08))
        listener.listen(blocks(piece))
        listener.on_event(Event(0.48, kind, "It happened."))
        listener.listen(blocks(spoken((0.5, 0.08), (0, 0.4)), start=0.48, gap=True))
        assert notes.detections == []
        assert [e.message for e in notes.events] == ["It happened. The recognizer begins anew."]
        assert listener.resets == 1

    def test_sound_that_comes_is_no_reason_to_begin_anew(self):
        notes = Notes()
        listener = Listener(Levels(), config=CONFIG, outputs=[notes])
        listener.on_event(Event(0.0, "live", "Listening to it."))
        listener.listen(blocks(WORDS))
        assert listener.resets == 0
        assert [e.message for e in notes.events] == ["Listening to it."]

    def test_one_threshold_for_all_words(self):
        config = DecoderConfig(enter=0.8, exit=0.5, words={"no": 0.9})
        assert with_threshold(config, None) is config
        lower = with_threshold(config, 0.3)
        assert (lower.enter, lower.exit, lower.words) == (0.3, 0.3, {})
        assert Listener(Levels(), config=config).thresholds == {"yes": 0.8, "no": 0.9}
        assert len(heard(blocks(WORDS), config=with_threshold(CONFIG, 1.0))[1].detections) == 0


class TestOutputs:
    def test_json_lines(self, capsys):
        JsonLines().hear(Block(WORDS, 0.0), [Detection(1.23456, "yes", 0.912345)])
        JsonLines().tell(Event(3.0, "lost", "It is gone."))
        done = capsys.readouterr()
        assert json.loads(done.out) == {"time": 1.235, "label": "yes", "confidence": 0.9123}
        assert done.err.split(maxsplit=2)[2] == "It is gone.\n"

    def test_lines(self, capsys):
        Lines().hear(Block(WORDS, 0.0), [Detection(1.234, "yes", 0.9)])
        assert capsys.readouterr().out == "    1.23 s  yes         90%\n"

    @pytest.mark.parametrize("size", [160, 320, 1000, 100_000])
    def test_clips_are_the_second_around_the_word(self, tmp_path, size):
        clips, notes = Clips(tmp_path / "new" / "clips"), Notes()
        with clips:
            listener = Listener(Levels(), config=CONFIG, outputs=[clips, notes])
            listener.listen(blocks(WORDS, size=size))
        assert [p.name for p in clips.saved] == [
            f"{d.label}_{d.time:.2f}.wav" for d in notes.detections
        ]
        for path, d in zip(clips.saved, notes.detections, strict=True):
            samples, rate = soundfile.read(path, dtype="float32")
            end = round((d.time + 0.2) * RATE)
            assert rate == RATE
            assert np.array_equal(samples, WORDS[end - RATE : end])

    def test_clips_end_where_the_stream_ends_or_breaks_off(self, tmp_path):
        word = spoken((0, 0.3), (0.5, 0.2))
        clips = Clips(tmp_path)
        with clips:
            listener = Listener(Levels(), config=CONFIG, outputs=[clips])
            listener.listen([*blocks(word), *blocks(word, start=5.0, gap=True)])
        assert len(clips.saved) == 2
        for path in clips.saved:
            assert np.array_equal(audio.read(path), word)

    def test_no_clip_is_replaced_and_none_is_written_elsewhere(self, tmp_path):
        for _ in range(2):
            with Clips(tmp_path / "clips") as clips:
                clips.hear(Block(WORDS, 0.0), [Detection(2.0, "../yes", 0.9)])
        names = sorted(p.name for p in (tmp_path / "clips").iterdir())
        assert names == ["___yes_2.00.wav", "___yes_2.00_2.wav"]
        assert [p.name for p in tmp_path.iterdir()] == ["clips"]

    def test_a_recording_keeps_the_clock(self, tmp_path):
        path = tmp_path / "all.wav"
        with Recording(path) as recording:
            listener = Listener(Levels(), config=CONFIG, outputs=[recording])
            listener.listen([*blocks(WORDS), *blocks(WORDS, start=8.0, gap=True)])
        missing = np.zeros(8 * RATE - len(WORDS), np.float32)
        assert np.array_equal(audio.read(path), np.concatenate([WORDS, missing, WORDS]))

    def test_a_recording_replaces_no_file(self, tmp_path):
        path = tmp_path / "all.wav"
        path.write_bytes(b"mine")
        with pytest.raises(FileExistsError, match="name another file"):
            Recording(path)
        assert path.read_bytes() == b"mine"
        with pytest.raises(OSError, match="cannot be written"):
            Recording(tmp_path / "nowhere" / "all.wav")

    def test_a_folder_that_is_gone_is_an_error_and_no_traceback(self, tmp_path):
        with Clips(tmp_path / "clips") as clips:
            (tmp_path / "clips").rmdir()
            with pytest.raises(OSError, match=r"yes_2\.00\.wav cannot be written"):
                clips.hear(Block(WORDS, 0.0), [Detection(2.0, "yes", 0.9)])


class TestAsk:
    def test_gives_the_answer_or_the_error(self):
        assert ask(lambda: 42) == 42
        with pytest.raises(ZeroDivisionError):
            ask(lambda: 1 / 0)

    def test_gives_up(self, capfd):
        import threading

        release = threading.Event()
        devnull = os.open(os.devnull, os.O_WRONLY)

        def hang():
            os.dup2(devnull, 2)
            release.wait()

        try:
            with pytest.raises(MicrophoneError, match="has not answered"):
                ask(hang, seconds=0.3)
            os.write(2, b"still heard")
            assert capfd.readouterr().err == "still heard"
        finally:
            release.set()
            os.close(devnull)


def drawn(view, *, width=100, height=30, ascii_only=False, color=False):
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii" if ascii_only else "utf-8")
    console = Console(
        width=width, height=height, file=file, force_terminal=color, color_system=None,
        legacy_windows=False, highlight=False,
    )  # fmt: skip
    console.print(view)
    file.flush()
    return file.buffer.getvalue().decode("utf-8").splitlines()


def a_view(waveform=WORDS, *, labels=None, **status):
    stream = Levels()
    if labels:
        stream.labels = labels
    listener = Listener(stream, config=CONFIG)
    source = Fixed(time=len(waveform) / RATE, level=Level(-9.0, -20.0), **status)
    view = View(listener, source, name="gru-12")
    listener.outputs = [view]
    listener.listen(blocks(waveform))
    return view, listener


class TestView:
    @pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
    def test_every_line_fits(self, width):
        view, listener = a_view(
            device="Monitor of a device with a name that is longer than any terminal is wide",
            device_rate=48_000, dropped=16_000, overflows=12, restarts=3, backlog=1.5,
        )  # fmt: skip
        listener.on_event(Event(4.6, "muted", "The microphone seems to be muted; see its switch."))
        lines = drawn(view, width=width)
        assert {cell_len(line) for line in lines} == {width}
        text = " ".join(line.strip("│ ") for line in lines).replace("\xa0", " ")
        for words in ("listening", "muted", "-20 dB", "yes", "no", "48,000 Hz → 16,000 Hz"):
            assert words in text
        for words in ("backlog 1500 ms", "dropped 1.0 s", "overflows 12", "restarts 3"):
            assert words in text
        assert "resets" not in text  # none yet

    def test_a_state_stays_in_sight_and_resets_nothing(self):
        view, listener = a_view()
        resets = listener.resets
        listener.on_status(0.5, "Listening: Woken by 'go'.")
        listener.on_event(Event(0.6, "dropped", "Sound is missing."))
        view._source = Fixed(time=3600.0)
        text = "\n".join(drawn(view, width=60))
        assert "Listening: Woken by 'go'." in text
        assert "Sound is missing." not in text  # an hour ago
        listener.on_status(3600.0, "Asleep: No command came.")
        text = "\n".join(drawn(view, width=60))
        assert "Asleep: No command came." in text
        assert "Listening: Woken" not in text
        listener.listen(blocks(spoken((0.1, 1)), start=3601.0))
        assert listener.resets == resets + 1  # by the sound that was missing

    def test_shows_words_with_times_and_confidence(self):
        text = "\n".join(drawn(a_view()[0], width=60))
        assert len(re.findall(r"no +97%", text)) == 2
        assert all(clock in text for clock in ("0:01.", "0:02.", "0:03.", "0:00 "))

    def test_the_strip_shows_words_where_they_were(self):
        view, _ = a_view()
        lines = drawn(view, width=100)
        strip = next(i for i, line in enumerate(lines) if "▇" in line or "█▁" in line)
        words = lines[strip + 1]
        for d in view._detections:
            end = 2 + int(d.time / 0.2) + 1
            assert words[end - len(d.label) - 1 : end + 1] == f" {d.label} "

    def test_the_strip_shows_what_is_missing(self):
        view, listener = a_view(spoken((0.1, 1)))
        listener.listen(blocks(spoken((0.1, 1)), start=2.0, gap=True))
        view._source = Fixed(time=3.0)
        assert "█████×××××█████" in "".join(drawn(view)).translate({ord(c): "█" for c in "▄▅▆▇"})

    def test_the_scroll_keeps_the_newest(self):
        view, listener = a_view()
        for start in (100.0, 200.0):
            listener.listen(blocks(WORDS, start=start, gap=True))
        view._source = Fixed(time=205.0)
        lines = drawn(view)
        assert any("3:20" in line for line in lines)
        assert not any("0:00 " in line for line in lines)

    @pytest.mark.parametrize(
        ("state", "word"),
        [("live", "listening"), ("muted", "muted"), ("lost", "lost"), ("frozen", "hangs")],
    )
    def test_says_how_the_sound_comes(self, state, word):
        assert word in drawn(a_view(state=state)[0])[1]

    def test_an_event_stays_while_it_lasts_and_a_while_after(self):
        view, _ = a_view()
        view.on_event(Event(5.0, "lost", "USB Microphone is gone."))
        for state, now, seen in [("lost", 500.0, True), ("live", 9.0, True), ("live", 60.0, False)]:
            view._source = Fixed(state=state, time=now)
            assert any("is gone" in line for line in drawn(view)) is seen

    def test_before_a_word_it_says_what_to_say(self):
        assert any("Say one of: yes, no" in line for line in drawn(a_view(WORDS[:8000])[0]))

    @pytest.mark.parametrize("width", [40, 60, 100])
    @pytest.mark.parametrize("height", [14, 16, 20, 24])
    def test_a_low_terminal_shows_the_most_probable_labels(self, width, height):
        labels = ("_silence_", "_unknown_", "yes", "no", *(f"word{i}" for i in range(31)))
        view, listener = a_view(
            WORDS[: int(1.3 * RATE)], labels=labels, device_rate=48_000, overflows=3, restarts=1
        )
        listener.on_event(Event(1.2, "muted", "The microphone seems to be muted; see its switch."))
        lines = drawn(view, width=width, height=height)
        assert len(lines) == height
        assert lines[-1].startswith("╰")
        bars = lines[next(i for i, line in enumerate(lines) if "yes" in line and "%" in line)]
        assert "97%" in bars

    def test_without_unicode_it_is_ascii(self):
        view, _ = a_view(device_rate=48_000, device="Größe 麦克风 " * 9)
        lines = drawn(view, width=60, ascii_only=True)
        assert {len(line) for line in lines} == {60}
        assert all(line.isascii() for line in lines)
        assert any("48,000 Hz -> 16,000 Hz" in line.replace("\xa0", " ") for line in lines)

    def test_is_redrawn_in_place_and_leaves_the_last_picture(self):
        file = io.StringIO()
        console = Console(file=file, width=80, height=30, force_terminal=True, legacy_windows=False)
        listener = Listener(Levels(), config=CONFIG)
        with View(listener, Fixed(time=1.0), name="gru-12", console=console) as view:
            listener.outputs = [view]
            listener.on_event(Event(0.0, "live", "Listening to it."))
            listener.listen(blocks(WORDS))
        written = file.getvalue()
        assert written.count("Listening to it.") >= 2
        assert "\x1b[1A" in written
        assert written.index("\x1b[?25l") < written.index("\x1b[?25h")
        assert "no" in written.split("\x1b[1A")[-1]

    @pytest.mark.parametrize("terminal", [True, False])
    def test_only_on_a_terminal_stderr_is_put_aside(self, monkeypatch, capfd, terminal):
        stderr = SimpleNamespace(isatty=lambda: terminal)
        monkeypatch.setattr("sys.__stderr__", stderr)
        console = Console(file=io.StringIO(), width=80, force_terminal=True)
        with View(Listener(Levels()), Fixed(), name="gru-12", console=console):
            os.write(2, b"ALSA lib: underrun ")
        os.write(2, b"afterwards")
        assert capfd.readouterr().err == ("" if terminal else "ALSA lib: underrun ") + "afterwards"


@pytest.fixture(scope="module")
def truth(sample):
    rows = [x.split("\t") for x in (sample / "stream.tsv").read_text().splitlines()]
    return [(float(a), float(b), label) for a, b, label in rows]


def assert_true(found, truth):
    """Each word once, from its beginning to a second after its end; nothing else."""
    words = [row for row in truth if row[2] != "_unknown_"]
    assert [label for _, label in found] == [label for *_, label in words]
    for (instant, _), (start, end, _) in zip(found, words, strict=True):
        assert start < instant < end + 1.0


def run(*arguments, **options):
    command = [sys.executable, "-m", "echoic", "listen", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )


def parsed(text):
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(list(row) == ["time", "label", "confidence"] for row in rows)
    return [(row["time"], row["label"]) for row in rows]


class TestCommand:
    def test_hears_the_sample_stream(self, sample, truth):
        done = run("--wav", sample / "stream.wav", "--json")
        assert done.returncode == 0
        assert done.stderr == ""
        assert_true(parsed(done.stdout), truth)

    @pytest.mark.parametrize("block_seconds", [0.0107, 0.25, 3.0])
    def test_a_models_words_do_not_depend_on_the_blocks(self, sample, block_seconds):
        def hear(seconds):
            notes = Notes()
            bundle = Bundle.load()
            listener = Listener(Recognizer(bundle).stream(), config=bundle.decoder, outputs=[notes])
            listener.listen(FileSource(sample / "stream.wav", block_seconds=seconds))
            return notes.detections

        assert hear(block_seconds) == hear(0.02)

    def test_in_a_pipe_it_writes_plain_lines(self, sample, truth):
        done = run("--wav", sample / "stream.wav", env={**os.environ, "COLUMNS": "60"})
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        rows = [line.split() for line in done.stdout.splitlines()]
        assert_true([(float(row[0]), row[2]) for row in rows], truth)

    def test_realtime_takes_as_long_as_the_sound(self, sample, tmp_path):
        path = tmp_path / "short.wav"
        audio.write(path, audio.read(sample / "stream.wav")[: 2 * RATE])
        began = time.monotonic()
        done = run("--wav", path, "--realtime", "--json")
        assert time.monotonic() - began >= 2.0
        assert [label for _, label in parsed(done.stdout)] == ["yes"]

    def test_keeps_clips_and_all_sound(self, sample, tmp_path):
        done = run(
            "--wav", sample / "stream.wav", "--json",
            "--save", tmp_path / "clips", "--record", tmp_path / "all.wav",
        )  # fmt: skip
        found = parsed(done.stdout)
        names = {f"{label}_{instant:.2f}.wav" for instant, label in found}
        assert {p.name for p in (tmp_path / "clips").iterdir()} == names
        assert f"{len(found)} clips kept in" in done.stderr
        whole = audio.read(sample / "stream.wav")
        assert np.array_equal(audio.read(tmp_path / "all.wav"), whole)
        again = run("--wav", sample / "stream.wav", "--record", tmp_path / "all.wav")
        assert "All sound is in" not in again.stderr
        assert again.returncode == 1
        assert "name another file" in again.stderr

    def test_needs_neither_tensorflow_nor_librosa(self, sample):
        code = (
            "import sys\nfrom echoic.cli import main\n"
            f"try:\n    main(['listen', '--json', '--wav', {str(sample / 'stream.wav')!r}])\n"
            "except SystemExit as end:\n    assert not end.code, end.code\n"
            "heavy = ('tensorflow', 'keras', 'librosa', 'scipy', 'matplotlib', 'sounddevice')\n"
            "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert done.stderr.strip() == "[]"

    @pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
    def test_ctrl_c_ends_with_130_and_what_was_kept_is_whole(self, sample, tmp_path):
        command = [sys.executable, "-m", "echoic", "listen", "--json", "--realtime"]
        command += ["--wav", str(sample / "stream.wav"), "--record", str(tmp_path / "all.wav")]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            first = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130
        assert first["label"] == "yes"
        assert out == ""
        assert "Traceback" not in err
        recorded = audio.read(tmp_path / "all.wav")
        assert len(recorded) >= first["time"] * RATE
        whole = audio.read(sample / "stream.wav")
        assert np.array_equal(recorded, whole[: len(recorded)])

    def test_a_reader_that_leaves_is_no_failure_to_explain(self, sample):
        command = [sys.executable, "-m", "echoic", "listen", "--json", "--realtime"]
        with subprocess.Popen(
            [*command, "--wav", str(sample / "stream.wav")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(timeout=60) == 1

    def test_the_picture_of_the_readme_is_drawn(self, root, tmp_path):
        script = runpy.run_path(str(root / "docs" / "listen.py"))
        script["main"](str(tmp_path / "listen.svg"))
        svg = (tmp_path / "listen.svg").read_text(encoding="utf-8")
        for words in ("listening", "stop", "right", "gru-12", "stream.wav"):
            assert words in svg
        remembered = (tmp_path / "listen_memory.svg").read_text(encoding="utf-8")
        assert "memory:" in remembered
        assert "memory:" not in svg


class TestMicrophone:
    def test_says_the_words_that_are_played_to_it(
        self, virtual_microphone, sample, truth, tmp_path
    ):
        whole = audio.to_int16(audio.read(sample / "stream.wav"))
        seconds = 9
        recording = tmp_path / "all.wav"
        command = [sys.executable, "-m", "echoic", "listen", "--json", "--record", str(recording)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            greeting = process.stderr.readline()
            virtual_microphone.play(whole[: seconds * RATE]).wait(timeout=60)
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert "Listening to default at 16,000 Hz." in greeting
        assert process.returncode == 130, err
        assert "Traceback" not in err
        recorded = audio.to_int16(audio.read(recording))
        offset = np.flatnonzero(recorded)[0] - np.flatnonzero(whole)[0]
        played = recorded[offset : offset + seconds * RATE]
        assert np.array_equal(played, whole[: seconds * RATE])
        found = [(instant - offset / RATE, label) for instant, label in parsed(out)]
        assert_true(found, [row for row in truth if row[1] + 1 < seconds])

    def test_goes_on_after_a_loss_and_says_so(self, virtual_microphone, sample, truth):
        whole = audio.to_int16(audio.read(sample / "stream.wav"))
        process = subprocess.Popen(
            [sys.executable, "-m", "echoic", "listen", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert "Listening to" in process.stderr.readline()
            virtual_microphone.kill()
            # PortAudio has its say there, too.
            gone = next(line for line in process.stderr if "is gone" in line)
            virtual_microphone.start()
            back = next(line for line in process.stderr if "is back" in line)
            virtual_microphone.play(whole[: 4 * RATE]).wait(timeout=60)
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130, err
        assert gone.endswith("The recognizer begins anew.\n")
        assert "is back after" in back
        assert [label for _, label in parsed(out)] == ["yes", "left"]

    def test_a_sound_system_that_hangs_at_the_start_does_not_hold_it(self, virtual_microphone):
        virtual_microphone.freeze()
        process = subprocess.Popen(
            [sys.executable, "-m", "echoic", "listen", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 1
        assert out == ""
        assert "The sound system has not answered" in err
