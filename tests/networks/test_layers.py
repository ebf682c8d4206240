"""Networks read from a table: their shapes, their causality, their file."""

import dataclasses
import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import ops
from scipy.special import erf, softmax

from echoic import features, networks
from echoic.config import ModelConfig, Recipe, TrainingConfig
from echoic.networks import LAYERS, STREAMABLE, layers, streaming
from echoic.networks.layers import MiddleStep

N_MFCC = 5
N_LABELS = 3
FRAMES = 12

ROWS = {
    "conv": {"type": "conv", "filters": 8, "kernel_size": 4},
    "rnn": {"type": "rnn", "units": 6},
    "lstm": {"type": "lstm", "units": 6},
    "gru": {"type": "gru", "units": 6},
    "dense": {"type": "dense", "units": 16},
    "mean": {"type": "mean"},
    "bidirectional": {"type": "bidirectional", "units": 4},
    "attention": {"type": "attention", "heads": 2, "key_dim": 3},
    "speech_embedding": {"type": "speech_embedding"},
    "whisper_encoder": {"type": "whisper_encoder", "units": 12, "heads": 2, "blocks": 2},
}
BELS = {"type": "dense", "units": 32}
BELS_80 = {"type": "dense", "units": 80}
WAITING = ["mean", "bidirectional", "attention", "speech_embedding", "whisper_encoder"]


def conv(**settings):
    return ROWS["conv"] | settings


STACKS = {
    "rnn": [ROWS["rnn"]],
    "lstm": [ROWS["lstm"]],
    "gru": [ROWS["gru"]],
    "dense": [ROWS["dense"]],
    "conv": [conv()],
    "conv, stride 2": [conv(strides=2)],
    "conv, stride 3": [conv(strides=3)],
    "conv, stride as wide as the kernel": [conv(kernel_size=3, strides=3)],
    "conv of one frame": [conv(kernel_size=1)],
    "separable": [conv(separable=True)],
    "separable, stride 2": [conv(separable=True, strides=2)],
    "separable, stride 3": [conv(separable=True, strides=3)],
    "residual": [conv(), conv()],
    "strides 2 and 3": [conv(strides=2), conv(strides=3, separable=True)],
    "conv and gru": [conv(strides=2), ROWS["gru"] | {"dropout": 0.5}],
    "all": [conv(), conv(strides=2), ROWS["rnn"], ROWS["lstm"], ROWS["gru"], ROWS["dense"]],
}
stacks = pytest.mark.parametrize("name", STACKS)


def config(*rows) -> ModelConfig:
    return ModelConfig(layers=rows)


def build(*rows, mean=0.5, variance=4.0) -> keras.Model:
    """Build a network in which every weight, BatchNorm's statistics too, is random."""
    model = networks.build(
        config(*rows),
        channels=N_MFCC,
        n_labels=N_LABELS,
        mean=np.full(N_MFCC, mean),
        variance=np.full(N_MFCC, variance),
    )
    rng = np.random.default_rng(0)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if "variance" in w.path else rng.normal(0, 0.5, w.shape)
            for w in model.weights
        ]
    )
    return model


def mfcc(batch: int = 2, frames: int = FRAMES, *, seed: int = 0) -> np.ndarray:
    shape = (batch, frames, N_MFCC)
    return np.random.default_rng(seed).normal(0.5, 2, shape).astype(np.float32)


def run(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(model(x, training=False))


class TestShapes:
    @stacks
    def test_a_streamable_network_answers_at_every_step(self, name):
        stride = networks.stride(config(*STACKS[name]))
        model = build(*STACKS[name])
        assert model.input.shape == (None, None, N_MFCC)
        assert model.output.shape == (None, None, N_LABELS)
        for frames in (6, 7, 11):
            logits = run(model, mfcc(frames=frames))
            assert logits.shape == (2, frames // stride, N_LABELS)
            assert logits.dtype == np.float32

    @pytest.mark.parametrize(
        "rows",
        [
            ["mean"],
            ["dense", "mean", "dense"],
            ["gru", "mean"],
            ["attention"],
            ["conv", "bidirectional", "attention", "dense"],
            ["bidirectional", "mean"],
            ["bels", "speech_embedding", "mean"],
            ["80 bels", "whisper_encoder", "mean"],
        ],
        ids=" ".join,
    )
    def test_a_network_for_clips_answers_once(self, rows):
        model = build(*((ROWS | {"bels": BELS, "80 bels": BELS_80})[row] for row in rows))
        assert model.output.shape == (None, N_LABELS)
        for frames in (52, 53):
            assert run(model, mfcc(frames=frames)).shape == (2, N_LABELS)

    def test_every_layer_is_tried_here(self):
        assert ROWS.keys() == LAYERS.keys()

    @pytest.mark.parametrize(("strides", "stride"), [((), 1), ((1,), 1), ((2,), 2), ((2, 1, 3), 6)])
    def test_stride_is_the_product_of_all(self, strides, stride):
        result = networks.stride(config(ROWS["gru"], *(conv(strides=s) for s in strides)))
        assert result == stride
        assert type(result) is int


class TestCausality:
    @stacks
    def test_later_frames_leave_earlier_steps_alone(self, name, model_of):
        stride = networks.stride(config(*STACKS[name]))
        # Clip k of the batch differs from frame k on.
        x = np.repeat(mfcc(batch=1), FRAMES, axis=0)
        later = np.arange(FRAMES) >= np.arange(FRAMES)[:, None]
        other = np.where(later[:, :, None], mfcc(batch=1, seed=1), x)
        differs = (run(model_of(name), x) != run(model_of(name), other)).any(axis=-1)
        for k in range(FRAMES):
            assert not differs[k, : k // stride].any()
            assert differs[k, k // stride]

    @stacks
    def test_the_last_frame_is_heard_by_the_last_step(self, name, model_of):
        x = mfcc()
        other = np.concatenate([x[:, :-1], x[:, -1:] + 1], axis=1)
        ours, theirs = run(model_of(name), x), run(model_of(name), other)
        np.testing.assert_array_equal(ours[:, :-1], theirs[:, :-1])
        assert (np.abs(ours - theirs)[:, -1].max(axis=-1) > 1e-5).all()

    @stacks
    def test_every_frame_is_heard(self, name, model_of):
        x = mfcc(batch=FRAMES)
        x[:] = x[0]
        other = x.copy()
        other[np.arange(FRAMES), np.arange(FRAMES)] += 1
        difference = np.abs(run(model_of(name), other) - run(model_of(name), x))
        assert (difference.max(axis=(1, 2)) > 1e-4).all()

    @stacks
    def test_a_clip_begins_like_its_beginning(self, name, model_of):
        stride = networks.stride(config(*STACKS[name]))
        whole = run(model_of(name), mfcc())
        for frames in (7, 9):
            beginning = run(model_of(name), mfcc()[:, :frames])
            np.testing.assert_allclose(
                beginning, whole[:, : frames // stride], rtol=1e-4, atol=1e-5
            )

    @stacks
    def test_a_clip_is_the_same_alone_and_in_a_batch(self, name, model_of):
        together = run(model_of(name), mfcc(batch=4))
        alone = run(model_of(name), mfcc(batch=4)[2:3])
        np.testing.assert_allclose(alone[0], together[2], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("strides", [1, 2, 3])
    @pytest.mark.parametrize("separable", [False, True])
    def test_a_convolution_pads_with_zeros_after_normalization(self, strides, separable):
        # Which is what a clip of mean coefficients would have put there.
        model = build(conv(strides=strides, separable=separable), mean=7.0)
        x = mfcc()
        later = np.concatenate([np.full((2, 6, N_MFCC), 7, np.float32), x], axis=1)
        np.testing.assert_allclose(
            run(model, later)[:, 6 // strides :], run(model, x), rtol=1e-4, atol=1e-5
        )

    @pytest.mark.parametrize("kind", ["bidirectional", "attention"])
    def test_what_needs_the_clip_hears_its_end_first(self, kind):
        # The test can fail: a network that is not causal is found out in the same way.
        model = build(ROWS[kind])
        x = mfcc()
        other = np.concatenate([x[:, :-1], x[:, -1:] + 1], axis=1)
        first = (slice(None), 0) if kind == "bidirectional" else (slice(None),)
        assert (run(model, x)[first] != run(model, other)[first]).any()


@pytest.fixture(scope="module")
def model_of():
    """Build each of the stacks once."""
    built: dict[str, keras.Model] = {}

    def get(name: str) -> keras.Model:
        if name not in built:
            built[name] = build(*STACKS[name])
        return built[name]

    return get


class TestStreamable:
    @pytest.mark.parametrize("kind", LAYERS)
    def test_says_so(self, kind):
        expected = kind not in WAITING
        assert (kind in STREAMABLE) == expected
        assert networks.streamable(config(ROWS[kind])) == expected

    @pytest.mark.parametrize("kind", WAITING)
    def test_one_layer_that_waits_is_enough(self, kind):
        assert networks.streamable(config(conv(), ROWS["gru"], ROWS["dense"]))
        assert not networks.streamable(config(conv(), ROWS["gru"], ROWS[kind]))
        assert not networks.streamable(config(ROWS[kind], ROWS["dense"]))


class TestNormalization:
    def test_is_part_of_the_network(self):
        mean, variance = np.arange(N_MFCC) * 10.0, np.arange(1, N_MFCC + 1) ** 2.0
        settings = {"channels": N_MFCC, "n_labels": N_LABELS}
        model = networks.build(config(ROWS["gru"]), mean=mean, variance=variance, **settings)
        plain = networks.build(
            config(ROWS["gru"]), mean=np.zeros(N_MFCC), variance=np.ones(N_MFCC), **settings
        )
        plain.set_weights(model.get_weights())
        x = mean + 3 * mfcc()
        standardized = ((x - mean) / np.sqrt(variance)).astype(np.float32)
        np.testing.assert_allclose(
            run(model, x.astype(np.float32)), run(plain, standardized), rtol=1e-4, atol=1e-5
        )
        assert not np.allclose(run(plain, x.astype(np.float32)), run(plain, standardized))

    def test_is_fixed(self):
        assert build(ROWS["gru"]).get_layer("normalization").trainable_weights == []


class TestLayers:
    @pytest.mark.parametrize("separable", [False, True])
    @pytest.mark.parametrize(
        ("filters", "strides", "residual"), [(N_MFCC, 1, True), (N_MFCC, 2, False), (6, 1, False)]
    )
    def test_a_convolution_adds_its_input_where_the_shape_allows_it(
        self, filters, strides, residual, separable
    ):
        model = build(conv(filters=filters, strides=strides, separable=separable))
        assert ("conv_1_add" in [layer.name for layer in model.layers]) == residual

    def test_the_residual_is_the_input(self):
        model = build(conv(filters=N_MFCC), ROWS["mean"])
        model.get_layer("conv_1").set_weights([np.zeros((4, N_MFCC, N_MFCC))])
        model.get_layer("conv_1_norm").set_weights(
            [np.ones(N_MFCC), np.zeros(N_MFCC), np.zeros(N_MFCC), np.ones(N_MFCC)]
        )
        model.get_layer("logits").set_weights([np.eye(N_MFCC, N_LABELS), np.zeros(N_LABELS)])
        standardized = (mfcc() - 0.5) / 2
        expected = np.maximum(standardized, 0).mean(axis=1)[:, :N_LABELS]
        np.testing.assert_allclose(run(model, mfcc()), expected, rtol=1e-4, atol=1e-5)

    def test_a_separable_convolution_has_fewer_weights(self):
        whole, separable = build(conv()), build(conv(separable=True))
        assert whole.count_params() - separable.count_params() == 4 * 5 * 8 - (4 * 5 + 5 * 8)

    def test_mean_forgets_the_order(self):
        model = build(ROWS["dense"], ROWS["mean"])
        x = mfcc()
        shuffled = x[:, np.random.default_rng(0).permutation(FRAMES)]
        np.testing.assert_allclose(run(model, shuffled), run(model, x), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(("frames", "middle"), [(1, 0), (4, 2), (5, 2)])
    def test_attention_asks_from_the_middle(self, frames, middle):
        x = mfcc(frames=frames)
        layer = MiddleStep()
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x[:, middle : middle + 1])
        assert layer.compute_output_shape(x.shape) == (2, 1, N_MFCC)

    @pytest.mark.parametrize("kind", ["conv", "rnn", "lstm", "gru", "dense", "bidirectional"])
    def test_dropout_is_for_training_only(self, kind):
        model = build(ROWS[kind] | {"dropout": 0.5})
        assert model.get_layer(f"{kind}_1_dropout").rate == 0.5
        np.testing.assert_array_equal(run(model, mfcc()), run(build(ROWS[kind]), mfcc()))

    def test_names_are_those_of_the_table(self):
        names = [layer.name for layer in build(conv(), ROWS["gru"], ROWS["gru"]).layers]
        assert names[:2] == ["features", "normalization"]
        assert {"conv_1", "gru_2", "gru_3"} <= set(names)
        assert names[-1] == "logits"


class TestErrors:
    def test_no_layers(self):
        with pytest.raises(ValueError, match="model.layers to have at least one row, received"):
            config()

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"type": "transformer"}, r"type of layer 2 to be one of conv, .* received 'transf"),
            (ROWS["gru"] | {"unit": 3}, r"Layer 2 \(gru\) has no setting unit; it takes dropout,"),
            ({"type": "mean", "x": 3}, r"Layer 2 \(mean\) has no setting x; it takes none"),
            ({"type": "gru", "name": "x"}, r"Layer 2 \(gru\) has no setting name"),
            ({"type": "gru"}, r"Layer 2 \(gru\) needs units"),
            ({"type": "conv", "strides": 2}, r"Layer 2 \(conv\) needs filters, kernel_size"),
            (ROWS["gru"] | {"units": "8"}, r"units of layer 2 \(gru\) to be int, received '8'"),
            (ROWS["gru"] | {"units": True}, r"units of layer 2 \(gru\) to be int, received True"),
            (ROWS["gru"] | {"dropout": "0"}, r"dropout of layer 2 \(gru\) to be float, received"),
        ],
    )
    def test_a_row_is_checked_before_anything_is_built(self, row, message):
        with pytest.raises(ValueError, match=message):
            build(ROWS["dense"], row)
        with pytest.raises(ValueError, match=message):
            networks.check(Recipe(model=config(ROWS["dense"], row)))

    def test_a_row_has_a_type(self):
        with pytest.raises(ValueError, match=r"model.layers\[1\] to be a table with a type"):
            config(ROWS["dense"], {"units": 3})

    @pytest.mark.parametrize(
        ("rows", "training", "message"),
        [
            ([ROWS["bidirectional"]], {}, "mean or attention in model.layers.*bidirectional needs"),
            (
                [ROWS["mean"]],
                {"clips_per_sequence": 2},
                "to be 1 for a network that needs the whole clip, received 2",
            ),
            (
                [conv(strides=3), ROWS["gru"]],
                {"clips_per_sequence": 2},
                "whole number of the network's steps of 960 samples .* received 1.0",
            ),
        ],
    )
    def test_a_network_answers_and_is_trained_as_it_can(self, rows, training, message):
        recipe = Recipe(model=config(*rows), training=TrainingConfig(**training))
        with pytest.raises(ValueError, match=message):
            networks.check(recipe)

    def test_a_stride_leaves_no_frame_out(self):
        with pytest.raises(ValueError, match=r"conv_1 up to kernel_size = 2, received 3"):
            build(conv(kernel_size=2, strides=3))

    def test_the_table_is_a_copy(self):
        row = dict(ROWS["gru"])
        table = config(row)
        row["type"] = "mean"
        assert networks.streamable(table)


class TestFile:
    @pytest.mark.parametrize(
        "rows",
        [
            *STACKS.values(),
            [ROWS["mean"]],
            [ROWS["bidirectional"], ROWS["attention"]],
            [BELS, ROWS["speech_embedding"], ROWS["mean"]],
            [BELS_80, ROWS["whisper_encoder"] | {"dropout": 0.5}, ROWS["mean"]],
        ],
        ids=[*STACKS, "mean", "bidirectional and attention", "speech embedding", "whisper"],
    )
    def test_is_loaded_in_safe_mode_and_gives_the_same(self, rows, tmp_path):
        model = build(*rows)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
        x = mfcc(frames=60)
        np.testing.assert_array_equal(run(loaded, x), run(model, x))


class TestSpeechEmbedding:
    def test_needs_a_spectrogram_of_32_bands(self):
        with pytest.raises(ValueError, match="Expected 32 channels before speech_embedding_1"):
            build(ROWS["speech_embedding"], ROWS["mean"])

    @pytest.mark.skipif(
        find_spec("pyopen_wakeword") is None, reason="needs pyopen-wakeword, which has the weights"
    )
    def test_begins_as_googles_own(self, tmp_path, root):
        """The file that training begins with answers as the TFLite file does, to the same sound."""
        out = tmp_path / "speech_embedding.keras"
        script = root / "data" / "make_embedding.py"
        subprocess.run([sys.executable, script, "--out", out], check=True, capture_output=True)
        model = networks.load(out)
        bels_in = model.get_layer("normalization").output
        ours = keras.Model(bels_in, model.get_layer("speech_embedding_1").output)
        bels = np.random.default_rng(0).uniform(4, 12, (1, 100, 32)).astype(np.float32)
        quiet = bels.min(axis=1, keepdims=True)
        padded = np.concatenate([*[quiet] * 22, bels, *[quiet] * 10], axis=1)
        package = Path(find_spec("pyopen_wakeword").origin).parent
        theirs = Interpreter(str(package / "models" / "embedding_model.tflite"))
        theirs.resize_tensor_input(0, (1, 132, 32, 1))
        theirs.allocate_tensors()
        theirs.set_tensor(theirs.get_input_details()[0]["index"], padded[..., None])
        theirs.invoke()
        expected = theirs.get_tensor(theirs.get_output_details()[0]["index"]).reshape(1, 8, 96)
        np.testing.assert_allclose(run(ours, bels), expected, atol=1e-3)

        config = Recipe.load("embedding").features
        noise = 0.1 * np.random.default_rng(0).standard_normal((1, 16_000)).astype(np.float32)
        sixteen_bits = features.log_mel(32_767 * noise, config)  # dB
        np.testing.assert_allclose(
            run(keras.Model(model.input, bels_in), features.compute(noise, config)),
            sixteen_bits / 10 + 2,
            atol=1e-3,
        )


def whisper(bels, weights, *, heads):
    """Whisper's encoder (Radford et al. 2022) in numpy: (steps, 80) to (steps // 2, units).

    ``weights`` are arrays by their official names.
    """

    def get(name, kind):
        return weights[f"model.encoder.{name}.{kind}"]

    def normalized(x, name):
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return x * get(name, "weight") + get(name, "bias")

    def linear(x, name):
        y = x @ get(name, "weight").T
        return y if name.endswith("k_proj") else y + get(name, "bias")

    def gelu(x):
        return x * (1 + erf(x / np.sqrt(2))) / 2

    x = (np.maximum(bels, bels.max() - 8) + 4) / 4
    for name, stride in (("conv1", 1), ("conv2", 2)):
        padded = np.pad(x, [(1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=0)[::stride]
        kernel = get(name, "weight")  # (units, channels, 3)
        x = gelu(np.einsum("sck,uck->su", windows, kernel) + get(name, "bias"))
    half = x.shape[1] // 2
    angles = np.arange(len(x))[:, None] / 10_000 ** (np.arange(half) / (half - 1))
    x = x + np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    block = 0
    while f"model.encoder.layers.{block}.fc1.weight" in weights:
        layer = f"layers.{block}"
        y = normalized(x, f"{layer}.self_attn_layer_norm")
        query, key, value = (
            linear(y, f"{layer}.self_attn.{part}_proj").reshape(len(x), heads, -1).swapaxes(0, 1)
            for part in "qkv"
        )
        scores = softmax(query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1]), axis=-1)
        attended = (scores @ value).swapaxes(0, 1).reshape(len(x), -1)
        x = x + linear(attended, f"{layer}.self_attn.out_proj")
        y = gelu(linear(normalized(x, f"{layer}.final_layer_norm"), f"{layer}.fc1"))
        x = x + linear(y, f"{layer}.fc2")
        block += 1
    return normalized(x, "layer_norm")


@pytest.fixture(scope="module")
def make_whisper(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(root / "data")
        return import_module("make_whisper")


def random_whisper(rng, *, units=384, blocks=4):
    """Weights by the names and in the shapes of the official file, the decoder left out."""
    shapes = {"layer_norm": (units,), "conv1": (units, 80, 3), "conv2": (units, units, 3)}
    for layer in (f"layers.{i}" for i in range(blocks)):
        shapes |= {f"{layer}.self_attn.{part}_proj": (units, units) for part in "qkv"}
        shapes |= {
            f"{layer}.self_attn.out_proj": (units, units),
            f"{layer}.fc1": (4 * units, units),
            f"{layer}.fc2": (units, 4 * units),
            f"{layer}.self_attn_layer_norm": (units,),
            f"{layer}.final_layer_norm": (units,),
        }
    weights = {}
    for name, shape in shapes.items():
        kernel = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) + 1)
        weights[f"model.encoder.{name}.weight"] = kernel
        if not name.endswith("k_proj"):
            weights[f"model.encoder.{name}.bias"] = rng.standard_normal(shape[0])
    return weights


def write_safetensors(file, arrays):
    """Write a file as the package safetensors does: header length, header, bytes."""
    kinds = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(np.int8): "I8"}
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": kinds[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    content = [len(text).to_bytes(8, "little"), text, *(a.tobytes() for a in arrays.values())]
    file.write_bytes(b"".join(content))


class TestWhisper:
    def test_needs_a_spectrogram_of_80_bands(self):
        with pytest.raises(ValueError, match="Expected 80 channels before whisper_encoder_1"):
            build(ROWS["whisper_encoder"], ROWS["mean"])

    def test_begins_as_the_official_weights_say(self, make_whisper, tmp_path, monkeypatch):
        exact = random_whisper(np.random.default_rng(0))
        file, out = tmp_path / "model.safetensors", tmp_path / "whisper.keras"
        write_safetensors(file, {name: w.astype(np.float32) for name, w in exact.items()})
        monkeypatch.setattr(sys, "argv", ["make_whisper.py", f"--weights={file}", f"--out={out}"])
        make_whisper.main()

        model = networks.load(out)
        bels_in = model.get_layer("normalization").output
        encoder = keras.Model(bels_in, model.get_layer("whisper_encoder_1_norm").output)
        bels = np.random.default_rng(1).uniform(-9, 2, (3, 40, 80)).astype(np.float32)
        expected = np.stack([whisper(each, exact, heads=6) for each in bels])
        np.testing.assert_allclose(run(encoder, bels), expected, atol=2e-3)

        config = Recipe.load("whisper").features
        noise = 0.1 * np.random.default_rng(0).standard_normal((1, 16_000)).astype(np.float32)
        # Whisper's transform has 400 samples, not 512.
        theirs = dataclasses.replace(config, n_fft=400)
        received = run(keras.Model(model.input, bels_in), features.compute(noise, config))
        expected = features.log_mel(noise, theirs) / 10
        # Each frame ends where the other does, but its bins lie elsewhere in the bands.
        assert np.abs(received - expected).mean() < 0.05
        assert abs((received - expected).mean()) < 0.01

    @pytest.mark.parametrize("dtype", [np.float32, np.float16])
    def test_a_safetensors_file_is_read(self, make_whisper, tmp_path, dtype):
        arrays = {"a": np.arange(6, dtype=dtype).reshape(2, 3), "b.c": np.ones(1, dtype)}
        write_safetensors(tmp_path / "x.safetensors", arrays)
        received = make_whisper.read_safetensors(tmp_path / "x.safetensors")
        assert received.keys() == arrays.keys()
        for name, array in arrays.items():
            assert received[name].dtype == np.float32
            np.testing.assert_array_equal(received[name], array)

    def test_by_default_the_weights_are_openais(self, make_whisper, tmp_path, monkeypatch):
        asked = []
        hub = type(sys)("huggingface_hub")
        hub.hf_hub_download = lambda *arguments: asked.append(arguments) or str(tmp_path)
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
        assert make_whisper.download() == tmp_path
        assert asked == [("openai/whisper-tiny.en", "model.safetensors")]
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(SystemExit, match=r"pip install huggingface_hub.*--weights"):
            make_whisper.download()

    def test_another_file_is_refused(self, make_whisper, tmp_path):
        file = tmp_path / "x.safetensors"
        with pytest.raises(SystemExit, match="no such file"):
            make_whisper.read_safetensors(file)
        for content in (b"short", b"\x02" + bytes(7) + b"{]", b"\xff" * 16):
            file.write_bytes(content)
            with pytest.raises(SystemExit, match="to be a safetensors file"):
                make_whisper.read_safetensors(file)
        write_safetensors(file, {"a": np.ones(3, np.int8)})
        with pytest.raises(SystemExit, match="to be a safetensors file of float weights"):
            make_whisper.read_safetensors(file)
        with pytest.raises(SystemExit, match=r"a file without model\.encoder\.conv1\.weight"):
            make_whisper.weights_of("conv_1", {}, shapes=[(3, 80, 384), (384,)])
        small = random_whisper(np.random.default_rng(0), units=8, blocks=1)
        with pytest.raises(SystemExit, match="received another size"):
            make_whisper.weights_of("norm", small, shapes=[(384,), (384,)])


class TestOneStep:
    def test_every_layer_that_streams_has_a_one_step_form(self):
        for kind in STREAMABLE:
            assert streaming.Step(build(ROWS[kind])).states is not None

    @pytest.mark.parametrize("kind", WAITING[:3])
    def test_others_have_none(self, kind):
        with pytest.raises(ValueError, match=rf"received {kind}_1.*needs the whole clip"):
            streaming.Step(build(ROWS[kind]))

    def test_what_looks_back_is_not_stateless(self):
        assert not set(layers.STEPS) & set(networks.STATELESS)


class TestClipLogits:
    def test_are_those_of_the_last_step(self):
        logits = np.arange(12).reshape(2, 2, 3)
        assert networks.clip_logits(logits).tolist() == [[3, 4, 5], [9, 10, 11]]

    def test_of_a_network_that_answers_once_is_all_there_is(self):
        logits = np.arange(6).reshape(2, 3)
        assert networks.clip_logits(logits) is logits

    def test_of_a_symbolic_tensor(self):
        assert networks.clip_logits(keras.Input((None, N_LABELS))).shape == (None, N_LABELS)
