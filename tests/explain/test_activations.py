"""Traces: what is shown is what the network did, step by step."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from echoic import audio, networks, plots
from echoic.config import FeatureConfig, ModelConfig
from echoic.explain import activations, attribution, pictures
from echoic.features import log_mel, mfcc
from echoic.runtime import bundle
from echoic.runtime.recognizer import Recognizer

CONFIG = FeatureConfig(n_mfcc=5)
LABELS = ("_silence_", "yes", "no")
HOP = CONFIG.hop_length
FRAMES = 14

RNN, GRU, LSTM = ({"type": kind, "units": 6} for kind in ("rnn", "gru", "lstm"))
CONV = {"type": "conv", "filters": 8, "kernel_size": 4}
HALVE = CONV | {"strides": 2}
MEAN, BOTH = {"type": "mean"}, {"type": "bidirectional", "units": 4}
ATTENTION = {"type": "attention", "heads": 2, "key_dim": 3}
DENSE = {"type": "dense", "units": 16}

STACKS = {
    "rnn": [RNN],
    "gru": [GRU],
    "lstm": [LSTM],
    "conv and gru": [HALVE, CONV, CONV, GRU],
    "separable conv and lstm": [HALVE, CONV | {"separable": True}, LSTM],
    "strides around a gru": [HALVE, GRU, CONV | {"strides": 3}],
    "all": [CONV, HALVE, RNN, LSTM, GRU, DENSE],
    "bidirectional": [HALVE, BOTH],
}
stacks = pytest.mark.parametrize("name", STACKS)


def build(*rows):
    """Build a network in which every weight, biases and BatchNorm's statistics too, is random."""
    model = networks.build(
        ModelConfig(layers=rows),
        channels=CONFIG.n_mfcc,
        n_labels=len(LABELS),
        mean=np.arange(5.0),
        variance=np.full(5, 400.0),
    )
    rng = np.random.default_rng(0)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if "variance" in w.path else rng.normal(0, 0.5, w.shape)
            for w in model.weights
        ]
    )
    return model


def sound(samples=FRAMES * HOP, seed=0):
    rng = np.random.default_rng(seed)
    envelope = np.sin(np.linspace(0, 7, samples)) ** 2
    return (0.3 * envelope * rng.standard_normal(samples)).astype(np.float32)


def trace(*rows, waveform=None):
    waveform = sound() if waveform is None else waveform
    return activations.trace_network(build(*rows), waveform, features=CONFIG, labels=LABELS)


class TestTrace:
    @stacks
    def test_states_stepped_by_hand_are_those_of_keras(self, name):
        result = trace(*STACKS[name])
        by_layer = {}
        for layer in result.recurrent:
            by_layer.setdefault(layer.name.split()[0], []).append(layer.states)
        kinds = [row["type"] for row in STACKS[name]]
        assert len(by_layer) == sum(k in ("rnn", "gru", "lstm", "bidirectional") for k in kinds)
        for layer, states in by_layer.items():
            np.testing.assert_allclose(
                np.concatenate(states, axis=1), result.outputs[layer], atol=1e-5
            )
            assert np.abs(np.concatenate(states)).max() > 0.1

    @stacks
    def test_traced_is_predicted(self, name):
        result = trace(*STACKS[name])
        logits = result.network(mfcc(sound(), CONFIG)[None], training=False)
        np.testing.assert_allclose(result.logits, ops.convert_to_numpy(logits)[0], atol=1e-5)
        probabilities = ops.convert_to_numpy(ops.softmax(logits))[0]
        np.testing.assert_allclose(result.probabilities, probabilities, atol=1e-6)

    def test_the_logits_follow_from_the_states(self):
        for row in (RNN, GRU, LSTM):
            result = trace(HALVE, row)
            kernel, bias = result.network.get_layer("logits").get_weights()
            np.testing.assert_allclose(
                result.recurrent[0].states @ kernel + bias, result.logits, atol=1e-5
            )

    def test_shapes_and_times(self):
        result = trace(*STACKS["strides around a gru"], waveform=sound(13 * HOP + 7))
        assert result.inputs.shape == (13, 5)
        assert result.outputs["conv_1"].shape == (6, 8)
        assert result.recurrent[0].states.shape == (6, 6)
        assert result.logits.shape == result.probabilities.shape == (2, 3)
        np.testing.assert_allclose(result.recurrent[0].times, [0.04, 0.08, 0.12, 0.16, 0.2, 0.24])
        np.testing.assert_allclose(result.times, [0.12, 0.24])

    def test_arrays_have_names(self):
        arrays = trace(HALVE, GRU, LSTM).arrays()
        assert {"waveform", "inputs", "conv_1/output", "gru_2/update", "gru_2/reset"} <= set(arrays)
        assert {"lstm_3/forget", "lstm_3/cells", "lstm_3/times", "probabilities"} <= set(arrays)
        assert "gru_2/cells" not in arrays
        assert all(isinstance(a, np.ndarray) and np.isfinite(a).all() for a in arrays.values())

    def test_a_shipped_model_answers_as_it_is_predicted(self, sample):
        path = sorted((sample / "left").glob("*.wav"))[0]
        recognizer = Recognizer.load()
        (expected,) = recognizer.predict(path, top=12)
        clip = audio.fix_length(audio.read(path), recognizer.clip_samples)
        result = activations.trace(None, clip)
        for label, probability in expected.top:
            traced = result.probabilities[-1, result.labels.index(label)]
            assert traced == pytest.approx(probability, abs=1e-4)
        assert result.decision().label == expected.label
        for layer in result.recurrent:
            np.testing.assert_allclose(layer.states, result.outputs[layer.name], atol=1e-4)

    def test_a_model_is_named_or_loaded(self):
        ours = activations.trace("gru-12", np.zeros(16_000, np.int16))
        theirs = activations.trace(bundle.Bundle.load(), np.zeros(48_000), sample_rate=48_000)
        np.testing.assert_array_equal(ours.logits, theirs.logits)

    def test_a_network_on_log_mel_has_bands_as_inputs(self, tmp_path):
        config = dataclasses.replace(CONFIG, n_mfcc=0)
        network = networks.build(
            ModelConfig(layers=[HALVE, GRU]),
            channels=config.channels,
            n_labels=len(LABELS),
            mean=np.full(config.channels, -30.0),
            variance=np.full(config.channels, 400.0),
        )
        result = activations.trace_network(network, sound(), features=config, labels=LABELS)
        np.testing.assert_array_equal(result.inputs, log_mel(sound(), config))
        assert result.logits.shape == (FRAMES // 2, 3)
        influence = attribution.occlusion(result)
        assert np.isfinite(influence.values).all()
        assert np.isfinite(attribution.gradient(result).values).all()
        figure = pictures.explanation(result, influence)
        assert "Log-mel\n(band)" in [axes.get_ylabel() for axes in figure.axes]
        plots.save(figure, tmp_path / "log_mel.png")

    def test_too_short(self):
        with pytest.raises(ValueError, match=r"at least 1920 samples.* received 1600"):
            trace(*STACKS["strides around a gru"], waveform=sound(5 * HOP))


class TestWhatCannotBeShown:
    def test_a_streamable_network_has_no_notes(self):
        assert trace(*STACKS["all"]).notes == ()

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([MEAN, DENSE], "mean_1 takes the mean over the clip"),
            ([HALVE, BOTH], "bidirectional_2 reads the clip in both directions"),
            ([HALVE, ATTENTION], "attention_2 attends to the whole clip"),
        ],
    )
    def test_is_said(self, rows, message):
        (note,) = trace(*rows).notes
        assert note.startswith(message)

    def test_a_network_that_answers_once_does_so_at_the_end(self):
        for rows in ([MEAN, DENSE], [HALVE, BOTH, ATTENTION], [GRU, MEAN]):
            result = trace(*rows)
            assert result.logits.shape == (1, 3)
            np.testing.assert_allclose(result.times, [FRAMES * 0.02])
            assert attribution.occlusion(result).values.shape == (FRAMES,)
            assert attribution.gradient(result).values.shape == (FRAMES,)


class TestRecur:
    X = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)

    @pytest.mark.parametrize(
        "layer",
        [
            layers.GRU(5, return_sequences=True, reset_after=False),
            layers.GRU(5, return_sequences=True, use_bias=False),
            layers.LSTM(5, return_sequences=True, use_bias=False),
            layers.LSTM(5, return_sequences=True, unit_forget_bias=False),
            layers.SimpleRNN(5, return_sequences=True, use_bias=False),
        ],
        ids=["reset before", "gru", "lstm", "no forget bias", "rnn"],
    )
    def test_in_every_form(self, layer):
        layer.build((None, 9, 4))
        rng = np.random.default_rng(2)
        layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
        expected = ops.convert_to_numpy(layer(self.X[None]))[0]
        result = activations.recur(layer, self.X)
        np.testing.assert_allclose(result.states, expected, atol=1e-5)
        assert result.times.tolist() == list(range(9))

    def test_gates_do_what_they_say(self):
        gru = trace(GRU).recurrent[0]
        before = np.concatenate([np.zeros((1, 6)), gru.states[:-1]])
        z = gru.gates["update"]
        np.testing.assert_allclose(z * before + (1 - z) * gru.candidates, gru.states, atol=1e-6)
        lstm = trace(LSTM).recurrent[0]
        before = np.concatenate([np.zeros((1, 6)), lstm.cells[:-1]])
        cells = lstm.gates["forget"] * before + lstm.gates["input"] * lstm.candidates
        np.testing.assert_allclose(cells, lstm.cells, atol=1e-5)
        shown = lstm.gates["output"] * np.tanh(lstm.cells)
        np.testing.assert_allclose(shown, lstm.states, atol=1e-6)
        for gate in [*gru.gates.values(), *lstm.gates.values()]:
            assert gate.min() >= 0
            assert gate.max() <= 1

    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (layers.GRU(2, activation="relu"), "received GRU with relu, sigmoid"),
            (layers.LSTM(2, recurrent_activation="hard_sigmoid"), "LSTM with tanh, hard_sigmoid"),
        ],
    )
    def test_other_activations(self, layer, message):
        layer.build((None, 9, 4))
        with pytest.raises(ValueError, match=message):
            activations.recur(layer, self.X)


class TestDecision:
    def test_is_the_last_answer_and_when_it_came(self):
        result = trace(GRU)
        answers = result.probabilities.argmax(axis=1)
        decision = result.decision()
        assert decision.label == LABELS[answers[-1]]
        assert decision.probability == result.probabilities[-1, answers[-1]]
        assert decision.time == pytest.approx(FRAMES * 0.02)
        since = round(decision.since / 0.02) - 1
        assert (answers[since:] == answers[-1]).all()
        assert since == 0 or answers[since - 1] != answers[-1]

    def test_at_an_instant(self):
        result = trace(HALVE, GRU)
        assert [result.decision(at).step for at in (0.04, 0.079, 0.08, 9.0)] == [0, 0, 1, 6]
        with pytest.raises(ValueError, match=r"time from 0\.04 s on.* received 0\.03"):
            result.decision(0.03)

    def test_most_certain_is_of_words(self):
        result = trace(GRU)
        step = result.probabilities[:, 1:].max(axis=1).argmax()
        assert result.most_certain() == pytest.approx(result.times[step])


@pytest.mark.parametrize("measure", [attribution.occlusion, attribution.gradient])
class TestInfluence:
    def test_nothing_after_the_decision_matters(self, measure):
        result = trace(HALVE, GRU)
        influence = measure(result, at=0.16)
        assert influence.time == pytest.approx(0.16)
        after = influence.times > 0.16
        assert (influence.values[after] == 0).all()
        assert (np.abs(influence.values[~after]) > 1e-6).any()

    def test_a_network_of_one_frame_leans_on_one_frame(self, measure):
        result = trace(DENSE)
        settings = {"width": 0.02} if measure is attribution.occlusion else {}
        influence = measure(result, at=0.2, **settings)
        (leaned,) = np.nonzero(np.abs(influence.values) > 1e-6)
        assert influence.times[leaned] == pytest.approx([0.19])

    def test_of_another_label(self, measure):
        result = trace(GRU)
        assert measure(result, label="no").label == "no"
        with pytest.raises(ValueError, match="one of the labels _silence_, yes, no, received 'up'"):
            measure(result, label="up")


class TestOcclusion:
    def test_is_the_fall_of_the_log_odds(self):
        result = trace(GRU)
        influence = attribution.occlusion(result, label="yes", width=0.06)
        hidden = result.inputs.copy()
        hidden[4:7] = np.arange(5.0)  # the mean that normalization knows
        odds = []
        for heard in (result.inputs, hidden):
            logits = ops.convert_to_numpy(result.network(heard[None], training=False))[0, -1]
            p = np.exp(logits[1]) / np.exp(logits).sum()
            odds.append(np.log(p / (1 - p)))
        assert influence.values[5] == pytest.approx(odds[0] - odds[1], abs=1e-4)

    def test_reaches_as_far_as_told(self):
        influence = attribution.occlusion(trace(GRU), reach=0.1)
        np.testing.assert_allclose(influence.times, [0.19, 0.21, 0.23, 0.25, 0.27])


class TestGradient:
    def test_is_the_slope_by_standardized_coefficients(self):
        result = trace(GRU)
        slope = np.zeros(5)
        for i in range(5):
            odds = []
            for sign in (1, -1):
                heard = result.inputs.copy()
                heard[8, i] += sign * 20 * 1e-2  # a hundredth of a standard deviation
                logits = ops.convert_to_numpy(result.network(heard[None], training=False))[0, -1]
                odds.append(logits[1] - np.log(np.exp(logits[[0, 2]]).sum()))
            slope[i] = (odds[0] - odds[1]) / 2e-2
        expected = np.linalg.norm(slope)
        influence = attribution.gradient(result, label="yes")
        assert influence.values[8] == pytest.approx(expected, rel=0.02, abs=1e-3)

    def test_needs_tensorflow(self, monkeypatch):
        result = trace(GRU)
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        with pytest.raises(ValueError, match=r"TensorFlow for a gradient, received jax"):
            attribution.gradient(result)
