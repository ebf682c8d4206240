"""The model card: it says what echoic.json says, and no more."""

import json

import pytest

from echoic.reports.card import card, write_card
from echoic.runtime.bundle import Bundle, available
from synthetic_bundle import make_bundle

RELEASED = sorted(available())


@pytest.mark.parametrize("name", RELEASED)
def test_the_card_of_a_released_model_is_that_of_its_folder(name):
    bundle = Bundle.load(name)
    assert (bundle.path / "README.md").read_text(encoding="utf-8") == card(bundle)


@pytest.mark.parametrize("name", RELEASED)
def test_every_figure_of_a_released_model_is_in_its_card(name):
    bundle = Bundle.load(name)
    text = (bundle.path / "README.md").read_text(encoding="utf-8")
    for protocol, figures in bundle.metrics.items():
        if "accuracy" in figures:
            assert f"| `{protocol}` | {figures['n']:,} | **{figures['accuracy']:.2%}** |" in text
    for file, row in bundle.files.measured.items():
        assert f"| `{file}.tflite` | {row.size / 1e3:,.0f} kB | {row.accuracy:.2%} |" in text
    assert text.index("## Accuracy") < text.index("## TFLite files") < text.index("## Limits")
    assert ("## Streams" in text) == ("stream" in bundle.metrics)
    assert "Trained on Speech Commands" in text
    assert "CC BY 4.0" in text


def test_the_card_says_what_the_json_says(tiny_model):
    text = (tiny_model / "README.md").read_text(encoding="utf-8")
    content = json.loads((tiny_model / "echoic.json").read_text())
    assert text.startswith("---\nlicense: ")
    assert text.split("---")[1].count("\n") > 5
    figures = content["metrics"]["hash-split validation"]
    assert f"{figures['accuracy']:.2%}" in text
    assert content["training"]["files_sha256"] in text
    assert content["training"]["command"] in text
    for label in content["labels"]:
        assert f"| {label} |" in text


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("Speech Commands, coded with Opus", True),
        ("speech_commands_v0.02", True),
        ("sample", False),
        ("my words", False),
    ],
)
def test_only_a_model_of_speech_commands_says_so(tmp_path, data, told):
    text = card(make_bundle(tmp_path, data=data))
    assert f"Trained on {data}" in text
    assert ("Pete Warden" in text) == told
    assert ("license: cc-by-4.0" in text) == told
    assert ("datasets: [speech_commands]" in text) == told
    assert ("volunteers" in text) == told


def test_a_model_of_other_data_names_whom_it_learned_from(tmp_path):
    text = card(make_bundle(tmp_path, initial_weights="gru-12", teachers=("gru-12", "lstm-12")))
    assert "It also learned from gru-12, lstm-12, whose cards name their data and terms." in text
    assert "- Initial weights: gru-12." in text


def test_pretrained_networks_are_named_with_their_terms(tmp_path):
    text = card(make_bundle(tmp_path, pretrained_sources=("whisper",)))
    assert "it learned from OpenAI's Whisper" in text
    assert "What it learned from OpenAI's Whisper is MIT." in text
    assert "embedding" not in text


def test_a_card_does_not_call_a_model_its_own_teacher(tmp_path):
    text = card(make_bundle(tmp_path, name="mine", teachers=("mine", "other")))
    assert "- Teachers: an earlier mine, other." in text


def test_figures_that_were_not_measured_leave_no_trace(tmp_path):
    bundle = make_bundle(tmp_path)
    write_card(bundle)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    for heading in ("Accuracy", "Report", "TFLite files", "Streams"):
        assert f"## {heading}" not in text
    assert "\n\n\n" not in text
    assert "model-index" not in text


def test_no_false_accept_is_no_rate(tmp_path):
    none = {"count": 0, "hours": 0.25, "per_hour": None, "interval": [0.0, 14.756]}
    stream = {"data": "sample", "tolerance": 0.75, "streams": {}, "det": []}
    stream |= {"all": {"false_accepts": none}}
    text = card(make_bundle(tmp_path, metrics={"stream": stream}))
    assert "False accepts in these streams: 0 in 0.25 h; fewer than 14.8 an hour (95 %)." in text
    assert "det.png" not in text
