"""listen.py decides as `Decoder` does, on any posteriors and settings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoic.config import DecoderConfig
from echoic.export.listen import DEFAULTS, detect, file_blocks
from echoic.runtime.decoder import Decoder

LABELS = ["_silence_", "_unknown_", "yes", "no", "go"]

thresholds = st.floats(0.3, 1.0)


@st.composite
def configs(draw):
    enter, words = draw(thresholds), draw(st.dictionaries(st.sampled_from(LABELS[2:]), thresholds))
    return DecoderConfig(
        smoothing=draw(st.sampled_from([0.0, 0.1, 0.2, 0.3]) | st.floats(0, 1)),
        enter=enter,
        exit=draw(st.floats(0.05, min(enter, *words.values(), 1.0))),
        refractory=draw(st.sampled_from([0.0, 0.5]) | st.floats(0, 2)),
        words=words,
    )


def stream(seed, spread, longest):
    """Posteriors that stay at a label for a while, so that words fire and fall."""
    rng = np.random.default_rng(seed)
    stays = rng.integers(1, longest, 40)
    logits = np.repeat(rng.normal(0, spread, (40, len(LABELS))), stays, axis=0)
    logits += rng.normal(0, 0.5, logits.shape)
    rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


streams = st.builds(stream, st.integers(0, 2**32 - 1), st.floats(0.5, 8), st.integers(2, 30))


@settings(max_examples=200)
@given(rows=streams, config=configs(), hops=st.integers(1, 4))
def test_decides_as_the_decoder_does(rows, config, hops):
    step = hops * 320 / 16_000
    times = np.arange(1, len(rows) + 1) * step
    expected = Decoder(LABELS, config=config, step=step).process_many(times, rows)
    received = list(detect(iter(rows), LABELS, config.to_dict(), step))
    assert [(d.time, d.label, d.confidence) for d in expected] == received


def test_the_streams_hold_detections():
    found = [len(list(detect(stream(seed, 4, 20), LABELS, DEFAULTS, 0.04))) for seed in range(20)]
    assert min(found) > 1


def test_defaults_are_those_of_echoic():
    assert DecoderConfig().to_dict() == DEFAULTS


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"", "it is empty"), (b"hello, this is text", "RIFF")],
)
def test_what_is_no_wav_file_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=f"Expected a WAV file, received .*a.wav: .*{reason}"):
        next(file_blocks(str(path), 16_000, 640))
