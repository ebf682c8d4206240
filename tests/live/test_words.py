"""`echoic.listen`: the same words from a file, from blocks of any rate and from a microphone."""

import contextlib
import logging
from itertools import islice

import numpy as np
import pytest

import echoic
from echoic import audio
from echoic.audio import AudioError
from echoic.microphone import Block, FileSource
from echoic.runtime.bundle import Bundle

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def stream(sample):
    return audio.read(sample / "stream.wav")


@pytest.fixture(scope="module")
def words(sample):
    """What is heard in the file."""
    return list(echoic.listen(source=sample / "stream.wav"))


class Blocks:
    """A source of blocks that remembers whether it was closed."""

    def __init__(self, waveform, size):
        self.waveform, self.size = waveform, size
        self.closed = False

    def __iter__(self):
        starts = range(0, len(self.waveform), self.size)
        return (self.waveform[start : start + self.size] for start in starts)

    def close(self):
        self.closed = True


def test_hears_each_word_of_a_file_once(sample, words):
    rows = [line.split("\t") for line in (sample / "stream.tsv").read_text().splitlines()]
    spoken = [(float(a), float(b), word) for a, b, word in rows if word != "_unknown_"]
    assert [word.label for word in words] == [word for *_, word in spoken]
    for word, (start, end, _) in zip(words, spoken, strict=True):
        assert start < word.time < end + 1
        assert 0.5 < word.confidence <= 1


def test_the_models_tuned_decoder_listens(sample, words, tmp_path):
    bundle = Bundle.load()
    assert all(word.confidence >= min(bundle.decoder.words.values(), default=0) for word in words)
    assert list(echoic.listen(bundle, str(sample / "stream.wav"))) == words
    assert list(echoic.listen("gru-12", FileSource(sample / "stream.wav"))) == words


@pytest.mark.parametrize("size", [333, 4000])
def test_blocks_of_samples_are_the_file(stream, words, size):
    source = Blocks(stream, size)
    assert list(echoic.listen(source=source)) == words
    assert source.closed
    integers = Blocks(audio.to_int16(stream), size)
    assert [word.label for word in echoic.listen(source=integers)] == [w.label for w in words]
    blocks = (Block(s, i * size / RATE) for i, s in enumerate(Blocks(stream, size)))
    assert list(echoic.listen(source=blocks)) == words


@pytest.mark.parametrize("rate", [44_100, 8_000])
def test_blocks_of_another_rate_are_resampled_to_their_end(stream, words, rate):
    fast = audio.resample(stream, RATE, rate)
    heard = list(echoic.listen(source=Blocks(fast, 1000), sample_rate=rate))
    whole = list(echoic.listen(source=audio.resample(fast, rate, RATE)))
    assert heard == whole
    if rate > RATE:  # nothing is lost on the way
        assert [word.label for word in heard] == [word.label for word in words]
        assert [word.time for word in heard] == pytest.approx([w.time for w in words], abs=0.05)


def test_a_gap_is_logged_and_the_clock_goes_on(stream, caplog):
    blocks = [Block(stream[: 2 * RATE], 0.0), Block(stream[: 2 * RATE], 9.0, gap=True)]
    with caplog.at_level(logging.INFO, "echoic.live.words"):
        first, second = echoic.listen(source=blocks)
    assert second.time == pytest.approx(first.time + 9)
    assert caplog.messages == ["Sound is missing. The recognizer starts over."]


def test_closing_it_closes_the_source(stream):
    source = Blocks(stream, 320)
    with contextlib.closing(echoic.listen(source=source)) as heard:
        assert next(heard).label == "yes"
        assert not source.closed
    assert source.closed


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"source": "nothing.wav"}, FileNotFoundError, "No such recording: nothing.wav"),
        ({"model": "gru-99"}, FileNotFoundError, "No model 'gru-99'"),
        ({"model": 12}, TypeError, "received 12 of type int"),
        ({"source": 3}, TypeError, "iterable of blocks, received 3 of type int"),
        ({"source": [], "device": 1}, ValueError, "one of source and device"),
        ({"sample_rate": 8000}, ValueError, "with blocks of samples only, received 8000"),
        ({"source": [], "sample_rate": 0}, AudioError, "above 0 Hz, received 0"),
    ],
)
def test_what_it_cannot_hear_is_said_at_once(arguments, kind, message):
    with pytest.raises(kind, match=message):
        echoic.listen(**arguments)


def test_a_block_that_is_no_sound_is_refused(stream):
    source = Blocks(np.zeros((4, 320, 2), np.float32), 1)
    with pytest.raises(AudioError, match="Mix the channels down first"):
        list(echoic.listen(source=source))
    assert source.closed


def test_hears_the_microphone(virtual_microphone, stream, words):
    virtual_microphone.play(audio.to_int16(stream))
    heard = echoic.listen()
    with contextlib.closing(heard):
        found = list(islice(heard, 4))
    assert [word.label for word in found] == [word.label for word in words[:4]]
    between = np.diff([word.time for word in found])
    assert between == pytest.approx(np.diff([word.time for word in words[:4]]), abs=0.1)
