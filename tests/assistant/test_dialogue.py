"""What words and time lead to."""

import pytest

from echoic.assistant import Dialogue, Order

COMMANDS = {"left": False, "right": True}


def states(*words, end=100.0):
    dialogue = Dialogue("go", COMMANDS, seconds=4.0, number_seconds=3.0)
    turns = []
    for instant, word in words:
        turns += dialogue.on_word(instant, word)
        if dialogue.state == "acting":
            assert dialogue.done(instant, "Done.").state == dialogue.state == "asleep"
    turns += dialogue.pass_time(end)
    return [(t.time, t.state, t.order) for t in turns]


LISTENING = (1.0, "listening", None)
WAITING = (2.0, "waiting for a number", None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([(1.0, "left")], []),
        ([(1.0, "go")], [LISTENING, (5.0, "asleep", None)]),
        ([(1.0, "go"), (2.0, "left")], [LISTENING, (2.0, "acting", Order("left", None, 2.0))]),
        (
            [(1.0, "go"), (2.0, "left"), (3.0, "left"), (4.0, "go"), (5.0, "left")],
            [
                LISTENING,
                (2.0, "acting", Order("left", None, 2.0)),
                (4.0, "listening", None),
                (5.0, "acting", Order("left", None, 5.0)),
            ],
        ),
        ([(1.0, "go"), (6.0, "left")], [LISTENING, (5.0, "asleep", None)]),
        ([(1.0, "go"), (2.0, "up"), (3.0, "left")], [LISTENING, (2.0, "asleep", None)]),
        (
            [(1.0, "go"), (2.0, "right"), (3.0, "four")],
            [LISTENING, WAITING, (3.0, "acting", Order("right", 4, 3.0))],
        ),
        ([(1.0, "go"), (2.0, "right")], [LISTENING, WAITING, (5.0, "asleep", None)]),
        (
            [(1.0, "go"), (2.0, "right"), (3.0, "left")],
            [LISTENING, WAITING, (3.0, "asleep", None)],
        ),
    ],
)
def test_words_and_time_change_the_state(words, expected):
    assert states(*words) == expected


def test_a_turn_says_why_and_about_which_command():
    dialogue = Dialogue("go", COMMANDS, seconds=4.0, number_seconds=3.0)
    turns = dialogue.on_word(1.0, "go") + dialogue.on_word(2.0, "right") + dialogue.pass_time(9.0)
    assert [(t.command, t.reason) for t in turns] == [
        (None, "woken by 'go'."),
        ("right", "'right' needs one."),
        (None, "no number within 3 s."),
    ]
