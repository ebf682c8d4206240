"""What ships answers like what was trained."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from echoic import audio, export, features, models
from echoic.bundle import Bundle
from echoic.features import FeatureConfig


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return Bundle.load(tiny_model)


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


@pytest.mark.parametrize("sound", ["speech", "silence", "noise", "clipping", "faint"])
def test_the_file_answers_like_the_network(tiny, sample, sound):
    waveform = sounds(sample)[sound]
    received = tiny.graph("clip")(waveform=waveform[None])["probabilities"][0]
    model = tiny.keras_model()
    logits = models.answer(model(features.mfcc(waveform, tiny.features)[None], training=False))
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
    np.testing.assert_allclose(received, expected, atol=1e-4)
    assert received.sum() == pytest.approx(1, abs=1e-5)


def test_the_file_has_one_signature_and_builtin_operations_only(tiny):
    interpreter = Interpreter(model_path=str(tiny.path / "clip.tflite"))
    signatures = interpreter.get_signature_list()
    assert signatures == {"clip": {"inputs": ["waveform"], "outputs": ["probabilities"]}}
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    assert not [n for n in names if n.startswith("Flex") or n == "CUSTOM"]


def test_features_that_have_no_tflite_form_are_refused(tiny):
    config = FeatureConfig(n_fft=640, win_length=640, n_mfcc=13)
    with pytest.raises(ValueError, match="power of two, received 640"):
        export.clip_tflite(tiny.keras_model(), config)


def test_a_file_that_answers_otherwise_does_not_pass(tiny):
    content = (tiny.path / "clip.tflite").read_bytes()
    model = tiny.keras_model()
    logits = model.get_layer("logits")
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel, bias + np.eye(len(bias), dtype=np.float32)[0]])
    with pytest.raises(export.ExportError, match="received a difference"):
        export._refuse_difference(content, model, tiny.features, 16000)
