"""The ice breaker: the circles are what they say, and what is measured can tell networks apart."""

import keras
import numpy as np
import pytest
from keras import ops

from echoic import plots
from echoic.explain import pictures, recall
from echoic.explain.recall import MemoryConfig

SMALL = MemoryConfig(names=3, people=2, distance=4, window=3, units=12, steps=150, batch_size=32)


@pytest.fixture(scope="module")
def measured():
    """What is measured, and what was told of the progress."""
    seen = []
    return recall.measure(SMALL, on_progress=lambda done, total: seen.append((done, total))), seen


@pytest.fixture(scope="module")
def result(measured):
    return measured[0]


class TestCircles:
    def test_in_order(self):
        config = MemoryConfig(names=3, people=3)
        inputs, targets, due = recall.circle_in_order(
            np.random.default_rng(0), config, np.array([3, 1])
        )
        assert inputs.shape == (2, 6, 5)
        assert inputs.dtype == due.dtype == np.float32
        names = inputs[..., :3].argmax(axis=-1)
        assert due.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1]]
        np.testing.assert_array_equal(targets[0, 3:], names[0, :3])
        assert targets[1, 5] == names[1, 4]
        assert inputs[1, :4].sum() == 0  # nobody is there yet
        np.testing.assert_array_equal(inputs[..., 4], due)
        np.testing.assert_array_equal(inputs[..., :3].sum(axis=-1), inputs[..., 3])

    def test_on_request(self):
        config = MemoryConfig(names=4, distance=5)
        ago = np.array([1, 3, 5])
        inputs, targets, weights = recall.circle_on_request(np.random.default_rng(0), config, ago)
        assert inputs.shape == (3, 7, 6)
        assert weights.tolist() == [[0, 0, 0, 0, 0, 0, 1]] * 3
        marked = inputs[..., 4].argmax(axis=1)
        assert (6 - marked).tolist() == [1, 3, 5]
        names = inputs[..., :4].argmax(axis=-1)
        np.testing.assert_array_equal(targets[:, -1], names[np.arange(3), marked])
        assert inputs[..., 4].sum() == inputs[..., 5].sum() == 3
        assert inputs[:, -1, :5].sum() == 0  # who asks gives nothing away

    def test_every_length_and_distance_is_drawn(self):
        config = MemoryConfig(people=4, distance=9, batch_size=3000)
        inputs, _, due = recall.circle_in_order(np.random.default_rng(0), config)
        assert set(due.sum(axis=1)) == {1, 2, 3, 4}
        inputs, _, _ = recall.circle_on_request(np.random.default_rng(0), config)
        ago = 10 - inputs[..., -2].argmax(axis=1)
        counts = np.bincount(ago, minlength=10)[1:]
        assert len(counts) == 9
        assert (np.diff(counts) < 60).all()  # the nearer, the more often
        assert counts.min() > 0


class TestMeasure:
    def test_shapes(self, result):
        kinds = ["window", "rnn", "gru", "lstm"]
        assert list(result.in_order) == list(result.on_request) == list(result.parameters) == kinds
        for kind in kinds:
            assert result.in_order[kind].shape == (2,)
            assert result.on_request[kind].shape == (4,)
        for curves in (result.gradients, result.fresh_gradients):
            assert list(curves) == kinds[1:]
            for norms in curves.values():
                assert norms.shape == (5,)
                assert norms[0] == 1

    def test_a_window_ends_at_its_edge(self, result):
        inside, outside = result.on_request["window"][:2], result.on_request["window"][2:]
        assert inside.min() > 0.9
        assert outside.max() < 0.6  # chance is a third
        assert result.reach("window") == 2

    def test_gates_remember(self, result):
        assert result.on_request["gru"].min() > 0.9
        assert result.reach("gru") == 4

    def test_is_seeded(self, result):
        again = recall.measure(SMALL)
        for kind in result.on_request:
            np.testing.assert_allclose(again.on_request[kind], result.on_request[kind], atol=0.02)

    def test_rows_are_plain(self, result):
        rows = result.rows()
        assert [row["network"] for row in rows] == ["window of 3", "SimpleRNN", "GRU", "LSTM"]
        assert rows[0]["gradient"] is None
        assert rows[2]["gradient"] == pytest.approx(result.gradients["gru"][4], rel=0.05)
        assert rows[2]["parameters"] == recall.build("gru", SMALL).count_params()
        assert all(type(a) is float for row in rows for a in row["in_order"])

    def test_progress(self, measured):
        _, seen = measured
        done, totals = zip(*seen, strict=True)
        assert set(totals) == {8 * SMALL.steps}  # four networks, two games
        assert sorted(set(done)) == list(done)
        assert done[-1] == totals[-1]

    def test_figure(self, result, tmp_path):
        figure = pictures.recall(result)
        assert len(figure.axes) == 3
        curves = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 4]
        assert len(curves) == 4
        np.testing.assert_allclose(curves[2].get_ydata(), result.on_request["gru"])
        plots.save(figure, tmp_path / "memory.png")

    def test_needs_tensorflow(self, monkeypatch):
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        with pytest.raises(ValueError, match="TensorFlow, received jax"):
            recall.measure(SMALL)

    def test_config(self):
        with pytest.raises(ValueError, match=r"MemoryConfig\.names from 2 on, received 1"):
            MemoryConfig(names=1)
        with pytest.raises(ValueError, match="one of window, rnn, gru, lstm, received 'tape'"):
            recall.build("tape", SMALL)


class TestGradients:
    def test_of_a_linear_network_is_a_power(self):
        network = recall.build("rnn", SMALL)
        layer = network.get_layer("memory")
        kernel, recurrent, bias = layer.get_weights()
        # The inputs are zero and the state stays 0, where tanh is the identity: the gradient halves
        # at each step.
        layer.set_weights([0 * kernel, 0.5 * np.eye(len(recurrent)), bias])
        norms = recall._gradients(network, SMALL)
        np.testing.assert_allclose(norms, 0.5 ** np.arange(5), rtol=1e-5)

    def test_steps_of_the_cell_are_the_layer(self):
        network = recall.build("lstm", SMALL)
        inputs, _, _ = recall.circle_on_request(np.random.default_rng(0), SMALL)
        layer = network.get_layer("memory")
        states = [np.zeros((32, 12), np.float32)] * 2
        for x in np.swapaxes(inputs, 0, 1):
            output, states = layer.cell(x, states)
        whole = ops.convert_to_numpy(layer(inputs))[:, -1]
        np.testing.assert_allclose(ops.convert_to_numpy(output), whole, atol=1e-5)
