"""Vocabularies: their order is part of every model, so it is spelled out here once more."""

import pytest

from echoic.labels import COMMANDS, SILENCE, UNKNOWN, WORDS, vocabulary


def test_12_is_silence_unknown_and_the_ten_commands_in_the_published_order():
    expected = "_silence_ _unknown_ yes no up down left right on off stop go"
    assert vocabulary("12") == tuple(expected.split())


def test_commands_are_those_of_12_and_five_numbers():
    expected = (*vocabulary("12"), "zero", "one", "four", "five", "eight")
    assert vocabulary("commands") == expected


def test_35_is_all_words_and_nothing_else():
    words = vocabulary("35")
    assert words == WORDS
    assert len(words) == len(set(words)) == 35
    assert list(words) == sorted(words)
    assert set(COMMANDS) <= set(words)
    assert not {SILENCE, UNKNOWN} & set(words)


def test_35_are_the_words_of_the_official_lists(official_lists):
    for names in official_lists.values():
        assert {name.split("/")[0] for name in names} == set(WORDS)


@pytest.mark.parametrize(
    "words",
    [
        "stop,go",
        " stop , go ",
        ["stop", "go"],
        ("stop", "go"),
        ("_silence_", "_unknown_", "stop", "go"),
        "_silence_,_unknown_,stop,go",
    ],
)
def test_words_keep_their_order_behind_silence_and_unknown(words):
    assert vocabulary(words) == ("_silence_", "_unknown_", "stop", "go")


def test_one_word_is_a_vocabulary():
    assert vocabulary("marvin") == ("_silence_", "_unknown_", "marvin")


def test_labels_of_a_vocabulary_name_it_again():
    assert vocabulary(vocabulary("12")) == vocabulary("12")


@pytest.mark.parametrize("words", ["", ",", "yes,,no", [], ["yes", ""], [SILENCE, UNKNOWN]])
def test_no_word_is_an_error_that_says_what_is_expected(words):
    with pytest.raises(ValueError, match="Expected '12', '35', 'commands' or a list of words"):
        vocabulary(words)


@pytest.mark.parametrize("words", ["yes,no,yes", ["up", "up"], " up,up "])
def test_a_word_stands_once(words):
    with pytest.raises(ValueError, match="once"):
        vocabulary(words)


@pytest.mark.parametrize(
    "word", ["_background_noise_", "_silence_", "_unknown_", "../etc", ".hidden", "a/b", "a\\b"]
)
def test_what_cannot_be_a_folder_of_words_is_named(word):
    with pytest.raises(ValueError, match="names of folders") as error:
        vocabulary(["yes", word])
    assert repr(word) in str(error.value)
