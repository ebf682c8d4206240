"""Models side by side: the same clips, the difference, and whether it is one."""

import json

import numpy as np
import pytest

from echoic import data as datasets
from echoic import evaluation, metrics
from echoic.evaluation import Evaluation
from echoic.runtime.bundle import Bundle
from synthetic_bundle import make_bundle

LABELS = ("_silence_", "_unknown_", "yes", "no")


def model(name, folder, labels=LABELS):
    (folder / name).mkdir(exist_ok=True)
    return make_bundle(folder / name, name=name, labels=labels, parameters=1000)


def predictions(wrong, *, n=40, clips_of_a_speaker=2, name="yes/{speaker}_nohash_{take}.wav"):
    """Make an evaluation in which the clips of ``wrong`` are wrong."""
    targets = np.full(n, 2)
    predicted = np.where(np.isin(np.arange(n), list(wrong)), 3, 2)
    names = tuple(
        name.format(speaker=i // clips_of_a_speaker, take=i % clips_of_a_speaker) for i in range(n)
    )
    examples = datasets.Examples(np.zeros((n, 1), np.float32), targets, names, LABELS)
    return Evaluation("archive-v0.02", {}, examples, np.eye(4, dtype=np.float32)[predicted])


def compare(folder, *results, names="abc"):
    models = [model(name, folder) for name in names[: len(results)]]
    asked = iter(results)
    return evaluation.compare(models, lambda _: next(asked))


def test_figures_of_known_predictions(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "clip.tflite").write_bytes(b"12345")
    # a is wrong on eight clips; b has seven of those right, and another one wrong.
    report = compare(tmp_path, predictions(range(8)), predictions([7, 20])).report()
    first, second = report["models"]
    assert (report["protocol"], report["n"], report["warnings"]) == ("archive-v0.02", 40, [])
    assert [first["model"], second["model"]] == ["a", "b"]
    assert first["accuracy"] == 0.8
    assert first["interval"] == pytest.approx(metrics.wilson_interval(32, 40), abs=1e-4)
    assert first["without_silence"]["n"] == 40
    assert first["parameters"] == 1000
    assert first["sizes"] == {"clip": None, "stream_int8": None}
    assert second["sizes"] == {"clip": 5, "stream_int8": None}
    assert first["difference"] is None
    difference = second["difference"]
    low, high = difference.pop("speaker_interval")
    assert difference == {
        "than": "a",
        "accuracy": 0.15,
        "mcnemar_p": pytest.approx(0.0703, abs=1e-4),
        "only_first_right": 1,
        "only_this_right": 7,
    }
    assert low < 0.15 < high
    assert json.loads(json.dumps(report))["models"][0] == first


def test_it_is_a_result(tmp_path):
    result = compare(tmp_path, predictions(range(8)), predictions([7, 20]))
    assert {name: figure.value for name, figure in result.figures.items()} == {"a": 0.8, "b": 0.95}
    table = result.tables["models"]
    assert table.rows[0] == ("a", 0.8, 1000, None, None)
    assert dict(zip(table.columns, table.rows[1], strict=True))["difference"] == 0.15
    assert (result.protocol, result.details, result.warnings) == ("archive-v0.02", {}, ())
    assert result.pictures == ()


def test_speakers_are_drawn_and_not_clips(tmp_path):
    def width(clips_of_a_speaker):
        results = [
            predictions(wrong, clips_of_a_speaker=clips_of_a_speaker) for wrong in (range(8), ())
        ]
        low, high = compare(tmp_path, *results).report()["models"][1]["difference"][
            "speaker_interval"
        ]
        return high - low

    assert width(8) > 1.5 * width(1)


def test_the_same_predictions_are_no_difference(tmp_path):
    rows = compare(tmp_path, predictions([1]), predictions([1]), predictions([2])).report()[
        "models"
    ]
    same, other = rows[1]["difference"], rows[2]["difference"]
    assert (same["accuracy"], same["speaker_interval"], same["mcnemar_p"]) == (0, [0, 0], 1)
    assert (other["accuracy"], other["mcnemar_p"]) == (0, 1)
    assert other["only_first_right"] == other["only_this_right"] == 1


def test_one_speaker_gives_no_interval(tmp_path):
    results = [predictions(wrong, clips_of_a_speaker=40) for wrong in ([1], [2, 3])]
    difference = compare(tmp_path, *results).report()["models"][1]["difference"]
    assert difference["speaker_interval"] is None
    assert difference["accuracy"] == -0.025


def test_models_of_one_name_go_by_their_folders(tmp_path):
    (tmp_path / "x").mkdir()
    models = [model("a", tmp_path), model("a", tmp_path / "x"), model("b", tmp_path)]
    names = evaluation.compare(models, lambda _: predictions([])).names
    assert names == (models[0].path.as_posix(), models[1].path.as_posix(), "b")


def test_one_model_is_too_few(tmp_path):
    with pytest.raises(ValueError, match="at least two models to compare, received 1"):
        compare(tmp_path, predictions([]))


def test_other_labels_are_found_before_anything_runs(tmp_path):
    def never(_):
        raise AssertionError("evaluated")

    models = [model("a", tmp_path), model("b", tmp_path, LABELS[::-1])]
    with pytest.raises(ValueError, match=r"same labels as a.*received b with no, yes"):
        evaluation.compare(models, never)


@pytest.mark.parametrize(
    "other", [predictions([], n=38), predictions([], name="no/{speaker}_nohash_{take}.wav")]
)
def test_other_clips_are_an_error(tmp_path, other):
    with pytest.raises(ValueError, match="on the same clips, received 40 clips for a and"):
        compare(tmp_path, predictions([]), other)


def test_a_split_is_drawn_once_by_the_recipe_of_the_first(tiny_model, tiny_copy, sample):
    path = tiny_copy / "echoic.json"
    content = json.loads(path.read_text())
    content["name"] = "other"
    content["recipe"]["data"]["unknown_fraction"] = 0.5
    path.write_text(json.dumps(content))
    models = [Bundle.load(tiny_model), Bundle.load(tiny_copy)]
    done = []
    result = evaluation.compare_split(models, sample, on_progress=lambda *x: done.append(x))
    alone = evaluation.evaluate_split(models[0], sample)
    assert result.names == ("tiny", "other")
    assert result.evaluations[1].examples.names == alone.examples.names
    report = result.report()
    assert (report["protocol"], report["split"], report["data"]) == (
        "hash-split",
        "validation",
        "sample",
    )
    assert report["models"][0]["accuracy"] == alone.report()["accuracy"]
    assert report["models"][1]["difference"]["mcnemar_p"] == 1  # the same weights
    n = report["n"]
    assert done[-1] == (2 * n, 2 * n)
    assert [d for d, _ in done] == sorted(d for d, _ in done)


def test_a_test_archive(speech_commands):
    models = [Bundle.load("gru-12"), Bundle.load("lstm-12")]
    root = speech_commands / "speech_commands_test_set_v0.02"
    report = evaluation.compare_test_set(models, root).report()
    assert (report["protocol"], report["n"]) == ("archive-v0.02", 240)
    assert "4,890 clips, this folder has 240" in report["warnings"][0]
    first, second = (row["accuracy"] for row in report["models"])
    assert second - first == pytest.approx(report["models"][1]["difference"]["accuracy"], abs=1e-5)
    sizes = report["models"][0]["sizes"]
    assert sizes["stream_int8"] < sizes["clip"]
