"""Settings that are chosen, and settings that are rejected."""

import json
import logging

import numpy as np
import pytest

from echoic import evaluation
from echoic.config import DecoderConfig
from echoic.evaluation import Posteriors, Word
from echoic.evaluation.posteriors import ScoredStream, score
from echoic.evaluation.tuning import choose
from echoic.runtime import bundle
from echoic.runtime.bundle import Bundle, BundleError

LABELS = ("_silence_", "_unknown_", "yes", "no")
STEP = 0.04


def heard(*stretches, truth=()):
    """A stream of (label, probability, seconds)."""
    rows = []
    for label, p, seconds in stretches:
        row = np.full(4, (1 - p) / 3, np.float32)
        row[LABELS.index(label)] = p
        rows += [row] * round(seconds / STEP)
    times = (np.arange(len(rows)) + 1) * STEP
    return ScoredStream(Posteriors(times, np.array(rows)), truth, float(times[-1]))


@pytest.fixture
def words():
    """Twenty words of a probability of 0.78 to 0.97, one every two seconds."""
    rng = np.random.default_rng(0)
    stretches, truth = [], []
    for i in range(20):
        stretches += [("_silence_", 0.97, 1.0), ("yes", rng.uniform(0.78, 0.97), 0.6)]
        stretches += [("_silence_", 0.97, 0.4)]
        truth.append(Word(2 * i + 1.0, 2 * i + 1.6, "yes"))
    return heard(*stretches, truth=tuple(truth))


@pytest.fixture
def others():
    """Six minutes with sounds like a word: six long ones at 0.72, six short ones at 0.9."""
    stretches = [("_silence_", 0.97, 29), ("no", 0.72, 1.0), ("_silence_", 0.97, 29.88)]
    return heard(*(6 * [*stretches, ("no", 0.9, 0.12)]))


def test_the_best_under_the_limit_is_chosen(words, others):
    tuning = choose(LABELS, [words], others=others, max_false_accepts=10, before=DecoderConfig())
    assert tuning.chosen.words.misses == 0
    assert tuning.chosen.others.false_accepts <= 1
    # Over the long ones, under the faintest word, longer than the short ones.
    assert tuning.config.enter == 0.75
    assert tuning.config.smoothing >= 0.16
    assert tuning.chosen.words == score(words, LABELS, tuning.config, 0.75)
    assert tuning.chosen.others == score(others, LABELS, tuning.config, 0.75)
    allowed = [c for c in tuning.candidates if c.others.false_accepts <= 1]
    assert tuning.chosen.cost == min(c.cost for c in allowed)


def test_a_sweep_decides_as_the_decoder_does(words, others):
    tuning = choose(LABELS, [words], others=others, max_false_accepts=200, before=DecoderConfig())
    for candidate in tuning.candidates[::37]:
        assert candidate.words == score(words, LABELS, candidate.config, 0.75)
        assert candidate.others == score(others, LABELS, candidate.config, 0.75)


def test_the_settings_that_the_model_has_are_tried_too(words, others):
    before = DecoderConfig(smoothing=0.2, enter=0.77, exit=0.3, words={"no": 0.99})
    tuning = choose(LABELS, [words], others=others, max_false_accepts=10, before=before)
    assert tuning.before.config == before
    assert tuning.before.others.false_accepts == 0


def test_a_miss_is_not_saved_by_firing_at_words_to_be_ignored(others):
    """Half of the words and all of the distractors are heard at 0.8: 10 misses, or 20 accepts."""
    stretches, truth = [], []
    for i in range(40):
        p = 0.95 if i < 10 else 0.8
        label = "yes" if i < 20 else "_unknown_"
        stretches += [("_silence_", 0.97, 1.0), ("yes", p, 0.6), ("_silence_", 0.97, 0.4)]
        truth.append(Word(2 * i + 1.0, 2 * i + 1.6, label))
    stream = heard(*stretches, truth=tuple(truth))
    tuning = choose(
        LABELS, [stream], others=others, max_false_accepts=10, before=DecoderConfig(enter=0.5)
    )
    assert tuning.chosen.words.false_accepts == 0
    assert tuning.chosen.words.misses == 10


def test_no_settings_keep_to_the_limit(words):
    always = heard(*(60 * [("_silence_", 0.99, 5), ("no", 0.999, 5)]))
    with pytest.raises(ValueError, match=r"at most 1 false accepts an hour.*strictest have 360"):
        choose(LABELS, [words], others=always, max_false_accepts=1, before=DecoderConfig())


def test_a_limit_that_the_hours_cannot_show_is_told(words, caplog):
    quiet = heard(("_silence_", 0.97, 60))
    with caplog.at_level(logging.WARNING):
        choose(LABELS, [words], others=quiet, max_false_accepts=1, before=DecoderConfig())
    assert "0.02 hours cannot show 1 false accepts an hour" in caplog.text


def test_without_negatives_the_limit_is_on_the_streams(words):
    tuning = choose(LABELS, [words], others=None, max_false_accepts=100, before=DecoderConfig())
    assert tuning.chosen.others == tuning.chosen.words


def test_the_same_words_at_three_ratios_are_no_more_words(words, others):
    once = choose(
        LABELS, [words], others=others, max_false_accepts=100, before=DecoderConfig()
    ).report()
    thrice = choose(
        LABELS, 3 * [words], others=others, max_false_accepts=100, before=DecoderConfig()
    ).report()
    assert thrice["chosen"]["decoder"] == once["chosen"]["decoder"]
    streams = [report["before"]["streams"] for report in (once, thrice)]
    assert streams[1]["words"] == 3 * streams[0]["words"]
    assert streams[1]["miss_rate_interval"] == streams[0]["miss_rate_interval"]
    assert thrice["before"]["others"] == once["before"]["others"]
    alone = [
        choose(
            LABELS, n * [words], others=None, max_false_accepts=1000, before=DecoderConfig()
        ).report()
        for n in (1, 3)
    ]
    first, second = (report["before"]["others"]["interval"] for report in alone)
    assert first == second


def test_a_test_is_no_place_to_choose(tiny_model, tmp_path):
    (tmp_path / "_silence_").mkdir()
    with pytest.raises(ValueError, match="Expected a data set, received the test archive"):
        evaluation.tune(Bundle.load(tiny_model), tmp_path)


def test_a_model_is_tuned_and_keeps_its_settings(tiny_copy, tones, negatives, posterior_fn):
    model = Bundle.load(tiny_copy)
    assert model.decoder == DecoderConfig()
    tuning = evaluation.tune(
        model,
        tones,
        negatives=negatives,
        max_false_accepts=100,
        snrs=[10],
        words=None,
        posterior_fn=posterior_fn,
    )
    assert tuning.chosen.words.error_rate <= tuning.before.words.error_rate
    tuned = bundle.set_decoder(model, tuning.config)
    assert tuned.decoder == Bundle.load(tiny_copy).decoder == tuning.config
    assert tuned.metrics == model.metrics
    report = tuning.report()
    assert json.loads(json.dumps(report)) == report
    assert report["chosen"]["decoder"] == tuning.config.to_dict()


def test_a_negative_limit(tiny_model, tones, posterior_fn):
    with pytest.raises(ValueError, match="max_false_accepts of at least 0 an hour, received -1"):
        evaluation.tune(
            Bundle.load(tiny_model), tones, max_false_accepts=-1, posterior_fn=posterior_fn
        )


def test_settings_that_are_damaged(tiny_copy):
    content = json.loads((tiny_copy / "echoic.json").read_text())
    for settings in ({"enter": 2}, {"enter": "high"}, {"treshold": 0.5}):
        (tiny_copy / "echoic.json").write_text(json.dumps({**content, "decoder": settings}))
        with pytest.raises(BundleError, match=r"echoic\.json.*decoder"):
            Bundle.load(tiny_copy)
