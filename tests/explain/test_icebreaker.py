"""The ice breaker by voice: the game, the loop that does not hear itself, and the command."""

import io
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from echoic import audio
from echoic.config import DecoderConfig
from echoic.explain.icebreaker import IceBreaker, IceBreakerView, Turn, play
from echoic.live import Listener, Voice, half_duplex
from echoic.live.voice import speech_program
from echoic.microphone import Block, Event, Microphone, Status
from echoic.runtime.recognizer import Posterior

RATE = audio.SAMPLE_RATE
LABELS = ("_silence_", "_unknown_", "yes", "no", "up")
SAMPLE_WORDS = {"yes": (0.9, 2.3), "left": (2.8, 4.2)}
"""Where in the sample stream they are (s), with quiet around them."""

needs_voice = pytest.mark.skipif(speech_program() is None, reason="there is no espeak-ng")


def speaks_for(seconds, status=0):
    code = f"import sys, time; sys.stdin.read(); time.sleep({seconds}); sys.exit({status})"
    return [sys.executable, "-c", code]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Sound:
    """A source of given blocks that were heard the moment they are given, or earlier."""

    def __init__(self, blocks=(), *, backlog=0.0, latency=0.0, on_block=None):
        self.blocks = list(blocks)
        self.status = Status("live", "a test", backlog=backlog, latency=latency)
        self.on_block = on_block

    def __iter__(self):
        for block in self.blocks:
            if self.on_block:
                self.on_block(block)
            yield block


class Said:
    """A recognizer whose blocks are full of the number of a label."""

    step_seconds = 0.02
    labels = LABELS

    def __init__(self):
        self.resets = 0
        self.steps = 0

    def reset(self):
        self.resets += 1
        self.steps = 0

    def process(self, samples):
        self.steps += 1
        row = np.full(len(LABELS), 0.01, np.float32)
        row[round(float(samples[0]) * 10)] = 1 - 0.01 * (len(LABELS) - 1)
        return [Posterior(self.steps * self.step_seconds, row)]


def spoken(*words):
    """Blocks: 0.2 s of each word with 0.6 s of silence after it."""
    labels = [x for word in words for x in [word] * 10 + ["_silence_"] * 30]
    return [
        Block(np.full(320, LABELS.index(label) / 10, np.float32), i * 0.02)
        for i, label in enumerate(labels)
    ]


def listener():
    config = DecoderConfig(smoothing=0.06, enter=0.8, exit=0.4, refractory=0.3)
    return Listener(Said(), config=config)


class TestGame:
    def test_repeats_all_words_in_order(self):
        game = IceBreaker(LABELS)
        assert game.on_word("no") == Turn("no", ("no",))
        assert game.on_word("yes") == Turn("yes", ("no", "yes"))
        assert game.words == ("no", "yes")
        assert game.ending is None
        assert game.on_word("up").reply == "no, yes, up. That is every word I know: nobody forgot."
        assert game.ending == "complete"

    def test_a_word_that_was_said_is_forgotten(self):
        game = IceBreaker(LABELS)
        game.on_word("no")
        game.on_word("up")
        turn = game.on_word("no")
        assert turn == Turn("no", ("no", "up"), "forgotten")
        assert turn.reply == "You forgot: you had said no already. no, up."
        with pytest.raises(ValueError, match="after the game is over, received 'yes'"):
            game.on_word("yes")

    def test_refuses_what_cannot_be_said(self):
        with pytest.raises(ValueError, match=r"Expected one of yes, no, up, received '_unknown_'"):
            IceBreaker(LABELS).on_word("_unknown_")
        with pytest.raises(ValueError, match="a word among them"):
            IceBreaker(LABELS[:2])

    @given(st.lists(st.sampled_from(LABELS[2:]), min_size=1, max_size=8))
    def test_ends_at_the_first_repetition_or_with_the_last_word(self, words):
        game = IceBreaker(LABELS)
        said = []
        for word in words:
            turn = game.on_word(word)
            again = word in said
            said += [] if again else [word]
            assert turn.words == tuple(said)
            if again:
                assert turn.ending == "forgotten"
            else:
                assert turn.ending == ("complete" if len(said) == 3 else None)
            if turn.ending:
                break


class TestSpeaker:
    def test_speaks_until_the_program_ends(self):
        with Voice(command=speaks_for(0.2)) as speaker:
            assert not speaker.speaking
            began = time.monotonic()
            speaker.say("yes")
            assert speaker.speaking
            speaker.wait()
            assert time.monotonic() - began >= 0.2
            assert not speaker.speaking

    def test_gives_the_text_to_the_program(self, tmp_path):
        path = tmp_path / "said.txt"
        code = f"import sys; open({str(path)!r}, 'wb').write(sys.stdin.buffer.read())"
        with Voice(command=[sys.executable, "-c", code]) as speaker:
            speaker.say("-v größer")
            speaker.wait()
        assert path.read_bytes().decode() == "-v größer"

    def test_what_is_heard_up_to_300_ms_after_it_is_discarded(self):
        clock = Clock()
        block = Block(np.zeros(320, np.float32), 7.0)
        with Voice(command=speaks_for(60), clock=clock) as speaker:
            assert not speaker.audible(Sound(), block)
            speaker.say("yes")
            assert speaker.audible(Sound(), block)
            speaker.stop()
            clock.now += 0.319  # the block began 20 ms before it was given
            assert speaker.audible(Sound(), block)
            clock.now += 0.002
            assert not speaker.audible(Sound(), block)
            # One that has waited was heard earlier.
            assert speaker.audible(Sound(backlog=0.1), block)
            assert speaker.audible(Sound(latency=0.1), block)

    def test_a_program_that_hangs_is_ended(self, caplog):
        clock = Clock()
        with Voice(command=speaks_for(60), clock=clock) as speaker:
            speaker.say("yes no")
            clock.now += 11.9
            assert speaker.speaking
            clock.now += 0.2
            assert not speaker.speaking
            assert speaker.silent
        assert "does not end; text only" in caplog.text

    @pytest.mark.parametrize("command", [speaks_for(0, status=3), ["/nowhere/at all"]])
    def test_one_that_fails_leaves_the_text(self, command, caplog):
        with Voice(command=command) as speaker:
            speaker.say("yes")
            speaker.wait()
            assert speaker.silent
            speaker.say("no")
            assert not speaker.speaking
        assert caplog.text.count("text only") == 1

    def test_leaving_it_ends_what_is_said(self):
        began = time.monotonic()
        with Voice(command=speaks_for(60)) as speaker:
            speaker.say("yes")
        assert not speaker.speaking
        assert time.monotonic() - began < 60

    def test_the_listener_begins_anew_after_it(self):
        clock = Clock()
        hears = listener()
        with Voice(command=speaks_for(60), clock=clock) as speaker:

            def go_on(block):
                clock.now = 100 + block.end
                if block.time == pytest.approx(0.1):
                    speaker.say("yes")
                if block.time == pytest.approx(0.5):
                    speaker.stop()

            source = Sound(spoken("_silence_", "yes", "_silence_"), on_block=go_on)
            times = []
            for block in half_duplex(source, hears, speaker):
                times.append(block.time)
                hears.process(block)
        gaps = [(a, b) for a, b in pairwise(times) if b - a > 0.03]
        assert gaps == [(pytest.approx(0.08), pytest.approx(0.82, abs=0.021))]
        assert hears.resets == hears._stream.resets == 1


class TestPlay:
    def played(self, *words, command=(), on_block=None):
        turns = []
        game, hears = IceBreaker(LABELS), listener()
        with Voice(command=command) as speaker:
            source = Sound(spoken(*words), on_block=on_block)
            play(game, source, hears, voice=speaker, on_turn=lambda *x: turns.append(x))
        return game, turns

    def test_in_silence_every_word_is_a_turn(self):
        game, turns = self.played("yes", "_unknown_", "up")
        assert [turn.words for _, turn in turns] == [("yes",), ("yes", "up")]
        assert [int(instant / 0.8) for instant, _ in turns] == [0, 2]
        assert game.ending is None

    def test_nothing_is_heard_after_the_end(self):
        game, turns = self.played("yes", "yes", "no", "up")
        assert game.words == ("yes",)
        assert [turn.ending for _, turn in turns] == [None, "forgotten"]

    def test_words_during_the_reply_are_not_heard(self):
        # All blocks come within a moment, in which the reply to the first is still said.
        game, turns = self.played("yes", "no", "up", command=speaks_for(60))
        assert game.words == ("yes",)
        assert len(turns) == 1


def shown(*turns, terminal=False, **options):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, highlight=False, width=20, **options)
    circle = IceBreakerView(console=console, events=Console(file=io.StringIO()))
    for i, turn in enumerate(turns):
        circle.show(1.5 * (i + 1), turn)
    return file.getvalue()


class TestCircle:
    TURNS = (
        Turn("yes", ("yes",)),
        Turn("no", ("yes", "no")),
        Turn("yes", ("yes", "no"), "forgotten"),
    )

    def test_in_a_pipe_a_line_a_turn(self):
        assert shown(*self.TURNS) == (
            "    1.50 s  yes\n    3.00 s  yes no\n    4.50 s  yes no (yes again)\n"
        )

    def test_on_a_dumb_terminal_it_is_the_same(self, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        assert shown(*self.TURNS, terminal=True) == shown(*self.TURNS)

    def test_on_a_terminal_the_word_is_bold(self, monkeypatch):
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        written = shown(self.TURNS[1], terminal=True, legacy_windows=False)
        assert "yes \x1b[1mno\x1b[0m" in written

    def test_tells_rules_events_and_the_end(self):
        file = io.StringIO()
        circle = IceBreakerView(
            console=Console(file=io.StringIO()), events=Console(file=file, width=20)
        )
        game = IceBreaker(LABELS)
        circle.begin(game)
        circle.on_event(Event(1.0, "lost", "[USB] is gone."))
        game.on_word("yes")
        circle.end(game)
        game.on_word("yes")
        circle.end(game)
        assert file.getvalue().splitlines()[2:] == [
            "Words: yes, no, up.",
            "    1.00 s  [USB] is gone.",
            "The sound ended after 1 word: nobody forgot.",
            "You forgot, after 1 word.",
        ]


COMMAND = [sys.executable, "-m", "echoic", "icebreaker"]


class TestCommand:
    def test_plays_with_a_recording(self, sample):
        command = [*COMMAND, "--wav", str(sample / "stream.wav")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        rows = [line.split(" s  ") for line in done.stdout.splitlines()]
        said = ["yes", "yes left", "yes left go", "yes left go (go again)"]
        assert [row[1] for row in rows] == said
        ends = [float(x.split("\t")[1]) for x in (sample / "stream.tsv").read_text().splitlines()]
        for (instant, _), end in zip(rows, ends, strict=False):
            assert abs(float(instant) - end) < 1.0
        assert done.stderr.splitlines()[-1] == "You forgot, after 3 words."

    def test_a_recording_and_a_microphone_are_one_too_many(self, sample):
        command = [*COMMAND, "--wav", str(sample / "stream.wav"), "-d", "1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 2
        assert "one of --wav and a microphone" in done.stderr


@needs_voice
class TestMicrophone:
    """What is said is played into the microphone: the only output is its input."""

    def test_what_is_said_is_captured_and_discarded_whole(self, virtual_microphone):
        kept, captured = [], []
        hears = listener()

        class Tapped(Microphone):
            def __next__(self):
                block = super().__next__()
                captured.append(block.samples)
                return block

        with Tapped(on_event=lambda event: None) as source, Voice() as speaker:
            ends = None
            for block in half_duplex(source, hears, speaker):
                if ends is None:
                    ends = block.time + 0.5
                if block.time >= ends:
                    if len(kept) and speaker._quiet_at > 0:
                        break
                    speaker.say("yes, no, stop.")
                    ends = block.time + 1.0
                kept.append(block.samples)
        assert np.abs(np.concatenate(captured)).max() > 0.05
        assert not np.concatenate(kept).any()
        assert hears._interrupted

    def test_plays_a_game_without_hearing_itself(self, virtual_microphone, sample):
        whole = audio.to_int16(audio.read(sample / "stream.wav"))

        def say(word):
            start, end = SAMPLE_WORDS[word]
            virtual_microphone.play(whole[round(start * RATE) : round(end * RATE)]).wait(60)

        process = subprocess.Popen(
            COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert any("Listening to" in line for line in process.stderr)
            lines = []
            for word in ("yes", "left", "yes"):
                say(word)
                lines.append(process.stdout.readline().split(" s  ")[1].strip())
                time.sleep(4.0)  # in which it speaks; had it heard itself, the game would be over
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert lines == ["yes", "yes left", "yes left (yes again)"]
        assert out == ""
        assert process.returncode == 0, err

    @pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
    def test_ctrl_c_ends_it(self, virtual_microphone):
        process = subprocess.Popen(
            COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert any("Listening to" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130
        assert "Traceback" not in err
