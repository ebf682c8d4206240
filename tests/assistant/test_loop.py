"""The loop: what an assistant listens to, does and reports."""

import logging
import re
import sys
import threading
import time

import numpy as np
import pytest

from echoic import audio
from echoic.assistant import Assistant, Command
from echoic.audio import SAMPLE_RATE
from echoic.live import Listener, Output, Voice
from echoic.microphone import FileSource
from echoic.runtime.recognizer import Recognizer


class Notes(Output):
    def __init__(self):
        self.messages, self.events = [], []

    def on_status(self, activity):
        self.messages.append(str(activity))
        self.events.append(activity)


def test_an_action_that_fails_does_not_end_the_listening(sample, tmp_path):
    """The sample stream twice: "yes, left" comes in each half."""
    path = tmp_path / "twice.wav"
    audio.write(path, np.tile(audio.read(sample / "stream.wav"), 2))
    assistant = Assistant(wake="yes")
    orders = []

    @assistant.on("left")
    def left(order):
        orders.append(order)
        if len(orders) == 1:
            raise RuntimeError("not now")

    notes = Notes()
    recognizer = Recognizer.load()
    listener = Listener(recognizer.stream(), config=recognizer.bundle.decoder, outputs=[notes])
    with FileSource(path) as source:
        assistant.run(source, listener=listener, voice=Voice(command=()))
    assert [order.command for order in orders] == ["left", "left"]
    assert notes.messages[0] == "Asleep: say 'yes'."
    ends = [message for message in notes.messages if message.startswith("Asleep: left")]
    line = left.__code__.co_firstlineno + 4
    assert ends == [
        f"Asleep: left: the function 'left' failed: not now (test_loop.py, line {line})",
        "Asleep: left is done.",
    ]
    told = [(e.event, e.command) for e in notes.events if e.event != "sleep"]
    assert told[:3] == [("wake", None), ("command", "left"), ("failed", "left")]
    assert ("done", "left") in told


class Quick(FileSource):
    """Goes on by itself as a microphone does, twenty times as fast."""

    def __next__(self):
        self.realtime = False  # else it takes as long as the sound
        block = super().__next__()
        self.realtime = True
        time.sleep(0.001)
        return block


def test_a_program_does_not_outlive_the_listening(sample, tmp_path):
    class Broken(Quick):
        def __next__(self):
            if (tmp_path / "begun").exists():
                raise OSError("broken")
            return super().__next__()

    path = tmp_path / "long.wav"
    audio.write(path, np.pad(audio.read(sample / "stream.wav"), (0, 120 * SAMPLE_RATE)))
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    program = [sys.executable, "-c", code, str(tmp_path / "begun")]
    assistant = Assistant(wake="yes", commands={"left": Command(run=program, timeout=60)})
    with Broken(path) as source, pytest.raises(OSError, match="broken"):
        assistant.run(source, voice=Voice(command=()))
    for thread in threading.enumerate():
        if thread.name == "echoic action":  # waits for the program
            thread.join(20)
            assert not thread.is_alive()


def test_sound_during_an_action_is_discarded(sample, tmp_path):
    """The sample stream twice; the first "left" goes on until the second "yes" is over."""
    path = tmp_path / "twice.wav"
    audio.write(path, np.tile(audio.read(sample / "stream.wav"), 2))
    assistant = Assistant(wake="yes")
    orders = []

    @assistant.on("left", timeout=60)
    def left(order):
        orders.append(order)
        while source.status.time < 21.5:
            time.sleep(0.001)

    notes = Notes()
    recognizer = Recognizer.load()
    listener = Listener(recognizer.stream(), config=recognizer.bundle.decoder, outputs=[notes])
    with Quick(path) as source:
        assistant.run(source, listener=listener, voice=Voice(command=()))
    assert len(orders) == 1
    assert re.match(
        r"Asleep: left is done\. \d\d s of sound were discarded meanwhile\.", notes.messages[3]
    )
    assert len(notes.messages) == 4


def test_without_a_listener_of_ones_own_what_goes_wrong_is_logged(sample, caplog, monkeypatch):
    """And nothing of a recording, which waits for no chime, is discarded."""
    played = []
    monkeypatch.setattr("echoic.assistant.loop.loudspeaker", played.append)
    assistant = Assistant(wake="yes")

    @assistant.on("left")
    def left(order):
        raise RuntimeError("not now")

    with FileSource(sample / "stream.wav") as source:
        assistant.run(source)
    (record,) = (r for r in caplog.records if r.name == "echoic.assistant.loop")
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("left: the function 'left' failed: not now (test_loop.py")
    assert record.exc_info[0] is RuntimeError
    assert played == []


def test_a_command_carries_a_number(sample, tmp_path):
    """ "go, right, four", said by a test voice to the model that knows numbers."""
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    words = [
        audio.read(sample / word / "3f15bea9_nohash_0.wav") for word in ("go", "right", "four")
    ]
    parts = [pause, pause, *(part for word in words for part in (word, pause)), pause, pause]
    hiss = np.random.default_rng(0).standard_normal(sum(map(len, parts))).astype(np.float32)
    audio.write(tmp_path / "said.wav", np.concatenate(parts) + np.float32(1e-3) * hiss)
    orders = []
    assistant = Assistant("gru-commands", wake="go")
    assistant.on("right", number=True)(orders.append)
    with FileSource(tmp_path / "said.wav") as source:
        assistant.run(source, voice=Voice(command=()))
    assert [(order.command, order.number) for order in orders] == [("right", 4)]


def test_a_program_that_is_not_waited_for_lets_the_listening_go_on(sample, tmp_path):
    """The sample stream twice: the first "left" fails while the second is already said."""
    path = tmp_path / "twice.wav"
    audio.write(path, np.tile(audio.read(sample / "stream.wav"), 2))
    code = "import pathlib, sys, time\npathlib.Path(sys.argv[1]).touch()\nsys.exit('no song')"
    command = Command(run=[sys.executable, "-c", code, str(tmp_path / "begun")], wait=False)
    assistant = Assistant(wake="yes", commands={"left": command})
    notes = Notes()
    recognizer = Recognizer.load()
    listener = Listener(recognizer.stream(), config=recognizer.bundle.decoder, outputs=[notes])

    class Slow(Quick):
        def __next__(self):
            if self.status.time > 25:  # until both have ended
                time.sleep(0.02)
            return super().__next__()

    with Slow(path) as source:
        assistant.run(source, listener=listener, voice=Voice(command=()))
    events = [e for e in notes.events if e.command == "left"]
    assert [e.event for e in events[:2]] == ["command", "done"]
    assert events[1].time - events[0].time < 1.5
    assert sorted(e.event for e in events) == ["command"] * 2 + ["done"] * 2 + ["failed"] * 2
    assert events[1].message == f"left: the program {sys.executable!r} was started."
    (message,) = {e.message for e in events if e.event == "failed"}
    assert message == f"left: the program {sys.executable!r} ended with status 1: no song"
