"""A microphone without hardware: a private PulseAudio whose source hears what is played to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

RATE = 16_000
COMMANDS = ("pulseaudio", "pactl", "pacat")

ASOUND = """
pcm.pulse { type pulse hint { show on description "PulseAudio" } }
ctl.pulse { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def why_not() -> str:
    """Say what this machine lacks for a virtual microphone; nothing if it lacks nothing."""
    if sys.platform != "linux":
        return "PulseAudio's ALSA device is there on Linux only"
    if missing := [command for command in COMMANDS if not shutil.which(command)]:
        return f"there is no {', '.join(missing)}: apt install pulseaudio pulseaudio-utils"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return "there is no PortAudio: apt install libportaudio2"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA has no way to PulseAudio: apt install libasound2-plugins"
    return ""


class VirtualMicrophone:
    """The server and what can happen to it.

    Sound is 16,000 Hz from end to end, so that what is captured is what was played, bit for bit.

    Attributes
    ----------
    environment
        Variables that make a program hear this microphone as its default one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "native"
        (folder / "asound.conf").write_text(ASOUND)
        self.environment = {
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_SERVER": f"unix:{self.socket}",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
            "JACK_NO_START_SERVER": "1",
        }
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []

    @property
    def _environ(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def start(self) -> None:
        """Start the server and wait until it answers."""
        environ = self._environ
        del environ["PULSE_SERVER"]  # a server that is told of a server does not start
        environ.pop("DISPLAY", None)
        command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no"]
        command += ["--exit-idle-time=-1", "--disable-shm=yes"]
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 socket={self.socket}",
            # Without norewinds=1 samples are lost.
            f"module-null-sink sink_name=mic_sink rate={RATE} channels=1 channel_map=mono "
            "norewinds=1",
            "module-remap-source source_name=mic master=mic_sink.monitor",
        ]
        for module in modules:
            command += ["-L", module]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while not self.pactl("set-default-source", "mic"):
            assert self._server.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < end, "PulseAudio does not answer"
            time.sleep(0.05)

    def pactl(self, *arguments: str) -> bool:
        """Tell the server something; whether it did it."""
        command = ["pactl", *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, check=False)
        return done.returncode == 0

    def play(self, samples: npt.NDArray[np.int16]) -> subprocess.Popen[bytes]:
        """Begin to speak into the microphone: int16 (samples,) at 16,000 Hz."""
        path = self.folder / f"{len(self._players)}.raw"
        samples.astype("<i2").tofile(path)
        command = ["pacat", "--playback", "--raw", f"--rate={RATE}", "--channels=1"]
        command += ["--format=s16le", "--device=mic_sink", str(path)]
        player = subprocess.Popen(
            command, env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._players.append(player)
        return player

    def mute(self, muted: bool = True) -> None:
        """Push the mute button, or release it."""
        assert self.pactl("set-source-mute", "mic", str(int(muted)))

    def freeze(self) -> None:
        """Stop the server in its tracks: it holds its connections and answers nothing."""
        assert self._server
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        if self._server:
            self._server.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the server and whatever plays."""
        for process in [*self._players, *([self._server] if self._server else [])]:
            process.kill()
            process.wait()
        self._players.clear()
        self._server = None
        self.socket.unlink(missing_ok=True)
