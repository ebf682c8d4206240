"""The layout on disk and the official split, line by line: no speaker is ever in two splits."""

from collections import Counter, defaultdict
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoic.data import splits
from echoic.data.layout import DataError, speaker_of, words_in
from echoic.data.splits import Clip, hash_split, missing_files, read_lists, scan

GOLDEN = {
    "training": ["00176480", "004ae714", "00970ce1", "0a7c2a8d"],
    "validation": ["026290a7", "060cd039", "099d52ad", "a69b9b3e"],
    "test": ["022cd682", "0487ba9b", "096456f9", "bb05582b"],
}
LISTS = list(splits.LISTS.values())
speakers = st.integers(0, 2**32 - 1).map("{:08x}".format)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def splits_of_speakers(clips):
    sides = defaultdict(set)
    for clip in clips:
        sides[clip.speaker].add(clip.split)
    return sides


class TestHashSplit:
    @pytest.mark.parametrize("side", ["validation", "test"])
    def test_is_the_rule_of_every_line_of_the_official_lists(self, official_lists, side):
        wrong = [
            name for name in official_lists[side] if hash_split(speaker_of(Path(name))) != side
        ]
        assert wrong == []

    def test_the_lists_are_whole(self, official_lists):
        assert {side: len(lines) for side, lines in official_lists.items()} == {
            "validation": 9981,
            "test": 11005,
        }

    @pytest.mark.parametrize(
        ("side", "speaker"), [(side, speaker) for side in GOLDEN for speaker in GOLDEN[side]]
    )
    def test_golden(self, side, speaker):
        assert hash_split(speaker) == side

    def test_parts_are_about_as_large_as_asked_for(self):
        counts = Counter(hash_split(f"{number:08x}") for number in range(20_000))
        assert counts["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)
        assert counts["test"] / 20_000 == pytest.approx(0.1, abs=0.01)

    @given(speakers)
    def test_all_or_nothing(self, speaker):
        assert hash_split(speaker, validation=0, test=0) == "training"
        assert hash_split(speaker, validation=1.01, test=0) == "validation"
        assert hash_split(speaker, validation=0, test=1.01) == "test"

    @given(speakers)
    def test_more_validation_takes_nobody_out_of_it(self, speaker):
        if hash_split(speaker, validation=0.1) == "validation":
            assert hash_split(speaker, validation=0.2) == "validation"


class TestReadLists:
    def test_names_the_split_of_each_file(self, tmp_path):
        (tmp_path / LISTS[0]).write_text("yes/a_nohash_0.wav\nno/b_nohash_0.wav\n")
        (tmp_path / LISTS[1]).write_text("yes/c_nohash_0.wav\n")
        assert read_lists(tmp_path) == {
            "yes/a_nohash_0.wav": "validation",
            "no/b_nohash_0.wav": "validation",
            "yes/c_nohash_0.wav": "test",
        }

    @pytest.mark.parametrize(
        "text",
        [
            b"yes/a.wav\nno/b.wav",
            b"yes\\a.wav\r\nno\\b.wav\r\n",
            b"\n  yes/a.wav  \n\n no/b.wav\n\n",
            b"\xef\xbb\xbfyes/a.wav\r\nno/b.wav\r\n",
        ],
    )
    def test_knows_the_habits_of_other_systems(self, tmp_path, text):
        (tmp_path / LISTS[0]).write_bytes(text)
        assert read_lists(tmp_path) == {"yes/a.wav": "validation", "no/b.wav": "validation"}

    def test_a_missing_list_is_an_empty_one(self, tmp_path):
        assert read_lists(tmp_path) == {}
        (tmp_path / LISTS[1]).write_text("yes/a.wav\n")
        assert read_lists(tmp_path) == {"yes/a.wav": "test"}


class TestScan:
    def test_lists_clips_sorted_by_name(self, tmp_path):
        touch(tmp_path, "yes/00176480_nohash_1.wav", "yes/00176480_nohash_0.wav")
        touch(tmp_path, "no/a69b9b3e_nohash_0.WAV", "no/bb05582b_nohash_0.flac")
        assert [(c.name, c.word, c.speaker, c.split) for c in scan(tmp_path)] == [
            ("no/a69b9b3e_nohash_0.WAV", "no", "a69b9b3e", "validation"),
            ("no/bb05582b_nohash_0.flac", "no", "bb05582b", "test"),
            ("yes/00176480_nohash_0.wav", "yes", "00176480", "training"),
            ("yes/00176480_nohash_1.wav", "yes", "00176480", "training"),
        ]

    def test_passes_over_what_is_no_recording(self, tmp_path):
        touch(tmp_path, "yes/00176480_nohash_0.wav", "yes/._00176480_nohash_0.wav")
        touch(tmp_path, "yes/notes.txt", "yes/old.wav/a.wav", "_background_noise_/x.wav")
        assert [clip.name for clip in scan(tmp_path)] == ["yes/00176480_nohash_0.wav"]

    def test_words_that_are_wanted(self, tmp_path):
        touch(tmp_path, "yes/a_nohash_0.wav", "no/a_nohash_0.wav", "cat/a_nohash_0.wav")
        assert [clip.word for clip in scan(tmp_path, words=["yes", "cat"])] == ["cat", "yes"]
        assert scan(tmp_path, words=[]) == []

    def test_names_the_words_that_are_missing(self, tmp_path):
        touch(tmp_path, "yes/a_nohash_0.wav", "no/a_nohash_0.wav")
        with pytest.raises(DataError, match=r"none for marvin, zero\. It has no, yes\.") as error:
            scan(tmp_path, words=["zero", "yes", "marvin"])
        assert str(tmp_path) in str(error.value)

    @pytest.mark.parametrize("text", ["yes/00176480_nohash_0.wav\n", "yes\\00176480_nohash_0.wav"])
    def test_the_lists_come_before_the_hash(self, tmp_path, text):
        touch(tmp_path, "yes/00176480_nohash_0.wav", "yes/004ae714_nohash_0.wav")
        (tmp_path / "testing_list.txt").write_text(text)
        assert [clip.split for clip in scan(tmp_path)] == ["test", "training"]

    def test_names_are_posix_on_every_system(self):
        path = PureWindowsPath(r"C:\data\yes\0a7c2a8d_nohash_0.wav")
        assert Clip(path, "yes", "0a7c2a8d", "training").name == "yes/0a7c2a8d_nohash_0.wav"

    def test_copies_of_a_recording_stay_together(self, tmp_path):
        for number in range(40):
            for name in (f"yes/{number}.wav", f"no/copy of {number}.wav", f"yes/{number} (2).wav"):
                touch(tmp_path, name)
                (tmp_path / name).write_bytes(bytes([number]))
        clips = scan(tmp_path)
        sides = splits_of_speakers(clips)
        assert len(clips) == 120
        assert len(sides) == 40
        assert all(len(side) == 1 for side in sides.values())
        assert set.union(*sides.values()) == set(splits.SPLITS)

    def test_the_sample_has_no_speaker_in_two_splits(self, sample):
        clips = scan(sample)
        assert Counter(clip.split for clip in clips) == {
            "training": 17 * 23,
            "validation": 17 * 5,
            "test": 17 * 6,
        }
        assert all(len(side) == 1 for side in splits_of_speakers(clips).values())

    def test_the_sample_is_split_by_the_rule_also_without_its_lists(self, sample, tmp_path):
        (tmp_path / "yes").symlink_to(sample / "yes")
        listed = {clip.name: clip.split for clip in scan(sample, words=["yes"])}
        assert {clip.name: clip.split for clip in scan(tmp_path)} == listed

    def test_real_clips_have_no_speaker_in_two_splits(self, speech_commands, official_lists):
        clips = scan(speech_commands / "speech_commands_v0.02")
        assert len(clips) > 1000
        assert {"training", "validation"} <= {clip.split for clip in clips}
        assert all(len(side) == 1 for side in splits_of_speakers(clips).values())
        listed = {name: side for side, names in official_lists.items() for name in names}
        assert all(clip.split == listed.get(clip.name, clip.split) for clip in clips)
        # Some are of v0.01 and in no list of v0.02; the rule knows them all the same.
        assert all(clip.split == hash_split(clip.speaker) for clip in clips)


class TestMissingFiles:
    def test_are_what_the_list_has_and_the_disk_has_not(self, tmp_path):
        touch(tmp_path, "yes/a.wav", "no/a.wav")
        (tmp_path / LISTS[0]).write_text("yes/a.wav\nyes/b.wav\nno\\c.wav\ncat/d.wav\n")
        (tmp_path / LISTS[1]).write_text("yes/e.wav\n")
        assert missing_files(tmp_path, "validation", words=["yes", "no"]) == [
            "yes/b.wav",
            "no/c.wav",
        ]
        assert missing_files(tmp_path, "test", words=["yes"]) == ["yes/e.wav"]
        assert missing_files(tmp_path, "training", words=["yes", "no"]) == []

    def test_the_sample_lacks_nothing(self, sample):
        for side in ("validation", "test"):
            assert missing_files(sample, side, words=words_in(sample)) == []
