"""What actions do, and how they fail in a person's words."""

import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from echoic.assistant import ActionError, Command, Order
from echoic.assistant.actions import Programs
from echoic.assistant.programs import MAX_STDERR_BYTES, Program, find_program

ORDER = Order("left", None, 1.0)
posix = pytest.mark.skipif(os.name == "nt", reason="signals and modes of POSIX")


@pytest.fixture
def programs():
    with closing(Programs()) as programs:
        yield programs


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


def failure(command, programs, order=ORDER):
    with pytest.raises(ActionError) as raised:
        command.act(order, programs)
    return str(raised.value)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # What has ended and nobody has waited for is no longer alive.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def eventually(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


# A program that starts another one, which holds its stderr open, and tells its number.
PARENT = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
partial = pathlib.Path(sys.argv[1] + ".partial")
partial.write_text(str(child.pid))
partial.rename(sys.argv[1])
"""


class TestProgram:
    def test_receives_the_number_as_an_argument(self, programs, tmp_path):
        path = tmp_path / "number"
        code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
        command = Command(run=[*python(code, path), "{number}"], number=True)
        assert command.act(Order("right", 4, 1.0), programs) == "right is done."
        assert path.read_text() == "4"

    def test_runs_in_the_folder(self, programs, tmp_path):
        Command(run=python("open('here', 'w')")).act(ORDER, programs, tmp_path)
        assert (tmp_path / "here").exists()

    def test_a_failure_shows_its_status_and_last_line_of_stderr(self, programs):
        code = (
            "import sys; print('first\\n\\x1b[31mno lamp\\x07\\n\\n', file=sys.stderr); sys.exit(3)"
        )
        assert failure(Command(run=python(code)), programs) == (
            f"the program {sys.executable!r} ended with status 3: [31mno lamp"
        )
        assert failure(Command(run=python("raise SystemExit(4)")), programs).endswith("status 4")

    def test_much_stderr_neither_stops_it_nor_is_kept(self, programs):
        code = (
            "import sys; [sys.stderr.write('x' * 100_000) for _ in range(50)]; sys.exit('the end')"
        )
        assert failure(Command(run=python(code), timeout=60), programs).endswith("x...")
        code = code.replace("'x' * 100_000", "'x' * 99 + '\\n' * 100_000")
        assert failure(Command(run=python(code), timeout=60), programs).endswith("1: the end")

    @posix
    def test_of_endless_stderr_only_the_end_is_kept(self):
        code = "import sys\nwhile True: print('x' * 1000, file=sys.stderr)"
        program = Program(python(code))
        sizes = []
        for _ in range(20):
            assert not program.wait(0.05)
            sizes.append(os.fstat(program._stderr.fileno()).st_size)
        program.kill()
        assert program.close() == f"was ended by SIGKILL: {'x' * 200}..."
        assert min(sizes[5:]) < MAX_STDERR_BYTES

    @posix
    def test_a_timeout_ends_what_it_started_too(self, programs, tmp_path):
        path = tmp_path / "child"
        command = Command(run=python(PARENT + "time.sleep(60)", path), timeout=3)
        assert failure(command, programs) == (
            f"the program {sys.executable!r} was not done after 3 s; it was stopped."
        )
        assert eventually(lambda: not alive(int(path.read_text())), 5)

    @posix
    def test_a_child_that_goes_on_holds_nothing_up(self, programs, tmp_path):
        path = tmp_path / "child"
        began = time.monotonic()
        Command(run=python(PARENT, path), timeout=30).act(ORDER, programs)
        assert time.monotonic() - began < 25
        child = int(path.read_text())
        assert alive(child)  # as when a shell starts something in the background
        os.kill(child, signal.SIGKILL)

    @posix
    def test_a_signal_is_named(self, programs):
        code = "import os; os.kill(os.getpid(), 11)"
        assert "was ended by SIGSEGV" in failure(Command(run=python(code)), programs)

    def test_one_that_is_gone_by_now_is_reported(self, programs):
        assert failure(Command(run=["no-such-program-here"]), programs) == (
            "the program 'no-such-program-here' cannot be started: Expected a program, received "
            "'no-such-program-here', which is not on PATH."
        )

    def test_an_argument_that_cannot_be_is_reported(self, programs):
        message = failure(Command(run=[sys.executable, "a\0b"]), programs)
        assert message.endswith("cannot be started: embedded null byte")

    @posix
    def test_one_without_an_interpreter_is_reported(self, programs, tmp_path):
        path = tmp_path / "lamp"
        path.write_text("no program")
        path.chmod(0o755)
        assert "cannot be started: Exec format error" in failure(Command(run=[str(path)]), programs)


class TestWithoutWaiting:
    def test_the_program_is_started_and_outlives_the_assistant(self, tmp_path):
        programs = Programs()
        code = PARENT + "pathlib.Path(sys.argv[2]).touch(); child.wait()"
        command = Command(run=python(code, tmp_path / "child", tmp_path / "begun"), wait=False)
        began = time.monotonic()
        assert command.act(ORDER, programs) == f"left: the program {sys.executable!r} was started."
        assert time.monotonic() - began < 5
        assert eventually((tmp_path / "begun").exists)
        ((_, _, program),) = programs._started
        programs.close()
        assert program._process.poll() is None
        os.kill(int((tmp_path / "child").read_text()), signal.SIGTERM)
        assert eventually(lambda: program._process.returncode is not None)  # nothing is left of it
        with pytest.raises(ActionError, match="the assistant has ended"):
            command.act(ORDER, programs)

    def test_a_later_failure_is_reported_once(self, programs):
        for code in ("raise SystemExit('no song')", "pass"):
            Command(run=python(code), wait=False).act(ORDER, programs)
        found = []
        assert eventually(lambda: found.extend(programs.failures()) or not programs._started)
        ((order, error),) = found
        assert order == ORDER
        assert str(error) == f"the program {sys.executable!r} ended with status 1: no song"

    def test_it_is_for_programs_without_a_timeout(self):
        with pytest.raises(ValueError, match="Expected no timeout with wait = false, received 2"):
            Command(run=["x"], wait=False, timeout=2)
        with pytest.raises(ValueError, match="Expected wait = false with run only"):
            Command(call=print, wait=False)


class TestFind:
    def test_a_name_is_looked_for_on_the_path(self, tmp_path, monkeypatch):
        with pytest.raises(FileNotFoundError, match="received 'lamp', which is not on PATH.$"):
            find_program("lamp", tmp_path)
        (tmp_path / "lamp").touch()
        with pytest.raises(FileNotFoundError, match=r"write \./lamp to run it"):
            find_program("lamp", tmp_path)

    @posix
    def test_a_path_begins_in_the_folder(self, tmp_path):
        path = tmp_path / "bin" / "lamp"
        with pytest.raises(FileNotFoundError, match=f"received 'bin/lamp'; {path} does not exist"):
            find_program("bin/lamp", tmp_path)
        path.parent.mkdir()
        path.touch(0o644)
        with pytest.raises(FileNotFoundError, match=r"is not executable; chmod \+x"):
            find_program("bin/lamp", tmp_path)
        with pytest.raises(FileNotFoundError, match="is a folder"):
            find_program("./bin", tmp_path)
        path.chmod(0o755)
        assert find_program("bin/lamp", tmp_path) == find_program(str(path)) == str(path)


class TestFunction:
    def test_a_failure_shows_the_message_and_the_line(self, programs, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "lamps.py").write_text(
            "def off(order):\n    raise RuntimeError('not\\nnow')\n"
            "def find(order):\n    return {}['kitchen']\n"
            "def read(order):\n    open('/nowhere/lamp')\n"
            "def leave(order):\n    raise SystemExit(2)\n"
            "def quiet(order):\n    assert not order\n"
        )
        for name, expected in [
            ("off", "not now (lamps.py, line 2)"),
            ("find", "there is no 'kitchen' (lamps.py, line 4)"),
            ("read", "No such file or directory: /nowhere/lamp (lamps.py, line 6)"),
            ("leave", "it ended with status 2 (lamps.py, line 8)"),
            ("quiet", "lamps.py, line 10"),
        ]:
            message = failure(Command(call=f"lamps:{name}"), programs)
            assert message == f"the function 'lamps:{name}' failed: {expected}"

    def test_one_that_hangs_is_left_behind(self, programs):
        def hang(order):
            release.wait()

        release = threading.Event()
        assert failure(Command(call=hang, timeout=0.1), programs) == (
            "the function 'hang' was not done after 0.1 s; it goes on in the background."
        )
        release.set()

    def test_one_that_is_not_there_is_an_error_before(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "shutters.py").write_text("SPEED = 3\n")
        (tmp_path / "broken.py").write_text("import no_such_module\n")
        (tmp_path / "odd.py").write_text("1 / 0\n")
        for call, message in [
            ("shutters:turn", "shutters has no 'turn'"),
            ("shutters:SPEED", "which cannot be called"),
            ("no_such_module:turn", "there is no module 'no_such_module'"),
            ("broken:turn", "there is no module 'no_such_module'"),
            ("odd:turn", r"its module fails: division by zero \(odd.py, line 1\)"),
        ]:
            with pytest.raises(ValueError, match=message):
                Command(call=call).check()
        assert "cannot be called" in failure(Command(call="shutters:SPEED"), Programs())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        received = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(received)
        self.send_response(404 if received["number"] else 204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class TestPost:
    @pytest.fixture
    def server(self):
        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            server.received = []
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server
            server.shutdown()

    def test_carries_the_order(self, programs, server):
        command = Command(post=f"http://127.0.0.1:{server.server_port}/down")
        assert command.act(Order("down", None, 2.5), programs) == "down is done."
        assert server.received == [{"command": "down", "number": None, "time": 2.5}]
        message = failure(command, programs, Order("down", 4, 2.5))
        assert message == f"{command.post} answered 404 Not Found"

    def test_an_address_that_does_not_answer(self, programs):
        message = failure(Command(post="http://127.0.0.1:9/"), programs)
        assert message == "http://127.0.0.1:9/ cannot be reached: Connection refused"
        with closing(socket.create_server(("127.0.0.1", 0))) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            message = failure(Command(post=address, timeout=0.2), programs)
            assert message == f"{address} has not answered after 0.2 s."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "one of run, call and post, received none"),
        ({"run": ["ls"], "post": "http://a"}, "received run and post"),
        ({"run": "ls"}, "Expected run to be a list, received 'ls'"),
        ({"run": ["ls", 3]}, r"Expected run\[1\] to be a string, received 3"),
        ({"call": "print"}, "'module:function', received 'print'"),
        ({"post": "ftp://a"}, "an http address, received 'ftp://a'"),
        ({"run": ["ls"], "number": "yes"}, "Expected number to be bool"),
        ({"run": ["ls"], "timeout": 0}, "Expected timeout above 0, received 0"),
        ({"run": ["ls"], "timeout": "5"}, "Expected timeout to be float, received '5'"),
        ({"rum": ["ls"]}, "received rum; did you mean run?"),
    ],
)
def test_a_command_is_checked(values, message):
    with pytest.raises(ValueError, match=message):
        Command(**values)
