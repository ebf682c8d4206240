"""Sound in, words out."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from echoic import audio
from echoic.microphone import Block, FileSource
from echoic.runtime.bundle import Bundle, BundleError
from echoic.runtime.recognizer import Prediction, Recognizer, StreamingRecognizer, merge


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load("gru-12")


@pytest.fixture(scope="module")
def clip(sample):
    return audio.read(sorted((sample / "stop").glob("*.wav"))[0])


@pytest.mark.parametrize("kind", [str, lambda name: Bundle.load(name), lambda name: None])
def test_whatever_names_a_model_loads_it(kind):
    model = kind("gru-12")
    assert Recognizer(model).bundle.name == "gru-12"
    assert Recognizer.load(model).bundle.path == Recognizer(model).bundle.path
    assert StreamingRecognizer(model).labels == Recognizer(model).labels


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (12, TypeError, r"received 12 of type int\. Name one, such as Recognizer\('gru-12'\)"),
        (["gru-12"], TypeError, "received \\['gru-12'\\] of type list"),
        ("gru-99", FileNotFoundError, "No model 'gru-99': expected .* gru-12"),
    ],
)
def test_what_names_no_model_says_what_does(model, kind, message):
    with pytest.raises(kind, match=message):
        Recognizer(model)


def test_a_file_of_a_model_is_not_the_model(tiny_model):
    with pytest.raises(BundleError, match=f"Name the folder that it is in, '{tiny_model}'"):
        Recognizer(tiny_model / "clip.tflite")


def test_its_repr_tells_the_model_its_labels_and_its_files(tiny_model):
    assert repr(Recognizer(tiny_model)) == (
        f"Recognizer('{tiny_model}', labels=[_silence_, _unknown_, yes, no], "
        "files=['clip', 'stream'])"
    )
    stream = Recognizer(tiny_model).stream(sample_rate=48_000)
    assert repr(stream) == (f"StreamingRecognizer('{tiny_model}/stream.tflite', sample_rate=48000)")


@pytest.mark.parametrize("absent", ["clip", "stream"])
def test_only_the_files_that_are_asked_for_are_read(tiny_copy, clip, absent):
    for file in tiny_copy.glob("*.tflite"):
        if file.stem.startswith(absent):
            file.write_bytes(b"nothing")
    recognizer = Recognizer(tiny_copy)
    use = {"clip": lambda: recognizer.predict(clip), "stream": recognizer.stream}
    with pytest.raises(ValueError, match=f"Expected .*{absent}.tflite to be a TFLite file"):
        use.pop(absent)()
    (other,) = use.values()
    assert other()


def test_a_folder_with_nothing_but_a_stream_listens(tiny_copy, spoken):
    folder = tiny_copy.parent / "light"
    folder.mkdir()
    for name in ("stream.tflite", "echoic.json"):
        (tiny_copy / name).rename(folder / name)
    assert Recognizer(folder).stream().process(spoken)
    with pytest.raises(FileNotFoundError, match=r"no clip\.tflite; it has stream"):
        Recognizer(folder).predict(spoken)


def test_a_clip_gives_one_prediction(recognizer, clip):
    (prediction,) = recognizer.predict(clip)
    assert prediction.start == 0.0
    assert prediction.end == pytest.approx(len(clip) / 16000)
    assert prediction.label == prediction.top[0][0]
    assert prediction.confidence == prediction.top[0][1]
    assert len(prediction.top) == 3
    confidences = [p for _, p in prediction.top]
    assert confidences == sorted(confidences, reverse=True)


def test_all_probabilities_sum_to_one(recognizer, clip):
    (prediction,) = recognizer.predict(clip, top=len(recognizer.labels))
    assert sum(p for _, p in prediction.top) == pytest.approx(1, abs=1e-5)
    assert {label for label, _ in prediction.top} == set(recognizer.labels)


def test_file_int16_and_float_are_the_same_sound(recognizer, sample):
    path = sorted((sample / "stop").glob("*.wav"))[0]
    waveform = audio.read(path)
    expected = recognizer.predict(path)
    assert recognizer.predict(str(path)) == expected
    assert recognizer.predict(waveform) == expected
    assert recognizer.predict(audio.to_int16(waveform)) == expected


def test_another_rate_is_the_same_word(recognizer, clip):
    (expected,) = recognizer.predict(clip)
    (received,) = recognizer.predict(audio.resample(clip, 16000, 48000), sample_rate=48000)
    assert received.label == expected.label
    assert received.confidence == pytest.approx(expected.confidence, abs=0.05)


def test_a_long_recording_is_heard_in_windows_to_its_end(recognizer, sample):
    waveform = audio.read(sample / "stream.wav")
    predictions = recognizer.predict(waveform, windows=True)
    starts = [p.start for p in predictions]
    assert starts[:3] == [0.0, 0.25, 0.5]
    assert all(p.end - p.start == pytest.approx(1) for p in predictions)
    assert predictions[-1].end == pytest.approx(len(waveform) / 16000)
    (alone,) = recognizer.predict(waveform[4000:20000])
    assert alone.top == predictions[1].top


@pytest.mark.parametrize("n", [16000, 16001, 20000, 20001])
def test_every_sample_is_in_a_window(recognizer, n):
    predictions = recognizer.predict(np.zeros(n, np.float32), windows=True)
    assert predictions[0].start == 0
    assert predictions[-1].end == n / 16000
    assert all(b.start <= a.end for a, b in pairwise(predictions))
    assert len({p.start for p in predictions}) == len(predictions)


@pytest.mark.parametrize("before", [0, 1000, 4000])
def test_up_to_a_clip_and_a_quarter_is_one_word(recognizer, clip, before):
    clip = audio.fix_length(clip, 16_000)
    (alone,) = recognizer.predict(clip)
    longer = np.concatenate([np.zeros(before, np.float32), clip, np.zeros(4000 - before)])
    (prediction,) = recognizer.predict(longer)
    assert (prediction.start, prediction.end) == (0, 1.25)
    assert prediction.label == alone.label == "stop"
    assert len(recognizer.predict(longer, windows=True)) == 2


def test_a_long_recording_without_a_word_has_none(recognizer):
    assert recognizer.predict(np.zeros(32_000, np.float32)) == []
    windows = recognizer.predict(np.zeros(32_000, np.float32), windows=True)
    assert {p.label for p in windows} == {"_silence_"}


def test_the_shipped_model_knows_the_words_of_the_sample_stream(recognizer, sample):
    """Each word of the label file is among what is heard at its time, and nothing else is."""
    rows = [line.split("\t") for line in (sample / "stream.tsv").read_text().splitlines()]
    heard = [p for p in recognizer.predict(sample / "stream.wav") if p.label[0] != "_"]
    spoken = [(float(a), float(b), word) for a, b, word in rows if word[0] != "_"]
    assert [p.label for p in heard] == [word for _, _, word in spoken]
    for prediction, (start, end, _) in zip(heard, spoken, strict=True):
        assert prediction.start < end
        assert start < prediction.end


def test_silence_is_silence(recognizer):
    (prediction,) = recognizer.predict(np.zeros(16000, np.float32))
    assert prediction.label == "_silence_"


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 16000), np.float32), "shape \\(2, 16000\\)"),
        (np.zeros(0, np.float32), "received none"),
        (np.zeros(16000, np.int32), "received int32"),
        (np.full(16000, np.nan, np.float32), "NaN or infinite"),
        (np.full(16000, np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_what_is_no_sound_is_refused(recognizer, samples, message):
    with pytest.raises(audio.AudioError, match=message):
        recognizer.predict(samples)


def test_a_file_that_is_not_there(recognizer, tmp_path):
    with pytest.raises(FileNotFoundError, match="No such recording"):
        recognizer.predict(tmp_path / "nothing.wav")


def test_several_threads_may_use_one_recognizer(recognizer, sample):
    paths = sorted((sample / "left").glob("*.wav"))[:8]
    expected = [recognizer.predict(path) for path in paths]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recognizer.predict, paths)) == expected


def test_probabilities_are_those_of_the_clips_alone(recognizer, clip):
    clips = np.stack([audio.fix_length(clip, 16000), np.zeros(16000, np.float32)])
    rows = recognizer.probabilities(clips)
    assert rows.shape == (2, len(recognizer.labels))
    np.testing.assert_array_equal(rows[:1], recognizer.probabilities(clips[:1]))


def heard(start, label, confidence):
    return Prediction(start, start + 1, label, confidence, ((label, confidence),))


def test_merge_joins_neighbours_of_one_label():
    windows = [heard(0, "go", 0.6), heard(0.25, "go", 0.9), heard(0.5, "no", 0.5)]
    windows += [heard(0.75, "go", 0.7), heard(1, "go", 0.6)]
    merged = merge(windows, at_least=1)
    assert [(p.start, p.end, p.label, p.confidence) for p in merged] == [
        (0, 1.25, "go", 0.9),
        (0.5, 1.5, "no", 0.5),
        (0.75, 2, "go", 0.7),
    ]


def test_merge_leaves_out_what_one_window_hears_alone():
    windows = [heard(0, "go", 0.6), heard(0.25, "go", 0.9), heard(0.5, "no", 0.5)]
    assert [p.label for p in merge(windows)] == ["go"]
    assert [p.label for p in merge(windows[2:])] == ["no"]  # there is no second one to agree
    assert merge([]) == []


# --- streams


@pytest.fixture(scope="module")
def streaming(tiny_model):
    return Recognizer.load(tiny_model)


@pytest.fixture(scope="module")
def spoken(sample):
    return audio.read(sample / "stream.wav")[: 5 * 16_000 + 123]


def heard_at_once(recognizer, waveform):
    return recognizer.stream().process(waveform)


def test_a_stream_answers_at_every_step(streaming, spoken):
    posteriors = heard_at_once(streaming, spoken)
    assert len(posteriors) == len(spoken) // 640
    assert [p.time for p in posteriors] == pytest.approx(0.04 * np.arange(1, len(posteriors) + 1))
    for posterior in posteriors:
        assert posterior.probabilities.shape == (len(streaming.labels),)
        assert posterior.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_second_of_stream_ends_as_the_clip_does(streaming, spoken):
    clip = spoken[16_000:32_000]
    last = heard_at_once(streaming, clip)[-1]
    np.testing.assert_allclose(
        last.probabilities, streaming.probabilities(clip[None])[0], atol=1e-5
    )


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=40))
def test_any_cutting_gives_the_same_posteriors(streaming, spoken, sizes):
    waveform = spoken[:30_000]
    stream = streaming.stream()
    received = []
    start = 0
    for size in [*sizes, len(waveform)]:
        received += stream.process(waveform[start : start + size])
        start += size
    expected = heard_at_once(streaming, waveform)
    assert [p.time for p in received] == [p.time for p in expected]
    np.testing.assert_array_equal(
        [p.probabilities for p in received], [p.probabilities for p in expected]
    )


def test_reset_is_a_new_stream(streaming, spoken):
    stream = streaming.stream()
    stream.process(spoken[:12_345])
    stream.reset()
    again = stream.process(spoken)
    expected = heard_at_once(streaming, spoken)
    assert again[0].time == expected[0].time
    np.testing.assert_array_equal(
        [p.probabilities for p in again], [p.probabilities for p in expected]
    )


def test_int16_blocks_are_the_same_sound(streaming, spoken):
    received = streaming.stream().process(audio.to_int16(spoken))
    expected = heard_at_once(streaming, audio.to_float32(audio.to_int16(spoken)))
    np.testing.assert_array_equal(received[-1].probabilities, expected[-1].probabilities)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_a_stream_of_another_rate_hears_what_a_file_of_it_gives(streaming, spoken, tmp_path, rate):
    """Posteriors within 1e-5, whatever the blocks: both are resampled by one resampler."""
    recording = tmp_path / "recording.wav"
    audio.write(recording, audio.resample(spoken, 16_000, rate), sample_rate=rate)
    expected = heard_at_once(streaming, audio.read(recording))
    samples, _ = soundfile.read(recording, dtype="int16")
    rng = np.random.default_rng(rate)
    stream = streaming.stream(sample_rate=rate)
    received, start = [], 0
    while start < len(samples):
        size = int(rng.integers(1, rate // 4))
        received += stream.process(samples[start : start + size])
        start += size
    held_back = stream.flush()
    assert 0 < len(held_back) <= 1 + stream.delay / stream.step_seconds
    received += held_back
    assert [p.time for p in received] == pytest.approx([p.time for p in expected])
    np.testing.assert_allclose(
        [p.probabilities for p in received], [p.probabilities for p in expected], atol=1e-5
    )


def test_a_stream_of_the_models_rate_holds_nothing_back(streaming, spoken):
    stream = streaming.stream()
    stream.process(spoken)
    assert stream.delay == 0
    assert stream.flush() == []


def test_a_file_for_clips_is_no_stream(streaming):
    with pytest.raises(ValueError, match=r"step by step, received .*clip\.tflite, which takes"):
        streaming.stream(file="clip")


@pytest.mark.parametrize("rate", [0, -16_000])
def test_a_rate_that_is_none_is_refused(streaming, rate):
    with pytest.raises(audio.AudioError, match=f"rate above 0 Hz, received {rate}"):
        streaming.stream(sample_rate=rate)


def test_blocks_of_a_source_are_heard_as_their_samples(streaming, sample):
    stream = streaming.stream()
    received = [p for block in FileSource(sample / "stream.wav") for p in stream.process(block)]
    expected = heard_at_once(streaming, audio.read(sample / "stream.wav"))
    assert received[-1].time == expected[-1].time
    np.testing.assert_array_equal(received[-1].probabilities, expected[-1].probabilities)


def test_after_a_gap_a_stream_begins_anew_at_the_blocks_time(streaming, spoken):
    stream = streaming.stream()
    stream.process(Block(spoken[:10_000], 0.0))
    received = stream.process(Block(spoken[:8000], 7.0, gap=True))
    expected = heard_at_once(streaming, spoken[:8000])
    assert [p.time for p in received] == pytest.approx([7 + p.time for p in expected])
    np.testing.assert_array_equal(
        [p.probabilities for p in received], [p.probabilities for p in expected]
    )


def test_a_block_has_16_kHz(streaming, spoken):
    with pytest.raises(ValueError, match=r"at 48,000 Hz, received a block, which has 16,000 Hz"):
        streaming.stream(sample_rate=48_000).process(Block(spoken[:320], 0.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_block_is_refused_and_the_stream_goes_on(streaming, spoken, bad):
    stream = streaming.stream()
    first = stream.process(spoken[:8000])
    block = spoken[:640].copy()
    block[7] = bad
    with pytest.raises(audio.AudioError, match="NaN or infinite"):
        stream.process(block)
    with pytest.raises(audio.AudioError, match="shape"):
        stream.process(np.zeros((2, 640), np.float32))
    with pytest.raises(audio.AudioError, match="int32"):
        stream.process(np.zeros(640, np.int32))
    rest = stream.process(spoken[8000:])
    expected = heard_at_once(streaming, spoken)
    np.testing.assert_array_equal(
        [p.probabilities for p in first + rest], [p.probabilities for p in expected]
    )


def test_nothing_is_heard_of_nothing(streaming):
    stream = streaming.stream()
    assert stream.process(np.zeros(0, np.float32)) == []
    assert stream.process([]) == []
    assert stream.process(np.zeros(639, np.float32)) == []
    assert len(stream.process(np.zeros(1, np.float32))) == 1


def test_streams_are_independent_and_may_run_in_other_threads(streaming, spoken):
    expected = [heard_at_once(streaming, spoken[i * 1000 :]) for i in range(4)]
    streams = [streaming.stream() for _ in range(4)]

    def listen(i):
        waveform = spoken[i * 1000 :]
        blocks = range(0, len(waveform), 500)
        return [p for start in blocks for p in streams[i].process(waveform[start : start + 500])]

    with ThreadPoolExecutor(4) as pool:
        received = list(pool.map(listen, range(4)))
    for mine, theirs in zip(received, expected, strict=True):
        np.testing.assert_array_equal(
            [p.probabilities for p in mine], [p.probabilities for p in theirs]
        )


def test_a_model_that_does_not_stream_says_what_it_has(tiny_copy):
    (tiny_copy / "stream.tflite").unlink()
    recognizer = Recognizer(Bundle.load(tiny_copy))
    with pytest.raises(FileNotFoundError, match=r"no stream\.tflite; it has clip"):
        recognizer.stream()


LIGHT = """
import sys, time
begun = time.perf_counter()
import echoic
stream = echoic.Recognizer.load(sys.argv[1]).stream()
seconds = time.perf_counter() - begun
import numpy as np
for _ in range(100):
    stream.process(np.zeros(1600, np.float32))
heavy = {"tensorflow", "librosa", "keras", "scipy", "matplotlib", "numba"} & set(sys.modules)
import re, pathlib
status = pathlib.Path("/proc/self/status")
peak = int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) if status.exists() else 0
print(sorted(heavy), peak)
"""


def test_listening_is_light(tiny_model):
    """Neither TensorFlow nor librosa is imported, and it all takes less than 100 MB."""
    command = [sys.executable, "-c", LIGHT, str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy, peak = done.stdout.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert int(peak) < 100_000  # kB
