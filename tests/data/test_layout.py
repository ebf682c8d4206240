"""The layout on disk: words, noises and speakers."""

import shutil
from pathlib import Path

import pytest

from echoic.data.layout import DataError, noise_files, speaker_of, words_in


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


class TestSpeakerOf:
    def test_is_what_stands_before_nohash(self):
        assert speaker_of(Path("yes/0a7c2a8d_nohash_0.wav")) == "0a7c2a8d"
        assert speaker_of(Path("yes/0a7c2a8d_nohash_11.wav")) == "0a7c2a8d"

    def test_else_a_hash_of_the_content(self, tmp_path):
        for name, content in {"a.wav": b"one", "copy of a.wav": b"one", "b.wav": b"two"}.items():
            (tmp_path / name).write_bytes(content)
        one, copy, two = (speaker_of(tmp_path / n) for n in ("a.wav", "copy of a.wav", "b.wav"))
        assert one == copy == "fe05bcdc"  # sha1sum
        assert two == "ad782ecd"


class TestWordsIn:
    def test_are_the_folders(self, tmp_path):
        touch(tmp_path, "yes/a.wav", "no/a.wav", "_background_noise_/x.wav", ".git/a", "README.md")
        assert words_in(tmp_path) == ["no", "yes"]

    def test_says_how_to_get_what_is_not_there(self, tmp_path):
        with pytest.raises(DataError, match=r"No data set at .*nowhere.*echoic download"):
            words_in(tmp_path / "nowhere")

    def test_says_what_is_expected_of_a_folder_without_words(self, tmp_path):
        touch(tmp_path, "a.wav", "_background_noise_/x.wav")
        with pytest.raises(DataError, match="one folder of recordings a word"):
            words_in(tmp_path)


class TestNoiseFiles:
    def test_are_the_recordings_in_their_folder(self, sample, tmp_path):
        folder = tmp_path / "_background_noise_"
        assert noise_files(tmp_path) == []
        shutil.copytree(sample / "_background_noise_", folder)
        touch(folder, "README.md", "._fan.wav", "rain.FLAC", "sea.ogg")
        assert [path.name for path in noise_files(tmp_path)] == [
            *("fan.wav", "pink_noise.wav", "rain.FLAC"),
            *("running_water.wav", "sea.ogg", "white_noise.wav"),
        ]
