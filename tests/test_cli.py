"""The verbs: what they print, where, and how they end."""

import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import environ

import numpy as np
import pytest
import soundfile

VERBS = (
    "compare",
    "predict",
    "listen",
    "assistant",
    "icebreaker",
    "doctor",
    "plot",
    "explain",
    "memory",
    "train",
    "answers",
    "evaluate",
    "tune",
    "export",
    "download",
)


def echoic(*arguments, cwd=None, env=None):
    command = [sys.executable, "-m", "echoic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, env=env)


def test_help_names_every_verb():
    done = echoic("--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_in_the_readme(verb, root):
    assert f"echoic {verb}" in (root / "README.md").read_text(encoding="utf-8")


def test_the_help_of_train_names_every_recipe(root):
    names = ", ".join(sorted(p.stem for p in (root / "src" / "echoic" / "recipes").glob("*.toml")))
    shown = " ".join(echoic("train", "--help", env={**environ, "COLUMNS": "200"}).stdout.split())
    assert f"Recipes: {names}." in shown


def test_an_export_without_people_says_so(tmp_path):
    """The ranges of int8 are then from synthesizers: no error, but nothing to ship either."""
    for data, told in (("speech_commands_v0.02", False), ("sample", True)):
        (tmp_path / "data" / data).mkdir(parents=True)
        done = echoic("export", "nothing", cwd=tmp_path)
        assert (done.returncode, "No model 'nothing'" in done.stderr) == (1, True)
        assert ("core_int8 are from the synthetic sample" in done.stderr) == told
        shutil.rmtree(tmp_path / "data")


def test_version():
    assert re.fullmatch(r"echoic \d+\.\d+\.\d+\n", echoic("--version").stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["predict"],
        ["train", "gru", "--epochs", "5"],
        ["evaluate", "--endless"],
        ["evaluate", "--negatives", "tests"],
        ["evaluate", "--limit", "10"],
        ["evaluate", "--report", "r", "--limit", "0"],
        ["evaluate", "--report", "r", "--limit", "10", "--stream"],
        ["evaluate", "--graph", "stream_int8"],
        ["evaluate", "--endless", "--test-set", "tests", "--graph", "core_int8"],
        ["compare"],
        ["compare", "gru-12"],
        ["evaluate", "--stream", "--endless", "--test-set", "tests"],
        ["listen", "--realtime"],
        ["listen", "--threshold", "2"],
        ["listen", "--wav", "data/sample/stream.wav", "--device", "0"],
    ],
)
def test_wrong_usage_ends_with_2(arguments):
    done = echoic(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nothing.wav"], "No such recording: nothing.wav"),
        (["predict", "README.md", "-m", "nothing"], "No model 'nothing'"),
        (["plot", "nothing.wav"], "No such recording"),
        (["listen", "--wav", "nothing.wav"], "No such recording: nothing.wav"),
        (["listen", "--wav", "data/sample/stream.wav", "-m", "nothing"], "No model 'nothing'"),
        (["evaluate", "--data", "nothing"], "No data set at nothing"),
        (["evaluate", "--test-set", "nothing"], "echoic download --test-set"),
        (["compare", "gru-12", "nothing"], "No model 'nothing'"),
        (["compare", "gru-12", "gru-commands"], "Expected models with the same labels"),
        (["compare", "gru-12", "lstm-12", "--data", "nothing"], "No data set at nothing"),
        (["train", "nothing"], "No recipe 'nothing'"),
        (["train", "gru", "--data", "nothing", "--out", "OUT"], "echoic download"),
        (["train", "gru", "--set", "training.x=1"], "no key x"),
        (["download", "--base-url", "ftp://x", "--dest", "OUT"], "http"),
    ],
)
def test_failure_is_one_clear_line_and_ends_with_1(arguments, message, tmp_path):
    done = echoic(*[str(tmp_path) if a == "OUT" else a for a in arguments])
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_predict_prints_json_lines_and_nothing_else(sample):
    clip = sorted((sample / "yes").glob("*.wav"))[0]
    done = echoic("predict", clip, sample / "stream.wav", "--json", "--top", 2)
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {tuple(row) for row in rows} == {("file", "start", "end", "label", "confidence", "top")}
    assert rows[0]["file"] == clip.as_posix()
    assert rows[0]["start"] == 0
    assert rows[0]["label"] == rows[0]["top"][0][0]
    assert len(rows[0]["top"]) == 2
    assert [row["start"] for row in rows[1:4]] == [0.0, 0.25, 0.5]
    assert done.stderr == ""


def test_predict_for_people_tells_the_words_of_the_stream_in_order(sample):
    done = echoic("predict", sample / "stream.wav")
    spoken = [line.split()[2] for line in (sample / "stream.tsv").read_text().splitlines()]
    told = [line.split()[2] for line in done.stdout.splitlines()[1:]]
    assert [w for w in told if w[0] != "_"] == [w for w in spoken if w[0] != "_"]
    times = [float(line.split()[0]) for line in done.stdout.splitlines()[1:]]
    assert times == sorted(times)


def test_predict_reads_folders_and_goes_on_after_a_bad_file(sample, tmp_path):
    shutil.copy(sorted((sample / "go").glob("*.wav"))[0], tmp_path / "b.wav")
    (tmp_path / "a.wav").write_bytes(b"")
    soundfile.write(tmp_path / "c.flac", np.zeros((44100, 2)), 44100)
    (tmp_path / "notes.txt").write_text("not a recording")
    done = echoic("predict", tmp_path, "--json")
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"][-6:] for row in rows] == ["/b.wav", "c.flac"]
    assert "a.wav is an empty file" in done.stderr
    assert "1 of 3 recordings failed" in done.stderr


def test_plot_draws_where_it_is_told(sample, tmp_path):
    done = echoic("plot", sample / "stream.wav", "--out", tmp_path / "picture.png")
    assert done.returncode == 0
    assert done.stdout.strip() == str(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    clip = sorted((sample / "go").glob("*.wav"))[0]
    assert echoic("plot", clip, cwd=tmp_path).stdout.strip() == f"{clip.stem}.png"
    assert (tmp_path / f"{clip.stem}.png").exists()


def test_evaluate_prints_the_report(tiny_model, sample):
    done = echoic("evaluate", tiny_model, "--data", sample, "--split", "test", "--json")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert report["model"] == "tiny"
    assert report["protocol"] == "hash-split"
    assert report["split"] == "test"
    assert 0 <= report["accuracy"] <= 1
    assert report["n"] == sum(c["n"] for c in report["classes"].values())


def test_evaluate_for_people(tiny_model, sample):
    done = echoic("evaluate", tiny_model, "--data", sample)
    assert done.returncode == 0
    assert "95 % interval" in done.stdout
    assert "heard as" in done.stdout
    assert "index.html" not in done.stdout


def test_evaluate_writes_a_page(tiny_model, sample, tmp_path):
    arguments = ["evaluate", tiny_model, "--data", sample, "--report", tmp_path / "r"]
    done = echoic(*arguments, "--limit", 4)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "r" / "index.html"
    assert done.stdout.splitlines()[-1] == str(page)
    report = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert list(report["sections"]) == [
        "classes",
        "mistakes",
        "speakers",
        "calibration",
        "open_set",
        "noise",
        "reverberation",
        "shift",
        "speed",
        "loudness",
        "streaming",
    ]
    assert report["sections"]["shift"]["unchanged"]["n"] == 4
    text = page.read_text(encoding="utf-8")
    assert all(f'<section id="{key}"' in text for key in report["sections"])
    assert {"report.json", "index.html", "confusion.png", "noise.png"} <= {
        p.name for p in page.parent.iterdir()
    }
    done = echoic(*arguments, "--limit", 1, "--json")
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["accuracy"] == report["accuracy"]


def test_evaluate_a_stream(tiny_model, sample, tmp_path):
    arguments = ["evaluate", tiny_model, "--data", sample, "--stream"]
    done = echoic(*arguments, "--json", "--report", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    assert report["protocol"] == "stream"
    assert set(report["streams"]) == {"20 dB", "10 dB", "0 dB"}
    assert {"report.json", "det.png", "stream_20dB.tsv"} <= {
        p.name for p in (tmp_path / "r").iterdir()
    }
    said = echoic(*arguments, "--negatives", sample / "_background_noise_").stdout
    assert "missed" in said
    assert "false accepts in" in said


def test_evaluate_without_end(tiny_model, speech_commands, tmp_path):
    archive = tmp_path / "archive"
    for word in ("yes", "no"):
        shutil.copytree(speech_commands / "speech_commands_test_set_v0.02" / word, archive / word)
    done = echoic("evaluate", tiny_model, "--test-set", archive, "--endless", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["protocol"] == "archive-v0.02-endless"
    assert report["seeds"] == [0, 1, 2]
    assert "on archive-v0.02-endless" in (
        echoic("evaluate", tiny_model, "--test-set", archive, "--endless").stdout
    )


def test_compare_prints_a_line_a_model(tiny_model, tiny_copy, sample):
    arguments = ["compare", tiny_model, tiny_copy, "--data", sample, "--split", "test"]
    done = echoic(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["model"] == tiny_model.as_posix()  # both are named tiny
    assert first["difference"] is None
    assert second["difference"]["mcnemar_p"] == 1
    assert first["protocol"] == second["protocol"] == "hash-split"
    assert first["split"] == "test"
    said = echoic(*arguments).stdout
    assert "McNemar's p = 1" in said
    assert f"{first['accuracy']:.2%}" in said


def test_tune_stores_what_it_chose(tiny_copy, sample):
    arguments = ["tune", tiny_copy, "--data", sample, "--limit", "100000"]
    done = echoic(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    stored = json.loads((tiny_copy / "echoic.json").read_text())["decoder"]
    assert stored == report["chosen"]["decoder"]
    assert "chosen" in echoic(*arguments).stdout


def test_answers_are_written_down_for_those_who_learn(tiny_model, sample, tmp_path):
    done = echoic("answers", tiny_model, "--data", sample, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, told = done.stdout.strip().split(": ")
    assert (tmp_path / file).is_file()
    assert file == f"{tiny_model.name}.npz"
    assert re.fullmatch(r"answers to \d+ recordings", told)
    elsewhere = echoic("answers", tiny_model, "--data", sample, "--out", tmp_path / "answers.csv")
    assert elsewhere.returncode == 1
    assert "Expected a file to write that ends with .npz" in elsewhere.stderr


def test_explain_draws_the_memory(tiny_model, sample, tmp_path):
    clip = sorted((sample / "yes").glob("*.wav"))[0]
    done = echoic("explain", clip, "-m", tiny_model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{clip.stem}-explained.png"
    assert (tmp_path / f"{clip.stem}-explained.png").read_bytes()[:4] == b"\x89PNG"


def test_memory_tells_what_four_networks_remember(tmp_path):
    done = echoic("memory", "--steps", "5", "--out", tmp_path / "m.png", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["network"] for row in rows][1:] == ["SimpleRNN", "GRU", "LSTM"]
    assert (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"


def test_train_says_what_it_made(trained):
    folder, done = trained
    assert done.returncode == 0
    assert done.stdout.startswith(f"{folder}: ")
    assert "validation clips" in done.stdout
    assert len(re.findall(r"^epoch +\d/3 .*clips/s", done.stderr, re.MULTILINE)) == 3
    assert "oneDNN" not in done.stderr


def test_download_takes_a_mirror_and_reports_a_wrong_archive(tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "speech_commands_test_set_v0.02.tar.gz").write_bytes(b"not the archive")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        done = echoic(
            "download", "--test-set", "--base-url", url, "--dest", tmp_path / "data", cwd=tmp_path
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert done.returncode == 1
    assert "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df" in done.stderr
    assert not (tmp_path / "data" / "speech_commands_test_set_v0.02").exists()
