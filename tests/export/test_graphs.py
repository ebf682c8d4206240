"""What ships answers like what was trained, and holds nothing that a plain LiteRT does not have."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from echoic import export, features, networks
from echoic.config import FeatureConfig, ModelConfig
from echoic.export import graphs, verify
from echoic.runtime.tflite import StreamingRunner

SOUNDS = ["speech", "silence", "noise", "clipping", "faint"]


def expected_of(bundle, waveform):
    model = networks.load(bundle)
    logits = networks.answer(model(features.mfcc(waveform, bundle.features)[None], training=False))
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("name", ["clip", "stream"])
def test_a_float_file_answers_like_the_network(tiny, sounds, name, sound):
    (received,) = verify.answers(tiny.graph(name), sounds[sound][None], tiny.features)
    np.testing.assert_allclose(received, expected_of(tiny, sounds[sound]), atol=export.PARITY)
    assert received.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["clip", "stream"])
def test_a_float_file_answers_like_the_network_on_real_speech(tiny, speech_commands, name):
    from echoic import audio

    paths = sorted((speech_commands / "speech_commands_v0.02").glob("*/*.wav"))[::60]
    clips = np.stack([audio.fix_length(audio.read(path), 16_000) for path in paths])
    expected = verify.keras_probabilities(networks.load(tiny), tiny.features, clips)
    received = verify.answers(tiny.graph(name), clips, tiny.features)
    np.testing.assert_allclose(received, expected, atol=export.PARITY)


def test_the_state_is_carried_and_reset(tiny, sounds):
    step = StreamingRunner(tiny.graph("stream"))
    first = [step(x) for x in sounds["speech"].reshape(-1, *step.shape)]
    carried = [step(x) for x in sounds["speech"].reshape(-1, *step.shape)]
    assert not np.allclose(first, carried, atol=1e-3)
    step.reset()
    again = [step(x) for x in sounds["speech"].reshape(-1, *step.shape)]
    np.testing.assert_array_equal(first, again)


def test_a_stream_hears_what_the_network_hears_of_the_whole(tiny, sounds):
    """No clip ends in a stream: two seconds are two seconds, whatever a clip's length."""
    waveform = np.concatenate([sounds["speech"], sounds["noise"]])
    received = verify.stream_answers(tiny.graph("stream"), waveform, tiny.features)
    logits = networks.load(tiny)(features.mfcc(waveform, tiny.features)[None], training=False)
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
    model = networks.build(config, n_mfcc=13, n_labels=4, mean=np.zeros(13), variance=np.ones(13))
    assert set(export.float_graphs(model, tiny.features)) == {"clip"}
    with pytest.raises(ValueError, match="gru, lstm, crnn or rnn"):
        export.step(model, tiny.features)


def test_a_file_that_answers_otherwise_does_not_pass(tiny, sounds):
    content = (tiny.path / "clip.tflite").read_bytes()
    model = networks.load(tiny)
    logits = model.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel, bias + np.eye(len(bias), dtype=np.float32)[0]])
    with pytest.raises(export.ExportError, match=r"clip\.tflite.*received a difference"):
        export.refuse_difference(content, model, tiny.features, sounds["speech"][None], name="clip")
