"""The layer `MFCC` against `features.compute`: one definition, one mirror."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from echoic import audio
from echoic.config import FeatureConfig
from echoic.features import compute, mfcc
from echoic.networks.frontend import MFCC

DEFAULT = FeatureConfig()
WIDE = FeatureConfig(n_fft=1024, win_length=640, hop_length=160, n_mfcc=13)
DEEP = FeatureConfig(floor_db=-80.0)
BANDS = FeatureConfig(n_mfcc=0)
CONFIGS = pytest.mark.parametrize(
    "config", [DEFAULT, WIDE, DEEP, BANDS], ids=["default", "wide", "deep", "log-mel"]
)
SECONDS = np.arange(16_000) / 16_000
TOLERANCE = 1e-2


def white(level: float, *, seed: int = 0) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(16_000)


# All of these in [-1, 1], save the noise, which may exceed it a little: nothing depends on it.
SIGNALS = {
    "silence": np.zeros(16_000),
    "white noise": white(0.2),
    "clipped noise": np.clip(white(10.0), -1, 1),
    "clipped tone": np.clip(20 * np.sin(2 * np.pi * 440 * SECONDS), -1, 1),
    "full scale": np.ones(16_000),
    "chirp": 0.8 * np.sin(2 * np.pi * (50 + 3900 * SECONDS) * SECONDS),
    "tiny noise": white(1e-5),
    "noise at the floor": white(3e-4),
    "a click": np.eye(1, 16_000, 7777)[0],
    "noise, then silence": np.where(SECONDS < 0.5, white(0.3), 0),
}


def in_graph(waveforms: np.ndarray, config: FeatureConfig) -> np.ndarray:
    return ops.convert_to_numpy(MFCC(config)(ops.convert_to_tensor(waveforms)))


class TestParity:
    @CONFIGS
    @pytest.mark.parametrize("name", SIGNALS)
    def test_on_signals(self, name, config):
        waveform = SIGNALS[name].astype(np.float32)[None]
        np.testing.assert_allclose(
            in_graph(waveform, config), compute(waveform, config), rtol=0, atol=TOLERANCE
        )

    @CONFIGS
    @pytest.mark.parametrize("data", ["sample", "speech_commands"])
    def test_on_speech(self, data, config, request):
        root = request.getfixturevalue(data)
        if data == "speech_commands":
            root /= "speech_commands_v0.02"
        paths = [sorted((root / word).glob("*.wav"))[0] for word in ("down", "go", "left", "up")]
        batch = np.stack([audio.fix_length(audio.read(path), 16_000) for path in paths])
        expected = compute(batch, config)
        assert np.ptp(expected) > 50
        np.testing.assert_allclose(in_graph(batch, config), expected, rtol=0, atol=TOLERANCE)

    @pytest.mark.parametrize(
        "config",
        [
            FeatureConfig(n_fft=256, win_length=200, hop_length=256),
            FeatureConfig(sample_rate=8000, fmax=4000.0, n_mels=32, n_mfcc=32),
            FeatureConfig(fmin=0.0, fmax=8000.0, hop_length=1, n_mels=23, n_mfcc=1),
        ],
        ids=["no padding", "telephone", "every sample"],
    )
    def test_of_other_configs(self, config):
        waveform = white(0.1)[None, :2001].astype(np.float32)
        np.testing.assert_allclose(
            in_graph(waveform, config), compute(waveform, config), rtol=0, atol=TOLERANCE
        )

    @CONFIGS
    @pytest.mark.parametrize("n", [319, 320, 321, 959, 960])
    def test_takes_whole_hops_only(self, config, n):
        n += config.hop_length
        result = in_graph(white(0.1)[None, :n].astype(np.float32), config)
        assert result.shape == (1, n // config.hop_length, config.channels)
        assert result.dtype == np.float32


class TestBatch:
    @CONFIGS
    def test_a_clip_is_the_same_alone_and_in_a_batch(self, config):
        batch = np.stack(list(SIGNALS.values())).astype(np.float32)
        together = in_graph(batch, config)
        for clip, expected in zip(batch, together, strict=True):
            alone = in_graph(clip[None], config)[0]
            np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-3)


class TestStream:
    @CONFIGS
    def test_hop_by_hop_equals_the_clip(self, config):
        layer = MFCC(config)
        waveform = SIGNALS["chirp"][:3200].astype(np.float32)
        states = {name: np.zeros(shape, np.float32) for name, shape in layer.states.items()}
        steps = []
        for hop in waveform.reshape(-1, config.hop_length):
            frames, states = layer.step(hop[None], states)
            assert {name: tuple(x.shape) for name, x in states.items()} == layer.states
            steps.append(ops.convert_to_numpy(frames)[0])
        np.testing.assert_allclose(
            np.concatenate(steps), compute(waveform, config), rtol=0, atol=TOLERANCE
        )


class TestLayer:
    @pytest.mark.parametrize("n_fft", [500, 640])
    def test_refuses_a_frame_that_is_no_power_of_two(self, n_fft):
        config = FeatureConfig(n_fft=n_fft, win_length=480)
        with pytest.raises(ValueError, match=f"power of two, received {n_fft}"):
            MFCC(config)

    def test_has_nothing_to_train(self):
        layer = MFCC(DEFAULT)
        layer.build((None, None))
        assert layer.weights == []
        assert not layer.trainable

    @CONFIGS
    def test_computes_the_shape_that_it_gives(self, config):
        for samples in (320, 1000, 16_000):
            expected = in_graph(np.zeros((2, samples), np.float32), config).shape
            assert MFCC(config).compute_output_shape((2, samples)) == expected

    def test_the_length_may_be_unknown(self):
        assert MFCC(WIDE).compute_output_shape((None, None)) == (None, None, 13)
        inputs = keras.Input((None,))
        outputs = MFCC(WIDE)(inputs)
        assert outputs.shape == (None, None, 13)
        model = keras.Model(inputs, outputs)
        for n in (1600, 3217):
            waveform = white(0.1)[None, :n].astype(np.float32)
            np.testing.assert_allclose(
                ops.convert_to_numpy(model(waveform)), mfcc(waveform, WIDE), atol=TOLERANCE
            )

    def test_a_symbolic_shape_counts_frames(self):
        assert MFCC(DEFAULT)(keras.Input((16_000,))).shape == (None, 50, 40)

    @CONFIGS
    def test_is_saved_and_loaded_in_safe_mode(self, config, tmp_path):
        inputs = keras.Input((None,))
        model = keras.Model(inputs, MFCC(config, name="mfcc")(inputs))
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
        assert loaded.get_layer("mfcc").config == config
        waveform = white(0.1)[None, :3200].astype(np.float32)
        np.testing.assert_array_equal(
            ops.convert_to_numpy(loaded(waveform)), ops.convert_to_numpy(model(waveform))
        )

    def test_a_file_from_before_log_mel_loads(self):
        """The registered name and the config of released files."""
        saved = {
            "module": None,
            "class_name": "MFCC",
            "config": {"name": "mfcc", "config": dataclasses.asdict(WIDE)},
            "registered_name": "echoic>MFCC",
        }
        assert keras.saving.deserialize_keras_object(saved).config == WIDE

    def test_its_config_makes_it_again(self):
        layer = MFCC(WIDE, name="ears")
        again = MFCC.from_config(layer.get_config())
        assert again.config == WIDE
        assert again.name == "ears"
        assert not again.trainable
