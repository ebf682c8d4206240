"""The view in a terminal."""

import io
import os
import re
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from rich.console import Console

from echoic.live import Activity, Listener
from echoic.live.view import View
from echoic.microphone import Event, Level
from fake_recognizer import CONFIG, RATE, WORDS, Fixed, Levels, blocks, spoken


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
        listener.on_status(Activity(0.5, "wake", "listening", "woken by 'go'."))
        listener.on_event(Event(0.6, "dropped", "Sound is missing."))
        view._source = Fixed(time=3600.0)
        text = "\n".join(drawn(view, width=60))
        assert "Listening: woken by 'go'." in text
        assert "Sound is missing." not in text  # an hour ago
        listener.on_status(Activity(3600.0, "sleep", "asleep", "no command within 4 s."))
        text = "\n".join(drawn(view, width=60))
        assert "Asleep: no command within 4 s." in text
        assert "Listening: woken" not in text
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
            end = 2 + len("_silence_ ") + int(d.time / 0.2) + 1
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

    def test_a_legend_says_what_bars_and_marks_are(self):
        lines = drawn(a_view(dropped=800)[0], width=100)
        level, legend = lines[2:4]
        assert "-20 dBFS, peak ┊  -9 " in level
        assert "probability p (┊ detection threshold)" in legend
        assert re.search(r"time  detected +p ", legend)
        assert [line.split()[1] for line in lines[-5:-2]] == ["loudness", "words", "time"]
        assert "dropped\xa00.1\xa0s\xa0(×)" in lines[-2]
        for width in (40, 60):
            lines = drawn(a_view()[0], width=width)
            assert "threshold" in lines[3]
            assert "-20 dBFS" in lines[2]

    def test_an_activity_that_failed_is_red(self):
        view, listener = a_view()
        listener.on_status(Activity(4.0, "failed", "asleep", "no lamp."))
        file = io.StringIO()
        console = Console(file=file, width=80, height=30, force_terminal=True, legacy_windows=False)
        console.print(view)
        assert "\x1b[1;31m4.0 s  Asleep: no lamp." in file.getvalue()

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
