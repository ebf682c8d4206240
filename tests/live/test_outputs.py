"""Lines, JSON lines, clips and recordings of a stream."""

import io
import json

import numpy as np
import pytest
import soundfile

from echoic import audio
from echoic.live import Activity, Clips, JsonLines, Lines, Listener, Recording
from echoic.microphone import Block, Event
from echoic.runtime.decoder import Detection
from fake_recognizer import CONFIG, RATE, WORDS, Levels, Notes, blocks, spoken


class TestOutputs:
    def test_json_lines(self, capsys):
        JsonLines().on_block(Block(WORDS, 0.0), [Detection(1.23456, "yes", 0.912345)])
        JsonLines().on_event(Event(3.0, "lost", "It is gone."))
        done = capsys.readouterr()
        assert json.loads(done.out) == {"time": 1.235, "label": "yes", "confidence": 0.9123}
        assert done.err.split(maxsplit=2)[2] == "It is gone.\n"

    def test_json_lines_of_an_activity(self, capsys):
        JsonLines().on_status(Activity(2.5, "failed", "asleep", "No lamp.", "left", 4))
        done = capsys.readouterr()
        assert done.err == ""
        assert json.loads(done.out) == {
            "time": 2.5, "event": "failed", "command": "left", "number": 4, "message": "No lamp.",
        }  # fmt: skip
        Lines().on_status(Activity(2.5, "failed", "asleep", "no lamp."))
        assert capsys.readouterr().err == "    2.50 s  Asleep: no lamp.\n"

    def test_words_go_to_a_file_where_there_is_one(self, capsys):
        file = io.StringIO()
        for output in (Lines(file), JsonLines(file)):
            output.on_block(Block(WORDS, 0.0), [Detection(1.0, "yes", 0.9)])
        assert len(file.getvalue().splitlines()) == 2
        assert capsys.readouterr().out == ""

    def test_lines(self, capsys):
        Lines().on_block(Block(WORDS, 0.0), [Detection(1.234, "yes", 0.9)])
        assert capsys.readouterr().out == "    1.23 s  yes         90%\n"

    @pytest.mark.parametrize("size", [160, 320, 1000, 100_000])
    def test_clips_are_the_second_around_the_word(self, tmp_path, size):
        clips, notes = Clips(tmp_path / "new" / "clips"), Notes()
        with clips:
            listener = Listener(Levels(), config=CONFIG, outputs=[clips, notes])
            listener.listen(blocks(WORDS, size=size))
        assert [p.name for p in clips.saved] == [
            f"{d.label}_{d.time:.2f}.wav" for d in notes.detections
        ]
        for path, d in zip(clips.saved, notes.detections, strict=True):
            samples, rate = soundfile.read(path, dtype="float32")
            end = round((d.time + 0.2) * RATE)
            assert rate == RATE
            assert np.array_equal(samples, WORDS[end - RATE : end])

    def test_clips_end_where_the_stream_ends_or_breaks_off(self, tmp_path):
        word = spoken((0, 0.3), (0.5, 0.2))
        clips = Clips(tmp_path)
        with clips:
            listener = Listener(Levels(), config=CONFIG, outputs=[clips])
            listener.listen([*blocks(word), *blocks(word, start=5.0, gap=True)])
        assert len(clips.saved) == 2
        for path in clips.saved:
            assert np.array_equal(audio.read(path), word)

    def test_no_clip_is_replaced_and_none_is_written_elsewhere(self, tmp_path):
        for _ in range(2):
            with Clips(tmp_path / "clips") as clips:
                clips.on_block(Block(WORDS, 0.0), [Detection(2.0, "../yes", 0.9)])
        names = sorted(p.name for p in (tmp_path / "clips").iterdir())
        assert names == ["___yes_2.00.wav", "___yes_2.00_2.wav"]
        assert [p.name for p in tmp_path.iterdir()] == ["clips"]

    def test_a_recording_keeps_the_clock(self, tmp_path):
        path = tmp_path / "all.wav"
        with Recording(path) as recording:
            listener = Listener(Levels(), config=CONFIG, outputs=[recording])
            listener.listen([*blocks(WORDS), *blocks(WORDS, start=8.0, gap=True)])
        missing = np.zeros(8 * RATE - len(WORDS), np.float32)
        assert np.array_equal(audio.read(path), np.concatenate([WORDS, missing, WORDS]))

    def test_a_recording_replaces_no_file(self, tmp_path):
        path = tmp_path / "all.wav"
        path.write_bytes(b"mine")
        with pytest.raises(FileExistsError, match="name another file"):
            Recording(path)
        assert path.read_bytes() == b"mine"
        with pytest.raises(OSError, match="cannot be written"):
            Recording(tmp_path / "nowhere" / "all.wav")

    def test_a_folder_that_is_gone_is_an_error_and_no_traceback(self, tmp_path):
        with Clips(tmp_path / "clips") as clips:
            (tmp_path / "clips").rmdir()
            with pytest.raises(OSError, match=r"yes_2\.00\.wav cannot be written"):
                clips.on_block(Block(WORDS, 0.0), [Detection(2.0, "yes", 0.9)])
