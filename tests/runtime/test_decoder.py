"""When a word fires, and when it must not."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoic.config import DecoderConfig
from echoic.runtime.decoder import Decoder, Detection, smooth

LABELS = ("_silence_", "_unknown_", "yes", "go")
SILENT = [1.0, 0, 0, 0]
STEP = 0.02


def said(*stretches):
    """Posteriors of stretches (label, seconds or (label, seconds, probability)), (steps, 4)."""
    rows = []
    for label, seconds, *probability in stretches:
        p = probability[0] if probability else 0.97
        row = np.full(4, (1 - p) / 3)
        row[LABELS.index(label)] = p
        rows += [row] * round(seconds / STEP)
    return np.array(rows)


def decoded(rows, *, step=STEP, **settings):
    config = DecoderConfig(**settings)
    times = (np.arange(len(rows)) + 1) * step
    return Decoder(LABELS, config=config, step=step).process_many(times, rows)


# Streams that wander: stretches of one to thirty steps, each of a random posterior, in which words
# often win. Settings that differ in everything.
rows = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(
    lambda x: (np.array(x) ** 4 + 1e-6) / np.sum(np.array(x) ** 4 + 1e-6)
)
streams = st.lists(st.tuples(rows, st.integers(1, 30)), min_size=1, max_size=12).map(
    lambda runs: np.concatenate([np.tile(row, (n, 1)) for row, n in runs])
)
configs = st.tuples(
    st.floats(0, 0.4), st.floats(0.2, 1), st.floats(0.1, 1), st.floats(0, 1), st.booleans()
).map(
    lambda x: DecoderConfig(
        smoothing=x[0],
        enter=x[1],
        exit=x[1] * x[2] * 0.9,
        refractory=x[3],
        words={"go": 0.9 * x[1]} if x[4] else {},
    )
)


@pytest.mark.parametrize("label", ["yes", "go"])
@pytest.mark.parametrize("seconds", [0.3, 3, 60])
def test_a_word_fires_once_however_long(label, seconds):
    found = decoded(said(("_silence_", 1), (label, seconds), ("_silence_", 1)))
    assert [d.label for d in found] == [label]
    assert 1 < found[0].time <= 1.2
    assert found[0].confidence >= 0.8


def test_go_go_is_two_words():
    found = decoded(said(("_silence_", 1), ("go", 0.5), ("_silence_", 0.3), ("go", 0.5)))
    assert [d.label for d in found] == ["go", "go"]
    assert found[1].time - found[0].time >= 0.5


def test_two_words_without_a_gap_are_two():
    assert [d.label for d in decoded(said(("go", 0.6), ("yes", 0.6)))] == ["go", "yes"]


def test_a_dip_that_stays_above_exit_is_none():
    rows = said(("go", 1), ("go", 0.5, 0.6), ("go", 1))
    assert len(decoded(rows, enter=0.8, exit=0.4)) == 1
    assert len(decoded(rows, enter=0.8, exit=0.7)) == 2


def test_the_refractory_time_puts_a_word_off_and_does_not_lose_it():
    rows = said(("go", 0.3), ("yes", 1))
    first, second = decoded(rows, smoothing=0, refractory=0.8)
    assert (first.label, second.label) == ("go", "yes")
    assert second.time - first.time == pytest.approx(0.8)


@pytest.mark.parametrize("label", ["_silence_", "_unknown_"])
def test_silence_and_unknown_words_never_fire_and_outbid_a_word(label):
    assert decoded(said((label, 2))) == []
    pair = [LABELS.index(label), LABELS.index("yes")]
    rows = np.zeros((50, 4))
    rows[:, pair] = 0.51, 0.49
    assert decoded(rows, enter=0.4, exit=0.2) == []
    rows[:, pair] = 0.49, 0.51
    assert [d.label for d in decoded(rows, enter=0.4, exit=0.2)] == ["yes"]


def test_a_word_may_have_a_threshold_of_its_own():
    rows = said(("go", 1, 0.7), ("_silence_", 1), ("yes", 1, 0.7))
    assert decoded(rows) == []
    assert [d.label for d in decoded(rows, words={"yes": 0.6})] == ["yes"]


def test_smoothing_needs_a_whole_window():
    rows = said(("go", 0.1))
    assert decoded(rows, smoothing=0.2) == []
    assert len(decoded(rows, smoothing=0.1)) == 1
    assert Decoder(LABELS, config=DecoderConfig(smoothing=0.001), step=0.02).window == 1


@given(streams, configs)
def test_what_fires_has_reached_its_threshold_and_is_the_best(stream, config):
    window = max(1, round(config.smoothing / STEP))
    smoothed = smooth(np.concatenate([np.zeros((window - 1, 4)), stream]), window)
    times = (np.arange(len(stream)) + 1) * STEP
    for detection in Decoder(LABELS, config=config, step=STEP).process_many(times, stream):
        row = smoothed[np.flatnonzero(times == detection.time)[0]]
        assert detection.label in ("yes", "go")
        assert detection.confidence == row[LABELS.index(detection.label)] == row.max()
        assert detection.confidence >= config.words.get(detection.label, config.enter)


@given(streams, configs)
def test_detections_keep_the_refractory_time_and_a_word_falls_between(stream, config):
    window = max(1, round(config.smoothing / STEP))
    smoothed = smooth(np.concatenate([np.zeros((window - 1, 4)), stream]), window)
    times = (np.arange(len(stream)) + 1) * STEP
    found = Decoder(LABELS, config=config, step=STEP).process_many(times, stream)
    for before, after in pairwise(found):
        assert after.time - before.time >= config.refractory - 0.51 * STEP
    for word in ("yes", "go"):
        own = [d.time for d in found if d.label == word]
        for before, after in pairwise(own):
            between = smoothed[(times > before) & (times <= after), LABELS.index(word)]
            assert between.min() < config.exit


@given(streams, configs, st.lists(st.integers(0, 400), max_size=8))
def test_the_result_does_not_depend_on_the_blocks(stream, config, cuts):
    times = (np.arange(len(stream)) + 1) * STEP
    whole = Decoder(LABELS, config=config, step=STEP).process_many(times, stream)
    single = Decoder(LABELS, config=config, step=STEP)
    one_by_one = [single.process(t, row) for t, row in zip(times, stream, strict=True)]
    assert [d for d in one_by_one if d] == whole
    blocks = Decoder(LABELS, config=config, step=STEP)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [d for a, b in pairwise(edges) for d in blocks.process_many(times[a:b], stream[a:b])]
    assert pieces == whole
    window = max(1, round(config.smoothing / STEP))
    last = smooth(np.concatenate([np.zeros((window - 1, 4)), stream]), window)[-1]
    for decoder in (single, blocks):
        assert np.array_equal(decoder.smoothed, last)


def test_the_thresholds_are_the_words_own_where_they_have_one():
    config = DecoderConfig(enter=0.8, words={"go": 0.6})
    assert Decoder(LABELS, config=config, step=STEP).thresholds == {"yes": 0.8, "go": 0.6}


@given(streams, streams, configs)
def test_after_a_reset_it_is_as_new(stream, other, config):
    times = (np.arange(len(stream)) + 1) * STEP
    fresh = Decoder(LABELS, config=config, step=STEP).process_many(times, stream)
    used = Decoder(LABELS, config=config, step=STEP)
    used.process_many(100 + np.arange(len(other)), other)
    used.reset()
    assert not used.smoothed.any()
    assert used.process_many(times, stream) == fresh


@given(streams, configs, st.sampled_from([1 / 64, 0.5, 1024]))
def test_the_unit_of_time_does_not_matter(stream, config, unit):
    # By powers of two, which round nothing.
    times = (np.arange(len(stream)) + 1) * STEP
    found = Decoder(LABELS, config=config, step=STEP).process_many(times, stream)
    changes = {n: getattr(config, n) * unit for n in ("smoothing", "refractory")}
    scaled = DecoderConfig.from_dict({**config.to_dict(), **changes})
    again = Decoder(LABELS, config=scaled, step=STEP * unit).process_many(times * unit, stream)
    assert again == [Detection(d.time * unit, d.label, d.confidence) for d in found]


@given(streams, configs)
def test_a_higher_threshold_never_makes_the_first_detection_earlier(stream, config):
    first = decoded(stream, **config.to_dict())
    higher = {"enter": (config.enter + 1) / 2, "words": {}}
    second = decoded(stream, **{**config.to_dict(), **higher})
    if second:
        assert first[0].time <= second[0].time


@given(configs)
def test_settings_survive_json(config):
    assert DecoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_absent_settings_take_their_defaults():
    assert DecoderConfig.from_dict({}) == DecoderConfig()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"enter": 0}, "decoder.enter above 0 and at most 1, received 0"),
        ({"enter": 1.2}, "received 1.2"),
        ({"words": {"go": 80}}, "decoder.words.go above 0 and at most 1, received 80"),
        ({"exit": 0.9}, "at most the lowest threshold to enter, 0.8, received 0.9"),
        ({"exit": 0}, "exit above 0"),
        ({"words": {"go": 0.3}}, "lowest threshold to enter, 0.3, received 0.4"),
        ({"smoothing": -1}, "decoder.smoothing of at least 0, received -1"),
        ({"refractory": float("nan")}, "decoder.refractory to be finite, received nan"),
        (
            {"treshold": 1},
            "key of decoder, received treshold.* smoothing, enter, exit, refractory, words",
        ),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        DecoderConfig.from_dict(settings)


@pytest.mark.parametrize(
    ("labels", "words", "step", "message"),
    [
        (LABELS, {}, 0, "step above 0 seconds, received 0"),
        (("_silence_", "_unknown_"), {}, 0.02, "a word among them"),
        (LABELS, {"stop": 0.9}, 0.02, r"vocabulary \(yes, go\), received one for stop"),
        (LABELS, {"_unknown_": 0.9}, 0.02, "received one for _unknown_"),
    ],
)
def test_a_decoder_that_cannot_be(labels, words, step, message):
    with pytest.raises(ValueError, match=message):
        Decoder(labels, config=DecoderConfig(words=words), step=step)


@pytest.mark.parametrize(
    ("time", "row", "message"),
    [
        (0.04, [1.0, 0, 0], r"shape \(4,\), one a label, received shape \(3,\)"),
        (0.04, [1.0, 0, 0, np.nan], "of sum 1, received"),
        (0.04, [0.5, 0.5, 0.5, 0.5], "of sum 2, at 0.04 s. Take the softmax"),
        (0.04, [1.5, -0.5, 0, 0], "from 0 to 1"),
        (0.02, SILENT, r"received 0.02 s after 0.02 s. Call reset\(\)"),
        (0.01, SILENT, "received 0.01 s after 0.02 s"),
        (np.nan, SILENT, "received nan s after"),
        (np.inf, SILENT, "received inf s after"),
    ],
)
def test_invalid_posteriors_are_refused_and_change_nothing(time, row, message):
    decoder = Decoder(LABELS, config=DecoderConfig(smoothing=0), step=STEP)
    decoder.process(0.02, SILENT)
    with pytest.raises(ValueError, match=message):
        decoder.process(time, row)
    assert decoder.process(0.04, [0, 0, 0, 1.0]) == Detection(0.04, "go", 1.0)


def test_blocks_of_another_shape_are_refused():
    decoder = Decoder(LABELS, step=STEP)
    with pytest.raises(ValueError, match=r"received shapes \(2,\) and \(3, 4\)"):
        decoder.process_many([0.1, 0.2], [SILENT] * 3)
    assert decoder.process_many([], np.zeros((0, 4))) == []


def test_bits_of_eight_are_probabilities_too():
    row = np.round(np.array(SILENT) * 255) / 256
    assert Decoder(LABELS, step=STEP).process(0.02, row) is None
