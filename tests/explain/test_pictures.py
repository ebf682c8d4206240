"""Pictures of a network's memory."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from echoic.config import FeatureConfig
from echoic.explain import activations, attribution, pictures
from echoic.explain.recall import NETWORKS, Memory, MemoryConfig
from picture_checks import (
    LONG_TITLE,
    N_MFCC,
    WORDS_12,
    EveryPicture,
    clip,
    each,
    posteriors,
)


def trace(kinds=("gru",), *, seconds=1.0, once=False, bumps=((2, 12),), notes=()):
    """What a network with these recurrent layers might have done, without a network."""
    waveform, mfcc = clip(seconds)
    rng = np.random.default_rng(3)
    times = np.arange(1, round(25 * seconds) + 1) / 25
    gates = {"rnn": (), "gru": ("update", "reset"), "lstm": ("input", "forget", "output")}

    def values(low):
        return rng.uniform(low, 1, (len(times), 20)).astype(np.float32)

    layers = [
        activations.Recurrence(
            name=f"{kind}_{number}",
            kind=kind,
            times=times,
            states=values(-1),
            gates={gate: values(0) for gate in gates[kind]},
            candidates=values(-1),
        )
        for number, kind in enumerate(kinds, start=2)
    ]
    probabilities = posteriors(1 if once else len(times), bumps, len(WORDS_12))
    return activations.Trace(
        network=None,
        features=FeatureConfig(n_mfcc=N_MFCC),
        labels=WORDS_12,
        waveform=waveform,
        inputs=mfcc,
        outputs={},
        recurrent=tuple(layers),
        logits=np.log(probabilities),
        probabilities=probabilities,
        times=times[-1:] if once else times,
        notes=notes,
    )


def influence(seconds=1.0, kind="occlusion"):
    times = (np.arange(round(50 * seconds)) + 0.5) / 50
    values = np.sin(7 * times) * times
    return attribution.Influence(
        kind=kind, label="yes", time=seconds, times=times, values=values.astype(np.float32)
    )


def explanation(*kinds, title="A clip", with_influence=True, **settings):
    result = trace(kinds, **settings)
    leaned = influence(settings.get("seconds", 1.0)) if with_influence else None
    return pictures.explanation(result, leaned, title=title)


NOTE = "mean_1 takes the mean over the clip: it answers once, at the end, and the order is lost."


def recall():
    config = MemoryConfig(people=3, distance=20)
    curves = {kind: np.linspace(1, 0.1, 20) for kind in NETWORKS}
    slopes = {kind: 0.3 ** np.arange(21.0) for kind in list(NETWORKS)[1:]}
    return pictures.recall(
        Memory(
            config=config,
            in_order={kind: np.array([1.0, 0.9, 0.5]) for kind in NETWORKS},
            on_request=curves,
            gradients=slopes,
            fresh_gradients={kind: slope**2 for kind, slope in slopes.items()},
            parameters=dict.fromkeys(NETWORKS, 1000),
        ),
        title=LONG_TITLE,
    )


PICTURES = {
    "recall": recall,
    "explanation of a gru": lambda: explanation("gru"),
    "explanation of two lstm": lambda: explanation(
        "lstm", "lstm", title=LONG_TITLE, seconds=3.0, bumps=[(i, 6 * i) for i in range(1, 12)]
    ),
    "explanation of an rnn": lambda: explanation("rnn", with_influence=False),
    "explanation of a network that answers once": lambda: explanation(
        once=True, bumps=[(2, 0)], notes=(NOTE, NOTE)
    ),
}


picture = each(PICTURES)


class TestPictures(EveryPicture):
    """Texts keep apart and inside, the same bytes twice, a unit at each axis."""


class TestExplanation:
    def test_panels_share_a_time_axis_and_mark_the_decision(self):
        result = trace(("gru", "lstm"), bumps=[(3, 5), (2, 20)])
        figure = pictures.explanation(result, influence())
        assert len(figure.axes) == 8  # sound, MFCC, two layers with their gates, answers, influence
        assert {axes.get_xlim() for axes in figure.axes} == {(0, 1)}
        since = result.decision().since
        for axes in figure.axes:
            assert any(list(line.get_xdata()) == [since, since] for line in axes.lines)

    def test_heat_maps_hold_the_states_and_gates_their_means(self):
        result = trace(("gru",))
        figure = pictures.explanation(result)
        heat_map, gates = figure.axes[2].images[0], figure.axes[3]
        layer = result.recurrent[0]
        order = pictures.order_units(layer.states)
        np.testing.assert_array_equal(heat_map.get_array(), layer.states[:, order].T)
        for line, gate in zip(gates.lines, layer.gates.values(), strict=False):
            np.testing.assert_allclose(line.get_ydata(), gate.mean(axis=1))

    @pytest.mark.parametrize("kind", ["gru", "lstm"])
    def test_the_legend_of_the_gates_is_beside_their_title(self, kind):
        figure = explanation(kind)
        renderer = FigureCanvasAgg(figure).get_renderer()
        (gates,) = (axes for axes in figure.axes if axes.get_legend())
        title = gates._left_title.get_window_extent(renderer)
        assert gates.get_legend().get_window_extent(renderer).x0 > title.x1

    def test_a_network_that_answers_once_shows_bars_and_says_why(self):
        figure = explanation(once=True, bumps=[(2, 0)], notes=(NOTE,))
        assert len(figure.axes[2].patches) == len(WORDS_12)
        assert figure.get_supxlabel() == NOTE

    def test_units_that_behave_alike_are_neighbours(self):
        steps = np.linspace(0, 2, 40)[:, None]
        phases = np.random.default_rng(0).permutation(np.linspace(0, 2 * np.pi, 30, endpoint=False))
        order = pictures.order_units(np.sin(2 * np.pi * steps + phases).astype(np.float32))
        turn = np.diff(np.append(phases[order], phases[order[0]])) % (2 * np.pi)
        step = np.minimum(turn, 2 * np.pi - turn)
        np.testing.assert_allclose(step, 2 * np.pi / 30, atol=1e-5)

    @pytest.mark.parametrize("shape", [(5, 1), (1, 4), (3, 2)])
    def test_any_states_have_an_order(self, shape):
        order = pictures.order_units(np.zeros(shape, np.float32))
        assert sorted(order) == list(range(shape[1]))

    def test_of_a_file(self, tiny_model, sample):
        path = sorted((sample / "yes").glob("*.wav"))[0]
        figure = pictures.explained(tiny_model, path)
        assert figure.get_suptitle().startswith(f"{path.name}: tiny predicts")
        assert figure.axes[0].get_xlim() == (0, 1)

    def test_of_a_long_file_around_the_decision(self, tiny_model, sample):
        figure = pictures.explained(tiny_model, sample / "stream.wav", at=5.0)
        assert "from 2.50 s on" in figure.get_suptitle()
        np.testing.assert_allclose(figure.axes[0].get_xlim(), (0, 3), atol=0.04)
        most_certain = pictures.explained(tiny_model, sample / "stream.wav")
        assert most_certain.axes[0].get_xlim()[1] <= 3.04
