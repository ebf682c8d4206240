"""What listening needs: found, missing, or not answering."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import numpy as np
import pytest

from echoic import doctor
from echoic.doctor import run_checks
from echoic.runtime.bundle import DEFAULT, Bundle

RATE = 16_000


def card(*, signal=0.1, inputs=1):
    """A sound card like ``sounddevice`` whose stream gives a second and a half at once."""

    class Stream:
        latency = 0.01

        def __init__(self, *, blocksize, channels, callback, **_):
            self.size, self.channels, self.callback = blocksize, channels, callback

        def start(self):
            rng = np.random.default_rng(0)
            for _ in range(round(1.5 * RATE) // self.size):
                block = signal * rng.uniform(-1, 1, (self.size, self.channels))
                flags = SimpleNamespace(input_overflow=False)
                self.callback(np.float32(block), self.size, None, flags)

        def stop(self):
            pass

        close = stop

    device = {
        "name": "USB Microphone",
        "hostapi": 0,
        "max_input_channels": inputs,
        "default_samplerate": 44_100.0,
    }
    return SimpleNamespace(
        get_portaudio_version=lambda: (1, "PortAudio V19"),
        query_hostapis=lambda: [{"name": "ALSA"}],
        query_devices=lambda: [device],
        default=SimpleNamespace(device=[0 if inputs else -1, -1]),
        InputStream=Stream,
        PortAudioError=RuntimeError,
    )


def found(sample, **options):
    options = {"backend": card(), "seconds": 1.0, "data": sample, **options}
    return {check.name: check for check in run_checks(**options)}


def test_all_is_well(sample):
    checks = found(sample)
    assert list(checks) == [
        "for listening", "for training", "PortAudio", "microphone", "level", "model", "data set",
    ]  # fmt: skip
    assert {c.state for c in checks.values()} == {"ok"}
    assert "USB Microphone" in checks["microphone"].message
    assert "peak -20 dB" in checks["level"].message
    assert DEFAULT in checks["model"].message
    assert "17 words and both lists" in checks["data set"].message


def test_the_level_test_can_be_left_out(sample):
    assert "level" not in found(sample, seconds=None)


@pytest.mark.parametrize(
    ("signal", "state", "words"),
    [(0, "broken", "muted"), (1e-4, "note", "very quiet"), (1.0, "note", "too loud")],
)
def test_a_level_that_is_wrong(sample, signal, state, words):
    level = found(sample, backend=card(signal=signal))["level"]
    assert level.state == state
    assert words in level.message
    assert level.advice


def test_without_a_microphone_there_is_no_level(sample):
    checks = found(sample, backend=card(inputs=0))
    assert checks["microphone"].state == "broken"
    assert checks["microphone"].message == "There is no microphone"
    assert checks["microphone"].advice
    assert "level" not in checks
    assert checks["model"].state == "ok"


def test_another_device_than_there_is(sample):
    assert found(sample, device="Bluetooth")["microphone"].state == "broken"


def test_a_missing_package(sample, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name in ("soxr", "tensorflow"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    checks = found(sample, seconds=None)
    assert (checks["for listening"].state, checks["for training"].state) == ("broken", "note")
    assert checks["for listening"].advice == "pip install soxr"
    assert checks["for training"].advice == "pip install 'echoic[train]'"


def test_looks_for_what_the_package_declares(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements):
        return [re.match(r"[\w-]+", line)[0] for line in requirements]

    assert names(project["dependencies"]) == list(doctor.LISTENING)
    assert names(project["optional-dependencies"]["train"]) == list(doctor.TRAINING)


def test_a_model_that_does_not_answer_as_it_did(sample, tmp_path):
    copy = shutil.copytree(Bundle.load().path, tmp_path / "changed")
    path = copy / "echoic.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["fingerprint"]["stream"].reverse()
    path.write_text(json.dumps(content), encoding="utf-8")
    check = found(sample, model=copy, seconds=None)["model"]
    assert check.state == "broken"
    assert "does not answer as it did" in check.message
    assert check.advice


def test_a_model_that_cannot_listen(sample, tmp_path):
    copy = shutil.copytree(Bundle.load().path, tmp_path / "clips")
    (copy / "stream.tflite").unlink()
    check = found(sample, model=copy, seconds=None)["model"]
    assert check.state == "broken"
    assert "has no stream.tflite" in check.message


def test_a_data_set_is_not_needed(tmp_path):
    check = found(tmp_path / "nothing", seconds=None)["data set"]
    assert (check.state, check.advice) == ("note", "echoic download")
    (tmp_path / "yes").mkdir()
    (tmp_path / "validation_list.txt").write_text("")
    check = found(tmp_path, seconds=None)["data set"]
    assert check.state == "note"
    assert "1 words, without testing_list.txt" in check.message


def run(*arguments, **options):
    command = [sys.executable, "-m", "echoic", "doctor", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_command_ends_with_1_where_listening_is_broken(sample):
    done = run("--data", sample, "--device", "no such microphone")
    assert done.returncode == 1
    assert "broken " in done.stdout
    assert "ok     model" in done.stdout
    assert "Traceback" not in done.stderr


def test_command_prints_json_lines(sample):
    done = run("--data", sample, "--device", "no such microphone", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(list(row) == ["name", "state", "message", "advice"] for row in rows)
    assert {row["name"]: row["state"] for row in rows}["data set"] == "ok"


def test_command_hears_a_microphone(virtual_microphone, sample):
    noise = np.random.default_rng(0).integers(-3000, 3000, 60 * RATE).astype(np.int16)
    virtual_microphone.play(noise)
    done = run("--data", sample)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok     level" in done.stdout
    assert run("--data", sample, "--no-level").stdout.count("level") == 0
