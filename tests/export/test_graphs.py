"""What ships answers like what was trained, and holds nothing that a plain LiteRT does not have."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from echoic import export, features, networks
from echoic.config import FeatureConfig, ModelConfig
from echoic.export import graphs, verify
from echoic.networks.frontend import MFCC
from echoic.runtime.tflite import StreamingRunner, TFLiteModel

SOUNDS = ["speech", "silence", "noise", "clipping", "faint"]


def expected_of(bundle, waveform):
    model = networks.load(bundle)
    logits = networks.clip_logits(
        model(features.compute(waveform, bundle.features)[None], training=False)
    )
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("name", ["clip", "stream"])
def test_a_float_file_answers_like_the_network(tiny, sounds, name, sound):
    (received,) = verify.probabilities(tiny.tflite(name), sounds[sound][None], tiny.features)
    np.testing.assert_allclose(received, expected_of(tiny, sounds[sound]), atol=export.PARITY)
    assert received.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["clip", "stream"])
def test_a_float_file_answers_like_the_network_on_real_speech(tiny, speech_commands, name):
    from echoic import audio

    paths = sorted((speech_commands / "speech_commands_v0.02").glob("*/*.wav"))[::60]
    clips = np.stack([audio.fix_length(audio.read(path), 16_000) for path in paths])
    expected = verify.keras_probabilities(networks.load(tiny), tiny.features, clips)
    received = verify.probabilities(tiny.tflite(name), clips, tiny.features)
    np.testing.assert_allclose(received, expected, atol=export.PARITY)


def test_the_state_is_carried_and_reset(tiny, sounds):
    step = StreamingRunner(tiny.tflite("stream"))
    first = [step(x) for x in sounds["speech"].reshape(-1, *step.shape)]
    carried = [step(x) for x in sounds["speech"].reshape(-1, *step.shape)]
    assert not np.allclose(first, carried, atol=1e-3)
    step.reset()
    again = [step(x) for x in sounds["speech"].reshape(-1, *step.shape)]
    np.testing.assert_array_equal(first, again)


def test_a_stream_hears_what_the_network_hears_of_the_whole(tiny, sounds):
    """No clip ends in a stream: two seconds are two seconds, whatever a clip's length."""
    waveform = np.concatenate([sounds["speech"], sounds["noise"]])
    received = verify.stream_probabilities(tiny.tflite("stream"), waveform, tiny.features)
    logits = networks.load(tiny)(features.compute(waveform, tiny.features)[None], training=False)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    np.testing.assert_allclose(received, expected, atol=export.PARITY)


@pytest.mark.parametrize(
    ("name", "signature", "inputs"),
    [
        ("clip", "clip", {"waveform"}),
        ("stream", "step", {"samples", "state_waveform", "state_conv_1", "state_gru_2_h"}),
    ],
)
def test_a_file_has_one_signature_and_builtin_operations_only(tiny, name, signature, inputs):
    content = (tiny.path / f"{name}.tflite").read_bytes()
    interpreter = Interpreter(model_content=content)
    ((found, sides),) = interpreter.get_signature_list().items()
    assert found == signature
    assert set(sides["inputs"]) == inputs
    states = {n for n in inputs if n.startswith("state_")}
    assert set(sides["outputs"]) == states | {"probabilities"}
    operations = export.operations(content)
    assert "FULLY_CONNECTED" in operations
    assert not [o for o in operations if "FLEX" in o.upper() or "VAR" in o or o == "CUSTOM"]


def test_foreign_operations_are_refused(tiny, monkeypatch):
    content = (tiny.path / "clip.tflite").read_bytes()
    for operation in ("FlexErf", "CUSTOM", "READ_VARIABLE"):
        monkeypatch.setattr(graphs, "operations", lambda _, name=operation: ["ADD", name])
        with pytest.raises(export.ExportError, match=f"received {operation}"):
            graphs.refuse_foreign_operations(content)


def test_features_that_have_no_tflite_form_are_refused(tiny):
    config = FeatureConfig(n_fft=640, win_length=640, n_mfcc=13)
    with pytest.raises(ValueError, match="power of two, received 640"):
        export.clip(networks.load(tiny), config)


def test_a_network_that_needs_the_whole_clip_has_no_stream(tiny):
    config = ModelConfig(layers=({"type": "mean"}, {"type": "dense", "units": 4}))
    model = networks.build(config, channels=13, n_labels=4, mean=np.zeros(13), variance=np.ones(13))
    assert set(export.float_graphs(model, tiny.features)) == {"clip"}
    with pytest.raises(ValueError, match="gru, lstm, crnn or rnn"):
        export.step(model, tiny.features)


ROWS = (
    {"type": "conv", "filters": 8, "kernel_size": 5, "strides": 2},
    {"type": "gru", "units": 8},
)


def test_log_mel_goes_through_clip_stream_and_core(sounds):
    """Without a DCT, each file gives what the network gives on librosa's spectrogram."""
    config = FeatureConfig(n_mfcc=0, n_mels=24)
    keras.utils.set_random_seed(0)
    model = networks.build(
        ModelConfig(layers=ROWS),
        channels=config.channels,
        n_labels=4,
        mean=np.full(24, -20.0),
        variance=np.full(24, 300.0),
    )
    clips = np.stack(list(sounds.values()))
    expected = verify.keras_probabilities(model, config, clips)
    assert np.ptp(expected) > 0.05
    made = {**export.float_graphs(model, config), "core": export.core(model)}
    assert made.keys() == {"clip", "stream", "core"}
    for name, content in made.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.tflite"
            path.write_bytes(content)
            received = verify.probabilities(TFLiteModel(path), clips, config)
        np.testing.assert_allclose(received, expected, atol=export.PARITY)


def test_a_file_that_answers_otherwise_does_not_pass(tiny, sounds):
    content = (tiny.path / "clip.tflite").read_bytes()
    model = networks.load(tiny)
    logits = model.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel, bias + np.eye(len(bias), dtype=np.float32)[0]])
    with pytest.raises(export.ExportError, match=r"clip\.tflite.*received a difference"):
        export.refuse_difference(content, model, tiny.features, sounds["speech"][None], name="clip")


def test_a_graph_does_not_depend_on_what_the_process_made_before(tiny):
    first = export.clip(networks.load(tiny), tiny.features)
    MFCC(tiny.features)  # Keras numbers layers without a name
    assert export.clip(networks.load(tiny), tiny.features) == first
