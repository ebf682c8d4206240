"""Programs of the system: found, started in a process group of their own, ended with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from echoic.timeouts import POLL_SECONDS

MAX_STDERR_BYTES = 1_000_000
"""Size of a program's stderr from which on only its end is kept."""

TAIL_BYTES = 4096
"""Size of that end."""

LONGEST_LINE = 200
"""Characters that a report shows of a line of stderr."""


def find_program(name: str, folder: Path | None = None) -> str:
    """Return the path of a program.

    Parameters
    ----------
    name
        A name, which is looked for on PATH, or a path; ``~`` is the home directory.
    folder
        Where a relative path begins; None means the working directory.

    Raises
    ------
    FileNotFoundError
        There is no such program, or it cannot be executed.
    """
    if Path(name).name == name:
        if found := shutil.which(name):
            return found
        beside = (folder or Path()) / name
        hint = f" There is a file of that name in {beside.parent}; write ./{name} to run it."
        raise FileNotFoundError(
            f"Expected a program, received {name!r}, which is not on PATH."
            + (hint if beside.is_file() else "")
        )
    path = (folder or Path()).absolute() / Path(name).expanduser()
    if found := shutil.which(path):
        return str(found)
    reason = f"{path} does not exist."
    if path.is_dir():
        reason = f"{path} is a folder."
    elif path.exists():
        reason = f"{path} is not executable; chmod +x makes it so."
    raise FileNotFoundError(f"Expected a program, received {name!r}; {reason}")


class Program:
    """A program that runs, without stdin and stdout.

    Its stderr goes to a temporary file, of which the end is kept: a pipe could fill up and stop the
    program, and a child of the program could hold it open.

    Parameters
    ----------
    arguments
        The program's path and its arguments; no shell reads them.
    folder
        Working directory; None means this process's.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self, arguments: Sequence[str], folder: Path | None = None) -> None:
        self._stderr: BinaryIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        try:
            _append_only(self._stderr)
            self._process = _start(arguments, folder, self._stderr)
        except BaseException:
            self._stderr.close()
            raise

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most some seconds; return whether it has ended."""
        end = time.monotonic() + seconds
        while True:
            left = max(end - time.monotonic(), 0.0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(POLL_SECONDS, left))
                return True
            self._trim()
            if not left:
                return False

    def poll(self) -> bool:
        """Return whether it has ended; the system keeps nothing of one that has."""
        self._trim()
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it with all programs of its group; one that has ended leaves its children alone."""
        if self._process.poll() is None:
            _kill_group(self._process)
            self._process.wait()

    def release(self) -> None:
        """Let it outlive this process; its stderr is no longer read."""
        self._stderr.close()
        if self._process.poll() is None:
            # The thread holds the process: Python warns of one that is dropped before its end.
            threading.Thread(target=self._process.wait, name="echoic program", daemon=True).start()

    def close(self) -> str | None:
        """Return how it failed, with its last line of stderr; None after a success."""
        with self._stderr:
            status = self._process.returncode
            if not status:
                return None
            end = f"ended with status {status}"
            if status < 0:
                with contextlib.suppress(ValueError):  # a signal without a name
                    end = f"was ended by {signal.Signals(-status).name}"
            line = self._last_line()
            return end + (f": {line}" if line else "")

    def _last_line(self) -> str:
        text = self._tail().decode(errors="replace")
        lines = ["".join(c for c in line if c.isprintable()).strip() for line in text.splitlines()]
        last = next((line for line in reversed(lines) if line), "")
        return last if len(last) <= LONGEST_LINE else f"{last[:LONGEST_LINE]}..."

    def _tail(self) -> bytes:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(size - TAIL_BYTES, 0))
        return self._stderr.read(TAIL_BYTES)

    def _trim(self) -> None:
        if os.fstat(self._stderr.fileno()).st_size > MAX_STDERR_BYTES:
            tail = self._tail()
            self._stderr.truncate(0)
            self._stderr.write(tail)


if sys.platform == "win32":

    def _append_only(file: BinaryIO) -> None:
        """Windows has no such mode for a file that is open."""

    def _start(
        arguments: Sequence[str], folder: Path | None, stderr: BinaryIO
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(arguments),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )

    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)
        process.kill()

else:
    import fcntl

    def _append_only(file: BinaryIO) -> None:
        """Let the program go on at the end of the file wherever that is, as when it was trimmed."""
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_APPEND)

    def _start(
        arguments: Sequence[str], folder: Path | None, stderr: BinaryIO
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(arguments),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )

    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
