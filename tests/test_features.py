"""The framing and the coefficients: what `features` promises, against librosa called plainly."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoic import audio, features
from echoic.config import FeatureConfig
from echoic.features import log_mel, mfcc

DEFAULT = FeatureConfig()
WIDE = FeatureConfig(n_fft=1024, win_length=640, hop_length=160, n_mfcc=13)
DEEP = FeatureConfig(floor_db=-80.0)
CONFIGS = pytest.mark.parametrize("config", [DEFAULT, WIDE, DEEP], ids=["default", "wide", "deep"])

# BLAS may add up in another order where a product has another shape: 1e-4 on values of hundreds.
ROUNDING = 1e-4


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def click(at: int, *, samples: int) -> np.ndarray:
    waveform = np.zeros(samples, np.float32)
    waveform[at] = 1
    return waveform


def seen(waveform: np.ndarray, config: FeatureConfig) -> list[int]:
    """Return the frames that are not silent."""
    return np.flatnonzero((log_mel(waveform, config) > config.floor_db + 1).any(axis=1)).tolist()


class TestFrames:
    def test_one_second_is_fifty_frames(self):
        assert mfcc(noise(16_000)).shape == (50, 40)

    @settings(max_examples=50, deadline=None)
    @given(n=st.integers(320, 4000))
    def test_as_many_as_whole_hops(self, n):
        assert len(mfcc(noise(n))) == n // 320 == DEFAULT.n_frames(n)

    def test_leading_axes_are_a_batch(self):
        assert mfcc(noise(2, 3, 1600)).shape == (2, 3, 5, 40)
        assert log_mel(noise(2, 3, 1600), WIDE).shape == (2, 3, 10, 40)

    @CONFIGS
    def test_the_time_of_a_frame_is_that_of_its_end(self, config):
        assert config.time(0) == config.hop_length / 16_000
        assert config.time(config.n_frames(16_000) - 1) == 1.0

    @CONFIGS
    @pytest.mark.parametrize("k", [0, 1, 4])
    def test_frame_k_ends_at_sample_k_plus_1_hops(self, config, k):
        # A Hann window is nearly 0 at both ends; 32 samples further in a click is loud enough.
        end = (k + 1) * config.hop_length
        assert seen(click(end - 32, samples=10 * 320), config)[0] == k
        assert seen(click(end, samples=10 * 320), config)[0] == k + 1

    @CONFIGS
    def test_the_first_frame_has_zeros_before_it(self, config):
        hop = noise(config.hop_length)
        padded = np.concatenate([np.zeros(config.n_fft - config.hop_length, np.float32), hop])
        # The only whole frame of the padded signal, computed without any framing.
        power = np.abs(np.fft.rfft(padded * features.window(config))) ** 2
        mel = librosa.filters.mel(
            sr=config.sample_rate,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.fmin,
            fmax=config.fmax,
        )
        expected = 10 * np.log10(np.maximum(mel @ power, 1e-6))
        np.testing.assert_allclose(log_mel(hop, config), expected[None], atol=1e-4)

    def test_a_hop_as_long_as_the_frame_needs_no_padding(self):
        config = replace(DEFAULT, hop_length=512)
        assert config.padding == 0
        assert mfcc(noise(1024), config).shape == (2, 40)


class TestCausality:
    @CONFIGS
    @settings(max_examples=25, deadline=None)
    @given(k=st.integers(0, 8), seed=st.integers(0, 2**32 - 1))
    def test_what_comes_later_changes_nothing(self, config, k, seed):
        waveform = noise(16 * 320)
        end = (k + 1) * config.hop_length
        other = np.concatenate([waveform[:end], noise(len(waveform) - end, seed=seed + 1)])
        ours, theirs = mfcc(waveform, config), mfcc(other, config)
        np.testing.assert_array_equal(ours[: k + 1], theirs[: k + 1])
        assert (ours[k + 1] != theirs[k + 1]).any()

    @CONFIGS
    @settings(max_examples=50, deadline=None)
    @given(n=st.integers(320, 3200))
    def test_a_waveform_begins_like_its_beginning(self, config, n):
        waveform = noise(3200)
        beginning = mfcc(waveform[:n], config)
        whole = mfcc(waveform, config)
        np.testing.assert_allclose(beginning, whole[: len(beginning)], rtol=0, atol=ROUNDING)


class TestBatch:
    @CONFIGS
    @pytest.mark.parametrize("function", [mfcc, log_mel])
    def test_a_clip_is_the_same_alone_and_in_a_batch(self, config, function):
        loud, quiet = noise(16_000), 1e-3 * noise(16_000, seed=1)
        batch = np.stack([quiet, np.zeros_like(quiet), loud])
        together = function(batch, config)
        for clip, expected in zip(batch, together, strict=True):
            np.testing.assert_array_equal(function(clip, config), expected)

    def test_the_waveform_is_left_alone(self):
        waveform = noise(1600)
        waveform.flags.writeable = False
        assert mfcc(waveform).dtype == np.float32

    def test_double_precision_is_accepted(self):
        waveform = noise(1600)
        result = mfcc(waveform.astype(np.float64))
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, mfcc(waveform))


class TestLibrosa:
    @CONFIGS
    def test_equals_librosa_called_plainly(self, config, sample):
        waveform = audio.read(sorted((sample / "stop").glob("*.wav"))[0])
        power = librosa.feature.melspectrogram(
            y=np.pad(waveform, (config.n_fft - config.hop_length, 0)),
            sr=16_000,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            # librosa's own short windows stand in the middle of the frame: ours is given whole.
            window=np.pad(
                librosa.filters.get_window("hann", config.win_length),
                (config.n_fft - config.win_length, 0),
            ),
            center=False,
            n_mels=40,
            fmin=20,
            fmax=7600,
        )
        decibels = librosa.power_to_db(
            power, ref=1.0, amin=10 ** (config.floor_db / 10), top_db=None
        )
        coefficients = librosa.feature.mfcc(S=decibels, n_mfcc=config.n_mfcc)
        n = len(waveform) // config.hop_length
        ours = mfcc(waveform, config)
        assert np.ptp(ours) > 100
        np.testing.assert_allclose(log_mel(waveform, config), decibels.T[:n], atol=ROUNDING)
        np.testing.assert_allclose(ours, coefficients.T[:n], atol=ROUNDING)

    def test_golden_values(self):
        seconds = np.arange(8000) / 16_000
        chirp = 0.3 * np.sin(2 * np.pi * (200 + 3000 * seconds) * seconds)
        waveform = (chirp + 0.02 * noise(8000)).astype(np.float32)
        golden = {
            (0, 0): -186.459,
            (0, 1): 65.835,
            (0, 39): -0.765,
            (12, 0): -216.064,
            (12, 5): -0.768,
            (24, 0): -220.447,
            (24, 2): -6.238,
            (24, 13): -12.695,
        }  # (frame, coefficient), of librosa 0.11.0
        result = mfcc(waveform)
        for (frame, coefficient), value in golden.items():
            assert result[frame, coefficient] == pytest.approx(value, abs=1e-3)


class TestLogMel:
    BANDS = replace(DEFAULT, n_mfcc=0)

    @CONFIGS
    def test_the_input_of_a_network_is_the_mfcc(self, config):
        assert config.channels == config.n_mfcc
        np.testing.assert_array_equal(
            features.compute(noise(2, 3200), config), mfcc(noise(2, 3200), config)
        )

    @CONFIGS
    def test_without_a_dct_it_is_the_log_mel_spectrogram(self, config):
        bands = replace(config, n_mfcc=0)
        assert bands.channels == config.n_mels
        result = features.compute(noise(2, 3200), bands)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, log_mel(noise(2, 3200), config))

    @settings(max_examples=25, deadline=None)
    @given(n_mfcc=st.integers(0, 40), n=st.integers(320, 2000))
    def test_a_spectrogram_gives_what_its_waveform_gives(self, n_mfcc, n):
        config = replace(DEFAULT, n_mfcc=n_mfcc)
        result = features.from_log_mel(log_mel(noise(n), config), config)
        assert result.shape == (config.n_frames(n), config.channels)
        np.testing.assert_array_equal(result, features.compute(noise(n), config))

    def test_there_are_no_coefficients_without_a_dct(self):
        with pytest.raises(ValueError, match=r"n_mfcc above 0 .* received 0.*features\.compute"):
            mfcc(noise(3200), self.BANDS)


class TestWindow:
    def test_as_long_as_the_frame(self):
        expected = np.sin(np.pi * np.arange(512) / 512) ** 2  # periodic, as for a transform
        np.testing.assert_allclose(features.window(DEFAULT), expected, atol=1e-7)

    def test_a_shorter_one_stands_at_the_right_end(self):
        window = features.window(WIDE)
        assert window.shape == (1024,)
        assert window.dtype == np.float32
        np.testing.assert_array_equal(window[:384], 0)
        np.testing.assert_allclose(
            window[384:], np.sin(np.pi * np.arange(640) / 640) ** 2, atol=1e-7
        )

    @pytest.mark.parametrize(
        ("at", "is_seen"), [(-32, True), (-608, True), (-641, False), (-1024, False)]
    )
    def test_a_click_is_seen_in_the_window_only(self, at, is_seen):
        last = DEFAULT.n_frames(3200) * 2 - 1  # WIDE has half the hop
        assert (last in seen(click(3200 + at, samples=3200), WIDE)) == is_seen


class TestSilence:
    @CONFIGS
    def test_is_the_floor_in_every_band(self, config):
        # The floor to a unit in the last place of float32, and one value everywhere.
        decibels = log_mel(np.zeros(3200, np.float32), config)
        assert len(np.unique(decibels)) == 1
        assert decibels[0, 0] == pytest.approx(config.floor_db, abs=8e-6)

    def test_what_is_quieter_than_the_floor_is_silence(self):
        silence = np.zeros(1600, np.float32)
        np.testing.assert_array_equal(log_mel(silence + 1e-7, DEFAULT), log_mel(silence, DEFAULT))

    def test_only_the_0th_coefficient_speaks_of_it(self):
        coefficients = mfcc(np.zeros(1600, np.float32))
        np.testing.assert_allclose(coefficients[:, 0], -60 * np.sqrt(40), rtol=1e-6)
        np.testing.assert_allclose(coefficients[:, 1:], 0, atol=1e-4)

    def test_a_loud_part_does_not_lift_the_floor(self):
        # As it would, were the floor relative to the loudest frame (librosa's top_db).
        tone = np.sin(2 * np.pi * 1000 * np.arange(1600) / 16_000)
        waveform = np.concatenate([np.zeros(1600), tone]).astype(np.float32)
        decibels = log_mel(waveform, DEFAULT)
        assert decibels.max() > DEFAULT.floor_db + 80
        np.testing.assert_allclose(decibels[:5], DEFAULT.floor_db, atol=4e-6)

    def test_a_lower_floor_hears_fainter_sound_and_the_rest_alike(self):
        faint = 1e-3 * noise(1600)
        shallow, deep = log_mel(faint, DEFAULT), log_mel(faint, DEEP)
        assert shallow.min() == pytest.approx(DEFAULT.floor_db, abs=4e-6)
        assert deep.min() > DEEP.floor_db
        np.testing.assert_allclose(np.maximum(deep, DEFAULT.floor_db), shallow, atol=4e-6)


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("sample_rate", 0),
            ("n_fft", 1),
            ("n_fft", 131_072),
            ("win_length", 0),
            ("win_length", 513),
            ("hop_length", 0),
            ("hop_length", 513),
            ("n_mels", 0),
            ("n_mels", 257),
            ("n_mfcc", -1),
            ("n_mfcc", 41),
            ("fmin", -1.0),
            ("fmin", 7601.0),
            ("fmin", float("nan")),
            ("fmax", 8001.0),
            ("floor_db", -121.0),
            ("floor_db", 1.0),
        ],
    )
    def test_a_field_out_of_bounds_is_named_with_its_value(self, name, value):
        with pytest.raises(ValueError, match=rf"Expected features\.{name} .*received {value}"):
            replace(DEFAULT, **{name: value})

    def test_every_field_is_checked(self):
        for name in FeatureConfig.__dataclass_fields__:
            with pytest.raises(ValueError, match=rf"Expected features\.{name} "):
                replace(DEFAULT, **{name: -1000})

    @pytest.mark.parametrize("function", [mfcc, lambda w: log_mel(w, DEFAULT)])
    @pytest.mark.parametrize(
        ("waveform", "received"),
        [
            (np.zeros(16_000, np.int16), r"int16 and shape \(16000,\)"),
            (np.zeros(319, np.float32), r"float32 and shape \(319,\)"),
            (np.zeros((4, 0), np.float32), r"float32 and shape \(4, 0\)"),
        ],
    )
    def test_what_is_no_waveform_is_refused(self, function, waveform, received):
        with pytest.raises(
            ValueError, match=f"at least hop_length = 320.*received dtype {received}"
        ):
            function(waveform)
