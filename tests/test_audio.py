"""Waveforms from every kind of file and array; what cannot be one is refused with a reason."""

import contextlib
import random

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from echoic import audio
from echoic.audio import AudioError

RATE = audio.SAMPLE_RATE
FORMATS = {
    "pcm16.wav": {"subtype": "PCM_16"},
    "pcm24.wav": {"subtype": "PCM_24"},
    "pcm32.wav": {"subtype": "PCM_32"},
    "pcm8.wav": {"subtype": "PCM_U8"},
    "float.wav": {"subtype": "FLOAT"},
    "double.wav": {"subtype": "DOUBLE"},
    "ulaw.wav": {"subtype": "ULAW"},
    "a.flac": {"subtype": "PCM_16"},
    "vorbis.ogg": {"subtype": "VORBIS"},
    "a.opus": {"format": "OGG", "subtype": "OPUS"},
    "a.mp3": {},
    "a.aiff": {},
    "a.au": {},
}


def tone(frequency=440.0, *, seconds=1.0, rate=RATE, level=0.5):
    """A sine: shape (samples,), float32."""
    times = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def strongest(waveform, rate=RATE):
    """Frequency (Hz) of the strongest partial, and its level as an amplitude."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    peak = int(np.argmax(spectrum))
    return peak * rate / len(waveform), spectrum[peak] * 4 / len(waveform)


def lag(delayed, waveform):
    """By how many samples `delayed` comes after `waveform`: the peak of their correlation."""
    n = len(waveform) + len(delayed)
    correlation = np.fft.irfft(np.fft.rfft(delayed, n) * np.conj(np.fft.rfft(waveform, n)), n)
    peak = int(np.argmax(correlation))
    return peak if peak < n // 2 else peak - n


@pytest.fixture(scope="module")
def speech(sample):
    """A few words in a row, so that a delay shows."""
    paths = sorted((sample / "stop").glob("*.wav"))[:4]
    return np.concatenate([audio.read(path) for path in paths])


class TestRead:
    @pytest.mark.parametrize("name", FORMATS)
    def test_reads_what_libsndfile_knows(self, tmp_path, name):
        soundfile.write(tmp_path / name, tone(), RATE, **FORMATS[name])
        waveform = audio.read(tmp_path / name)
        assert waveform.dtype == np.float32
        assert waveform.shape == (RATE,)
        frequency, level = strongest(waveform)
        assert frequency == pytest.approx(440, abs=1)
        assert level == pytest.approx(0.5, abs=0.02)
        assert abs(lag(waveform, tone())) <= 1

    def test_pcm16_is_exact(self, tmp_path):
        samples = np.array([-32768, -32767, -1, 0, 1, 2, 16384, 32767], dtype=np.int16)
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
        np.testing.assert_array_equal(audio.read(tmp_path / "a.wav") * 32768, samples)

    @pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
    def test_converts_the_rate(self, tmp_path, rate):
        soundfile.write(tmp_path / "a.wav", tone(rate=rate), rate, subtype="FLOAT")
        waveform = audio.read(tmp_path / "a.wav")
        assert waveform.shape == (RATE,)
        frequency, level = strongest(waveform)
        assert frequency == pytest.approx(440, abs=1)
        assert level == pytest.approx(0.5, abs=0.005)
        assert lag(waveform, tone()) == 0

    def test_another_rate_can_be_wanted(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", tone(), RATE)
        waveform = audio.read(tmp_path / "a.wav", sample_rate=8000)
        assert waveform.shape == (8000,)
        assert strongest(waveform, 8000)[0] == pytest.approx(440, abs=1)

    def test_averages_channels(self, tmp_path):
        channels = np.stack([tone(), tone() * 0, tone(), tone() * 0], axis=1)
        soundfile.write(tmp_path / "a.wav", channels, RATE, subtype="FLOAT")
        np.testing.assert_allclose(audio.read(tmp_path / "a.wav"), tone() / 2, atol=1e-7)

    def test_takes_a_path_as_text(self, tmp_path):
        audio.write(tmp_path / "a.wav", tone())
        assert len(audio.read(str(tmp_path / "a.wav"))) == RATE

    def test_names_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"No such recording: .*yes\.wav"):
            audio.read(tmp_path / "yes.wav")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "empty file"),
            (b"RIFF", "not a recording"),
            (b"These are the notes of Tuesday.\n" * 50, "not a recording"),
            (bytes(5000), "not a recording"),
        ],
    )
    def test_names_what_is_no_recording(self, tmp_path, content, reason):
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        with pytest.raises(AudioError, match=reason) as error:
            audio.read(path)
        assert str(path) in str(error.value)

    @pytest.mark.parametrize("name", ["a.wav", "a.txt", "a.raw"])
    def test_names_a_folder_and_other_suffixes(self, tmp_path, name):
        path = tmp_path / name
        path.mkdir() if name == "a.wav" else path.write_bytes(b"yes no")
        with pytest.raises(AudioError, match="not a recording") as error:
            audio.read(path)
        assert str(path) in str(error.value)

    def test_a_header_alone_holds_no_samples(self, tmp_path):
        path = tmp_path / "a.wav"
        audio.write(path, tone())
        path.write_bytes(path.read_bytes()[:44])
        with pytest.raises(AudioError, match="holds no samples"):
            audio.read(path)

    @pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au"])
    def test_of_a_file_cut_short_what_is_left(self, tmp_path, name):
        path = tmp_path / name
        soundfile.write(path, tone(), RATE, subtype="PCM_16")
        path.write_bytes(path.read_bytes()[:20_000])
        waveform = audio.read(path)
        assert 9_900 < len(waveform) <= 10_000
        np.testing.assert_allclose(waveform, tone()[: len(waveform)], atol=1e-4)

    @pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus"])
    def test_refuses_compressed_files_cut_short(self, tmp_path, name):
        path = tmp_path / name
        soundfile.write(path, tone(), RATE, **FORMATS.get(name, {}))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(AudioError, match=r"a\.\w+ is not a recording"):
            audio.read(path)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_refuses_what_is_not_finite(self, tmp_path, value):
        samples = tone()
        samples[7:9] = value
        soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
        with pytest.raises(AudioError, match=r"a\.wav: Expected finite samples, received 2"):
            audio.read(tmp_path / "a.wav")

    def test_refuses_integers_that_became_floats(self):
        with pytest.raises(AudioError, match="a peak of 16,384.*divided by"):
            audio.as_waveform(tone() * 32768)

    def test_a_header_that_claims_terabytes(self, tmp_path, monkeypatch):
        def read(*args, **kwargs):
            raise MemoryError("Unable to allocate 6.40 TiB")

        audio.write(tmp_path / "a.mp3", tone())
        monkeypatch.setattr(soundfile, "read", read)
        with pytest.raises(AudioError, match=r"a\.mp3 .* 6\.40 TiB"):
            audio.read(tmp_path / "a.mp3")

    @pytest.mark.parametrize("name", ["pcm16.wav", "float.wav", "a.flac", "a.aiff", "a.au"])
    def test_any_damage_gives_a_waveform_or_a_reason(self, tmp_path, name):
        path = tmp_path / name
        soundfile.write(path, tone(seconds=0.05), RATE, **FORMATS[name])
        whole = path.read_bytes()
        rng = random.Random(0)
        for _ in range(100):
            damaged = bytearray(whole)
            for _ in range(rng.randint(0, 5)):
                damaged[rng.randrange(100)] = rng.randrange(256)
            path.write_bytes(damaged[: rng.randint(0, len(damaged))])
            with contextlib.suppress(AudioError):
                waveform = audio.read(path)
                assert waveform.dtype == np.float32
                assert waveform.ndim == 1
                assert np.isfinite(waveform).all()


class TestWrite:
    def test_is_16_bit_pcm_that_reads_back(self, tmp_path):
        path = tmp_path / "a.wav"
        audio.write(path, tone(), sample_rate=8000)
        info = soundfile.info(path)
        assert (info.format, info.subtype, info.channels) == ("WAV", "PCM_16", 1)
        assert (info.samplerate, info.frames) == (8000, RATE)
        np.testing.assert_allclose(audio.read(path, sample_rate=8000), tone(), atol=0.5 / 32768)

    def test_clips(self, tmp_path):
        audio.write(tmp_path / "a.wav", np.array([2, -2, 0.5], dtype=np.float32))
        np.testing.assert_array_equal(
            audio.read(tmp_path / "a.wav"), np.array([32767 / 32768, -1, 0.5], dtype=np.float32)
        )


class TestAsWaveform:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_takes_floats_as_they_are(self, dtype):
        samples = tone().astype(dtype)
        waveform = audio.as_waveform(samples)
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(waveform, tone())

    def test_scales_int16(self):
        waveform = audio.as_waveform(np.array([-32768, 0, 16384], dtype=np.int16))
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(waveform, [-1, 0, 0.5])

    def test_takes_a_list_and_a_view(self):
        np.testing.assert_array_equal(audio.as_waveform([0.0, 0.5, -0.5]), [0, 0.5, -0.5])
        waveform = audio.as_waveform(tone()[::-2])
        assert waveform.flags.c_contiguous
        np.testing.assert_array_equal(waveform, tone()[::-2])

    def test_resamples_from_the_rate_that_is_given(self):
        waveform = audio.as_waveform(tone(rate=48_000), sample_rate=48_000)
        assert waveform.shape == (RATE,)
        assert audio.as_waveform(tone(), target_rate=8000).shape == (RATE,)

    @pytest.mark.parametrize(
        ("samples", "reason"),
        [
            (np.zeros((16_000, 2), np.float32), r"shape \(samples,\), received shape \(16000, 2\)"),
            (np.zeros((1, 16_000), np.float32), r"received shape \(1, 16000\)"),
            (np.float32(0.5), r"shape \(samples,\), received the number 0.5"),
            (None, "received object"),
            (np.zeros(0, np.float32), "at least one sample, received none"),
            ([], "at least one sample, received none"),
            (np.zeros((9, 2), np.int32), "received int32"),
            (np.zeros(9, np.uint8), "received uint8"),
            (np.zeros(9, np.float16), "received float16"),
            (np.zeros(9, np.complex64), "received complex64"),
            (np.zeros(9, bool), "received bool"),
            (["yes", "no"], "received <U3"),
            (np.array([0, np.nan, 0.5, np.nan]), "finite samples, received 2"),
            (np.array([0, np.inf, -np.inf], np.float32), "finite samples, received 2"),
        ],
    )
    def test_says_what_is_wrong(self, samples, reason):
        with pytest.raises(AudioError, match=reason):
            audio.as_waveform(samples)

    @pytest.mark.parametrize("rate", [0, -16_000, "'16000'", True])
    def test_refuses_a_rate_that_is_none(self, rate):
        with pytest.raises(AudioError, match=f"sample rate above 0 Hz, received {rate}"):
            audio.as_waveform(tone(), sample_rate="16000" if rate == "'16000'" else rate)

    def test_is_a_value_error(self):
        assert issubclass(AudioError, ValueError)


class TestResample:
    @pytest.mark.parametrize("frequency", [100.0, 1000.0, 3400.0])
    @pytest.mark.parametrize(
        ("rate", "target"), [(44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (16_000, 48_000)]
    )
    def test_keeps_frequency_and_level(self, rate, target, frequency):
        waveform = audio.resample(tone(frequency, rate=rate), rate, target)
        assert waveform.dtype == np.float32
        assert waveform.shape == (target,)
        found, level = strongest(waveform, target)
        assert found == pytest.approx(frequency, abs=1)
        assert level == pytest.approx(0.5, rel=0.01)

    def test_does_not_fold_what_is_above_half_the_rate(self):
        waveform = audio.resample(tone(10_000, rate=48_000), 48_000, RATE)
        assert np.abs(waveform[500:-500]).max() < 1e-4

    def test_gives_back_what_has_the_rate(self):
        waveform = tone()
        assert audio.resample(waveform, RATE, RATE) is waveform


class TestResampler:
    """A stream is the file: 8, 22.05, 44.1, 48 and 96 kHz in random blocks."""

    TOLERANCE = 1e-6

    @pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
    @given(cuts=st.lists(st.integers(0, 192_000), max_size=30))
    @settings(max_examples=15)
    def test_a_stream_in_any_blocks_is_the_whole_resampled_at_once(self, rate, cuts):
        noise = np.random.default_rng(0).normal(0, 0.1, 2 * rate).astype(np.float32)
        stream = audio.Resampler(rate)
        blocks = np.split(noise, sorted(min(cut, len(noise)) for cut in cuts))
        heard, given, longest = [], 0, 0.0
        for block in blocks:
            given += len(block)
            heard.append(stream.process(block))
            longest = max(longest, given / rate - sum(map(len, heard)) / RATE)
        heard.append(stream.flush())
        whole = audio.resample(noise, rate, RATE)
        assert len(whole) == 2 * RATE
        np.testing.assert_allclose(np.concatenate(heard), whole, atol=self.TOLERANCE)
        assert longest <= stream.delay + 1 / RATE

    @pytest.mark.parametrize(
        ("rate", "delay"),
        [(8_000, 0.12), (22_050, 0.041), (44_100, 0.041), (48_000, 0.04), (96_000, 0.08)],
    )
    def test_says_how_long_it_holds_sound_back(self, rate, delay):
        assert 0.5 * delay < audio.Resampler(rate).delay < delay

    def test_keeps_what_fricatives_need(self):
        high = audio.resample(tone(7_000, rate=48_000), 48_000, RATE)
        level = np.sqrt(2 * np.mean(high[800:-800] ** 2))
        assert 20 * np.log10(level / 0.5) > -0.5

    def test_after_a_flush_or_a_reset_it_is_another_stream(self):
        noise = np.random.default_rng(0).normal(0, 0.1, 4_800).astype(np.float32)
        stream = audio.Resampler(48_000)
        first = np.concatenate([stream.process(noise), stream.flush()])
        stream.process(noise)
        stream.reset()
        again = np.concatenate([stream.process(noise), stream.flush()])
        np.testing.assert_array_equal(again, first)

    def test_passes_through_what_has_the_rate(self):
        stream = audio.Resampler(RATE)
        block = tone()
        assert stream.process(block) is block
        assert len(stream.flush()) == 0
        assert stream.delay == 0


class TestFitLength:
    @given(st.integers(0, 50), st.integers(0, 50))
    def test_cuts_the_end_or_appends_zeros(self, n, length):
        waveform = np.arange(1, n + 1, dtype=np.float32)
        fitted = audio.fix_length(waveform, length)
        assert fitted.shape == (length,)
        assert fitted.dtype == np.float32
        np.testing.assert_array_equal(fitted[:n], waveform[:length])
        assert not fitted[n:].any()

    @given(st.integers(0, 50), st.integers(0, 50))
    def test_twice_is_once(self, n, length):
        fitted = audio.fix_length(np.ones(n, dtype=np.float32), length)
        np.testing.assert_array_equal(audio.fix_length(fitted, length), fitted)


class TestInt16:
    def test_every_value_survives(self):
        samples = np.arange(-32768, 32768).astype(np.int16)
        np.testing.assert_array_equal(audio.to_int16(audio.to_float32(samples)), samples)

    def test_golden(self):
        samples = np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)
        scaled = audio.to_float32(samples)
        assert scaled.dtype == np.float32
        assert scaled.tolist() == [-1.0, -1 / 32768, 0.0, 1 / 32768, 32767 / 32768]

    @given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(-1, 1, width=32)))
    def test_is_off_by_half_a_step_at_most(self, waveform):
        back = audio.to_float32(audio.to_int16(waveform))
        # The one step above 32,767 that int16 lacks is the exception.
        assert np.abs(back - np.minimum(waveform, 32767 / 32768)).max() <= 0.5 / 32768

    @given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(-1e6, 1e6, width=32)))
    def test_clips_and_never_wraps(self, waveform):
        samples = audio.to_int16(waveform)
        assert samples.dtype == np.int16
        assert (samples[waveform >= 1] == 32767).all()
        assert (samples[waveform <= -1] == -32768).all()


class TestThroughOpus:
    def test_keeps_time_and_level(self, speech):
        coded = audio.through_opus(speech)
        assert coded.dtype == np.float32
        assert coded.shape == speech.shape
        assert abs(lag(coded, speech)) <= 2
        assert np.std(coded) == pytest.approx(np.std(speech), rel=0.1)

    def test_is_lossy(self, speech):
        coded = audio.through_opus(speech)
        assert not np.array_equal(coded, speech)
        assert np.corrcoef(coded, speech)[0, 1] > 0.8

    @pytest.mark.parametrize("n", [1, 319, 320, 16_001])
    def test_keeps_any_length(self, n):
        assert audio.through_opus(tone(seconds=2)[:n]).shape == (n,)


class TestFind:
    @pytest.fixture
    def folder(self, tmp_path):
        names = "b.wav a.WAV c/a.flac c/d/x.Mp3 c/notes.txt z.ogg ._b.wav LICENSE list.wav.part"
        for name in names.split():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "folder.wav").mkdir()
        return tmp_path

    def test_finds_recordings_below_a_folder_in_order(self, folder):
        found = [path.relative_to(folder).as_posix() for path in audio.find([folder])]
        assert found == ["a.WAV", "b.wav", "c/a.flac", "c/d/x.Mp3", "z.ogg"]

    def test_keeps_the_order_of_what_is_named_and_does_not_judge_it(self, folder):
        named = [folder / "z.ogg", folder / "LICENSE", folder / "nowhere.wav", folder / "c"]
        found = list(audio.find(named))
        assert found == [*named[:3], folder / "c" / "a.flac", folder / "c" / "d" / "x.Mp3"]

    def test_nothing(self, tmp_path):
        assert list(audio.find([])) == []
        assert list(audio.find([tmp_path])) == []
