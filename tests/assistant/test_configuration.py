"""Configuration files, and what is looked for before listening."""

import os
import shutil
import sys
from contextlib import nullcontext

import pytest

from echoic.assistant import Assistant, Command, Order
from echoic.assistant.actions import Programs
from echoic.runtime.bundle import Bundle

LABELS = Bundle.load().labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wak = 'go'", "received wak; did you mean wake?"),
        ("seconds = 'x'", "Expected seconds to be float, received 'x'"),
        ("number_seconds = 0", "Expected number_seconds above 0, received 0"),
        ("dry_run = 1", "Expected dry_run to be bool, received 1"),
        ("wake = true", "Expected wake to be a string, received True"),
        ("model = 12", "Expected model to be a string, received 12"),
        ("commands = 3", "Expected commands to be a table, received 3"),
        ("commands.left = 'ls'", "Expected commands.left to be a table, received 'ls'"),
        ("[commands.left]\nrun = 'ls'", "commands.left: Expected run to be a list, received 'ls'"),
        ("[commands.left]\nnumber = true", "commands.left: Expected one of run, call and post"),
        ("[commands.left]\ncall = 'x'", "commands.left: Expected call as 'module:function'"),
        ("[commands.left]\nshell = 'ls'", "commands.left: .*received shell"),
        (
            "[commands.left]\nrun = ['xyz-lamp']",
            "commands.left: .*'xyz-lamp', which is not on PATH",
        ),
        ("[commands.left]\nrun = ['./lamp']", r"commands.left: .*lamp does not exist"),
        ("=", "is not TOML"),
    ],
)
def test_clear_errors(tmp_path, text, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"a.toml.*{message}"):
        Assistant.load(path)


def test_without_a_file():
    with pytest.raises(FileNotFoundError):
        Assistant.load("nowhere.toml")


def test_the_sample_that_ships_is_a_dry_run_that_can_be_done():
    assistant = Assistant.load()
    assistant.check(LABELS)
    assert assistant.dry_run
    assert set(assistant.commands) == {"left", "right", "up", "down"}


def test_words_that_the_model_lacks():
    counting = Assistant(commands={"left": Command(post="http://a", number=True)})
    with pytest.raises(ValueError, match="knows numbers.*yes, no, up"):
        counting.check(LABELS)
    with pytest.raises(ValueError, match="received 'sheila'"):
        Assistant(wake="sheila", commands={"left": Command(post="http://a")}).check(LABELS)
    with pytest.raises(ValueError, match="a wake word that is no command, received 'left'"):
        Assistant(wake="left", commands={"left": Command(post="http://a")}).check(LABELS)
    with pytest.raises(ValueError, match="at least one command"):
        Assistant().check(LABELS)
    with pytest.raises(ValueError, match="Expected seconds above 0"):
        Assistant(seconds=0)


def test_programs_of_python_code_are_looked_for_before_listening():
    assistant = Assistant(commands={"left": Command(run=["no-such-program-here"])})
    with pytest.raises(ValueError, match="commands.left: .*not on PATH"):
        assistant.check(LABELS)


@pytest.mark.skipif(os.name == "nt", reason="a script needs another form there")
def test_relative_paths_begin_beside_the_file(tmp_path, monkeypatch, root):
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "lamp.sh").write_text("#!/bin/sh\ntouch $1\n")
    (folder / "lamp.sh").chmod(0o755)
    file = folder / "mine.toml"
    file.write_text("model = './own'\n[commands.left]\nrun = ['./lamp.sh', 'lit']\n")
    monkeypatch.chdir(tmp_path)
    for path in (file, "house/mine.toml"):
        assistant = Assistant.load(path)
        assert assistant.model == str(folder / "own")  # not there: the error names this path
        assistant.check(LABELS)
    assistant.commands["left"].act(Order("left", None, 0.0), Programs(), assistant.folder)
    assert (folder / "lit").exists()
    # A name is one of a model, unless a folder beside the file has it.
    file.write_text("model = 'gru-12'\n")
    assert Assistant.load(file).model == "gru-12"
    shutil.copytree(root / "models" / "gru-12", folder / "gru-12")
    assert Assistant.load(file).model == str(folder / "gru-12")


def test_functions_are_found_beside_the_configuration_and_before_listening(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_actions.py").write_text("SPEED = 3\ndef turn(order):\n    pass\n")
    for call, message in [
        ("my_actions:turn", None),
        ("my_actions:turm", "commands.left: .*'my_actions:turm'; my_actions has no 'turm'"),
        ("my_actions:SPEED", "cannot be called"),
        ("no_such_module:turn", "there is no module 'no_such_module'"),
    ]:
        (tmp_path / "mine.toml").write_text(f"[commands.left]\ncall = '{call}'\n")
        assistant = Assistant.load(tmp_path / "mine.toml")
        with pytest.raises(ValueError, match=message) if message else nullcontext():
            assistant.check(LABELS)
