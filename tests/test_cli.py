"""The verbs: what they print, where, and how they end."""

import ast
import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import environ
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.main import get_command
from typer.testing import CliRunner

from echoic import cli
from echoic.config import recipe_names

COMMANDS = get_command(cli.app).commands
OPTIONS = [
    (verb, parameter.opts[0])
    for verb, command in COMMANDS.items()
    for parameter in command.params
    if parameter.param_type_name == "option"
]


def echoic(*arguments, cwd=None, env=None):
    """Run the program."""
    command = [sys.executable, "-m", "echoic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, env=env)


def invoke(*arguments):
    """Run the command line in this process; it ends as the program would."""
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, [str(a) for a in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def pages(root):
    """The text of all pages for users."""
    files = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


class TestHelp:
    def test_names_every_verb(self):
        done = echoic("--help")
        assert done.returncode == 0
        assert all(verb in done.stdout for verb in COMMANDS)

    def test_is_for_people_who_name_no_verb(self):
        assert "Usage" in invoke().output

    @pytest.mark.parametrize("verb", COMMANDS)
    def test_each_verb_is_documented(self, verb, pages):
        assert f"echoic {verb}" in pages

    @pytest.mark.parametrize(("verb", "option"), OPTIONS)
    def test_each_option_is_documented(self, verb, option, root):
        (parameter,) = (p for p in COMMANDS[verb].params if option in p.opts)
        assert (parameter.help or "").endswith(".")
        page = (root / "docs" / "cli.md").read_text(encoding="utf-8")
        assert f"| `{verb}` | `{option}` | {parameter.help} |\n" in page

    def test_of_train_names_every_recipe(self):
        shown = " ".join(invoke("train", "--help").stdout.split())
        assert f"Recipes: {', '.join(recipe_names())}." in shown

    def test_each_verb_is_one_sentence(self):
        for command in COMMANDS.values():
            assert re.fullmatch(r"[A-Z].{10,90}\.", str(command.help))


def test_an_export_without_people_says_so(tmp_path):
    """The ranges of int8 are then from synthesizers: no error, but nothing to ship either."""
    for data, told in (("speech_commands_v0.02", False), ("sample", True)):
        (tmp_path / "data" / data).mkdir(parents=True)
        done = echoic("export", "nothing", cwd=tmp_path)
        assert (done.returncode, "No model 'nothing'" in done.stderr) == (1, True)
        assert ("the synthetic sample calibrates int8" in done.stderr) == told
        shutil.rmtree(tmp_path / "data")


def test_version():
    assert re.fullmatch(r"echoic \d+\.\d+\.\d+\n", echoic("--version").stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["predict"],
        ["train", "gru", "--epochs", "5"],
        ["evaluate", "--continuous"],
        ["evaluate", "--negatives", "tests"],
        ["evaluate", "--max-clips", "10"],
        ["evaluate", "--report", "r", "--max-clips", "0"],
        ["evaluate", "--report", "r", "--max-clips", "10", "--stream"],
        ["evaluate", "--file", "stream_int8"],
        ["evaluate", "--continuous", "--test-set", "tests", "--file", "core_int8"],
        ["evaluate", "--stream", "--continuous", "--test-set", "tests"],
        ["tune", "--max-false-accepts", "-1"],
        ["compare"],
        ["compare", "gru-12"],
        ["listen", "--realtime"],
        ["listen", "--threshold", "2"],
        ["listen", "--wav", "data/sample/stream.wav", "--device", "0"],
        ["listen", "--json", "--memory"],
    ],
)
def test_wrong_usage_ends_with_2(arguments):
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage" in done.stderr


def test_the_program_ends_with_2_too():
    done = echoic("evaluate", "--continuous")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Expected --test-set with --continuous, received none." in done.stderr


FAILURES = [
    (["predict", "nothing.wav"], "No such recording: nothing.wav"),
    (["predict", "README.md", "-m", "nothing"], "No model 'nothing'"),
    (["plot", "nothing.wav"], "No such recording"),
    (["listen", "--wav", "nothing.wav"], "No such recording: nothing.wav"),
    (["listen", "--wav", "data/sample/stream.wav", "-m", "nothing"], "No model 'nothing'"),
    (["listen", "--wav", "data/sample"], "data/sample is a folder, not a recording."),
    (["listen", "--wav", "data/sample/stream.wav", "-m", "attention-12"], "such as gru-12"),
    (
        ["listen", "--wav", "data/sample/stream.wav", "--save", "README.md"],
        "Expected a folder, received the file README.md",
    ),
    (["assistant", "nothing.toml"], "No such configuration: nothing.toml"),
    (["plot", "data/sample/stream.wav", "--out", "nothing/a.png"], "nothing/a.png: No such file"),
    (["explain", "data/sample/stream.wav", "--at", "99"], "from 0 to 19.3 s"),
    (["evaluate", "--data", "nothing"], "No data set at nothing"),
    (["evaluate", "--test-set", "nothing"], "echoic download --test-set"),
    (["compare", "gru-12", "nothing"], "No model 'nothing'"),
    (["compare", "gru-12", "gru-commands"], "Expected models with the same labels"),
    (["compare", "gru-12", "lstm-12", "--data", "nothing"], "No data set at nothing"),
    (["train", "nothing"], "No recipe 'nothing'"),
    (["train", "gru", "--data", "nothing", "--out", "OUT"], "echoic download"),
    (["train", "gru", "--set", "training.x=1"], "x"),
    (["download", "--base-url", "ftp://x", "--dest", "OUT"], "http"),
]


@pytest.mark.parametrize(("arguments", "message"), FAILURES)
def test_failure_is_one_clear_line_and_ends_with_1(arguments, message, tmp_path, root, monkeypatch):
    monkeypatch.chdir(root)
    done = invoke(*[tmp_path if a == "OUT" else a for a in arguments])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_program_fails_with_1_and_one_line_too():
    done = echoic("compare", "gru-12", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"echoic: No model 'nothing'.*\n", done.stderr)


def test_an_interrupt_ends_with_130(monkeypatch, sample):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("echoic.runtime.recognizer.Recognizer.load", interrupted)
    done = invoke("predict", sample / "stream.wav")
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "")


def test_an_error_that_is_a_defect_shows_where_it_is(monkeypatch, sample):
    def defective(*_):
        raise KeyError("x")

    monkeypatch.setattr("echoic.runtime.recognizer.Recognizer.load", defective)
    with pytest.raises(KeyError):
        invoke("predict", sample / "stream.wav")


def test_what_is_below_the_command_line_logs_and_does_not_print():
    """`print` is for the command line, for the lines of live outputs and for ``listen.py``."""
    package = Path(cli.__file__).parents[1]
    may = {package / "live" / "outputs.py", package / "export" / "listen.py"}
    for path in set(package.rglob("*.py")) - set((package / "cli").rglob("*.py")) - may:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Name) and node.id == "print"), path


def test_debugging_shows_where_it_failed():
    done = echoic("predict", "nothing.wav", "-m", "nothing", env={**environ, "ECHOIC_DEBUG": "1"})
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "gru"],
        ["plot", "data/sample/stream.wav"],
        ["evaluate", "gru-12"],
        ["tune", "gru-12"],
        ["export", "gru-12"],
        ["memory"],
    ],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(arguments, root):
    """The packages of the extra `train` are kept from a process that has none of them yet."""
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('scipy', 'sklearn', 'keras', 'tensorflow', 'librosa', "
        "'matplotlib', 'jinja2'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"from echoic.cli import main; main({arguments!r})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(
        rf"echoic: Expected the package \w+ for `echoic {arguments[0]}`, received none\. "
        r"Install the extra: pip install 'echoic\[train\]'\n",
        done.stderr,
    )


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
    assert {"yes", "left", "go", "stop"} <= {row["label"] for row in rows[1:]}
    assert done.stderr == ""


def test_predict_lists_the_windows_of_a_long_recording(sample):
    done = echoic("predict", sample / "stream.wav", "--windows", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["start"] for row in rows[:3]] == [0.0, 0.25, 0.5]
    assert "_silence_" in {row["label"] for row in rows}


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
    assert "predicted as" in done.stdout
    assert "index.html" not in done.stdout


def test_evaluate_writes_a_page(tiny_model, sample, tmp_path):
    arguments = ["evaluate", tiny_model, "--data", sample, "--report", tmp_path / "r"]
    done = echoic(*arguments, "--max-clips", 4)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "r" / "index.html"
    assert done.stdout.splitlines()[-1] == str(page)
    report = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert list(report["sections"]) == [
        "classes",
        "confusions",
        "speakers",
        "calibration",
        "open_set",
        "noise",
        "reverberation",
        "shift",
        "speed",
        "loudness",
        "streams",
    ]
    assert report["sections"]["shift"]["unchanged"]["n"] == 4
    text = page.read_text(encoding="utf-8")
    assert all(f'<section id="{key}"' in text for key in report["sections"])
    assert {"report.json", "index.html", "confusion.png", "noise.png"} <= {
        p.name for p in page.parent.iterdir()
    }
    done = echoic(*arguments, "--max-clips", 1, "--json")
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


def test_evaluate_continuously(tiny_model, speech_commands, tmp_path):
    archive = tmp_path / "archive"
    for word in ("yes", "no"):
        shutil.copytree(speech_commands / "speech_commands_test_set_v0.02" / word, archive / word)
    done = echoic("evaluate", tiny_model, "--test-set", archive, "--continuous", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["protocol"] == "archive-v0.02-endless"
    assert report["seeds"] == [0, 1, 2]
    assert "on archive-v0.02-endless" in (
        echoic("evaluate", tiny_model, "--test-set", archive, "--continuous").stdout
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
    arguments = ["tune", tiny_copy, "--data", sample, "--max-false-accepts", "100000"]
    done = echoic(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    stored = json.loads((tiny_copy / "echoic.json").read_text())["decoder"]
    assert stored == report["chosen"]["decoder"]
    assert "chosen" in echoic(*arguments).stdout


def test_soft_labels_are_stored_to_distil_from(tiny_model, sample, tmp_path):
    done = echoic("soft-labels", tiny_model, "--data", sample, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, told = done.stdout.strip().split(": ")
    assert (tmp_path / file).is_file()
    assert file == f"{tiny_model.name}.npz"
    assert re.fullmatch(r"soft labels of \d+ recordings", told)
    elsewhere = echoic(
        "soft-labels", tiny_model, "--data", sample, "--out", tmp_path / "labels.csv"
    )
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
