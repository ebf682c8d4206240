"""Sections of an analysis: they say what the figures say, and what cannot be said."""

import json

import pytest
from matplotlib.figure import Figure

from echoic import evaluation, metrics
from echoic.reports import analysis_sections
from synthetic_bundle import make_bundle
from synthetic_evaluation import LABELS, UNKNOWN_CLIPS, archive_clips, make_evaluation


@pytest.fixture
def sections(tmp_path):
    """Make the sections of clips; the model never used "wow"."""

    def make(clips, *, labels=LABELS, probability=0.7, **training):
        model = make_bundle(tmp_path, labels=labels, unseen_words=["wow"], **training)
        result = make_evaluation(clips, labels=labels, probability=probability)
        found = analysis_sections(evaluation.analyze(model, result))
        for section in found:
            assert section.text.endswith(".")
            assert all(len(row) == len(section.columns) for row in section.rows)
            assert json.loads(json.dumps(section.data, allow_nan=False)) == section.data
        return {section.key: section for section in found}

    return make


def test_all_sections_have_a_picture_and_a_title_of_the_field(sections):
    found = sections([*archive_clips(), *UNKNOWN_CLIPS])
    titles = {"classes": "Per class", "speakers": "Per speaker"}
    titles |= {"calibration": "Calibration", "open_set": "Open set"}
    assert {key: section.title for key, section in found.items()} == titles
    assert all(isinstance(section.figure, Figure) for section in found.values())
    assert all(tile.better for section in found.values() for tile in section.tiles)


class TestPerClass:
    def test_figures_of_known_predictions(self, sections):
        section = sections([*archive_clips(clips=2), *UNKNOWN_CLIPS])["classes"]
        assert section.rows[2] == ("yes", "20", "95.0%", "76.4% – 99.1%", "90.5%")
        without, lowest = section.tiles
        right = section.data["without_silence"]["accuracy"]
        assert (without.value, without.name) == (f"{right:.1%}", "accuracy without silence")
        assert (without.better, without.level) == ("higher", pytest.approx(right))
        assert (lowest.value, lowest.better) == ("60.0%", "higher")
        assert lowest.name == "recall of “_unknown_”, the lowest of all labels"
        assert lowest.note == "of 5 clips"
        assert lowest.reference == ("all clips", pytest.approx(section.data["accuracy"]))

    def test_a_label_without_clips(self, sections):
        section = sections(archive_clips())["classes"]
        assert section.rows[1] == ("_unknown_", "0", "–", "–", "–")

    def test_one_label_has_no_confusions(self, sections):
        clips = [("yes/a_nohash_0.wav", "yes", "yes"), ("yes/b_nohash_0.wav", "yes", "no")]
        section = sections(clips)["classes"]
        assert "there are no confusions to show" in section.text
        assert section.figure is None
        assert [tile.name for tile in section.tiles] == ["accuracy without silence"]


class TestPerSpeaker:
    def test_one_who_is_never_understood(self, sections):
        section = sections(archive_clips())["speakers"]
        assert "serves some speakers worse" in section.text
        (tile,) = section.tiles
        assert (tile.value, tile.better) == ("100.0%", "higher")
        name, chance = tile.reference
        assert name == "by chance"
        assert chance == pytest.approx(section.data["percentile_10_by_chance"])
        assert section.rows == (("1 – 5", "20", "100", "95.0%", "88.8% – 97.8%", "0.0%"),)

    def test_chance(self, sections):
        clips = archive_clips((), speakers=40)
        for number in range(1, len(clips), 27):  # each time at another speaker
            name, word, _ = clips[number]
            clips[number] = (name, word, "_unknown_")
        assert "That is within chance" in sections(clips)["speakers"].text

    def test_without_speakers_it_says_so(self, sections):
        clips = [("yes/a.wav", "yes", "yes"), ("no/b.wav", "no", "no")]
        section = sections(clips)["speakers"]
        assert section.text.startswith("Not measured.")
        assert "no clip names one" in section.text
        assert section.figure is section.data is None
        assert section.rows == section.tiles == ()


class TestCalibration:
    def test_an_overconfident_model(self, sections):
        clips = archive_clips(("a", "b", "c", "d", "e", "f"))  # 70 of 100 right, and the silent one
        section = sections(clips, probability=0.9)["calibration"]
        assert "overconfident" in section.text
        assert "Training fitted no temperature" in section.text
        (tile,) = section.tiles
        error = 0.9 - 71 / 101
        assert (tile.value, tile.better) == (f"{100 * error:.1f} points", "lower")
        assert tile.level == pytest.approx(error)
        interval = metrics.wilson_interval(71, 101)
        assert section.rows[-1][-1] == f"{interval[0]:.1%} – {interval[1]:.1%}"

    def test_a_temperature_that_is_part_of_the_model(self, sections):
        section = sections(archive_clips(), temperature=1.25)["calibration"]
        assert "temperature of 1.25 on validation" in section.text
        best = section.data["best_temperature"]
        assert f"once more by {best:.3g}" in section.text

    def test_without_a_mistake(self, sections):
        assert "No clip was wrong" in sections(archive_clips(()))["calibration"].text


class TestOpenSet:
    def test_words_used_in_training_and_never_used(self, sections):
        section = sections([*archive_clips(), *UNKNOWN_CLIPS])["open_set"]
        assert section.rows[0] == ("wow", "never", "2", "50.0%", "50.0%", "yes")
        (tile,) = section.tiles
        assert (tile.value, tile.name) == ("50.0%", "of new words accepted as commands")
        assert (tile.better, tile.level) == ("lower", 0.5)
        assert tile.note == "at a threshold that accepts 95% of commands; 2 clips"

    def test_without_words_kept_out_it_says_so(self, sections):
        section = sections([*archive_clips(), *UNKNOWN_CLIPS[:3]])["open_set"]
        assert "how the model meets new words" in section.text
        (tile,) = section.tiles
        assert (tile.value, tile.name) == ("33.3%", "of other words accepted as commands")

    def test_words_without_a_name(self, sections):
        clips = [*archive_clips(), ("_unknown_/1.wav", "_unknown_", "_unknown_")]
        section = sections(clips)["open_set"]
        assert section.rows == (("(not named)", "yes", "1", "100.0%", "100.0%", "–"),)

    def test_without_either_it_says_so(self, sections):
        section = sections(archive_clips())["open_set"]
        assert "no words outside of the vocabulary" in section.text
        assert section.tiles == ()
        assert section.data is section.figure is None
