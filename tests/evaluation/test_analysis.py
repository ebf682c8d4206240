"""What is behind one accuracy: known predictions give known figures, each part can be absent."""

import json

import numpy as np
import pytest

from echoic import data as datasets
from echoic import evaluation, metrics
from echoic.evaluation import Evaluation
from echoic.evaluation.calibration import calibration
from echoic.evaluation.classes import per_class
from echoic.evaluation.open_set import open_set
from echoic.evaluation.origins import origin, speaker_groups
from echoic.evaluation.result import NotMeasured
from echoic.evaluation.speakers import per_speaker
from echoic.runtime.bundle import Bundle
from synthetic_evaluation import LABELS, UNKNOWN_CLIPS, archive_clips, make_evaluation


def reported(part):
    """Return a part's figures, which are ready for JSON."""
    data = part.report()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    return data


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
    assert origin(name) == (word, speaker)


def test_a_clip_of_no_speaker_is_a_group_of_its_own():
    clips = [*archive_clips(speakers=1, clips=2), ("_silence_/2.wav", "_silence_", "_silence_")]
    groups = speaker_groups(make_evaluation(clips).examples)
    assert groups[1] == groups[2] == "bad"
    assert len(set(groups)) == 3


def test_all_parts_of_a_real_evaluation(tiny_model, sample):
    bundle = Bundle.load(tiny_model)
    result = evaluation.analyze(bundle, evaluation.evaluate_split(bundle, sample))
    data = reported(result)
    assert list(data) == ["classes", "speakers", "calibration", "open_set"]
    assert result.model == "tiny"
    assert data["speakers"]["speakers"] > 1
    assert data["open_set"]["words"]


class TestPerClass:
    def test_figures_of_known_predictions(self):
        clips = [*archive_clips(clips=2), *UNKNOWN_CLIPS]
        data = reported(per_class(make_evaluation(clips)))
        assert data["classes"]["yes"] == {
            "n": 20,
            "recall": 0.95,
            "precision": round(19 / 21, 8),
            "interval": [round(x, 8) for x in metrics.wilson_interval(19, 20)],
        }
        assert data["without_silence"]["n"] == data["n"] - 1

    def test_a_label_without_clips(self):
        part = per_class(make_evaluation(archive_clips()))
        assert reported(part)["classes"]["_unknown_"]["interval"] is None
        assert [row.label for row in part.present] == ["_silence_", "yes", "no"]


class TestPerSpeaker:
    def test_one_who_is_never_understood_is_found(self):
        part = per_speaker(make_evaluation(archive_clips()))
        data = reported(part)
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
        assert part.differs

    def test_mistakes_that_are_spread_evenly_are_chance(self):
        clips = archive_clips((), speakers=40)
        for number in range(1, len(clips), 27):  # each time at another speaker
            name, word, _ = clips[number]
            clips[number] = (name, word, "_unknown_")
        part = per_speaker(make_evaluation(clips))
        assert reported(part)["standard_deviation_beyond_chance"] == 0
        assert not part.differs

    def test_by_number_of_clips(self):
        clips = archive_clips((), speakers=3)
        clips += [(f"yes/often_nohash_{i}.wav", "yes", "yes" if i else "no") for i in range(50)]
        rows = reported(per_speaker(make_evaluation(clips)))["by_clips"]
        assert [(r["clips"], r["speakers"], r["n"]) for r in rows] == [
            ("1 – 5", 3, 15),
            ("41 or more", 1, 50),
        ]
        assert rows[1]["accuracy"] == rows[1]["worst"] == 0.98

    @pytest.mark.parametrize(
        ("clips", "reason"),
        [
            ([("yes/a.wav", "yes", "yes"), ("no/b.wav", "no", "no")], "no clip names one"),
            ([("yes/a_nohash_0.wav", "yes", "yes")], "all clips are of one speaker, a"),
        ],
    )
    def test_without_speakers_it_is_not_measured(self, clips, reason):
        part = per_speaker(make_evaluation(clips))
        assert isinstance(part, NotMeasured)
        assert reason in part.reason
        assert part.report() is None


class TestCalibration:
    def test_figures_of_known_predictions(self):
        clips = archive_clips(("a", "b", "c", "d", "e", "f"))  # 70 of 100 right, and the silent one
        data = reported(calibration(make_evaluation(clips, probability=0.9)))
        assert data["confidence"] == pytest.approx(0.9)
        assert data["expected_calibration_error"] == pytest.approx(0.9 - 71 / 101, abs=1e-4)
        nll = -(71 * np.log(0.9) + 30 * np.log(0.1 / 3)) / 101
        assert data["negative_log_likelihood"] == pytest.approx(nll, abs=1e-4)
        assert data["temperature"] is None

    def test_the_best_temperature_is_found(self):
        rng = np.random.default_rng(0)
        logits = rng.normal(0, 2, (4000, 4))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        targets = (rng.random((4000, 1)) > p.cumsum(axis=1)).sum(axis=1)
        sharp = np.exp(3 * logits)  # what it should divide by is 3
        examples = datasets.Examples(
            np.zeros((4000, 1), np.float32), targets, ("_silence_",) * 4000, LABELS
        )
        probabilities = (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32)
        data = reported(
            calibration(Evaluation("archive-v0.02", {}, examples, probabilities), temperature=1.25)
        )
        assert data["best_temperature"] == pytest.approx(3, rel=0.06)
        assert data["temperature"] == 1.25
        assert data["negative_log_likelihood_at_best"] < data["negative_log_likelihood"]

    def test_without_a_mistake_no_temperature_is_best(self):
        data = reported(calibration(make_evaluation(archive_clips(()))))
        assert data["best_temperature"] is None
        assert data["negative_log_likelihood_at_best"] is None


class TestOpenSet:
    def test_words_used_in_training_and_never_used(self):
        clips = [*archive_clips(), *UNKNOWN_CLIPS]
        data = reported(open_set(make_evaluation(clips), unseen_words=["wow"]))
        assert data["commands"] == 100
        assert data["threshold"] == pytest.approx(0.7)  # all commands score so, right or wrong
        assert data["used_in_training"]["n"] == 3
        assert data["used_in_training"]["false_accept_rate"] == pytest.approx(1 / 3, abs=1e-6)
        assert data["used_in_training"]["auroc"] == pytest.approx(1 - 1 / 6, abs=1e-5)
        assert data["never_used_in_training"]["false_accept_rate"] == 0.5
        assert data["all"]["n"] == 5
        assert data["words"] == [
            {
                "word": "wow",
                "used_in_training": False,
                "n": 2,
                "rejected": 0.5,
                "not_predicted_as_command": 0.5,
                "most_often_taken_for": "yes",
            },
            {
                "word": "cat",
                "used_in_training": True,
                "n": 3,
                "rejected": round(2 / 3, 8),
                "not_predicted_as_command": round(2 / 3, 8),
                "most_often_taken_for": "no",
            },
        ]

    def test_without_words_kept_out(self):
        clips = [*archive_clips(), *UNKNOWN_CLIPS[:3]]
        data = reported(open_set(make_evaluation(clips), unseen_words=["wow"]))
        assert data["never_used_in_training"] is None

    def test_words_without_a_name(self):
        clips = [*archive_clips(), ("_unknown_/1.wav", "_unknown_", "_unknown_")]
        data = reported(open_set(make_evaluation(clips)))
        assert data["words"][0]["word"] is None

    @pytest.mark.parametrize(
        ("clips", "labels", "lacking"),
        [
            (archive_clips(), LABELS, "there are no words outside of the vocabulary"),
            (UNKNOWN_CLIPS, LABELS, "there are no words of the vocabulary"),
            ([("yes/a.wav", "yes", "no")], ("yes", "no"), "no words outside of the vocabulary"),
        ],
    )
    def test_without_either_it_is_not_measured(self, clips, labels, lacking):
        part = open_set(make_evaluation(clips, labels=labels))
        assert isinstance(part, NotMeasured)
        assert lacking in part.reason
        assert part.report() is None
