"""The family of the tiny model, exported once for all tests of exports."""

import json
import subprocess
import sys

import pytest

from echoic.bundle import Bundle


@pytest.fixture(scope="session")
def exported(tiny_model, sample, tmp_path_factory):
    """The family of the tiny model, by ``echoic export``, and what it said."""
    out = tmp_path_factory.mktemp("family") / "tiny"
    command = [sys.executable, "-m", "echoic", "export", str(tiny_model), "--out", str(out)]
    command += ["--data", str(sample), "--c-array", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return Bundle.load(out), json.loads(done.stdout)


@pytest.fixture(scope="session")
def family(exported):
    return exported[0]
