"""The assistant: what words and time lead to, what actions may do, and what it does not hear."""

import json
import logging
import re
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from echoic import audio
from echoic.assistant import Assistant, Command, Dialogue, Order
from echoic.audio import SAMPLE_RATE
from echoic.live import Listener, Output, Voice, half_duplex
from echoic.microphone import Block, FileSource
from echoic.runtime.recognizer import Recognizer

COMMANDS = {"left": False, "right": True}


def states(*words, end=100.0):
    dialogue = Dialogue("go", COMMANDS, seconds=4.0, number_seconds=3.0)
    turns = []
    for instant, word in words:
        turns += dialogue.on_word(instant, word)
        if dialogue.state == "acting":
            assert dialogue.done(instant, "Done.").state == dialogue.state == "asleep"
    turns += dialogue.pass_time(end)
    return [(t.time, t.state, t.order) for t in turns]


LISTENING = (1.0, "listening", None)
WAITING = (2.0, "waiting for a number", None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([(1.0, "left")], []),
        ([(1.0, "go")], [LISTENING, (5.0, "asleep", None)]),
        ([(1.0, "go"), (2.0, "left")], [LISTENING, (2.0, "acting", Order("left", None, 2.0))]),
        (
            [(1.0, "go"), (2.0, "left"), (3.0, "left"), (4.0, "go"), (5.0, "left")],
            [
                LISTENING,
                (2.0, "acting", Order("left", None, 2.0)),
                (4.0, "listening", None),
                (5.0, "acting", Order("left", None, 5.0)),
            ],
        ),
        ([(1.0, "go"), (6.0, "left")], [LISTENING, (5.0, "asleep", None)]),
        ([(1.0, "go"), (2.0, "up"), (3.0, "left")], [LISTENING, (2.0, "asleep", None)]),
        (
            [(1.0, "go"), (2.0, "right"), (3.0, "four")],
            [LISTENING, WAITING, (3.0, "acting", Order("right", 4, 3.0))],
        ),
        ([(1.0, "go"), (2.0, "right")], [LISTENING, WAITING, (5.0, "asleep", None)]),
        (
            [(1.0, "go"), (2.0, "right"), (3.0, "left")],
            [LISTENING, WAITING, (3.0, "asleep", None)],
        ),
    ],
)
def test_what_words_and_time_lead_to(words, expected):
    assert states(*words) == expected


class Notes(Output):
    def __init__(self):
        self.messages = []

    def on_status(self, time, state):
        self.messages.append(state)


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
        assistant.run(source, listener=listener, speaker=Voice(command=()))
    assert [order.command for order in orders] == ["left", "left"]
    assert notes.messages[0] == "Asleep: say 'yes'."
    ends = [message for message in notes.messages if message.startswith("Asleep: left")]
    assert ends == ["Asleep: left failed: RuntimeError: not now", "Asleep: left is done."]


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
        assistant.run(source, speaker=Voice(command=()))
    for thread in threading.enumerate():
        if thread.name == "echoic action":  # waits for the program
            thread.join(20)
            assert not thread.is_alive()


def test_what_is_heard_during_an_action_is_discarded(sample, tmp_path):
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
        assistant.run(source, listener=listener, speaker=Voice(command=()))
    assert len(orders) == 1
    assert re.match(r"Asleep: left is done\. Nothing was heard for \d\d s\.", notes.messages[3])
    assert len(notes.messages) == 4


def test_without_a_listener_of_ones_own_what_goes_wrong_is_logged(sample, caplog, monkeypatch):
    """And a recording, which waits for no chime, is heard whole by the README's three lines."""
    played = []
    monkeypatch.setattr("echoic.live.loudspeaker", played.append)
    assistant = Assistant(wake="yes")

    @assistant.on("left")
    def left(order):
        raise RuntimeError("not now")

    with FileSource(sample / "stream.wav") as source:
        assistant.run(source)
    (record,) = (r for r in caplog.records if r.name == "echoic.assistant")
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "left failed"
    assert record.exc_info[0] is RuntimeError
    assert played == []


def test_functions_are_found_beside_the_configuration_and_before_listening(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    labels = Recognizer.load().labels
    (tmp_path / "my_actions.py").write_text("SPEED = 3\ndef turn(order):\n    pass\n")
    for call, message in [
        ("my_actions:turn", None),
        ("my_actions:turm", "commands.left: 'my_actions:turm' cannot be called: AttributeError"),
        ("my_actions:SPEED", "TypeError: not callable"),
        ("no_such_module:turn", "ModuleNotFoundError"),
    ]:
        (tmp_path / "mine.toml").write_text(f"[commands.left]\ncall = '{call}'\n")
        assistant = Assistant.load(tmp_path / "mine.toml")
        with pytest.raises(ValueError, match=message) if message else nullcontext():
            assistant.check(labels)


def test_a_program_is_given_the_number_as_an_argument(tmp_path):
    path = tmp_path / "number"
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    command = Command(run=[sys.executable, "-c", code, str(path), "{number}"], number=True)
    assert Assistant(commands={"right": command})._act(Order("right", 4, 1.0))[0] == "done"
    assert path.read_text() == "4"


def test_a_post_carries_the_order():
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        command = Command(post=f"http://127.0.0.1:{server.server_port}/down")
        assert Assistant(commands={"down": command})._act(Order("down", None, 2.5))[0] == "done"
    assert received == [{"command": "down", "number": None, "time": 2.5}]


@pytest.mark.parametrize(
    ("command", "reported"),
    [
        (Command(run=["no-such-program-here"]), "FileNotFoundError"),
        (Command(run=[sys.executable, "-c", "raise SystemExit(3)"]), "CalledProcessError"),
        (
            Command(
                run=[sys.executable, "-c", "input and __import__('time').sleep(60)"], timeout=1
            ),
            "TimeoutExpired",
        ),
        (Command(call=lambda order: threading.Event().wait(), timeout=0.1), "TimeoutError"),
        (Command(call=lambda order: sys.exit(1)), "SystemExit"),
        (Command(call="no_such_module:f"), "ModuleNotFoundError"),
        (Command(post="http://127.0.0.1:9/"), "URLError"),
    ],
)
def test_what_an_action_does_wrong_is_reported(command, reported):
    chime, message = Assistant(commands={"left": command})._act(Order("left", None, 1.0))
    assert chime == "sleep"
    assert message.startswith("left failed: ")
    assert reported in message


def test_clear_errors(tmp_path):
    path = tmp_path / "a.toml"
    for text, message in [
        ("wak = 'go'", "received wak"),
        ("seconds = 'x'", "Expected seconds"),
        ("[commands.left]\nrun = 'ls'", "list of strings"),
        ("[commands.left]\nnumber = true", "one of run, call and post"),
        ("[commands.left]\ncall = 3", "'module:function', received 3"),
        ("[commands.left]\nshell = 'ls'", "received shell"),
        ("=", "not TOML"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            Assistant.load(path)
    labels = Recognizer.load().labels
    Assistant.load().check(labels)
    assert Assistant.load().dry_run
    counting = Assistant(commands={"left": Command(post="http://a", number=True)})
    with pytest.raises(ValueError, match="knows numbers.*yes, no, up"):
        counting.check(labels)
    with pytest.raises(ValueError, match="received 'sheila'"):
        Assistant(wake="sheila", commands={"left": Command(post="http://a")}).check(labels)


class Room:
    """Blocks of a tenth of a second, each given when its last sample was heard."""

    def __init__(self, clock):
        self.clock = clock
        self.status = SimpleNamespace(backlog=0.0, latency=0.0)

    def __iter__(self):
        for number in range(20):
            self.clock[0] = (number + 1) / 10
            yield Block(np.zeros(SAMPLE_RATE // 10, np.float32), number / 10)


def test_it_does_not_hear_its_chimes():
    clock, played, interruptions, heard = [0.0], [], [], []
    speaker = Voice(command=(), play=played.append, clock=lambda: clock[0])
    listener = SimpleNamespace(interrupt=lambda: interruptions.append(clock[0]))
    for block in half_duplex(Room(clock), listener, speaker):
        heard.append(round(block.time, 1))
        if len(heard) == 3:
            speaker.chime("wake")
    # Begun at 0.3 s, with 0.2 s to start, 0.18 s of notes and 0.3 s of echoes.
    assert heard[2:5] == [0.2, 1.0, 1.1]
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


def test_the_command_line_runs_a_configuration(sample, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text(
        "wake = 'yes'\n[commands.left]\n"
        f"run = [{json.dumps(sys.executable)}, '-c', 'open(\"done\", \"w\").close()']\n"
    )
    command = [sys.executable, "-m", "echoic", "assistant", str(config)]
    command += ["--wav", str(sample / "stream.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (tmp_path / "done").exists()
    said = [line.split("s  ")[1].strip() for line in done.stderr.splitlines() if "s  " in line]
    assert said[:4] == [
        "Asleep: say 'yes'.",
        "Listening: Woken by 'yes'.",
        "Acting: left",
        "Asleep: left is done.",
    ]


def test_the_configuration_that_ships_only_says_what_it_would_do(sample):
    command = [sys.executable, "-m", "echoic", "assistant", "--json"]
    done = subprocess.run(
        [*command, "--wav", str(sample / "stream.wav")], capture_output=True, text=True, check=True
    )
    labels = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    assert labels[:3] == ["yes", "left", "go"]


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
        assistant.run(source, speaker=Voice(command=()))
    assert [(order.command, order.number) for order in orders] == [("right", 4)]
