import io
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from echoic.files import atomic, discarded_stderr, quiet_stderr, reserved_stdout


class TestAtomic:
    def test_replaces_a_file_when_the_new_one_is_whole(self, tmp_path):
        path = tmp_path / "a.npz"
        path.write_bytes(b"before")
        with atomic(path) as partial:
            np.savez(partial, x=np.arange(3))
            assert path.read_bytes() == b"before"
        assert np.load(path)["x"].tolist() == [0, 1, 2]
        assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]

    def test_an_error_leaves_what_was_there(self, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("before")
        with pytest.raises(ZeroDivisionError), atomic(path) as partial:  # noqa: PT012
            partial.write_text("half")
            _ = 1 / 0
        assert path.read_text() == "before"
        assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]

    def test_moves_a_folder_and_removes_what_a_killed_program_left(self, tmp_path):
        left = tmp_path / ".set.partial" / "set" / "old.wav"
        left.parent.mkdir(parents=True)
        left.touch()
        with atomic(tmp_path / "set") as partial:
            partial.mkdir()
            (partial / "new.wav").touch()
        assert [p.name for p in (tmp_path / "set").iterdir()] == ["new.wav"]
        assert [p.name for p in tmp_path.iterdir()] == ["set"]

    def test_a_file_that_was_not_written_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError), atomic(tmp_path / "a"):
            pass


class TestStderr:
    def test_is_quiet(self, capfd):
        with quiet_stderr():
            os.write(2, b"a note")
        os.write(2, b"afterwards")
        assert capfd.readouterr().err == "afterwards"

    def test_is_shown_where_the_block_fails(self, capfd):
        with pytest.raises(ZeroDivisionError), quiet_stderr():  # noqa: PT012
            os.write(2, b"the reason")
            _ = 1 / 0
        assert capfd.readouterr().err == "the reason"

    @pytest.mark.parametrize("terminal", [True, False])
    def test_is_discarded_on_a_terminal_only(self, monkeypatch, capfd, terminal):
        monkeypatch.setattr(sys, "__stderr__", SimpleNamespace(isatty=lambda: terminal))
        with discarded_stderr():
            os.write(2, b"a note, ")
        os.write(2, b"afterwards")
        assert capfd.readouterr().err == ("" if terminal else "a note, ") + "afterwards"

    def test_a_process_without_a_console_has_none(self, monkeypatch):
        def no_console(descriptor):
            raise OSError(9, "Bad file descriptor")

        monkeypatch.setattr(os, "dup", no_console)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        with quiet_stderr(), discarded_stderr():
            pass


class TestReservedStdout:
    def test_only_the_block_writes_to_stdout(self, tmp_path):
        code = (
            "import os, sys, threading\n"
            "from echoic.files import reserved_stdout\n"
            "with reserved_stdout() as words:\n"
            "    print('word', file=words, flush=True)\n"
            "    print('by Python')\n"
            "    os.write(1, b'by C\\n')\n"
            "    os.system('echo by a program')\n"
            "    thread = threading.Thread(target=print, args=('by a thread',))\n"
            "    thread.start(); thread.join()\n"
            "    print('last', file=words)\n"
            "print('afterwards')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == ["word", "last", "afterwards"]
        noise = {"by Python", "by C", "by a program", "by a thread"}
        assert set(map(str.rstrip, done.stderr.splitlines())) == noise

    def test_a_stdout_that_is_no_file_is_enough(self, monkeypatch, capsys):
        file = io.StringIO()
        monkeypatch.setattr("sys.stdout", file)
        with reserved_stdout() as words:
            print("word", file=words)
            print("by Python")
        print("afterwards")
        assert file.getvalue() == "word\nafterwards\n"
        assert capsys.readouterr().err == "by Python\n"
