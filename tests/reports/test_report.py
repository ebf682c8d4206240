"""What a report holds, and where."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile

from echoic import audio, plots
from echoic import data as datasets
from echoic.evaluation import Evaluation
from echoic.reports import Section, Tile, record, write_report
from echoic.reports.confusions import FILES, PAIRS
from echoic.runtime.bundle import Bundle
from synthetic_bundle import make_bundle

LABELS = ("_silence_", "_unknown_", "yes", "no")
SCORE = {"words": 460, "miss_rate": 0.1, "miss_rate_interval": [0.08, 0.13], "wrong_words": 3}
SCORE["delay"] = {"median": 0.01, "p95": None}
SCORE["false_accepts"] = {"count": 4, "hours": 0.25, "per_hour": 16, "interval": [4.3, 41]}
STREAM = {"data": "tones", "split": "validation", "tolerance": 0.75}
STREAM |= {"streams": {"20 dB": SCORE}, "all": SCORE}
STREAM["negatives"] = {"false_accepts": SCORE["false_accepts"]}
CONTINUOUS = {"accuracy": 0.94, "n": 4890, "interval": [0.93, 0.95]}


@pytest.fixture
def model(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "stream.tflite").touch()
    return make_bundle(tmp_path / "tiny", labels=LABELS)


@pytest.fixture
def result():
    """Of each word but silence twenty clips, each fourth of which is taken for the next."""
    rng = np.random.default_rng(0)
    targets = np.repeat([0, 1, 2, 3], 20)
    predicted = np.where(np.arange(80) % 4 == 0, 1 + targets % 3, targets)
    probabilities = np.full((80, 4), 0.1, np.float32)
    probabilities[np.arange(80), predicted] = np.linspace(0.6, 0.7, 80)
    waveforms = rng.uniform(-0.5, 0.5, (80, 16000)).astype(np.float32)
    names = tuple(f"{LABELS[t]}/{i}.wav" for i, t in enumerate(targets))
    examples = datasets.Examples(waveforms, targets, names, LABELS)
    details = {"split": "validation", "data": "tones"}
    return Evaluation("hash-split", details, examples, probabilities, ("<b>Mind this.</b>",))


def section(key, **more):
    return Section(key=key, title=key, text="Text.", data={"of": key}, **more)


def test_page_figures_and_pictures(model, result, tmp_path):
    figure = plots.sweep([0], {"a": [(1, 1, 1)]}, unchanged=(1, 1, 1), axis="dB")
    sections = [section("speakers_"), section("noise_", figure=figure), section("classes")]
    page = write_report(model, result, tmp_path / "report", sections=sections)
    assert page == tmp_path / "report" / "index.html"
    assert {p.name for p in page.parent.iterdir()} == {
        "index.html",
        "report.json",
        "confusion.png",
        "noise_.png",
    }
    report = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert list(report["sections"]) == ["classes", "confusions", "speakers_", "noise_", "streams"]
    assert report["sections"]["noise_"] == {"of": "noise_"}
    assert {k: report[k] for k in ("accuracy", "n", "interval")} == (
        result.figures["accuracy"].report()
    )
    assert report["mistakes"] == result.mistakes()
    text = page.read_text(encoding="utf-8")
    assert f"{report['accuracy']:.2%}" in text
    assert "hash-split validation" in text
    assert "&lt;b&gt;Mind this." in text
    places = [text.index(f'<section id="{key}"') for key in report["sections"]]
    assert places == sorted(places)


def test_mistakes_are_the_clips_themselves(model, result, tmp_path):
    page = write_report(model, result, tmp_path)
    mistakes = json.loads((tmp_path / "report.json").read_text())["sections"]["confusions"]
    text = page.read_text(encoding="utf-8")
    sounds = [part.split('"')[0] for part in text.split("data:audio/wav;base64,")[1:]]
    clips = [clip for pair in mistakes for clip in pair["clips"]]
    assert len(sounds) == len(clips) == 4 * FILES <= PAIRS * FILES
    for sound, clip in zip(sounds, clips, strict=True):
        number = result.examples.names.index(clip["file"])
        samples, _ = soundfile.read(io.BytesIO(base64.b64decode(sound)), dtype="int16")
        np.testing.assert_array_equal(samples, audio.to_int16(result.examples.waveforms[number]))
        assert clip["predicted"] == pytest.approx(result.probabilities[number].max(), abs=1e-4)
        assert clip["file"] in text
    assert mistakes[0]["count"] == 5
    assert mistakes[0]["of"] == 20


def test_a_model_without_a_mistake(model, result, tmp_path):
    probabilities = np.eye(4, dtype=np.float32)[result.examples.targets]
    perfect = Evaluation("archive-v0.02", {}, result.examples, probabilities)
    text = write_report(model, perfect, tmp_path).read_text(encoding="utf-8")
    assert "No clip was predicted wrong." in text
    assert "<audio" not in text
    assert "--test-set data/speech_commands_test_set_v0.02 --report FOLDER" in text


def test_streams_that_were_measured_are_told(model, result, tmp_path):
    model.metadata.metrics.update({"stream": STREAM, "archive-v0.02-endless": CONTINUOUS})
    page = write_report(model, result, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "10.0% (8.0% – 13.0%)" in text
    assert "16.0 (4.3 – 41.0)" in text
    assert "94.00% of 4,890 clips" in text
    assert "of words in streams missed" in text
    assert "--stream --data data/tones --negatives FOLDER --update-card" in text
    streaming = json.loads((tmp_path / "report.json").read_text())["sections"]["streams"]
    assert streaming == {"stream": STREAM, "continuous": CONTINUOUS}


def test_where_nothing_was_accepted_no_rate_is_claimed(model, result, tmp_path):
    none = {"count": 0, "hours": 0.25, "per_hour": None, "interval": [0.0, 14.756]}
    quiet = {**SCORE, "false_accepts": none}
    stream = {**STREAM, "streams": {"20 dB": quiet}, "negatives": {"false_accepts": none}}
    model.metadata.metrics.update({"stream": stream})
    text = write_report(model, result, tmp_path).read_text(encoding="utf-8")
    assert "at fewer than 14.8 false accepts an hour" in text
    assert "0 in 0.25 h" in text
    assert "0.0 (" not in text


def test_streams_that_were_not_measured_name_the_command(model, result, tmp_path):
    text = write_report(model, result, tmp_path).read_text(encoding="utf-8")
    assert "echoic evaluate models/tiny --stream" in text
    assert (
        "echoic evaluate models/tiny --test-set data/speech_commands_test_set_v0.02 --continuous"
        in text
    )
    assert "of words in streams missed" not in text


def test_a_model_that_needs_whole_clips_says_so(model, result, tmp_path):
    (model.path / "stream.tflite").unlink()
    text = write_report(model, result, tmp_path).read_text(encoding="utf-8")
    assert "no TFLite file for streams" in text


def test_figures_at_a_glance_are_those_of_the_sections(model, result, tmp_path):
    model.metadata.metrics.update({"stream": STREAM})
    keys = ("speakers", "noise")
    sections = [
        section(key, tiles=(Tile(value=f"{i}.5%", name=f"of {key}", note="told", better="higher"),))
        for i, key in enumerate(keys)
    ]
    sections.append(section("loudness"))
    text = write_report(model, result, tmp_path, sections=sections).read_text(encoding="utf-8")
    tiles = text.split('<ul class="tiles">')[1].split("</ul>")[0]
    for value in ("0.5%", "1.5%", "of speakers", "of noise", "10.0%", "at 16.0 false accepts"):
        assert value in tiles
    assert tiles.count("<li ") == 3
    assert all(f'href="#{key}"' in tiles for key in (*keys, "streams"))


def test_a_tile_says_which_direction_is_better(model, result, tmp_path):
    model.metadata.metrics.update({"stream": STREAM})
    good = Tile(
        value="98.0%",
        name="accuracy",
        better="higher",
        level=0.98,
        reference=("all clips", 0.95),
    )
    sections = [section("noise", tiles=(good,))]
    text = write_report(model, result, tmp_path, sections=sections).read_text(encoding="utf-8")
    tiles = text.split('<ul class="tiles">')[1].split("</ul>")[0].split("<li ")[1:]
    high, low = tiles
    assert high.startswith('class="higher"')
    assert "↑ higher is better" in high
    assert "width: 98.0%" in high
    assert "left: 95.0%" in high
    assert "all clips: 95.0%" in high
    assert low.startswith('class="lower"')
    assert "↓ lower is better" in low
    assert "width: 10.0%" in low


def test_without_figures_at_a_glance_there_is_no_list_of_them(model, result, tmp_path):
    sections = [section("speakers"), section("noise")]
    text = write_report(model, result, tmp_path, sections=sections).read_text(encoding="utf-8")
    assert '<ul class="tiles">' not in text


@pytest.mark.parametrize(
    ("max_clips", "which"), [(400, "on 400 of the spoken"), (None, "on all spoken")]
)
def test_the_head_of_a_report_is_kept_in_the_card(tiny_copy, result, max_clips, which):
    bundle = Bundle.load(tiny_copy)
    tile = Tile(
        value="12.3%",
        name="of clips in noise",
        note="of 400",
        better="lower",
        level=0.123,
        reference=("clean", 0.05),
    )
    sections = [section("noise_", tiles=(tile,)), section("headless")]
    recorded = record(bundle, result, sections=sections, max_clips=max_clips)
    figures = recorded.metrics["hash-split validation"]
    head = {"section": "noise_", "value": "12.3%", "name": "of clips in noise"}
    head |= {"note": "clean: 5.0%; of 400", "better": "lower"}
    assert figures["report"] == {"max_clips": max_clips, "heads": [head]}
    card = (tiny_copy / "README.md").read_text(encoding="utf-8")
    assert "| noise_ | **12.3%** | of clips in noise | lower | clean: 5.0%; of 400 |" in card
    assert which in card
    assert ("--split validation --report report/ --max-clips 400" in card) == bool(max_clips)
    # Measured again without a report, it has none.
    assert "report" not in record(recorded, result).metrics["hash-split validation"]
    assert "## Report" not in (tiny_copy / "README.md").read_text(encoding="utf-8")
