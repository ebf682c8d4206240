"""The loop: words and times on the clock of a source that may lose sound."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoic.config import DecoderConfig
from echoic.live import Listener, Output
from echoic.microphone import Block, Event
from fake_recognizer import CONFIG, RATE, WORDS, Levels, Notes, blocks, listen, spoken


class TestListener:
    def test_detects_words_and_times(self):
        _, notes = listen(blocks(WORDS))
        assert [d.label for d in notes.detections] == ["yes", "no", "no"]
        for d, start in zip(notes.detections, (1.0, 2.4, 3.3), strict=True):
            assert start < d.time < start + 0.3
            assert d.confidence >= CONFIG.enter

    @given(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
    def test_any_blocks_give_the_same_detections(self, sizes):
        edges = [0, *np.cumsum(sizes).tolist(), len(WORDS)]
        edges = sorted({min(e, len(WORDS)) for e in edges})
        cut = [Block(WORDS[a:b], a / RATE) for a, b in pairwise(edges)]
        assert listen(cut)[1].detections == listen(blocks(WORDS))[1].detections

    def test_the_probabilities_are_what_the_decoder_decides_on(self):
        confidences = []

        class Compare(Output):
            def on_block(self, block, detections):
                for d in detections:
                    row = listener.probabilities[listener.labels.index(d.label)]
                    confidences.append((d.confidence, float(row)))

        listener = Listener(Levels(), config=CONFIG, outputs=[Compare()])
        listener.listen(blocks(WORDS))
        assert len(confidences) == 3
        for decided, shown in confidences:
            assert shown == decided

    def test_the_posteriors_are_those_of_the_block(self):
        kept = []

        class Keep(Output):
            def on_block(self, block, detections):
                kept.append([p.time for p in listener.posteriors])

        listener = Listener(Levels(), config=CONFIG, outputs=[Keep()])
        listener.listen(blocks(WORDS[: 4 * Levels.step], size=Levels.step, start=7.0))
        assert kept == [[pytest.approx(7.0 + k * Levels.step_seconds)] for k in (1, 2, 3, 4)]

    def test_a_gap_starts_over_on_the_streams_clock(self):
        # Too short a piece on either side of the hole, and long enough together.
        piece = spoken((0, 0.4), (0.5, 0.08))
        rest = spoken((0.5, 0.08), (0, 0.4))
        joined = np.concatenate([piece, rest])
        assert [d.label for d in listen(blocks(joined))[1].detections] == ["yes"]
        after = blocks(rest, start=9.0, gap=True)
        listener, notes = listen([*blocks(piece), *after])
        assert notes.detections == []
        assert listener.resets == 1
        (event,) = notes.events
        assert event.time == 9.0
        assert event.message == "Sound is missing. The recognizer starts over."

    def test_times_after_a_gap_are_the_streams(self):
        _, notes = listen([*blocks(WORDS), *blocks(WORDS, start=100.0, gap=True)])
        first, second = notes.detections[:3], notes.detections[3:]
        assert [d.label for d in second] == [d.label for d in first]
        assert [d.time for d in second] == pytest.approx([d.time + 100 for d in first])

    @pytest.mark.parametrize("kind", ["lost", "frozen", "muted", "dropped"])
    def test_an_event_starts_over_and_is_passed_on_once(self, kind):
        notes = Notes()
        listener = Listener(Levels(), config=CONFIG, outputs=[notes])
        piece = spoken((0, 0.4), (0.5, 0.08))
        listener.listen(blocks(piece))
        listener.on_event(Event(0.48, kind, "It happened."))
        listener.listen(blocks(spoken((0.5, 0.08), (0, 0.4)), start=0.48, gap=True))
        assert notes.detections == []
        assert [e.message for e in notes.events] == ["It happened. The recognizer starts over."]
        assert listener.resets == 1

    def test_sound_that_comes_is_no_reason_to_start_over(self):
        notes = Notes()
        listener = Listener(Levels(), config=CONFIG, outputs=[notes])
        listener.on_event(Event(0.0, "live", "Listening to it."))
        listener.listen(blocks(WORDS))
        assert listener.resets == 0
        assert [e.message for e in notes.events] == ["Listening to it."]

    def test_one_threshold_for_all_words(self):
        config = DecoderConfig(enter=0.8, exit=0.5, words={"no": 0.9})
        lower = config.with_threshold(0.3)
        assert (lower.enter, lower.exit, lower.words) == (0.3, 0.3, {})
        assert Listener(Levels(), config=config).thresholds == {"yes": 0.8, "no": 0.9}
        assert len(listen(blocks(WORDS), config=CONFIG.with_threshold(1.0))[1].detections) == 0
