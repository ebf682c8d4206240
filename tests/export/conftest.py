"""A model to export, and sounds of every kind to hear."""

import numpy as np
import pytest

from echoic import audio
from echoic.bundle import Bundle


@pytest.fixture(scope="session")
def tiny(tiny_model):
    return Bundle.load(tiny_model)


@pytest.fixture(scope="session")
def sounds(sample):
    rng = np.random.default_rng(0)
    speech = audio.fit_length(audio.read(next((sample / "yes").glob("*.wav"))), 16000)
    noise = rng.standard_normal(16000).astype(np.float32)
    return {
        "speech": speech,
        "silence": np.zeros(16000, np.float32),
        "noise": 0.1 * noise,
        "clipping": np.clip(100 * speech, -1, 1),
        "faint": 1e-4 * noise,
    }
