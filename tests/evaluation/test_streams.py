"""Words in streams, from the sound to the report."""

import dataclasses
import json

import numpy as np
import pytest

from echoic import audio, evaluation, reports
from echoic.audio import AudioError
from echoic.config import DecoderConfig
from echoic.evaluation import make_posterior_fn, read_truth
from echoic.runtime import bundle
from echoic.runtime.bundle import Bundle

QUICK = DecoderConfig(smoothing=0.08, enter=0.8, exit=0.4, refractory=0.3)


@pytest.fixture
def model(tiny_copy):
    return bundle.set_decoder(Bundle.load(tiny_copy), QUICK)


@pytest.fixture
def result(model, tones, negatives, posterior_fn):
    return evaluation.evaluate_stream(
        model, tones, negatives=negatives, snrs=[20, 0], words=None, posterior_fn=posterior_fn
    )


def test_a_recognizer_that_knows_the_words_makes_no_mistake(result):
    report = result.report()
    assert report["protocol"] == "stream"
    assert set(report["streams"]) == {"20 dB", "0 dB"}
    words = report["streams"]["20 dB"]["words"]
    assert report["all"]["words"] == 2 * words == 32
    for row in report["streams"].values():
        assert (row["misses"], row["wrong_words"], row["false_accepts"]["count"]) == (0, 0, 0)
        # Two steps of the word: long before its end.
        assert -0.4 < row["delay"]["median"] < -0.2
    # The same words at two ratios show no more of words than the sixteen alone.
    same = report["streams"]["20 dB"]["miss_rate_interval"]
    assert report["all"]["miss_rate_interval"] == same
    assert report["decoder"] == QUICK.to_dict()
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_heard_at_two_ratios_is_counted_twice_but_known_once(result, count):
    scores = {
        name: dataclasses.replace(score, false_accepts=count)
        for name, score in result.scores.items()
    }
    report = dataclasses.replace(result, scores=scores).report()
    one, both = (r["false_accepts"] for r in (report["streams"]["0 dB"], report["all"]))
    assert (both["count"], both["per_hour"]) == (2 * count, one["per_hour"])
    assert both["interval"] == one["interval"]


def test_a_curve_over_the_same_streams_twice_knows_them_once(model, tones, posterior_fn):
    once, twice = (
        evaluation.evaluate_stream(
            model, tones, snrs=snrs, words=None, posterior_fn=posterior_fn
        ).report()["det"]
        for snrs in ([20], [20, 20.001])
    )
    for one, both in zip(once, twice, strict=True):
        assert both["false_accepts"]["count"] == 2 * one["false_accepts"]["count"]
        assert both["false_accepts"]["interval"] == one["false_accepts"]["interval"]


def test_a_false_accept_is_found_in_its_file(result):
    negatives = result.report()["negatives"]
    accepts = negatives["false_accepts"]
    assert accepts["count"] == 1
    assert accepts["hours"] == pytest.approx(91 / 3600, abs=1e-4)
    (found,) = negatives["accepted"]
    assert (found["file"], found["label"]) == ("b/c.wav", "no")
    assert 30.3 < found["time"] < 30.5
    assert "words" not in negatives
    assert result.report()["warnings"] == []


def test_figures_and_tables_are_those_of_the_report(result):
    report = result.report()
    miss_rate, accepts = (result.figures[name] for name in ("miss_rate", "false_accepts_per_hour"))
    assert miss_rate.value == report["all"]["miss_rate"]
    assert miss_rate.n == report["all"]["words"]
    assert list(miss_rate.interval) == report["all"]["miss_rate_interval"]
    assert accepts.value == report["negatives"]["false_accepts"]["per_hour"]
    assert list(accepts.interval) == report["negatives"]["false_accepts"]["interval"]
    streams, det = result.tables["streams"], result.tables["det"]
    assert [row[:3] for row in streams.rows] == [
        (name, row["words"], row["misses"])
        for name, row in {**report["streams"], "all": report["all"]}.items()
    ]
    assert [row[0] for row in det.rows] == [row["enter"] for row in report["det"]]
    assert result.pictures == tuple(reports.pictures(result, "tiny")) == ("det.png",)


def test_the_curve_trades_misses_for_false_accepts(result):
    misses = [point.miss_rate for point in result.points]
    accepts = [point.false_accepts for point in result.points]
    assert misses == sorted(misses)
    assert accepts == sorted(accepts, reverse=True)
    # The listener is never surer than 0.97.
    assert (misses[0], misses[-1]) == (0, 1)
    assert (accepts[0], accepts[-1]) == (1, 0)


def test_the_same_call_gives_the_same_figures(model, tones, posterior_fn):
    first, second, other = (
        evaluation.evaluate_stream(
            model, tones, snrs=[0], words=10, seed=seed, posterior_fn=posterior_fn
        )
        for seed in (0, 0, 1)
    )
    assert first.report() == second.report()
    assert first.truth != other.truth
    assert first.negatives is None
    assert "negatives" not in first.report()
    assert "recordings without words were not given" in first.report()["warnings"][0]


def test_a_test_archive_has_its_own_noise(model, tone, tmp_path, posterior_fn):
    archive = tmp_path / "archive"
    rng = np.random.default_rng(0)
    for label, word in (("yes", "yes"), ("no", "no"), ("_unknown_", "cat"), ("_silence_", None)):
        (archive / label).mkdir(parents=True)
        for i in range(3):
            noise = rng.normal(0, 0.1, 16000).astype(np.float32)
            audio.write(archive / label / f"{i}.wav", tone(word) if word else noise)
    result = evaluation.evaluate_stream(model, archive, snrs=[10], posterior_fn=posterior_fn)
    assert result.total.words == result.total.hits == 6
    assert "split" not in result.details


def test_a_recording_with_its_truth(model, tone, tmp_path, posterior_fn):
    waveform = np.concatenate([tone(word) for word in ("yes", "cat", "no", "no")])
    audio.write(tmp_path / "said.wav", waveform)
    (tmp_path / "said.tsv").write_text(
        "0.3\t0.7\tyes\n1.3\t1.7\tstop\n2.3\t2.7\tno\n3.3\t3.7\tno\n"
    )
    result = evaluation.evaluate_recording(model, tmp_path / "said.wav", posterior_fn=posterior_fn)
    assert (result.total.words, result.total.hits) == (3, 3)  # "stop" is a word it does not know
    assert result.truth["said"][1].label == "_unknown_"
    assert result.details["data"] == "said.wav"


def test_a_recording_without_a_word_has_false_accepts_alone(model, tone, tmp_path, posterior_fn):
    audio.write(tmp_path / "said.wav", np.concatenate([tone("cat"), tone("yes")]))
    (tmp_path / "said.tsv").write_text("")
    result = evaluation.evaluate_recording(model, tmp_path / "said.wav", posterior_fn=posterior_fn)
    assert result.report()["all"]["false_accepts"]["count"] == 1
    assert result.points == ()
    recorded = reports.record(model, result)
    assert "False accepts in these streams: 1 in" in (recorded.path / "README.md").read_text(
        encoding="utf-8"
    )


def test_the_report_is_written_with_the_truth_beside(model, result, tmp_path):
    reports.write_report(model, result, tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report == {"model": "tiny", **result.report()}
    assert (tmp_path / "report" / "det.png").read_bytes()[:4] == b"\x89PNG"
    truth = read_truth(tmp_path / "report" / "stream_20dB.tsv")
    assert [word.label for word in truth] == [word.label for word in result.truth["20 dB"]]


def test_the_card_says_what_was_measured(model, result):
    recorded = reports.record(model, result)
    assert recorded.metrics["stream"]["all"]["words"] == 32
    card = (model.path / "README.md").read_text(encoding="utf-8")
    assert "| 20 dB | 16 | **0.0%** (0.0% – 19.4%) | 0 |" in card
    assert "False accepts in recordings without words of the vocabulary: 1 in 0.03 h" in card
    assert "fewer than" in card
    assert "![Detection error trade-off](det.png)" in card
    assert (model.path / "det.png").exists()
    assert "hash-split validation" in card


def test_a_stream_is_heard_without_resets_and_in_any_blocks(listener, tone):
    sound = [tone("yes"), tone("no")[:5000], tone("cat")]
    pieces = make_posterior_fn(listener)(sound)
    whole = make_posterior_fn(listener, sample_rate=700)([np.concatenate(sound)])
    np.testing.assert_array_equal(pieces.times, whole.times)
    np.testing.assert_array_equal(pieces.probabilities, whole.probabilities)
    assert pieces.step == pytest.approx(0.04)


def test_what_cannot_be_heard(model, tones, tmp_path, posterior_fn):
    with pytest.raises(ValueError, match="at least one SNR"):
        evaluation.evaluate_stream(model, tones, snrs=[], posterior_fn=posterior_fn)
    with pytest.raises(FileNotFoundError, match="Expected recordings in"):
        evaluation.evaluate_stream(
            model, tones, negatives=tmp_path, snrs=[0], posterior_fn=posterior_fn
        )
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    with pytest.raises(AudioError, match="broken.wav"):
        evaluation.evaluate_stream(
            model, tones, negatives=tmp_path, snrs=[0], words=3, posterior_fn=posterior_fn
        )
    with pytest.raises(ValueError, match="sound of at least one step"):
        posterior_fn([np.zeros(10, np.float32)])


def test_progress_counts_streams_and_files(model, tones, negatives, posterior_fn):
    done = []
    evaluation.evaluate_stream(
        model,
        tones,
        negatives=negatives,
        snrs=[20],
        words=3,
        posterior_fn=posterior_fn,
        on_progress=lambda *x: done.append(x),
    )
    assert done == [(1, 3), (2, 3), (3, 3)]
