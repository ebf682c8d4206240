"""From a folder to examples: what is read, what is left out, what is drawn."""

import itertools
import logging
import pickle
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile

from echoic import audio
from echoic.config import DataConfig
from echoic.data import DataError, Dataset, hash_split, load, load_folders
from echoic.data import examples as examples_module
from echoic.data.sources import InMemorySource
from echoic.labels import SILENCE, UNKNOWN, WORDS

RATE = audio.SAMPLE_RATE
YES_NO = DataConfig(vocabulary=("yes", "no"))
ALONE = DataConfig(vocabulary=("yes", "no"), unknown_fraction=0)
SPEAKERS = {
    side: [s for s in (f"{i:08x}" for i in range(4000)) if hash_split(s) == side]
    for side in ("training", "validation", "test")
}


def tone(frequency=440.0, *, seconds=1.0, rate=RATE, level=0.5):
    """A sine: shape (samples,), float32."""
    times = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def strongest(waveform):
    """Frequency (Hz) of the strongest partial of a second at 16 kHz, and its amplitude."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    peak = int(np.argmax(spectrum))
    return peak * RATE / len(waveform), spectrum[peak] * 4 / len(waveform)


def put(root, word, speaker, waveform=None, *, rate=RATE, suffix=".wav", **kwargs):
    """Write one recording where the data set has it."""
    path = root / word / f"{speaker}_nohash_0{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone() if waveform is None else waveform, rate, **kwargs)
    return path


def make(root, *, words=("yes", "no", "cat", "dog"), speakers=4, noise=True):
    """A set in the official layout: short tones, and a noise that has another pitch each side."""
    for word in words:
        content = put(root, word, SPEAKERS["training"][0], tone(seconds=0.02)).read_bytes()
        for side, names in SPEAKERS.items():
            for speaker in names[: speakers if side == "training" else 2]:
                (root / word / f"{speaker}_nohash_0.wav").write_bytes(content)
    if noise:
        folder = root / "_background_noise_"
        folder.mkdir()
        parts = tone(1000, seconds=16), tone(2000, seconds=2), tone(3000, seconds=2)
        audio.write(folder / "hum.wav", np.concatenate(parts))
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """For tests that change nothing."""
    return make(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def training(sample):
    """The training side of the repository's set, with the twelve labels."""
    return load(sample, DataConfig(), "training")


@pytest.fixture(scope="module")
def validation(sample):
    return load(sample, DataConfig(), "validation")


class TestDataConfig:
    def test_labels_are_those_of_the_vocabulary(self):
        assert YES_NO.labels == (SILENCE, UNKNOWN, "yes", "no")
        assert len(DataConfig().labels) == 12
        assert DataConfig(vocabulary="35").labels == WORDS

    def test_lists_become_tuples(self):
        config = DataConfig(
            vocabulary=["yes", "no"], unseen_words=["cat"], unseen_noises=["dude_miaowing"]
        )
        same = DataConfig(
            vocabulary=("yes", "no"), unseen_words=("cat",), unseen_noises=("dude_miaowing",)
        )
        assert config == same
        assert hash(config) == hash(same)

    @pytest.mark.parametrize(("unknown", "silence"), [(0.5, 0.5), (1.0, 0.0), (0.25, 0.75)])
    def test_refuses_impossible_fractions(self, unknown, silence):
        with pytest.raises(ValueError, match="sum to less than 1") as error:
            DataConfig(unknown_fraction=unknown, silence_fraction=silence)
        assert f"received {unknown} and {silence}" in str(error.value)

    def test_a_word_cannot_be_both_known_and_unseen(self):
        with pytest.raises(
            ValueError, match="unseen_words without words of the vocabulary, received no, yes"
        ):
            DataConfig(unseen_words=("yes", "marvin", "no"))

    def test_refuses_what_is_no_vocabulary(self):
        with pytest.raises(ValueError, match="received ''"):
            DataConfig(vocabulary="")


class TestLoad:
    def test_12(self, training, sample):
        assert training.labels == DataConfig().labels
        assert training.source.waveforms.shape == (17 * 23, RATE)
        assert training.source.waveforms.dtype == np.int16
        assert training.counts == {UNKNOWN: 7 * 23, **dict.fromkeys(training.labels[2:], 23)}
        assert training.damaged == ()
        for i in (0, 100, 390):
            clip = training.source.clips[i]
            word = clip.word if clip.word in training.labels else UNKNOWN
            assert training.labels[training.targets[i]] == word
            expected = audio.fix_length(audio.read(sample / clip.name), RATE)
            np.testing.assert_array_equal(training.source.waveforms[i], audio.to_int16(expected))

    def test_35(self, speech_commands):
        split = load(
            speech_commands / "speech_commands_v0.02", DataConfig(vocabulary="35"), "training"
        )
        assert split.labels == WORDS
        assert all(12 <= count <= 20 for count in split.counts.values())
        assert len(split.noises) == 6  # to mix in, though silence is no label
        drawn = split.draw(np.random.default_rng(0))
        np.testing.assert_array_equal(np.sort(drawn), np.arange(len(split.source.clips)))
        assert split.targets.min() == 0
        assert split.targets.max() == 34

    def test_words_of_ones_own_without_speakers_in_their_names(self, tmp_path):
        rng = np.random.default_rng(0)
        for word, number in itertools.product(["jarvis", "lights"], range(60)):
            path = tmp_path / word / f"take {number}.wav"
            path.parent.mkdir(exist_ok=True)
            audio.write(path, rng.uniform(-0.5, 0.5, 300))
        config = DataConfig(vocabulary="jarvis,lights")
        splits = [load(tmp_path, config, side) for side in SPEAKERS]
        assert [split.labels for split in splits] == [(SILENCE, UNKNOWN, "jarvis", "lights")] * 3
        names = [clip.name for split in splits for clip in split.source.clips]
        assert len(names) == len(set(names)) == 120

    @pytest.mark.parametrize("seconds", [0.5, 1.0, 1.5])
    def test_length_of_a_clip(self, small, seconds):
        split = load(
            small, DataConfig(vocabulary=("yes", "no"), clip_seconds=seconds), "validation"
        )
        assert split.source.waveforms.shape[1] == seconds * RATE
        assert not split.source.waveforms[:, 320:].any()
        assert split.examples().waveforms.shape[1] == seconds * RATE

    def test_unseen_words_stay_out(self, sample):
        split = load(sample, DataConfig(unseen_words=("bed", "bird", "marvin")), "training")
        words = {clip.word for clip in split.source.clips}
        assert words == {*split.labels[2:], "cat", "happy", "four", "five", "eight"}

    def test_without_unknown_only_the_words_are_read(self, small):
        config = DataConfig(vocabulary=("yes", "no"), unknown_fraction=0)
        split = load(small, config, "training")
        assert {clip.word for clip in split.source.clips} == {"yes", "no"}
        drawn = split.draw(np.random.default_rng(0))
        assert Counter(split.targets[drawn[drawn >= 0]]) == {2: 4, 3: 4}

    def test_words_without_recordings_on_a_side_are_named(self, small, tmp_path):
        shutil.copytree(small / "yes", tmp_path / "yes")
        put(tmp_path, "no", SPEAKERS["training"][0])
        with pytest.raises(DataError, match="No validation recordings of no in"):
            load(tmp_path, YES_NO, "validation")
        with pytest.raises(DataError, match="none for maybe"):
            load(tmp_path, DataConfig(vocabulary="yes,maybe"), "training")
        with pytest.raises(DataError, match="No data set at"):
            load(tmp_path / "nowhere", YES_NO, "training")


class TestOddRecordings:
    """Whatever libsndfile reads becomes a second at 16 kHz, mono, with the same sound in it."""

    @pytest.mark.parametrize(
        ("rate", "channels", "suffix", "options"),
        [
            (16_000, 1, ".wav", {"subtype": "PCM_16"}),
            (16_000, 2, ".wav", {"subtype": "PCM_16"}),
            (16_000, 1, ".wav", {"subtype": "PCM_24"}),
            (16_000, 1, ".wav", {"subtype": "FLOAT"}),
            (16_000, 1, ".wav", {"subtype": "PCM_U8"}),
            (8_000, 1, ".wav", {"subtype": "PCM_16"}),
            (44_100, 1, ".wav", {"subtype": "PCM_16"}),
            (48_000, 1, ".wav", {"subtype": "PCM_16"}),
            (48_000, 2, ".wav", {"subtype": "FLOAT"}),
            (44_100, 2, ".flac", {}),
            (44_100, 2, ".mp3", {}),
            (16_000, 1, ".WAV", {"subtype": "PCM_16"}),
        ],
    )
    def test_are_converted(self, small, tmp_path, rate, channels, suffix, options):
        root = shutil.copytree(small, tmp_path / "set")
        waveform = np.stack([tone(440, rate=rate, level=0.25)] * channels, axis=1)
        path = put(root, "yes", SPEAKERS["training"][10], waveform, rate=rate, suffix=suffix)
        soundfile.write(path, waveform, rate, **options)
        split = load(root, YES_NO, "training")
        assert split.damaged == ()
        (i,) = (i for i, clip in enumerate(split.source.clips) if clip.path == path)
        heard = audio.to_float32(split.source.waveforms[i])
        frequency, level = strongest(heard)
        assert frequency == pytest.approx(440, abs=1)
        assert level == pytest.approx(0.25, abs=0.01)
        assert np.corrcoef(heard, tone(440))[0, 1] > 0.99

    @pytest.mark.parametrize("start", [0.0, 2.3, 4.5])
    @pytest.mark.parametrize("rate", [16_000, 48_000])
    def test_of_a_long_one_the_word_is_kept(self, tmp_path, rate, start):
        make(tmp_path)
        waveform = 0.01 * np.random.default_rng(0).standard_normal(5 * rate).astype(np.float32)
        word = tone(700, seconds=0.5, rate=rate)
        at = round(start * rate)
        waveform[at : at + len(word)] += word
        path = put(tmp_path, "yes", SPEAKERS["training"][10], waveform, rate=rate)
        split = load(tmp_path, YES_NO, "training")
        (i,) = (i for i, clip in enumerate(split.source.clips) if clip.path == path)
        heard = audio.to_float32(split.source.waveforms[i])
        whole = float(np.sum(np.square(tone(700, seconds=0.5))))
        assert strongest(heard)[0] == pytest.approx(700, abs=2)
        assert np.sum(np.square(heard)) == pytest.approx(whole, rel=0.03)

    @pytest.mark.parametrize("place", [0, -1])
    def test_of_one_sample_too_many_the_quieter_end_goes(self, tmp_path, place):
        make(tmp_path)
        waveform = np.full(RATE + 1, 0.001, dtype=np.float32)
        waveform[place] = 0.5
        path = put(tmp_path, "yes", SPEAKERS["training"][10], waveform)
        split = load(tmp_path, YES_NO, "training")
        (i,) = (i for i, clip in enumerate(split.source.clips) if clip.path == path)
        assert split.source.waveforms[i, place] == 16384

    def test_of_one_cut_short_what_is_left(self, tmp_path):
        make(tmp_path)
        path = put(tmp_path, "yes", SPEAKERS["training"][10])
        path.write_bytes(path.read_bytes()[: 44 + 2 * 6000])
        split = load(tmp_path, YES_NO, "training")
        (i,) = (i for i, clip in enumerate(split.source.clips) if clip.path == path)
        expected = audio.to_int16(audio.fix_length(tone()[:6000], RATE))
        np.testing.assert_allclose(split.source.waveforms[i], expected, atol=1)


DAMAGE = {
    "empty": (b"", "empty file"),
    "text": (b"see yes/0001.wav instead\n" * 40, "not a recording"),
    "header": ("header", "holds no samples"),
    "half a header": (b"RIFF\x24\x7d\x00\x00WAVEfm", "not a recording"),
    "zeros": (np.zeros(RATE, np.float32), "digital silence"),
    "nan": (np.full(RATE, np.nan, np.float32), "NaN or infinite"),
    "inf": (np.full(RATE, np.inf, np.float32), "NaN or infinite"),
}


def damage(path, kind):
    content = DAMAGE[kind][0]
    if isinstance(content, np.ndarray):
        soundfile.write(path, content, RATE, subtype="FLOAT")
    else:
        path.write_bytes(path.read_bytes()[:44] if content == "header" else content)


class TestDamagedRecordings:
    @pytest.fixture
    def crowd(self, tmp_path):
        """202 training recordings: one is less than 0.5 % of them, two are more."""
        make(tmp_path, words=("yes",), speakers=101)
        make(tmp_path, words=("no",), speakers=101, noise=False)
        return tmp_path

    @pytest.mark.parametrize("kind", DAMAGE)
    def test_one_is_left_out_named_and_counted(self, crowd, caplog, kind):
        path = crowd / "yes" / f"{SPEAKERS['training'][50]}_nohash_0.wav"
        damage(path, kind)
        with caplog.at_level(logging.WARNING, "echoic"):
            split = load(crowd, ALONE, "training")
        assert len(split.source.clips) == len(split.targets) == len(split.source.waveforms) == 201
        assert path not in [clip.path for clip in split.source.clips]
        assert split.counts == {UNKNOWN: 0, "yes": 100, "no": 101}
        assert split.source.waveforms.any(axis=1).all()
        assert all(
            split.labels[t] == c.word
            for t, c in zip(split.targets, split.source.clips, strict=True)
        )
        (reason,) = split.damaged
        assert str(path) in reason
        assert DAMAGE[kind][1] in reason
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "1 of 202 recordings left out" in record.message
        assert reason in record.message

    def test_more_than_half_a_percent_is_too_much(self, crowd, caplog):
        paths = [crowd / w / f"{SPEAKERS['training'][50]}_nohash_0.wav" for w in ("yes", "no")]
        for path, kind in zip(paths, ["zeros", "text"], strict=True):
            damage(path, kind)
        with pytest.raises(DataError, match=r"at most 0\.5% damaged.*received 2 of 202") as error:
            load(crowd, ALONE, "training")
        assert all(str(path) in str(error.value) for path in paths)
        assert caplog.records == []

    def test_on_another_side_they_do_not_count(self, crowd, caplog):
        for speaker in SPEAKERS["test"][:2]:
            damage(crowd / "yes" / f"{speaker}_nohash_0.wav", "text")
        assert load(crowd, ALONE, "training").damaged == ()
        assert caplog.records == []

    def test_a_noise_that_cannot_be_read_is_named(self, small, tmp_path):
        root = shutil.copytree(small, tmp_path / "set")
        damage(root / "_background_noise_" / "hum.wav", "text")
        with pytest.raises(audio.AudioError, match=r"hum\.wav is not a recording"):
            load(root, YES_NO, "training")


class TestDraw:
    def test_has_every_clip_of_the_vocabulary_once(self, training):
        drawn = training.draw(np.random.default_rng(1))
        known = np.flatnonzero(training.targets != training.labels.index(UNKNOWN))
        counts = Counter(drawn.tolist())
        assert all(counts[i] == 1 for i in known)
        assert len(known) == 230

    def test_is_in_random_order(self, training):
        drawn = training.draw(np.random.default_rng(1))
        half = len(drawn) // 2
        for kind in (drawn < 0, (drawn >= 0) & (drawn < 200), drawn >= 200):
            assert 0.3 < kind[:half].sum() / kind.sum() < 0.7
        ordered = drawn[drawn >= 0]
        assert 0.3 < np.mean(np.diff(ordered) > 0) < 0.7

    def test_has_the_proportions_of_the_published_protocol(self, training):
        drawn = training.draw(np.random.default_rng(1))
        unknown = training.targets[drawn] == training.labels.index(UNKNOWN)
        silent = drawn < 0
        assert np.mean(silent) == pytest.approx(0.1, abs=0.005)
        assert np.mean(unknown & ~silent) == pytest.approx(0.1, abs=0.005)

    @pytest.mark.parametrize(("unknown", "silence"), [(0.2, 0.1), (0.3, 0.0), (0.0, 0.4)])
    def test_has_the_proportions_of_the_configuration(self, small, unknown, silence):
        config = DataConfig(
            vocabulary=("yes", "no"), unknown_fraction=unknown, silence_fraction=silence
        )
        split = load(small, config, "training")
        drawn = split.draw(np.random.default_rng(0))
        total = 8 / (1 - unknown - silence)
        assert np.sum(drawn < 0) == round(total * silence)
        assert np.sum(split.targets[drawn[drawn >= 0]] == 1) == round(total * unknown)
        assert np.sum(split.targets[drawn[drawn >= 0]] > 1) == 8

    def test_draws_unknown_words_afresh_each_epoch(self, training):
        index = training.labels.index(UNKNOWN)
        epochs = []
        for epoch in range(30):
            drawn = training.draw(np.random.default_rng([0, epoch]))
            drawn = drawn[drawn >= 0]
            unknown = drawn[training.targets[drawn] == index]
            assert len(set(unknown)) == len(unknown)
            epochs.append(set(unknown.tolist()))
        assert len({frozenset(unknown) for unknown in epochs}) == 30
        assert set.union(*epochs) == set(np.flatnonzero(training.targets == index).tolist())

    def test_takes_no_more_unknown_words_than_there_are(self, small):
        config = DataConfig(vocabulary=("yes", "no"), unknown_fraction=0.85)
        split = load(small, config, "training")
        drawn = split.draw(np.random.default_rng(0))
        assert sorted(drawn[drawn >= 0]) == list(range(16))

    def test_the_same_seed_gives_the_same_epoch(self, training):
        first, second = (training.draw(np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert first.dtype == np.int64


class TestTake:
    def test_gives_clips_and_their_targets(self, training):
        indices = np.array([5, 300, 5])
        waveforms, targets = training.take(indices, np.random.default_rng(0))
        assert waveforms.dtype == np.float32
        np.testing.assert_array_equal(waveforms * 32768, training.source.waveforms[indices])
        np.testing.assert_array_equal(targets, training.targets[indices])

    def test_puts_silence_where_it_was_drawn(self, training):
        waveforms, targets = training.take(np.array([3, -1, 4]), np.random.default_rng(0))
        assert targets[1] == training.labels.index(SILENCE)
        np.testing.assert_array_equal(waveforms[[0, 2]] * 32768, training.source.waveforms[[3, 4]])

    def test_leaves_the_clips_as_they_are(self, training):
        before = training.source.waveforms[-1].copy(), training.targets.copy()
        training.take(np.array([-1]), np.random.default_rng(0))
        np.testing.assert_array_equal(training.source.waveforms[-1], before[0])
        np.testing.assert_array_equal(training.targets, before[1])


class TestSilence:
    @pytest.mark.parametrize(
        ("side", "frequency"), [("training", 1000), ("validation", 2000), ("test", 3000)]
    )
    def test_is_cut_from_noise_of_its_own_side(self, small, side, frequency):
        split = load(small, YES_NO, side)
        waveforms, targets = split.take(np.full(50, -1), np.random.default_rng(0))
        assert set(targets) == {split.labels.index(SILENCE)}
        levels = []
        for waveform in waveforms:
            found, level = strongest(waveform)
            assert found == pytest.approx(frequency, abs=2)
            levels.append(level)
        assert 0 < min(levels) < 0.1
        assert 0.4 < max(levels) <= 0.51

    def test_is_never_zeros(self, training, validation):
        for split in (training, validation):
            waveforms, _ = split.take(np.full(100, -1), np.random.default_rng(0))
            assert waveforms.any(axis=1).all()

    def test_every_sample_of_a_noise_is_on_one_side(self, sample):
        sides = [load(sample, DataConfig(), side).noises for side in SPEAKERS]
        paths = sorted((sample / "_background_noise_").glob("*.wav"))
        assert [len(noises) for noises in sides] == [len(paths)] * 3
        for path, *parts in zip(paths, *sides, strict=True):
            noise = audio.read(path)
            assert [round(len(part) / len(noise), 2) for part in parts] == [0.8, 0.1, 0.1]
            np.testing.assert_array_equal(np.concatenate(parts), noise)

    def test_is_fresh_in_training(self, training):
        rng = np.random.default_rng(0)
        first, _ = training.take(np.array([-1, -1]), rng)
        second, _ = training.take(np.array([-1, -1]), rng)
        assert not np.array_equal(first[0], first[1])
        assert not np.array_equal(first, second)

    def test_unseen_noises_stay_out(self, sample):
        config = DataConfig(unseen_noises=("pink_noise", "fan"))
        split = load(sample, config, "validation")
        kept = [audio.read(sample / "_background_noise_" / f"{n}.wav") for n in
                ("running_water", "white_noise")]  # fmt: skip
        assert len(split.noises) == 2
        for part, noise in zip(split.noises, kept, strict=True):
            assert part.tobytes() in noise.tobytes()

    def test_training_can_hear_noise_through_a_codec_too(self, sample):
        config = DataConfig(codec_noise=True, unseen_noises=("white_noise", "pink_noise"))
        plain = load(sample, DataConfig(unseen_noises=config.unseen_noises), "training").noises
        both = load(sample, config, "training").noises
        assert len(both) == 2 * len(plain) == 4
        for noise, first, coded in zip(plain, both[::2], both[1::2], strict=True):
            np.testing.assert_array_equal(first, noise)
            assert coded.shape == noise.shape
            assert not np.array_equal(coded, noise)
            assert np.std(coded) == pytest.approx(np.std(noise), rel=0.5)
        assert len(load(sample, config, "validation").noises) == 2

    def test_without_noise_there_is_none_and_a_warning(self, small, tmp_path, caplog):
        root = shutil.copytree(small, tmp_path / "set")
        shutil.rmtree(root / "_background_noise_")
        split = load(root, YES_NO, "training")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "no examples of silence" in caplog.text
        assert (split.draw(np.random.default_rng(0)) >= 0).all()

    @pytest.mark.parametrize("n", [1, 20 * RATE])
    def test_a_noise_of_zeros_is_none(self, small, tmp_path, caplog, n):
        root = shutil.copytree(small, tmp_path / "set")
        audio.write(root / "_background_noise_" / "hum.wav", np.zeros(n, np.float32))
        assert load(root, YES_NO, "training").noises == ()
        assert "no examples of silence" in caplog.text


class TestExamples:
    def test_are_the_same_at_each_call_and_each_load(self, sample, validation):
        first, second = validation.examples(), validation.examples()
        third = load(sample, DataConfig(), "validation").examples()
        for other in (second, third):
            np.testing.assert_array_equal(first.waveforms, other.waveforms)
            np.testing.assert_array_equal(first.targets, other.targets)
            assert first.names == other.names

    def test_another_seed_is_other_silence(self, validation):
        first, second = validation.examples(), validation.examples(seed=1)
        assert not np.array_equal(first.waveforms[0], second.waveforms[0])
        assert first.names[0] == second.names[0] == SILENCE

    def test_names_targets_and_waveforms_belong_together(self, sample, validation):
        examples = validation.examples()
        assert len(examples) == len(examples.names) == len(examples.waveforms)
        assert examples.labels == validation.labels
        assert np.mean([name == SILENCE for name in examples.names]) == pytest.approx(0.1, abs=0.02)
        for name, target, waveform in zip(
            examples.names, examples.targets, examples.waveforms, strict=True
        ):
            word = name.split("/")[0]
            assert examples.labels[target] == (word if word in examples.labels else UNKNOWN)
            if name != SILENCE:
                expected = audio.fix_length(audio.read(sample / name), RATE)
                np.testing.assert_array_equal(waveform, expected)


class TestDataset:
    def test_one_scan_loads_every_split(self, small):
        dataset = Dataset.scan(small, YES_NO)
        for side in SPEAKERS:
            one, other = dataset.load(side), load(small, YES_NO, side)
            assert one.source.names == other.source.names
            np.testing.assert_array_equal(one.source.waveforms, other.source.waveforms)
            np.testing.assert_array_equal(one.targets, other.targets)

    def test_loading_lists_no_folder_of_words_again(self, small, monkeypatch):
        dataset = Dataset.scan(small, YES_NO)
        monkeypatch.setattr(examples_module, "scan", lambda *_, **__: 1 / 0)
        assert len(dataset.load("validation").source) == 8
        assert dataset.fingerprint

    def test_files_that_are_gone_since_are_damaged(self, small, tmp_path):
        root = shutil.copytree(small, tmp_path / "set")
        dataset = Dataset.scan(root, YES_NO)
        shutil.rmtree(root / "yes")
        with pytest.raises(DataError, match="damaged recordings"):
            dataset.load("training")


class TestInMemorySource:
    def test_is_read_by_index(self, training, sample):
        source = training.source
        assert len(source) == len(source.labels) == len(source.speakers) == len(source.names)
        waveforms = source.read(np.array([5, 300, 5]))
        assert (waveforms.shape, waveforms.dtype) == ((3, RATE), np.int16)
        assert source.n_samples == RATE
        np.testing.assert_array_equal(waveforms[0], waveforms[2])
        assert source.names[300] == f"{source.labels[300]}/{source.speakers[300]}_nohash_0.wav"
        expected = audio.fix_length(audio.read(sample / source.names[300]), RATE)
        np.testing.assert_array_equal(waveforms[1], audio.to_int16(expected))

    def test_is_shared_as_a_file(self, training, tmp_path):
        shared = training.source.share(tmp_path / "waveforms.npy")
        assert len(pickle.dumps(shared)) < training.source.waveforms.nbytes / 10
        again = pickle.loads(pickle.dumps(shared))
        assert again.names == training.source.names
        indices = np.array([0, 390, 7])
        np.testing.assert_array_equal(again.read(indices), training.source.read(indices))


class TestLoadFolders:
    LABELS = (SILENCE, UNKNOWN, "yes", "no")

    @pytest.fixture
    def archive(self, tmp_path):
        for label in self.LABELS:
            for number in range(2):
                put(tmp_path, label, f"{label}{number}", tone(300 * (number + 1)))
        (tmp_path / "LICENSE").write_text("CC BY 4.0")
        (tmp_path / ".cache").mkdir()
        return tmp_path

    def test_reads_a_folder_a_label(self, archive):
        examples = load_folders(archive, labels=self.LABELS)
        assert examples.labels == self.LABELS
        assert Counter(examples.targets) == dict.fromkeys(range(4), 2)
        assert examples.waveforms.dtype == np.float32
        assert len(examples) == 8
        for name, target, waveform in zip(
            examples.names, examples.targets, examples.waveforms, strict=True
        ):
            label, file = name.split("/")
            assert label == self.LABELS[target]
            number = int(file.removeprefix(label)[0])
            assert strongest(waveform)[0] == 300 * (number + 1)

    def test_the_official_archive(self, speech_commands):
        labels = DataConfig().labels
        examples = load_folders(speech_commands / "speech_commands_test_set_v0.02", labels=labels)
        assert Counter(examples.targets) == dict.fromkeys(range(12), 20)
        assert examples.waveforms.shape == (240, RATE)
        assert np.abs(examples.waveforms).max() <= 1

    def test_length_of_a_clip(self, archive):
        examples = load_folders(archive, labels=self.LABELS, clip_seconds=0.5)
        assert examples.waveforms.shape == (8, RATE // 2)

    def test_digital_silence_is_an_example_here(self, archive):
        put(archive, SILENCE, "quiet", np.zeros(RATE, np.float32))
        examples = load_folders(archive, labels=self.LABELS)
        (i,) = (i for i, name in enumerate(examples.names) if "quiet" in name)
        assert not examples.waveforms[i].any()
        assert examples.targets[i] == 0

    def test_passes_over_hidden_files(self, archive):
        (archive / "yes" / "._yes0_nohash_0.wav").write_bytes(b"Mac OS X")
        assert len(load_folders(archive, labels=self.LABELS)) == 8

    def test_damaged_recordings_are_too_many(self, archive):
        damage(archive / "yes" / "yes0_nohash_0.wav", "text")
        with pytest.raises(DataError, match=r"received 1 of 8[^$]*yes0_nohash_0\.wav"):
            load_folders(archive, labels=self.LABELS)

    def test_a_strange_folder_is_named(self, archive):
        put(archive, "marvin", "a")
        with pytest.raises(DataError, match=r"received also marvin\. The model's labels are _sil"):
            load_folders(archive, labels=self.LABELS)

    def test_a_missing_folder(self, tmp_path):
        with pytest.raises(DataError, match=r"No test set at .*echoic download --test-set"):
            load_folders(tmp_path / "nowhere", labels=self.LABELS)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(DataError, match="No recordings in"):
            load_folders(tmp_path, labels=self.LABELS)
        (tmp_path / "yes").mkdir()
        with pytest.raises(DataError, match="No recordings in"):
            load_folders(tmp_path, labels=self.LABELS)


class TestExtra:
    """Another data set, whose training recordings join in."""

    @pytest.fixture
    def voices(self, tmp_path):
        for speaker in [*SPEAKERS["training"][:2], *SPEAKERS["validation"][:1]]:
            for word in ("yes", "dog", "banana"):
                put(tmp_path / "voices", word, speaker)
        return tmp_path / "voices"

    def test_joins_in(self, small, voices):
        alone = load(small, YES_NO, "training")
        both = load(small, YES_NO, "training", extra_data=[voices])
        for label, more in {UNKNOWN: 4, "yes": 2, "no": 0}.items():
            assert both.counts[label] == alone.counts[label] + more
        assert len(both.noises) == len(alone.noises)
        held_out = load(small, YES_NO, "validation", extra_data=[voices])
        assert held_out.counts == load(small, YES_NO, "validation").counts

    def test_words_kept_unseen_are_left_out_of_it(self, small, voices):
        config = DataConfig(vocabulary=("yes", "no"), unseen_words=("dog",))
        words = {
            clip.word for clip in load(small, config, "training", extra_data=[voices]).source.clips
        }
        assert "banana" in words
        assert "dog" not in words

    def test_that_is_not_there(self, small, tmp_path):
        with pytest.raises(DataError, match="nowhere"):
            load(small, YES_NO, "training", extra_data=[tmp_path / "nowhere"])

    def test_is_in_the_fingerprint(self, small, voices):
        assert (
            Dataset.scan(small, YES_NO, extra_data=[voices]).fingerprint
            != Dataset.scan(small, YES_NO).fingerprint
        )


class TestFingerprint:
    def test_is_of_the_names_and_not_of_the_place(self, small, tmp_path):
        root = shutil.copytree(small, tmp_path / "elsewhere")
        first = Dataset.scan(small, YES_NO).fingerprint
        assert len(bytes.fromhex(first)) == 32
        assert Dataset.scan(root, YES_NO).fingerprint == first
        put(root, "cat", "another")
        assert Dataset.scan(root, YES_NO).fingerprint != first

    def test_unseen_words_are_not_in_it(self, small, tmp_path):
        root = shutil.copytree(small, tmp_path / "elsewhere")
        config = DataConfig(vocabulary=("yes", "no"), unseen_words=("cat",))
        first = Dataset.scan(root, config).fingerprint
        assert first != Dataset.scan(root, YES_NO).fingerprint
        put(root, "cat", "another")
        assert Dataset.scan(root, config).fingerprint == first


def test_a_set_without_other_words_says_that_unknown_is_not_learned(tmp_path, caplog):
    for speaker in SPEAKERS["training"][:2]:
        put(tmp_path, "yes", speaker)
        put(tmp_path, "no", speaker)
    with caplog.at_level(logging.WARNING):
        split = load(tmp_path, YES_NO, "training")
    assert "_unknown_ cannot be learned" in caplog.text
    assert len(split.draw(np.random.default_rng(0))) == 4


class TestSyntheticUnknown:
    @pytest.fixture
    def spoken(self, tmp_path):
        """Two commands and two other words, each a rising tone of its own: reversal shows."""
        seconds = np.arange(RATE) / RATE
        for number, word in enumerate(("on", "no", "cat", "bird")):
            rising = np.sin(2 * np.pi * (200 * number * seconds + 400 * seconds**2))
            for speaker in SPEAKERS["training"][:4]:
                put(tmp_path, word, speaker, 0.5 * rising.astype(np.float32))
        config = DataConfig(vocabulary=("on", "no"), unknown_fraction=0.5, silence_fraction=0)
        return load(tmp_path, config, "training")

    def synthesize(self, split, n=200):
        waveforms, targets = split.take(np.full(n, -2), np.random.default_rng(0))
        assert set(targets) == {split.labels.index(UNKNOWN)}
        return waveforms

    def test_are_drawn_in_their_proportion_and_only_on_request(self, training):
        rng = np.random.default_rng(0)
        plain = training.draw(rng)
        synthetic = training.draw(rng, synthetic_unknown_fraction=0.4)
        n_unknown = np.count_nonzero(training.targets[plain[plain >= 0]] == 1)
        assert -2 not in plain
        assert np.count_nonzero(synthetic == -2) == round(0.4 * n_unknown)
        assert len(synthetic) == len(plain)
        assert "synthetic" not in str(training.examples().names)

    def test_are_never_a_recording_as_it_is(self, spoken):
        known = {w.tobytes() for w in audio.to_float32(spoken.source.waveforms)}
        assert not known & {w.tobytes() for w in self.synthesize(spoken)}

    def test_a_word_that_is_another_backwards_is_not_played_backwards(self, spoken):
        words = np.array([clip.word for clip in spoken.source.clips])
        commands = spoken.source.waveforms[np.isin(words, ["on", "no"])][:, ::-1]
        others = spoken.source.waveforms[np.isin(words, ["cat", "bird"])][:, ::-1]
        synthetic = {w.tobytes() for w in self.synthesize(spoken)}
        assert not {w.tobytes() for w in audio.to_float32(commands)} & synthetic
        assert {w.tobytes() for w in audio.to_float32(others)} & synthetic

    def test_two_commands_are_not_spliced(self, tmp_path):
        levels = {"on": 1000, "no": 2000, "cat": 3000, "bird": 4000}
        for word, level in levels.items():
            for speaker in SPEAKERS["training"][:4]:
                put(tmp_path, word, speaker, np.full(RATE, level, np.int16))
        config = DataConfig(vocabulary=("on", "no"), unknown_fraction=0.5, silence_fraction=0)
        synthetic = audio.to_int16(self.synthesize(load(tmp_path, config, "training")))
        spliced = [set(np.unique(w).tolist()) for w in synthetic if len(np.unique(w)) == 2]
        assert len(spliced) > 50
        assert {1000, 2000} not in spliced
        assert {1000, 3000} in spliced
        assert {3000, 4000} in spliced

    def test_the_fraction_is_a_fraction(self):
        with pytest.raises(ValueError, match="between 0 and 1, received 1.5"):
            DataConfig(synthetic_unknown_fraction=1.5)


def test_training_hears_computed_noises_and_nobody_else_does(sample):
    config = DataConfig(synthetic_noises=3)
    plain = {side: load(sample, DataConfig(), side).noises for side in SPEAKERS}
    more = {side: load(sample, config, side).noises for side in SPEAKERS}
    assert len(more["training"]) == len(plain["training"]) + 3
    assert len(more["validation"]) == len(plain["validation"])
    assert len(more["test"]) == len(plain["test"])


def test_training_hears_babble_of_its_own_clips_and_nobody_else_does(sample):
    config = DataConfig(babble_noises=2)
    for side in SPEAKERS:
        plain, more = (load(sample, c, side).noises for c in (DataConfig(), config))
        assert len(more) == len(plain) + (2 if side == "training" else 0)
    babbles, again = (load(sample, config, "training").noises[-2:] for _ in range(2))
    np.testing.assert_array_equal(babbles, again)
    assert [len(noise) for noise in babbles] == [160_000, 160_000]
    assert not np.array_equal(*babbles)


def test_babble_of_clips_longer_than_it_is_one_clip_of_each():
    waveforms = np.random.default_rng(0).integers(-99, 99, (8, 400_000), dtype=np.int16)
    source = InMemorySource((None,) * 8, waveforms)
    (noise,) = examples_module._babble(source, DataConfig(clip_seconds=25.0, babble_noises=1))
    assert noise.shape == (400_000,)
    assert np.isfinite(noise).all()
