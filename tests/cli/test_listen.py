"""``echoic listen``: a recording and a microphone, to lines of text and of JSON."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from echoic import audio
from echoic.live import Listener
from echoic.microphone import FileSource
from echoic.runtime.bundle import Bundle
from echoic.runtime.recognizer import Recognizer, StreamingRecognizer
from fake_recognizer import RATE, Notes


@pytest.fixture(scope="module")
def truth(sample):
    rows = [x.split("\t") for x in (sample / "stream.tsv").read_text().splitlines()]
    return [(float(a), float(b), label) for a, b, label in rows]


def assert_true(found, truth):
    """Each word once, from its beginning to a second after its end; nothing else."""
    words = [row for row in truth if row[2] != "_unknown_"]
    assert [label for _, label in found] == [label for *_, label in words]
    for (instant, _), (start, end, _) in zip(found, words, strict=True):
        assert start < instant < end + 1.0


def run(*arguments, **options):
    command = [sys.executable, "-m", "echoic", "listen", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )


def parsed(text):
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(list(row) == ["time", "label", "confidence"] for row in rows)
    return [(row["time"], row["label"]) for row in rows]


class TestCommand:
    def test_hears_the_sample_stream(self, sample, truth):
        done = run("--wav", sample / "stream.wav", "--json")
        assert done.returncode == 0
        assert done.stderr == ""
        assert_true(parsed(done.stdout), truth)

    @pytest.mark.parametrize("block_seconds", [0.0107, 0.25, 3.0])
    def test_a_models_words_do_not_depend_on_the_blocks(self, sample, block_seconds):
        def hear(seconds):
            notes = Notes()
            bundle = Bundle.load()
            listener = Listener(Recognizer(bundle).stream(), config=bundle.decoder, outputs=[notes])
            listener.listen(FileSource(sample / "stream.wav", block_seconds=seconds))
            return notes.detections

        assert hear(block_seconds) == hear(0.02)

    def test_in_a_pipe_it_writes_plain_lines(self, sample, truth):
        done = run("--wav", sample / "stream.wav", env={**os.environ, "COLUMNS": "60"})
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        rows = [line.split() for line in done.stdout.splitlines()]
        assert_true([(float(row[0]), row[2]) for row in rows], truth)

    def test_realtime_takes_as_long_as_the_sound(self, sample, tmp_path):
        path = tmp_path / "short.wav"
        audio.write(path, audio.read(sample / "stream.wav")[: 2 * RATE])
        began = time.monotonic()
        done = run("--wav", path, "--realtime", "--json")
        assert time.monotonic() - began >= 2.0
        assert [label for _, label in parsed(done.stdout)] == ["yes"]

    def test_keeps_clips_and_all_sound(self, sample, tmp_path):
        done = run(
            "--wav", sample / "stream.wav", "--json",
            "--save", tmp_path / "clips", "--record", tmp_path / "all.wav",
        )  # fmt: skip
        found = parsed(done.stdout)
        names = {f"{label}_{instant:.2f}.wav" for instant, label in found}
        assert {p.name for p in (tmp_path / "clips").iterdir()} == names
        assert f"{len(found)} clips kept in" in done.stderr
        whole = audio.read(sample / "stream.wav")
        assert np.array_equal(audio.read(tmp_path / "all.wav"), whole)
        again = run("--wav", sample / "stream.wav", "--record", tmp_path / "all.wav")
        assert "All sound is in" not in again.stderr
        assert again.returncode == 1
        assert "name another file" in again.stderr

    def test_needs_neither_tensorflow_nor_librosa(self, sample):
        code = (
            "import sys\nfrom echoic.cli import main\n"
            f"try:\n    main(['listen', '--json', '--wav', {str(sample / 'stream.wav')!r}])\n"
            "except SystemExit as end:\n    assert not end.code, end.code\n"
            "heavy = ('tensorflow', 'keras', 'librosa', 'scipy', 'matplotlib', 'sounddevice')\n"
            "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert done.stderr.strip() == "[]"

    @pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
    def test_ctrl_c_ends_with_130_and_what_was_kept_is_whole(self, sample, tmp_path):
        command = [sys.executable, "-m", "echoic", "listen", "--json", "--realtime"]
        command += ["--wav", str(sample / "stream.wav"), "--record", str(tmp_path / "all.wav")]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            first = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130
        assert first["label"] == "yes"
        assert out == ""
        assert "Traceback" not in err
        recorded = audio.read(tmp_path / "all.wav")
        assert len(recorded) >= first["time"] * RATE
        whole = audio.read(sample / "stream.wav")
        assert np.array_equal(recorded, whole[: len(recorded)])

    def test_a_reader_that_leaves_is_no_failure_to_explain(self, sample):
        command = [sys.executable, "-m", "echoic", "listen", "--json", "--realtime"]
        with subprocess.Popen(
            [*command, "--wav", str(sample / "stream.wav")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(timeout=60) == 1

    def test_the_picture_of_the_readme_is_drawn(self, root, tmp_path):
        script = runpy.run_path(str(root / "docs" / "listen.py"))
        script["main"](str(tmp_path / "listen.svg"))
        svg = (tmp_path / "listen.svg").read_text(encoding="utf-8")
        for words in ("listening", "stop", "right", "gru-12", "stream.wav"):
            assert words in svg
        remembered = (tmp_path / "listen_memory.svg").read_text(encoding="utf-8")
        assert "memory:" in remembered
        for picture in (svg, remembered):
            for legend in ("threshold", "dBFS", "loudness", "time"):
                assert legend in picture
        assert "memory:" not in svg


class TestMemory:
    def test_is_a_picture_and_no_json(self, sample):
        done = run("--wav", sample / "stream.wav", "--memory", "--json")
        assert done.returncode == 2
        assert done.stdout == ""
        assert "--memory" in done.stderr

    @pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1", "TERM": "dumb"}])
    def test_without_a_terminal_it_says_so_and_names_words(self, sample, environment):
        done = run(
            "--wav",
            sample / "stream.wav",
            "--memory",
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        )
        assert done.returncode == 0
        assert done.stderr == (
            "echoic: --memory needs a terminal that can be drawn on; words only.\n"
        )
        assert done.stdout.split()[2] == "yes"

    def test_says_which_model_has_no_memory(self, sample, monkeypatch, capsys):
        from echoic import cli

        monkeypatch.setattr(StreamingRecognizer, "influence", lambda self: None)
        with pytest.raises(SystemExit) as ended:
            cli.main(["listen", "--wav", str(sample / "stream.wav"), "--memory"])
        assert ended.value.code == 1
        assert "received gru-12, which carries no hidden state" in capsys.readouterr().err


class TestMicrophone:
    def test_says_the_words_that_are_played_to_it(
        self, virtual_microphone, sample, truth, tmp_path
    ):
        whole = audio.to_int16(audio.read(sample / "stream.wav"))
        seconds = 9
        recording = tmp_path / "all.wav"
        command = [sys.executable, "-m", "echoic", "listen", "--json", "--record", str(recording)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            greeting = process.stderr.readline()
            virtual_microphone.play(whole[: seconds * RATE]).wait(timeout=60)
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert "Listening to default at 16,000 Hz." in greeting
        assert process.returncode == 130, err
        assert "Traceback" not in err
        recorded = audio.to_int16(audio.read(recording))
        offset = np.flatnonzero(recorded)[0] - np.flatnonzero(whole)[0]
        played = recorded[offset : offset + seconds * RATE]
        assert np.array_equal(played, whole[: seconds * RATE])
        found = [(instant - offset / RATE, label) for instant, label in parsed(out)]
        assert_true(found, [row for row in truth if row[1] + 1 < seconds])

    def test_goes_on_after_a_loss_and_says_so(self, virtual_microphone, sample, truth):
        whole = audio.to_int16(audio.read(sample / "stream.wav"))
        process = subprocess.Popen(
            [sys.executable, "-m", "echoic", "listen", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert "Listening to" in process.stderr.readline()
            virtual_microphone.kill()
            # PortAudio has its say there, too.
            gone = next(line for line in process.stderr if "is gone" in line)
            virtual_microphone.start()
            back = next(line for line in process.stderr if "is back" in line)
            virtual_microphone.play(whole[: 4 * RATE]).wait(timeout=60)
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 130, err
        assert gone.endswith("The recognizer starts over.\n")
        assert "is back after" in back
        assert [label for _, label in parsed(out)] == ["yes", "left"]

    def test_a_sound_system_that_hangs_at_the_start_does_not_hold_it(self, virtual_microphone):
        virtual_microphone.freeze()
        process = subprocess.Popen(
            [sys.executable, "-m", "echoic", "listen", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 1
        assert out == ""
        assert "The sound system has not answered" in err
