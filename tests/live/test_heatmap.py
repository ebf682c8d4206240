"""The hidden state in the view: whose states are shown, when, and in which colours."""

import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from echoic import audio
from echoic.live import Listener
from echoic.live.heatmap import FULL, NEGATIVE, POSITIVE, ZERO, StateHeatmap
from echoic.live.view import View
from echoic.microphone import FileSource, Status
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import StreamingRecognizer
from echoic.runtime.tflite import StreamingRunner

SECONDS = 8.0
"""Four words of the sample stream: yes, left, go, go."""


@pytest.fixture(scope="module", params=["gru-12", "lstm-12"])
def bundle(request):
    return Bundle.load(request.param)


@pytest.fixture(scope="module")
def sound(sample):
    return audio.read(sample / "stream.wav")[: round(SECONDS * audio.SAMPLE_RATE)]


@pytest.fixture(scope="module")
def states(bundle, sound):
    """What the graph itself hands from step to step: (steps, units)."""
    step = StreamingRunner(bundle.tflite("stream"))
    (name,) = (name for name in step.states if name.endswith("_h"))
    recorded = []
    for samples in sound[: len(sound) // step.shape[0] * step.shape[0]].reshape(-1, *step.shape):
        step(samples)
        recorded.append(step.states[name][0])
    return np.array(recorded)


@pytest.fixture(scope="module")
def influence(bundle):
    return StreamingRecognizer(bundle).influence()


def seen(bundle, sample, influence, *, block_seconds=0.02):
    """A view of the beginning of the sample stream."""
    listener = Listener(StreamingRecognizer(bundle), config=bundle.decoder)
    source = FileSource(sample / "stream.wav", block_seconds=block_seconds)
    view = View(listener, source, name=bundle.name, heatmap=StateHeatmap(influence))
    listener.outputs = [view]
    for block in source:
        listener.process(block)
        if block.end >= SECONDS - 1e-6:
            break
    view._source = type("Still", (), {"status": Status(state="live", device="a", time=SECONDS)})
    return view


def drawn(view, *, width=100, height=30, color=None, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        width=width, height=height, file=file, force_terminal=True, color_system=color,
        legacy_windows=False, highlight=False,
    )  # fmt: skip
    console.print(view)
    file.flush()
    text = file.buffer.getvalue().decode(encoding)
    return (text if color else plain(text)).splitlines()


def plain(text):
    """Without escape sequences."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def shade(value):
    end = POSITIVE if value > 0 else NEGATIVE
    share = min(abs(value) / FULL, 1.0)
    return tuple(round(z + share * (e - z)) for z, e in zip(ZERO, end, strict=True))


class TestState:
    @pytest.mark.parametrize("size", [100, 640, 10_000])
    def test_is_the_graphs_after_each_step(self, bundle, sound, states, size):
        stream = StreamingRecognizer(bundle)
        posteriors = []
        for start in range(0, len(sound), size):
            posteriors += stream.process(sound[start : start + size])
        assert np.array_equal([p.state for p in posteriors], states)

    def test_is_none_without_a_recurrent_layer(self, bundle, sound):
        class Feedforward(StreamingRecognizer):
            def __init__(self, bundle):
                super().__init__(bundle)
                self._hidden = None

        stream = Feedforward(bundle)
        assert stream.influence() is None
        assert [p.state for p in stream.process(sound[:640])] == [None]


class TestInfluence:
    def test_is_the_same_each_time_and_leaves_the_stream_alone(self, bundle, sound, influence):
        asked, other = StreamingRecognizer(bundle), StreamingRecognizer(bundle)
        first = asked.process(sound[:20_000])
        assert np.array_equal(asked.influence(), influence)
        rest = asked.process(sound[20_000:])
        alone = other.process(sound)
        assert np.array_equal([p.state for p in first + rest], [p.state for p in alone])
        assert influence.shape == (len(alone[0].state), len(bundle.labels))
        assert np.abs(influence.mean(axis=1)).max() < 1e-4

    def test_the_units_of_a_word_rise_with_it(self, sample, bundle, states, influence):
        # Of all words' groups, the one whose mean rises most when "go" has just been said.
        heatmap = StateHeatmap(influence)
        step_seconds = StreamingRecognizer(bundle).step_seconds
        rows = [x.split("\t") for x in (sample / "stream.tsv").read_text().splitlines()]
        ends = {label: round(float(end) / step_seconds) for _, end, label in rows[:3]}
        means = states @ heatmap._mean
        words = [i for i, label in enumerate(bundle.labels) if not label.startswith("_")]
        rises = means[ends["go"] + 2, words] - means[:, words].mean(axis=0)
        assert bundle.labels[words[int(rises.argmax())]] == "go"


class TestStateHeatmap:
    def test_a_row_is_the_mean_of_the_units_that_speak_for_its_label(self):
        influence = np.array([[1, 0, -1], [2, -1, -1], [-1, -1, 2]], np.float32)
        heatmap = StateHeatmap(influence)
        assert heatmap.groups.tolist() == [0, 0, 2]
        heatmap.add(0.1, np.array([0.2, 0.4, -0.5], np.float32))
        values = heatmap.moments(0, 2)
        assert values.shape == (4, 3)
        assert values[0, [0, 2]] == pytest.approx([0.3, -0.5])
        assert np.isnan(values[0, 1])  # nobody speaks for it
        assert np.isnan(values[1:]).all()  # not yet

    def test_the_latest_state_of_a_moment_counts_and_time_scrolls(self):
        heatmap = StateHeatmap(np.eye(2, dtype=np.float32))
        for time, value in ((0.04, 0.1), (0.08, 0.2), (0.12, 0.3), (0.44, 0.4)):
            heatmap.add(time, np.full(2, value, np.float32))
        assert heatmap.moments(0, 1)[:, 0] == pytest.approx([0.2, 0.3])
        assert heatmap.moments(2, 1)[0, 0] == pytest.approx(0.4)

    def test_draws_halves_of_cells(self):
        heatmap = StateHeatmap(np.eye(2, dtype=np.float32))
        nan = np.nan
        row = heatmap.row(np.array([nan, nan, nan, 1, -1, nan, 1, -1]), color=True)
        assert row.plain == " ▐▌▌"
        styles = [str(span.style) for span in row.spans]
        full, least = ("#{:02x}{:02x}{:02x}".format(*c) for c in (POSITIVE, NEGATIVE))
        assert styles == [full, least, f"{full} on {least}"]
        values = np.repeat([-1, -0.3, 0, 0.3, 1], 2)
        assert heatmap.row(values, color=False).plain == "▁▃▅▇█"
        assert heatmap.row(values, color=False, ascii_only=True).plain == ".-+%#"

    def test_the_legend_says_which_colour_means_what_where_it_has_room(self):
        heatmap = StateHeatmap(np.eye(2, dtype=np.float32))
        text = heatmap.legend(60, color=True)
        assert text.plain == "memory: mean state of 2 units by label  ▌ -0.6  ▌ 0  ▌ +0.6"
        full, least = ("#{:02x}{:02x}{:02x}".format(*c) for c in (POSITIVE, NEGATIVE))
        styles = [str(span.style) for span in text.spans]
        assert f"{least} on {least}" in styles
        assert f"{full} on {full}" in styles
        grey = heatmap.legend(46, color=False).plain
        assert grey == "memory: 2 units by label  ▁ -0.6  ▅ 0  █ +0.6"
        ascii_legend = heatmap.legend(30, color=False, ascii_only=True).plain
        assert ascii_legend == "memory  . -0.6  + 0  # +0.6"
        assert heatmap.legend(8, color=True).plain == "memory"
        assert heatmap.legend(4, color=True).plain == ""


class TestView:
    def test_shows_the_recorded_states(self, sample, bundle, states, influence):
        view = seen(bundle, sample, influence)
        heatmap = StateHeatmap(influence)
        step = StreamingRecognizer(bundle).step_seconds
        last = {}  # of each tenth of a second
        for k, state in enumerate(states):
            last[int((k + 1) * step / 0.1 - 1e-6)] = state
        expected = np.array([last[i] for i in sorted(last)])
        lines = drawn(view, width=120, color="truecolor")
        picture = "\n".join(lines)
        for label, name in enumerate(bundle.labels):
            line = next(line for line in lines if plain(line).startswith(f"│ {name} "))
            cells = re.findall(r"38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m(▌+)", line)
            colors = []
            for *c, run in cells:
                c = tuple(map(int, c))
                colors += [c[:3], c[3:]] * len(run)
            values = expected[:, heatmap.groups == label].mean(axis=1)
            wanted = [shade(v) for v in values]
            assert len(colors) == len(wanted) == 10 * SECONDS
            assert np.abs(np.subtract(colors, wanted)).max() <= 1  # rounding
        assert f"{states.shape[1]} units" in picture

    @pytest.mark.parametrize("block_seconds", [0.0107, 0.5])
    def test_does_not_depend_on_the_blocks(self, sample, bundle, influence, block_seconds):
        def heat(seconds):
            view = seen(bundle, sample, influence, block_seconds=seconds)
            return view._heatmap.moments(0, round(SECONDS / 0.2))

        np.testing.assert_array_equal(heat(block_seconds), heat(0.02))

    @pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
    @pytest.mark.parametrize("size", [(40, 14), (60, 18), (60, 24), (80, 24), (200, 60)])
    def test_fits(self, sample, bundle, influence, size, encoding):
        width, height = size
        view = seen(bundle, sample, influence)
        lines = drawn(view, width=width, height=height, encoding=encoding)
        assert {cell_len(line) for line in lines} == {width}
        assert len(lines) <= height
        text = "\n".join(lines)
        for words in ("memory", "loudness", "words", "time", "go"):
            assert words in text

    @pytest.mark.parametrize("color", ["truecolor", "256"])
    def test_colours_where_there_are_enough(self, sample, bundle, influence, color):
        view = seen(bundle, sample, influence)
        assert "▌▌" in plain("\n".join(drawn(view, color=color)))
        few = plain("\n".join(drawn(view, color="standard")))
        assert "▌▌" not in few
        assert "▄▄" in few or "▅▅" in few

    def test_words_stand_under_the_states_that_hold_them(self, sample, bundle, influence):
        view = seen(bundle, sample, influence)
        lines = drawn(view, width=120)
        words = next(line for line in lines if line.startswith("│ words"))
        caption = next(line for line in lines if "memory:" in line)
        (go, *_) = (d for d in view._detections if d.label == "go")
        start = caption.index("memory:")
        end = start + int(go.time / 0.2 - 1e-6) + 1
        assert words[end - 2 : end] == "go"
