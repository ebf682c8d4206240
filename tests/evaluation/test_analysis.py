"""What is behind one accuracy: known answers give known figures, and each part can be silent."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from echoic import data as datasets
from echoic import evaluation, metrics
from echoic.evaluation import Evaluation, analysis
from echoic.runtime.bundle import Bundle

LABELS = ("_silence_", "_unknown_", "yes", "no")


@pytest.fixture
def model(tmp_path):
    """A model that never heard "wow"."""
    content = {
        "name": "tiny",
        "labels": list(LABELS),
        "recipe": {"data": {"unseen_words": ["wow"]}},
        "training": {},
    }
    return Bundle(tmp_path, content)


def answers(clips, *, probability=0.7, labels=LABELS):
    """Make an evaluation of (name, true label, answered label) triples."""
    targets = [labels.index(true) for _, true, _ in clips]
    predicted = [labels.index(answer) for _, _, answer in clips]
    n = len(clips)
    examples = datasets.Examples(
        np.zeros((n, 1), np.float32), np.array(targets), tuple(c[0] for c in clips), labels
    )
    probabilities = np.full((n, len(labels)), (1 - probability) / (len(labels) - 1), np.float32)
    probabilities[np.arange(n), predicted] = probability
    return Evaluation("archive-v0.02", {}, examples, probabilities)


def archive(wrong=("bad",), *, speakers=20, clips=5):
    """Each speaker says a word in turn, and those of ``wrong`` are never understood."""
    found = [("_silence_/1.wav", "_silence_", "_silence_")]
    for number in range(speakers):
        who = wrong[number] if number < len(wrong) else f"{number:08x}"
        for take in range(clips):
            word, other = ("yes", "no") if take % 2 else ("no", "yes")
            answer = other if who in wrong else word
            found.append((f"{word}/{who}_nohash_{take}.wav", word, answer))
    return found


UNKNOWN = [
    ("_unknown_/cat_0c540988_nohash_0.wav.wav", "_unknown_", "_unknown_"),
    ("_unknown_/cat_0c540989_nohash_0.wav.wav", "_unknown_", "_unknown_"),
    ("_unknown_/cat_0c540990_nohash_0.wav.wav", "_unknown_", "no"),
    ("_unknown_/wow_0c540988_nohash_1.wav.wav", "_unknown_", "yes"),
    ("_unknown_/wow_0c540991_nohash_0.wav.wav", "_unknown_", "_unknown_"),
]


def consistent(section):
    """Check what holds of every section."""
    assert section.text.endswith(".")
    assert all(len(row) == len(section.columns) for row in section.rows)
    assert json.loads(json.dumps(section.data, allow_nan=False)) == section.data
    return section


@pytest.mark.parametrize(
    ("name", "word", "speaker"),
    [
        ("yes/0c540988_nohash_0.wav", "yes", "0c540988"),
        ("_unknown_/backward_0c540988_nohash_0.wav.wav", "backward", "0c540988"),
        ("_unknown_/0c540988_nohash_0.wav", None, "0c540988"),
        ("_unknown_/cat.wav", None, None),
        ("_silence_/1024.wav", None, None),
        ("_silence_", None, None),
        ("yes/my_voice_nohash_0.wav", "yes", "my_voice"),
        ("yes/mine.wav", "yes", None),
    ],
)
def test_names_tell_word_and_speaker(name, word, speaker):
    assert analysis.origin(name) == (word, speaker)


def test_all_parts_of_a_real_evaluation(tiny_model, sample):
    bundle = Bundle.load(tiny_model)
    sections = evaluation.analyze(bundle, evaluation.evaluate_split(bundle, sample))
    assert [s.key for s in sections] == ["classes", "speakers", "calibration", "open_set"]
    assert all(isinstance(consistent(s).figure, Figure) for s in sections)
    assert sections[1].data["speakers"] > 1
    assert sections[3].data["words"]


class TestClasses:
    def test_figures_of_known_answers(self, model):
        clips = [*archive(clips=2), *UNKNOWN]
        section = consistent(analysis.classes(model, answers(clips)))
        yes = section.data["classes"]["yes"]
        assert yes == {
            "n": 20,
            "recall": 0.95,
            "precision": round(19 / 21, 8),
            "interval": [round(x, 8) for x in metrics.wilson_interval(19, 20)],
        }
        assert section.data["without_silence"]["n"] == section.data["n"] - 1
        assert section.rows[2] == ("yes", "20", "95.0%", "76.4% – 99.1%", "90.5%")
        without, hardest = section.tiles
        right = section.data["without_silence"]["accuracy"]
        assert (without.value, without.name) == (f"{right:.1%}", "without silence")
        assert (hardest.value, hardest.name) == ("60.0%", "of “_unknown_”, the hardest label")
        assert hardest.note == "of 5 clips"

    def test_a_label_without_clips(self, model):
        section = consistent(analysis.classes(model, answers(archive())))
        assert section.data["classes"]["_unknown_"]["interval"] is None
        assert section.rows[1] == ("_unknown_", "0", "–", "–", "–")

    def test_one_label_is_told_and_not_drawn(self, model):
        clips = [("yes/a_nohash_0.wav", "yes", "yes"), ("yes/b_nohash_0.wav", "yes", "no")]
        section = consistent(analysis.classes(model, answers(clips)))
        assert "nothing can be said of what is taken for what" in section.text
        assert section.figure is None
        assert [tile.name for tile in section.tiles] == ["without silence"]


class TestSpeakers:
    def test_one_who_is_never_understood_is_found(self, model):
        section = consistent(analysis.speakers(model, answers(archive())))
        data = section.data
        assert (data["speakers"], data["clips"]) == (20, 100)
        assert data["clips_of_a_speaker"] == {"median": 5, "least": 5, "most": 5}
        assert data["accuracy"] == pytest.approx(96 / 101, abs=1e-6)
        assert data["worst"][0] == {"speaker": "bad", "n": 5, "accuracy": 0.0}
        assert (data["median"], data["percentile_10"]) == (1, 1)
        # By hand: 19 times 0.05 and once 0.95 from 0.95; chance gives sqrt(0.95 * 0.05 / 5).
        assert data["standard_deviation"] == pytest.approx(np.sqrt(0.0475), abs=1e-4)
        assert data["standard_deviation_by_chance"] == pytest.approx(np.sqrt(0.0095), rel=0.1)
        beyond = np.sqrt(0.0475 - 0.0095)
        assert data["standard_deviation_beyond_chance"] == pytest.approx(beyond, rel=0.03)
        low, high = data["speaker_interval"]
        assert low < data["interval"][0]
        assert high == pytest.approx(1, abs=0.01)
        assert "it understands some people worse" in section.text
        (tile,) = section.tiles
        assert tile.value == "100.0%"
        assert "by chance alone it would be" in tile.note
        assert section.rows == (("1 – 5", "20", "100", "95.0%", "88.8% – 97.8%", "0.0%"),)

    def test_mistakes_that_are_spread_evenly_are_chance(self, model):
        clips = archive((), speakers=40)
        for number in range(1, len(clips), 27):  # each time at another speaker
            name, word, _ = clips[number]
            clips[number] = (name, word, "_unknown_")
        section = consistent(analysis.speakers(model, answers(clips)))
        assert section.data["standard_deviation_beyond_chance"] == 0
        assert "no more than chance gives" in section.text

    def test_by_number_of_clips(self, model):
        clips = archive((), speakers=3)
        clips += [(f"yes/often_nohash_{i}.wav", "yes", "yes" if i else "no") for i in range(50)]
        rows = analysis.speakers(model, answers(clips)).data["by_clips"]
        assert [(r["clips"], r["speakers"], r["n"]) for r in rows] == [
            ("1 – 5", 3, 15),
            ("41 or more", 1, 50),
        ]
        assert rows[1]["accuracy"] == rows[1]["worst"] == 0.98

    @pytest.mark.parametrize(
        ("clips", "said"),
        [
            ([("yes/a.wav", "yes", "yes"), ("no/b.wav", "no", "no")], "none has a speaker"),
            ([("yes/a_nohash_0.wav", "yes", "yes")], "all are of one speaker, a"),
        ],
    )
    def test_without_speakers_it_says_so(self, model, clips, said):
        section = consistent(analysis.speakers(model, answers(clips)))
        assert said in section.text
        assert section.figure is section.data is None
        assert section.rows == section.tiles == ()


class TestCalibration:
    def test_figures_of_known_answers(self, model):
        clips = archive(("a", "b", "c", "d", "e", "f"))  # 70 of 100 right, and the silent one
        section = consistent(analysis.calibration(model, answers(clips, probability=0.9)))
        data = section.data
        assert data["confidence"] == pytest.approx(0.9)
        assert data["expected_calibration_error"] == pytest.approx(0.9 - 71 / 101, abs=1e-4)
        nll = -(71 * np.log(0.9) + 30 * np.log(0.1 / 3)) / 101
        assert data["negative_log_likelihood"] == pytest.approx(nll, abs=1e-4)
        assert data["temperature"] is None
        assert "too sure" in section.text
        assert "No temperature was fitted" in section.text
        assert section.tiles[0].value == f"{100 * (0.9 - 71 / 101):.1f} points"

    def test_the_best_temperature_is_found(self, model):
        rng = np.random.default_rng(0)
        logits = rng.normal(0, 2, (4000, 4))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        targets = (rng.random((4000, 1)) > p.cumsum(axis=1)).sum(axis=1)
        sharp = np.exp(3 * logits)  # what it should divide by is 3
        examples = datasets.Examples(
            np.zeros((4000, 1), np.float32), targets, ("_silence_",) * 4000, LABELS
        )
        probabilities = (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32)
        model.metadata["training"]["temperature"] = 1.25
        section = analysis.calibration(
            model, Evaluation("archive-v0.02", {}, examples, probabilities)
        )
        assert section.data["best_temperature"] == pytest.approx(3, rel=0.06)
        assert section.data["temperature"] == 1.25
        assert "temperature of 1.25 was fitted on validation" in section.text
        better = section.data["negative_log_likelihood_at_best"]
        assert better < section.data["negative_log_likelihood"]

    def test_without_a_mistake_no_temperature_is_best(self, model):
        section = consistent(analysis.calibration(model, answers(archive(()))))
        assert section.data["best_temperature"] is None
        assert section.data["negative_log_likelihood_at_best"] is None
        assert "nothing was mistaken" in section.text


class TestOpenSet:
    def test_words_heard_and_never_heard(self, model):
        section = consistent(analysis.open_set(model, answers([*archive(), *UNKNOWN])))
        data = section.data
        assert data["commands"] == 100
        assert data["threshold"] == pytest.approx(0.7)  # all commands score so, right or wrong
        assert data["heard_in_training"]["n"] == 3
        assert data["heard_in_training"]["false_accept_rate"] == pytest.approx(1 / 3, abs=1e-6)
        assert data["heard_in_training"]["auroc"] == pytest.approx(1 - 1 / 6, abs=1e-5)
        assert data["never_heard_in_training"]["false_accept_rate"] == 0.5
        assert data["all"]["n"] == 5
        assert data["words"] == [
            {
                "word": "wow",
                "heard_in_training": False,
                "n": 2,
                "rejected": 0.5,
                "not_answered_as_command": 0.5,
                "most_often_taken_for": "yes",
            },
            {
                "word": "cat",
                "heard_in_training": True,
                "n": 3,
                "rejected": round(2 / 3, 8),
                "not_answered_as_command": round(2 / 3, 8),
                "most_often_taken_for": "no",
            },
        ]
        assert section.rows[0] == ("wow", "never", "2", "50.0%", "50.0%", "yes")
        (tile,) = section.tiles
        assert (tile.value, tile.name) == ("50.0%", "of new words accepted")
        assert tile.note == "by a threshold that accepts 95% of commands; 2 clips"

    def test_without_words_kept_out_it_says_so(self, model):
        section = consistent(analysis.open_set(model, answers([*archive(), *UNKNOWN[:3]])))
        assert section.data["never_heard_in_training"] is None
        assert "how it meets new ones is not known" in section.text
        (tile,) = section.tiles
        assert (tile.value, tile.name) == ("33.3%", "of other words accepted")

    def test_words_without_a_name(self, model):
        clips = [*archive(), ("_unknown_/1.wav", "_unknown_", "_unknown_")]
        section = consistent(analysis.open_set(model, answers(clips)))
        assert section.data["words"][0]["word"] is None
        assert section.rows == (("(not named)", "yes", "1", "100.0%", "100.0%", "–"),)

    @pytest.mark.parametrize(
        ("clips", "labels", "lacking"),
        [
            (archive(), LABELS, "no clips of words that it does not know"),
            (UNKNOWN, LABELS, "no clips of its words"),
            ([("yes/a.wav", "yes", "no")], ("yes", "no"), "no clips of words"),
        ],
    )
    def test_with_nothing_to_say_it_says_so(self, model, clips, labels, lacking):
        section = consistent(analysis.open_set(model, answers(clips, labels=labels)))
        assert lacking in section.text
        assert section.tiles == ()
        assert section.data is section.figure is None
