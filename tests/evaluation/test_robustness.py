"""Clips under other conditions: what is done to them is what it says, and the same twice."""

import json

import numpy as np
import pytest

from echoic import audio, metrics
from echoic import data as datasets
from echoic.augmentation import displace, mix, reverberate_with, room_responses
from echoic.evaluation import Evaluation, evaluate_robustness, robustness
from echoic.evaluation.conditions import babble, pink, play, set_peak
from echoic.evaluation.robustness import choose
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer
from synthetic_bundle import make_bundle

RATE = audio.SAMPLE_RATE
LABELS = ("_silence_", "_unknown_", "yes", "no")
TONES = {"yes": 500, "no": 1000, "_unknown_": 2000}  # Hz
COUNTS = {"_silence_": 4, "_unknown_": 12, "yes": 3, "no": 6}


def power(waveform):
    return float(np.mean(np.square(waveform, dtype=np.float64)))


def posterior_fn(clip):
    """Know a tone by its part of the power of a clip."""
    spectrum = np.abs(np.fft.rfft(clip)) ** 2
    parts = [spectrum[f - 60 : f + 61].sum() / (spectrum.sum() + 1e-9) for f in TONES.values()]
    row = np.full(len(LABELS), 0.01, np.float32)
    best = int(np.argmax(parts))
    label = [*TONES][best] if parts[best] > 0.55 else "_silence_"
    row[LABELS.index(label)] = 0.97
    return row


class Listener:
    """Stands for the recognizer; counts what it hears."""

    heard = 0

    def __init__(self, bundle):
        pass

    def probabilities(self, waveforms):
        assert len(waveforms) == 1
        assert waveforms.shape[1] == RATE
        assert waveforms.dtype == np.float32
        Listener.heard += 1
        return np.stack([posterior_fn(waveform) for waveform in waveforms])


@pytest.fixture
def listener(monkeypatch):
    monkeypatch.setattr(robustness, "Recognizer", Listener)
    Listener.heard = 0
    return Listener


@pytest.fixture
def model(tmp_path):
    """A model whose training kept two noises out."""
    return make_bundle(tmp_path, unseen_noises=["bike", "cat"])


@pytest.fixture(scope="module")
def examples(tone):
    words = {"yes": "yes", "no": "no", "_unknown_": "cat"}
    targets = np.repeat(np.arange(len(LABELS)), [COUNTS[label] for label in LABELS])
    waveforms = np.stack(
        [
            tone(words[LABELS[t]], start=0.3 + 0.01 * (i % 5)) if t else np.zeros(RATE, np.float32)
            for i, t in enumerate(targets)
        ]
    )
    names = tuple(f"{LABELS[t]}/{i}.wav" for i, t in enumerate(targets))
    return datasets.Examples(waveforms, targets, names, LABELS)


@pytest.fixture
def evaluation(examples):
    probabilities = np.stack([posterior_fn(waveform) for waveform in examples.waveforms])
    return Evaluation("archive-v0.02", {}, examples, probabilities)


@pytest.fixture
def noises(tmp_path):
    """A data set with one of the two noises, and one that training heard."""
    folder = tmp_path / "data" / "_background_noise_"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("bike", "running_tap"):
        audio.write(folder / f"{name}.wav", rng.normal(0, 0.1, 3 * RATE).astype(np.float32))
    return folder.parent


@pytest.mark.parametrize("snr", [20, 5, 0, -5])
def test_the_ratio_is_what_it_says(tone, snr):
    clip, noise = tone("yes"), pink(RATE, rng=np.random.default_rng(0))
    added = mix(clip, noise, snr) - clip
    assert 10 * np.log10(power(clip) / power(added)) == pytest.approx(snr, abs=0.01)
    assert added.dtype == np.float32


def test_digital_silence_has_no_ratio(tone):
    nothing = np.zeros(RATE, np.float32)
    np.testing.assert_array_equal(mix(nothing, pink(RATE, rng=np.random.default_rng(0)), 0), 0)
    np.testing.assert_array_equal(mix(tone("yes"), nothing, 0), tone("yes"))
    np.testing.assert_array_equal(set_peak(nothing, -10), nothing)


def test_what_leaves_a_clip_unchanged(tone):
    clip = tone("yes")
    np.testing.assert_array_equal(displace(clip, 0), clip)
    np.testing.assert_array_equal(play(clip, 1.0), clip)
    here = np.zeros(100, np.float32)
    here[0] = 1
    np.testing.assert_allclose(reverberate_with(clip, here), clip, atol=1e-6)


def test_displaced_both_ways():
    clip = np.arange(1, 6, dtype=np.float32)
    np.testing.assert_array_equal(displace(clip, 2), [0, 0, 1, 2, 3])
    np.testing.assert_array_equal(displace(clip, -2), [3, 4, 5, 0, 0])


@pytest.mark.parametrize("speed", robustness.SPEEDS)
def test_speed_keeps_the_length_and_the_middle_and_moves_the_pitch(tone, speed):
    played = play(tone("no", start=0.4, end=0.6), speed)
    assert played.shape == (RATE,)
    assert played.dtype == np.float32
    pitch = np.argmax(np.abs(np.fft.rfft(played)))  # Hz, for a clip of a second
    assert pitch == pytest.approx(1000 * speed, rel=0.01)
    middle = np.average(np.arange(RATE), weights=played**2)
    assert middle == pytest.approx(RATE / 2, abs=100)
    loud = np.flatnonzero(np.abs(played) > 0.1)
    assert loud[-1] - loud[0] == pytest.approx(0.2 / speed * RATE, rel=0.02)


@pytest.mark.parametrize("level", robustness.PEAKS)
def test_peak_is_what_it_says_in_16_bits(tone, level):
    clip = set_peak(tone("yes"), level)
    assert 20 * np.log10(np.abs(clip).max()) == pytest.approx(level, abs=0.05)
    np.testing.assert_array_equal(clip, audio.to_float32(audio.to_int16(clip)))


def test_pink_has_the_same_power_in_each_octave():
    noise = pink(64 * RATE, rng=np.random.default_rng(0))
    assert power(noise) == pytest.approx(1, rel=1e-3)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [spectrum[64 * f : 128 * f].sum() for f in (125, 250, 500, 1000, 2000)]
    np.testing.assert_allclose(octaves / np.mean(octaves), 1, atol=0.1)


def test_babble_never_has_the_label_of_its_clip(examples):
    several = []
    for number in np.flatnonzero(examples.targets > 0):
        noise = babble(examples, int(number), rng=np.random.default_rng(int(number)))
        spectrum = np.abs(np.fft.rfft(noise)) ** 2
        own = TONES[LABELS[examples.targets[number]]]
        assert spectrum[own - 60 : own + 61].sum() < 0.05 * spectrum.sum()
        others = [spectrum[t - 60 : t + 61].sum() for t in TONES.values() if t != own]
        several.append(np.count_nonzero(np.array(others) > 0.05 * spectrum.sum()) > 1)
    assert np.mean(several) > 0.5  # where the talkers do not drown each other


def test_babble_needs_others(examples):
    only = np.flatnonzero(examples.targets == 2)
    alone = datasets.Examples(
        examples.waveforms[only], examples.targets[only], ("a", "b", "c"), examples.labels
    )
    with pytest.raises(ValueError, match=r"Expected spoken clips of another label .*received none"):
        babble(alone, 0, rng=np.random.default_rng(0))


def test_clips_are_drawn_by_label_and_never_silent(examples):
    every = choose(examples, None)
    np.testing.assert_array_equal(every, np.flatnonzero(examples.targets > 0))
    np.testing.assert_array_equal(choose(examples, 1000), every)
    drawn = choose(examples, 11)
    assert np.bincount(examples.targets[drawn], minlength=4).tolist() == [0, 4, 3, 4]
    np.testing.assert_array_equal(drawn, choose(examples, 11))
    np.testing.assert_array_equal(drawn, np.unique(drawn))


def test_all_conditions_and_their_figures(model, evaluation, noises, listener):
    done = []
    result = evaluate_robustness(
        model, evaluation, noises=noises, on_progress=lambda *x: done.append(x)
    )
    data = result.report()
    assert list(data) == ["noise", "reverberation", "shift", "speed", "loudness"]
    n = COUNTS["_unknown_"] + COUNTS["yes"] + COUNTS["no"]
    conditions = 3 * len(robustness.SNRS) + sum(
        map(len, (robustness.RT60, robustness.SHIFTS, robustness.SPEEDS, robustness.PEAKS))
    )
    assert listener.heard == n * conditions
    assert done[-1] == (n * conditions, n * conditions)
    assert json.loads(json.dumps(data)) == data
    assert (result.model, result.protocol) == ("tiny", "archive-v0.02")
    assert (result.spoken, result.silence) == (n, True)
    noise = data["noise"]
    assert list(noise["kinds"]) == ["bike", "pink", "babble"]
    assert [kind["unseen"] for kind in noise["kinds"].values()] == [True, False, False]
    assert noise["absent"] == ["cat"]
    rows = noise["kinds"]["bike"]["conditions"]
    assert [row["snr"] for row in rows] == list(robustness.SNRS)
    assert noise["unseen"]["kinds"] == ["bike"]
    assert noise["unseen"]["accuracy"] == pytest.approx(np.mean([r["accuracy"] for r in rows]))
    for row in (noise["clean"], *rows, *data["speed"]["conditions"]):
        assert row["n"] == n
        interval = metrics.wilson_interval(round(row["accuracy"] * n), n)
        assert row["interval"] == pytest.approx(interval, abs=1e-4)


def test_strength_tells(model, evaluation, noises, listener):
    """The listener knows tones by their part of the power: hiss takes it, and so does speed."""
    data = evaluate_robustness(model, evaluation, noises=noises).report()
    assert data["noise"]["clean"]["accuracy"] == 1
    hiss = [row["accuracy"] for row in data["noise"]["kinds"]["bike"]["conditions"]]
    assert hiss == sorted(hiss, reverse=True)
    assert hiss[-1] < hiss[0]
    by_speed = {row["value"]: row["accuracy"] for row in data["speed"]["conditions"]}
    assert by_speed[1.25] < 1
    assert {row["accuracy"] for row in data["loudness"]["conditions"]} == {1}


def test_unchanged_conditions_give_the_unchanged_accuracy(model, examples, listener):
    targets = examples.targets.copy()
    targets[-2:] = (
        2  # Two clips are called "yes" and sound as "no": wrong whatever is done to them.
    )
    named = datasets.Examples(examples.waveforms, targets, examples.names, LABELS)
    answers = np.stack([posterior_fn(waveform) for waveform in named.waveforms])
    data = evaluate_robustness(model, Evaluation("hash-split", {}, named, answers)).report()
    assert data["shift"]["unchanged"]["accuracy"] == pytest.approx(19 / 21, abs=1e-6)
    for key, value in (("shift", 0), ("speed", 1)):
        (row,) = [r for r in data[key]["conditions"] if r["value"] == value]
        assert {k: row[k] for k in ("accuracy", "n", "interval")} == data[key]["unchanged"]


def test_the_same_figures_twice(model, evaluation, noises, listener):
    first, second = (
        evaluate_robustness(model, evaluation, noises=noises, max_clips=8) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("given", [None, "nothing"])
def test_without_recordings(model, evaluation, listener, tmp_path, given):
    result = evaluate_robustness(model, evaluation, noises=given and tmp_path / given, max_clips=3)
    assert [noise.kind for noise in result.noises] == ["pink", "babble"]
    assert result.unseen is None
    assert result.absent == ("bike", "cat")


def test_a_test_of_one_word_has_no_babble(model, examples, listener):
    only = np.flatnonzero(examples.targets == 2)
    alone = datasets.Examples(
        examples.waveforms[only], examples.targets[only], ("a", "b", "c"), examples.labels
    )
    answers = np.stack([posterior_fn(waveform) for waveform in alone.waveforms])
    result = evaluate_robustness(model, Evaluation("hash-split", {}, alone, answers))
    assert [noise.kind for noise in result.noises] == ["pink"]


def test_silence_alone_has_nothing_to_evaluate(model, examples, listener):
    silent = datasets.Examples(
        examples.waveforms[:2], examples.targets[:2], examples.names[:2], examples.labels
    )
    answers = np.stack([posterior_fn(waveform) for waveform in silent.waveforms])
    assert evaluate_robustness(model, Evaluation("hash-split", {}, silent, answers)) is None


def test_no_clips(model, evaluation):
    with pytest.raises(ValueError, match=r"max_clips of at least 1, received 0"):
        evaluate_robustness(model, evaluation, max_clips=0)


def test_the_rooms_are_not_those_of_training():
    heard = {response.tobytes() for response in room_responses((0.4, 0.4), RATE)}
    rooms = room_responses((0.4, 0.4), RATE, count=8, seed=robustness.SEED)
    assert not {response.tobytes() for response in rooms} & heard
    np.testing.assert_allclose(np.linalg.norm(rooms, axis=1), 1, rtol=1e-5)


def test_it_is_the_file_that_ships_that_hears(tiny_model, sample):
    from echoic.evaluation import evaluate_split

    model = Bundle.load(tiny_model)
    result = evaluate_split(model, sample)
    shift = evaluate_robustness(model, result, max_clips=6).sweeps["shift"]
    chosen = choose(result.examples, 6)
    moved = np.stack([displace(result.examples.waveforms[i], -3200) for i in chosen])
    answers = Recognizer(model).probabilities(moved).argmax(axis=1)
    right = float(np.mean(answers == result.examples.targets[chosen]))
    assert shift[-200.0].value == pytest.approx(right, abs=1e-6)
