"""``echoic assistant``."""

import json
import subprocess
import sys

import numpy as np

from echoic import audio
from echoic.audio import SAMPLE_RATE


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
        "Listening: woken by 'yes'.",
        "Acting: left",
        "Asleep: left is done.",
    ]


def test_the_configuration_that_ships_only_says_what_it_would_do(sample):
    command = [sys.executable, "-m", "echoic", "assistant", "--json"]
    done = subprocess.run(
        [*command, "--wav", str(sample / "stream.wav")], capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["label"] for row in rows if "label" in row][:3] == ["yes", "left", "go"]
    assert [row["message"] for row in rows if row.get("event") == "done"] == [
        "Dry run: would call builtins:print."
    ] * len([row for row in rows if row.get("event") == "command"])


ACTIONS = """
import os, sys, time
print("imported")
def act(order):
    print("printed")
    os.write(1, b"written\\n")
    os.system("echo from a program")
    raise ValueError("no lamp")
"""


def test_json_lines_are_words_and_events_and_nothing_that_an_action_prints(sample, tmp_path):
    (tmp_path / "actions_here.py").write_text(ACTIONS)
    config = tmp_path / "mine.toml"
    program = [sys.executable, "-c", "import sys; print('hello'); sys.exit('no motor')"]
    config.write_text(
        "wake = 'yes'\n[commands.left]\ncall = 'actions_here:act'\n"
        f"[commands.right]\nrun = {json.dumps(program)}\n"
    )
    twice = tmp_path / "twice.wav"
    said = audio.read(sample / "stream.wav")
    right = said[round(15.5 * SAMPLE_RATE) : round(17 * SAMPLE_RATE)]
    audio.write(twice, np.concatenate([said[: 4 * SAMPLE_RATE], said[: 2 * SAMPLE_RATE], right]))
    command = [sys.executable, "-m", "echoic", "assistant", str(config), "--json"]
    done = subprocess.run(
        [*command, "--wav", str(twice)], capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    words = [row for row in rows if list(row) == ["time", "label", "confidence"]]
    events = [row for row in rows if list(row) == ["time", "event", "command", "number", "message"]]
    assert len(words) + len(events) == len(rows)
    assert [row["label"] for row in words] == ["yes", "left", "yes", "right"]
    assert [(row["event"], row["command"], row["message"]) for row in events] == [
        ("sleep", None, "say 'yes'."),
        ("wake", None, "woken by 'yes'."),
        ("command", "left", "left"),
        (
            "failed",
            "left",
            "left: the function 'actions_here:act' failed: no lamp (actions_here.py, line 8)",
        ),
        ("wake", None, "woken by 'yes'."),
        ("command", "right", "right"),
        (
            "failed",
            "right",
            f"right: the program {sys.executable!r} ended with status 1: no motor",
        ),
    ]
    assert events[1]["time"] == words[0]["time"]
    for line in ("imported", "printed", "written", "from a program"):
        assert line in done.stderr.splitlines()
