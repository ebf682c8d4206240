"""Sections of robustness: known figures are shown as they are, and what is not there is named."""

import json

import pytest
from matplotlib.figure import Figure

from echoic.evaluation.result import proportion
from echoic.evaluation.robustness import (
    PEAKS,
    RT60,
    SHIFTS,
    SNRS,
    SPEEDS,
    NoiseScores,
    Robustness,
)
from echoic.reports import robustness_sections

N = 20


def scores(values, right=15):
    return {value: proportion(right, N) for value in values}


def make(*, kinds=("bike",), absent=(), spoken=N, silence=True):
    """Make figures in which 18 of 20 clips are right as they are and 15 in any condition."""
    noises = tuple(
        NoiseScores(kind, kind not in ("pink", "babble"), scores(SNRS), proportion(15, N))
        for kind in (*kinds, "pink", "babble")
    )
    sweeps = {"reverberation": RT60, "shift": SHIFTS, "speed": SPEEDS, "loudness": PEAKS}
    return Robustness(
        model="tiny",
        protocol="archive-v0.02",
        unchanged=proportion(18, N),
        spoken=spoken,
        silence=silence,
        noises=noises,
        unseen=proportion(15, N) if kinds else None,
        absent=absent,
        sweeps={name: scores(values) for name, values in sweeps.items()},
    )


def test_all_sections():
    result = make()
    sections = robustness_sections(result)
    titles = ["Noise", "Reverberation", "Shift", "Speed", "Loudness"]
    assert [section.title for section in sections] == titles
    assert {section.key: section.data for section in sections} == result.report()
    for section in sections:
        assert isinstance(section.figure, Figure)
        assert {len(row) for row in section.rows} == {len(section.columns)}
        assert section.text.endswith(".")
        assert json.loads(json.dumps(section.data)) == section.data


def test_tiles_say_which_direction_is_better_and_what_they_compare_with():
    tiles = {section.key: section.tiles for section in robustness_sections(make()) if section.tiles}
    assert list(tiles) == ["noise", "reverberation"]
    (noise,), (room,) = tiles.values()
    assert (noise.value, noise.name) == ("75.0%", "accuracy in unseen noises")
    assert room.note.endswith(", RT60 0.7 s")
    for tile in (noise, room):
        assert (tile.better, tile.level) == ("higher", 0.75)
        assert tile.reference == ("the same clips, clean", 0.9)


def test_rows_are_the_figures():
    noise, room, *_ = robustness_sections(make(kinds=("bike", "cat")))
    assert noise.rows[0] == ("bike", *["75.0%"] * 5)
    assert noise.rows[-2] == ("mean of the unseen", *["75.0%"] * 5)
    assert noise.rows[-1] == ("none (clean)", "", "", "", "", "90.0%")
    assert "Training never used bike and cat" in noise.text
    assert room.rows[0] == ("unchanged", "90.0%", "69.9% – 97.2%", "")
    assert room.rows[1] == ("0.2 s", "75.0%", "53.1% – 88.8%", "-15.0")


def test_recordings_that_are_not_there_are_named():
    (noise, *_) = robustness_sections(make(kinds=(), absent=("bike", "cat")))
    assert "bike, cat, are not there" in noise.text
    assert "--data" in noise.text
    assert noise.tiles == ()
    assert "mean of the unseen" not in [row[0] for row in noise.rows]


def test_a_model_that_used_every_noise():
    (noise, *_) = robustness_sections(make(kinds=()))
    assert "kept no recording of noise out" in noise.text


@pytest.mark.parametrize(
    ("spoken", "silence", "said"),
    [
        (N, False, "Clips: all 20 spoken ones, unknown words among them."),
        (N, True, "among them. Silence is left out."),
        (400, True, "Clips: 20 of the 400 spoken ones, drawn by a seed and balanced by label"),
    ],
)
def test_which_clips(spoken, silence, said):
    for section in robustness_sections(make(spoken=spoken, silence=silence)):
        assert said in section.text
