"""A model to export, its family, and sounds of every kind to hear."""

import json
import subprocess
import sys

import numpy as np
import pytest

from echoic import audio
from echoic.runtime.bundle import Bundle


@pytest.fixture(scope="session")
def tiny(tiny_model):
    return Bundle.load(tiny_model)


@pytest.fixture(scope="session")
def sounds(sample):
    rng = np.random.default_rng(0)
    speech = audio.fix_length(audio.read(next((sample / "yes").glob("*.wav"))), 16000)
    noise = rng.standard_normal(16000).astype(np.float32)
    return {
        "speech": speech,
        "silence": np.zeros(16000, np.float32),
        "noise": 0.1 * noise,
        "clipping": np.clip(100 * speech, -1, 1),
        "faint": 1e-4 * noise,
    }


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
