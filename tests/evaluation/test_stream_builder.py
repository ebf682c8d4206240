"""Streams have their words where they say, at the ratio that they say."""

import numpy as np
import pytest

from echoic import audio
from echoic import data as datasets
from echoic.evaluation import Word, audible, build_stream, read_truth, write_truth

RATE = 16_000
LABELS = ("_silence_", "_unknown_", "yes", "no")


def examples(n=12, *, seed=0):
    """Bursts of noise of 0.4 s, at another place and level in each clip."""
    rng = np.random.default_rng(seed)
    waveforms = np.zeros((n, RATE), np.float32)
    for row in waveforms:
        start = rng.integers(2000, 7000)
        row[start : start + 6400] = rng.normal(0, rng.uniform(0.01, 0.2), 6400)
    targets = np.arange(n) % len(LABELS)
    return datasets.Examples(waveforms, targets, tuple(map(str, range(n))), LABELS)


NOISE = np.random.default_rng(9).normal(0, 0.05, 20 * RATE).astype(np.float32)


def test_words_are_where_the_truth_says():
    stream = build_stream(examples(), seed=3)
    assert stream.waveform.dtype == np.float32
    heard = np.zeros(len(stream.waveform), bool)
    for start, end, _ in stream.truth:
        assert end - start == pytest.approx(0.4, abs=0.045)
        heard[round(start * RATE) : round(end * RATE)] = True
    assert np.abs(stream.waveform[~heard]).max() < 0.01
    assert stream.duration == len(stream.waveform) / RATE


def test_every_word_is_in_it_once_and_silence_never():
    stream = build_stream(examples(), seed=3)
    labels = [word.label for word in stream.truth]
    assert sorted(labels) == sorted(["_unknown_", "yes", "no"] * 3)
    assert list(stream.truth) == sorted(stream.truth)
    assert len(build_stream(examples(), words=4).truth) == 4


def test_gaps_are_within_their_range():
    stream = build_stream(examples(40), gap=(0.5, 0.6))
    n = len(stream.truth)
    assert n + 0.5 * (n + 1) <= stream.duration <= n + 0.6 * (n + 1)


def test_the_seed_decides():
    first, again, other = (
        build_stream(examples(), noises=[NOISE], snr_db=10, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.waveform, again.waveform)
    assert first.truth == again.truth
    assert first.truth != other.truth


def test_the_ratio_is_that_of_each_word():
    clean = build_stream(examples(), seed=5)
    for snr in (20, 0):
        noisy = build_stream(examples(), noises=[NOISE], snr_db=snr, seed=5)
        assert noisy.truth == clean.truth
        noise = noisy.waveform - clean.waveform
        for start, end, _ in clean.truth:
            part = slice(round(start * RATE), round(end * RATE))
            power = [np.mean(np.square(x[part])) for x in (clean.waveform, noise)]
            assert 10 * np.log10(power[0]) == pytest.approx(-26, abs=0.5)
            assert 10 * np.log10(power[0] / power[1]) == pytest.approx(snr, abs=1)


def test_noise_keeps_its_level_where_one_gives_way_to_another():
    noises = [NOISE, np.float32(0.01) * np.sin(np.arange(3 * RATE) / 7).astype(np.float32)]
    clean = build_stream(examples(40))
    noise = build_stream(examples(40), noises=noises, snr_db=10).waveform - clean.waveform
    levels = 10 * np.log10(
        np.mean(np.square(noise[: len(noise) // RATE * RATE].reshape(-1, RATE)), 1)
    )
    np.testing.assert_allclose(levels, -36, atol=1.0)


def test_a_noise_that_is_all_but_silent_is_not_blown_up():
    noise = np.full(6 * RATE, 1e-5, np.float32)
    quiet = build_stream(examples(), noises=[noise], snr_db=0)
    clean = build_stream(examples())
    assert np.abs(quiet.waveform - clean.waveform).max() < 0.01


def test_digital_silence_is_no_word():
    some = examples()
    some.waveforms[2] = 0
    assert len(build_stream(some).truth) == len(build_stream(examples()).truth) - 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gap": (1.0, 0.5)}, r"\(shortest, longest\) in seconds, received \(1.0, 0.5\)"),
        ({"gap": (-1.0, 0.5)}, "shortest"),
        ({"snr_db": 10}, "noises for a ratio of 10 dB, received none"),
        ({"words": 0}, "at least one word"),
    ],
)
def test_what_cannot_be_built(settings, message):
    with pytest.raises(ValueError, match=message):
        build_stream(examples(), **settings)


def test_the_audible_part_of_a_word_in_a_room():
    rng = np.random.default_rng(0)
    room = rng.normal(0, 0.001, RATE).astype(np.float32)
    word = room.copy()
    word[4000:9000] += rng.normal(0, 0.1, 5000).astype(np.float32)
    word[9000:11000] += rng.normal(0, 0.002, 2000).astype(np.float32)  # 34 dB below: inaudible
    start, end = audible(word)
    assert start == pytest.approx(4000, abs=320)
    assert end == pytest.approx(9000, abs=320)


def test_the_end_of_a_word_after_a_pause_is_audible():
    word = np.zeros(RATE, np.float32)
    word[2000:6000] = 0.1
    word[7000:7800] = 0.02  # the release of a "t", 14 dB below
    assert audible(word)[1] == pytest.approx(7800, abs=320)


@pytest.mark.parametrize("n", [1, 100, 320, 16000])
def test_something_is_audible_of_every_sound(n):
    start, end = audible(np.full(n, 0.1, np.float32))
    assert (start, end) == (0, n)


def test_the_truth_survives_its_file(tmp_path):
    truth = (Word(0.5, 1.0, "yes"), Word(2.125, 2.5, "_unknown_"))
    write_truth(tmp_path / "stream.tsv", truth)
    assert (tmp_path / "stream.tsv").read_bytes() == b"0.500\t1.000\tyes\n2.125\t2.500\t_unknown_\n"
    assert read_truth(tmp_path / "stream.tsv") == truth


def test_the_truth_of_the_sample(sample):
    truth = read_truth(sample / "stream.tsv")
    assert [word.label for word in truth][:4] == ["yes", "left", "go", "go"]
    assert truth[-1].end < len(audio.read(sample / "stream.wav")) / RATE


@pytest.mark.parametrize(
    "line", ["1.0\t2.0", "1.0 2.0 yes", "a\t2.0\tyes", "2.0\t1.0\tyes", "nan\t1\tyes", "1\t2\t "]
)
def test_a_line_that_is_none(tmp_path, line):
    (tmp_path / "stream.tsv").write_text(f"0.5\t1.0\tno\n\n{line}\n")
    with pytest.raises(ValueError, match="in line 3 of .*stream.tsv, received"):
        read_truth(tmp_path / "stream.tsv")
