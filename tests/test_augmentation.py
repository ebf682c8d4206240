"""Augmentation: reproducible, and true to the physics that each transformation speaks of."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st
from scipy import fft

from echoic import augmentation
from echoic.config import AugmentationConfig

RATE = 16_000
N_MELS = 40
BANDS = np.geomspace(50, 7600, N_MELS)  # Hz
FLOOR = -60.0  # dB
NEUTRAL = AugmentationConfig(
    speed_perturb_probability=0,
    shift=0,
    reverberation_probability=0,
    noise_probability=0,
    gain=(0, 0),
    random_eq=0,
    bandwidth_probability=0,
    time_masks=0,
    frequency_masks=0,
)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clips(batch: int, n: int = 4000) -> np.ndarray:
    return seeded(99).uniform(-0.5, 0.5, (batch, n)).astype(np.float32)


def spectrograms(batch: int, frames: int = 20) -> np.ndarray:
    return seeded(98).uniform(-50, 30, (batch, frames, N_MELS)).astype(np.float32)


def impulse(at: int, *, batch: int = 1, n: int = 4000) -> np.ndarray:
    waveforms = np.zeros((batch, n), np.float32)
    waveforms[:, at] = 1
    return waveforms


def decibels(power):
    return 10 * np.log10(power)


NOISES = [seeded(97).uniform(-0.1, 0.1, n).astype(np.float32) for n in (9000, 6000)]

# Each with settings that change every clip, and with settings that change none.
TRANSFORMATIONS = {
    "speed_perturb": (
        clips,
        lambda x, rng: augmentation.speed_perturb(x, (0.8, 0.9), probability=1, rng=rng),
        [
            lambda x, rng: augmentation.speed_perturb(x, (0.8, 0.9), probability=0, rng=rng),
            lambda x, rng: augmentation.speed_perturb(x, (1, 1), probability=1, rng=rng),
        ],
    ),
    "shift": (
        clips,
        lambda x, rng: augmentation.shift(x, 500, rng=rng),
        [lambda x, rng: augmentation.shift(x, 0, rng=rng)],
    ),
    "reverberate": (
        clips,
        lambda x, rng: augmentation.reverberate(
            x, (0.1, 0.3), probability=1, sample_rate=RATE, rng=rng
        ),
        [
            lambda x, rng: augmentation.reverberate(
                x, (0.1, 0.3), probability=0, sample_rate=RATE, rng=rng
            )
        ],
    ),
    "add_noise": (
        clips,
        lambda x, rng: augmentation.add_noise(x, NOISES, (0, 30), probability=1, rng=rng),
        [lambda x, rng: augmentation.add_noise(x, NOISES, (0, 30), probability=0, rng=rng)],
    ),
    "gain": (
        clips,
        lambda x, rng: augmentation.gain(x, (-20, -1), rng=rng),
        [lambda x, rng: augmentation.gain(x, (0, 0), rng=rng)],
    ),
    "random_eq": (
        spectrograms,
        lambda x, rng: augmentation.random_eq(x, 4, rng=rng),
        [lambda x, rng: augmentation.random_eq(x, 0, rng=rng)],
    ),
    "low_pass": (
        spectrograms,
        lambda x, rng: augmentation.low_pass(
            x, (1000, 4000), probability=1, band_frequencies=BANDS, rng=rng
        ),
        [
            lambda x, rng: augmentation.low_pass(
                x, (1000, 4000), probability=0, band_frequencies=BANDS, rng=rng
            ),
            lambda x, rng: augmentation.low_pass(
                x, (7600, 8000), probability=1, band_frequencies=BANDS, rng=rng
            ),
        ],
    ),
    "mask in time": (
        spectrograms,
        lambda x, rng: augmentation.mask(x, count=3, longest=9, axis=1, rng=rng),
        [
            lambda x, rng: augmentation.mask(x, count=0, longest=9, axis=1, rng=rng),
            lambda x, rng: augmentation.mask(x, count=3, longest=0, axis=1, rng=rng),
        ],
    ),
    "mask in frequency": (
        spectrograms,
        lambda x, rng: augmentation.mask(x, count=3, longest=9, axis=2, rng=rng),
        [lambda x, rng: augmentation.mask(x, count=0, longest=9, axis=2, rng=rng)],
    ),
    "all of waveforms": (
        clips,
        lambda x, rng: augmentation.augment_waveforms(
            x, AugmentationConfig(), noises=NOISES, sample_rate=RATE, rng=rng
        ),
        [
            lambda x, rng: augmentation.augment_waveforms(
                x, NEUTRAL, noises=NOISES, sample_rate=RATE, rng=rng
            )
        ],
    ),
    "all of spectrograms": (
        spectrograms,
        lambda x, rng: augmentation.augment_log_mels(
            x, AugmentationConfig(), band_frequencies=BANDS, floor=FLOOR, rng=rng
        ),
        [
            lambda x, rng: augmentation.augment_log_mels(
                x, NEUTRAL, band_frequencies=BANDS, floor=FLOOR, rng=rng
            )
        ],
    ),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
class TestEveryTransformation:
    def test_the_same_seed_gives_the_same_bits(self, name):
        make, transform, _ = TRANSFORMATIONS[name]
        first, second = (transform(make(8), seeded(1)) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_another_seed_changes_the_result(self, name):
        make, transform, _ = TRANSFORMATIONS[name]
        first, second = (transform(make(8), seeded(seed)) for seed in (1, 2))
        assert (first != second).any(axis=tuple(range(1, first.ndim))).all()

    @pytest.mark.parametrize("batch", [1, 8])
    def test_keeps_shape_and_dtype_and_the_input(self, name, batch):
        make, transform, neutral = TRANSFORMATIONS[name]
        given = make(batch)
        given.flags.writeable = False
        for function in (transform, *neutral):
            result = function(given, seeded(1))
            assert result.shape == given.shape
            assert result.dtype == np.float32
            assert np.isfinite(result).all()
            assert not np.shares_memory(result, given)

    def test_changes_every_clip(self, name):
        make, transform, _ = TRANSFORMATIONS[name]
        changed = transform(make(8), seeded(1)) != make(8)
        assert changed.any(axis=tuple(range(1, changed.ndim))).all()

    def test_can_be_switched_off(self, name):
        make, _, neutral = TRANSFORMATIONS[name]
        for function in neutral:
            np.testing.assert_array_equal(function(make(8), seeded(1)), make(8))


class TestProperties:
    """What holds for every transformation, whatever the seed, the sound and the settings."""

    FEW = settings(max_examples=40)
    PROBABILITY = st.floats(0, 1)

    @staticmethod
    def sound(seed: int, level_db: float, *, batch: int = 4, n: int = 1000) -> np.ndarray:
        noise = seeded(seed).standard_normal((batch, n)) * 10 ** (level_db / 20)
        noise[0] = 0  # digital silence
        return noise.clip(-1, 1).astype(np.float32)

    @staticmethod
    def check(transform, given: np.ndarray, seed: int) -> np.ndarray:
        before = given.copy()
        result = transform(given, seeded(seed))
        np.testing.assert_array_equal(result, transform(given, seeded(seed)))
        np.testing.assert_array_equal(given, before)
        assert (result.shape, result.dtype) == (given.shape, np.float32)
        assert np.isfinite(result).all()
        return result

    @FEW
    @for_any(
        seed=st.integers(0, 2**32 - 1),
        level=st.floats(-100, 0),
        probability=PROBABILITY,
        snr=st.floats(-20, 60),
        gain=st.floats(-60, 40),
        shift=st.floats(0, 2),
        speed=st.floats(0.1, 4),
        rt60=st.floats(0.05, 0.5),
    )
    def test_waveforms(self, seed, level, probability, snr, gain, shift, speed, rt60):
        config = AugmentationConfig(
            speed_perturb_probability=probability,
            speed_perturb=(speed, 1.1 * speed),
            shift=shift,
            reverberation_probability=probability,
            rt60=(rt60, rt60),
            noise_probability=probability,
            snr=(snr, snr + 10),
            gain=(gain - 3, gain),
        )
        noises = [self.sound(seed + 1, -30)[1], np.zeros(700, np.float32)]

        def transform(x, rng):
            return augmentation.augment_waveforms(
                x, config, noises=noises, sample_rate=1000, rng=rng
            )

        assert np.abs(self.check(transform, self.sound(seed, level), seed)).max() <= 1

    @FEW
    @for_any(
        seed=st.integers(0, 2**32 - 1),
        deviation=st.floats(0, 30),
        probability=PROBABILITY,
        cutoff=st.floats(1, 8000),
        masks=st.integers(0, 5),
        width=st.integers(0, 100),
    )
    def test_spectrograms(self, seed, deviation, probability, cutoff, masks, width):
        config = AugmentationConfig(
            random_eq=deviation,
            bandwidth_probability=probability,
            bandwidth=(cutoff, 2 * cutoff),
            time_masks=masks,
            time_mask=width,
            frequency_masks=masks,
            frequency_mask=width,
        )

        def transform(x, rng):
            return augmentation.augment_log_mels(
                x, config, band_frequencies=BANDS, floor=FLOOR, rng=rng
            )

        assert self.check(transform, spectrograms(3), seed).min() >= FLOOR - 1e-3

    @FEW
    @for_any(seed=st.integers(0, 2**32 - 1), probability=PROBABILITY, level=st.floats(-100, 0))
    def test_mixup(self, seed, probability, level):
        given, targets = self.sound(seed, level), np.eye(4, dtype=np.float32)
        for which in (0, 1):  # the waveforms, the targets

            def transform(x, rng, which=which):
                both = (x, targets) if which == 0 else (given, x)
                return augmentation.mixup(*both, probability=probability, rng=rng)[which]

            result = self.check(transform, (given, targets)[which], seed)
        np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)

    @FEW
    @for_any(seed=st.integers(0, 2**32 - 1), level=st.floats(-100, 0))
    def test_a_probability_of_0_is_identity(self, seed, level):
        given, rng = self.sound(seed, level), seeded(seed)
        for result in (
            augmentation.speed_perturb(given, (0.5, 2), probability=0, rng=rng),
            augmentation.reverberate(given, (0.1, 0.2), probability=0, sample_rate=1000, rng=rng),
            augmentation.add_noise(given, NOISES, (0, 9), probability=0, rng=rng),
            augmentation.mixup(given, np.eye(4, dtype=np.float32), probability=0, rng=rng)[0],
        ):
            np.testing.assert_array_equal(result, given)

    @FEW
    @for_any(
        seed=st.integers(0, 2**32 - 1),
        snr=st.floats(-30, 60),
        level=st.floats(-60, 0),
        noise_level=st.floats(-100, 0),
    )
    def test_the_snr_is_what_was_asked(self, seed, snr, level, noise_level):
        clip, noise = self.sound(seed, level)[1], self.sound(seed + 1, noise_level)[2]
        # In double precision, or the rounding of a loud clip would count as noise.
        added = augmentation.mix(clip.astype(np.float64), noise, snr) - clip
        exact = clip + noise * np.sqrt(np.mean(clip**2.0) / np.mean(noise**2.0) / 10 ** (snr / 10))
        np.testing.assert_allclose(added, exact - clip, atol=1e-6 * np.abs(exact).max())

    @FEW
    @for_any(seed=st.integers(0, 2**32 - 1), snr=st.floats(-30, 60))
    def test_without_a_level_digital_silence_gets_no_noise(self, seed, snr):
        clip, noise = self.sound(seed, -20)[1], np.zeros(1000, np.float32)
        np.testing.assert_array_equal(augmentation.mix(clip, noise, snr), clip)
        np.testing.assert_array_equal(augmentation.mix(noise, clip, snr), noise)


class TestProbability:
    @pytest.mark.parametrize("name", ["speed_perturb", "reverberate", "add_noise", "low_pass"])
    def test_is_the_part_of_the_clips_that_change(self, name):
        batch = 2000
        rng = seeded(3)
        changed = {
            "speed_perturb": lambda x: augmentation.speed_perturb(
                x, (0.8, 0.9), probability=0.3, rng=rng
            ),
            "reverberate": lambda x: augmentation.reverberate(
                x, (0.1, 0.2), probability=0.3, sample_rate=1000, rng=rng
            ),
            "add_noise": lambda x: augmentation.add_noise(
                x, NOISES, (0, 9), probability=0.3, rng=rng
            ),
            "low_pass": lambda x: augmentation.low_pass(
                x, (1000, 4000), probability=0.3, band_frequencies=BANDS, rng=rng
            ),
        }[name]
        given = spectrograms(batch, frames=1) if name == "low_pass" else clips(batch, n=100)
        part = (changed(given) != given).reshape(batch, -1).any(axis=1).mean()
        assert part == pytest.approx(0.3, abs=0.04)  # four standard deviations


class TestSpeedPerturb:
    @pytest.mark.parametrize("factor", [0.85, 1.0, 1.15])
    def test_moves_a_tone_by_the_factor(self, factor):
        tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)[None]
        result = augmentation.speed_perturb(tone, (factor, factor), probability=1, rng=seeded())
        spectrum = np.abs(np.fft.rfft(result[0] * np.hanning(RATE)))  # 1 Hz a bin
        assert np.argmax(spectrum) == pytest.approx(1000 * factor, abs=1)

    def test_keeps_the_middle(self):
        result = augmentation.speed_perturb(impulse(2000), (0.8, 1.2), probability=1, rng=seeded())
        assert np.argmax(result) == 2000

    def test_a_faster_clip_ends_in_zeros(self):
        ones = np.ones((1, 4000), np.float32)
        result = augmentation.speed_perturb(ones, (1.25, 1.25), probability=1, rng=seeded())[0]
        assert np.count_nonzero(result) == pytest.approx(4000 / 1.25, abs=2)
        assert result[0] == result[-1] == 0

    def test_factors_fill_the_range(self):
        # An impulse at n/2 + 1000 comes to n/2 + 1000 / factor.
        given = impulse(3000, batch=200)
        result = augmentation.speed_perturb(given, (0.8, 1.25), probability=1, rng=seeded())
        factors = 1000 / (np.argmax(result, axis=1) - 2000)
        assert factors.min() == pytest.approx(0.8, abs=0.02)
        assert factors.max() == pytest.approx(1.25, abs=0.02)


class TestShift:
    def test_moves_an_impulse_by_at_most_the_limit(self):
        result = augmentation.shift(impulse(2000, batch=200), 3, rng=seeded())
        assert (result.sum(axis=1) == 1).all()
        offsets = np.argmax(result, axis=1) - 2000
        assert set(offsets) == {-3, -2, -1, 0, 1, 2, 3}

    def test_zeros_come_in_from_the_side(self):
        ramp = np.arange(1, 101, dtype=np.float32)
        for row in augmentation.shift(np.tile(ramp, (50, 1)), 20, rng=seeded()):
            offset = row[50] - ramp[50]  # what came before, came later
            kept = row[row != 0]
            assert len(kept) == 100 - abs(offset)
            assert (row[0] == 0) == (offset < 0)
            assert (row[-1] == 0) == (offset > 0)
            np.testing.assert_array_equal(np.diff(kept), 1)

    def test_a_limit_beyond_the_clip_is_the_clip(self):
        result = augmentation.shift(np.ones((300, 4), np.float32), 1000, rng=seeded())
        assert set(result.sum(axis=1)) == {0, 1, 2, 3, 4}


class TestReverberate:
    ROOMS = pytest.mark.parametrize("rt60", [0.15, 0.3, 0.7])

    @ROOMS
    def test_the_tail_decays_by_60_db_in_rt60(self, rt60):
        responses = augmentation.room_responses((rt60, rt60), RATE).astype(np.float64)
        measured = []
        for response in responses:
            # Schroeder (1965): the energy still to come falls as the level of the tail does.
            tail = np.flatnonzero(response)[1:]
            remaining = decibels(np.cumsum(response[tail][::-1] ** 2)[::-1])
            remaining -= remaining[0]
            straight = (remaining < -2) & (remaining > -15)
            slope, _ = np.polyfit(tail[straight] / RATE, remaining[straight], 1)
            measured.append(-60 / slope)
        assert np.median(measured) == pytest.approx(rt60, rel=0.05)
        np.testing.assert_allclose(measured, rt60, rtol=0.3)

    def test_responses_have_unit_energy_and_a_direct_sound(self):
        responses = augmentation.room_responses((0.1, 0.7), RATE).astype(np.float64)
        assert responses.shape[0] == augmentation.ROOMS == len(np.unique(responses[:, 0]))
        np.testing.assert_allclose((responses**2).sum(axis=1), 1, rtol=1e-5)
        direct = responses[:, 0] ** 2
        ratio = decibels(direct / (1 - direct))
        assert ratio.min() == pytest.approx(0, abs=0.5)
        assert ratio.max() == pytest.approx(15, abs=0.5)
        # Nothing between the direct sound and the first reflection, 1 to 10 ms later.
        first = np.array([np.flatnonzero(r)[1] for r in responses]) / RATE
        assert first.min() == pytest.approx(0.001, abs=0.0005)
        assert first.max() == pytest.approx(0.010, abs=0.0005)

    def test_responses_are_always_the_same(self):
        first, second = (augmentation.room_responses((0.1, 0.2), RATE, count=3) for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_keeps_the_onset_and_adds_a_tail(self):
        result = augmentation.reverberate(
            impulse(1000, n=RATE), (0.3, 0.3), probability=1, sample_rate=RATE, rng=seeded()
        )[0]
        np.testing.assert_allclose(result[:1000], 0, atol=1e-6)
        assert np.argmax(np.abs(result)) == 1000
        early, late = result[1160:1560], result[2160:2560]  # 62.5 ms apart
        drop = decibels((early**2).sum() / (late**2).sum())
        assert drop == pytest.approx(60 * 0.0625 / 0.3, abs=3)

    def test_is_the_convolution_with_one_of_the_rooms(self):
        clip = clips(1, n=1500)
        result = augmentation.reverberate(
            clip, (0.1, 0.1), probability=1, sample_rate=RATE, rng=seeded()
        )[0]
        rooms = augmentation.room_responses((0.1, 0.1), RATE)
        errors = [np.abs(np.convolve(clip[0], room)[:1500] - result).max() for room in rooms]
        assert min(errors) < 1e-5
        assert sorted(errors)[1] > 1e-2

    def test_a_clip_is_convolved_with_its_own_response_and_keeps_its_length(self):
        given = clips(3, n=1500)
        rooms = augmentation.room_responses((0.1, 0.2), RATE, count=3, seed=1)
        together = augmentation.reverberate_with(given, rooms)
        assert (together.shape, together.dtype) == (given.shape, np.float32)
        for clip, room, result in zip(given, rooms, together, strict=True):
            alone = augmentation.reverberate_with(clip, room)
            np.testing.assert_allclose(alone, result, atol=1e-6)
            np.testing.assert_allclose(alone, np.convolve(clip, room)[:1500], atol=1e-5)

    def test_the_end_does_not_come_round_to_the_beginning(self):
        result = augmentation.reverberate(
            impulse(3999), (0.7, 0.7), probability=1, sample_rate=RATE, rng=seeded()
        )[0]
        np.testing.assert_allclose(result[:3999], 0, atol=1e-6)

    def test_clips_are_heard_in_different_rooms(self):
        result = augmentation.reverberate(
            impulse(0, batch=20), (0.1, 0.7), probability=1, sample_rate=RATE, rng=seeded()
        )
        assert len(np.unique(result[:, 0])) > 10


class TestAddNoise:
    @pytest.mark.parametrize("snr", [-5, 0, 20])
    @pytest.mark.parametrize("level", [1.0, 1e-3])
    def test_meets_the_ratio(self, snr, level):
        given = level * clips(8)
        result = augmentation.add_noise(given, NOISES, (snr, snr), probability=1, rng=seeded())
        noise = result.astype(np.float64) - given
        ratios = decibels((given**2).mean(axis=1) / (noise**2).mean(axis=1))
        np.testing.assert_allclose(ratios, snr, atol=0.1)

    def test_ratios_fill_the_range(self):
        given = clips(300, n=500)
        result = augmentation.add_noise(given, NOISES, (5, 25), probability=1, rng=seeded())
        ratios = decibels((given**2).mean(axis=1) / ((result - given) ** 2).mean(axis=1))
        assert ratios.min() == pytest.approx(5, abs=0.3)
        assert ratios.max() == pytest.approx(25, abs=0.3)

    @pytest.mark.parametrize("snr", [-5, 0, 20])
    def test_a_single_clip_meets_the_ratio(self, snr):
        clip, noise = clips(1)[0], NOISES[0][:4000]
        added = augmentation.mix(clip, noise, snr).astype(np.float64) - clip
        ratio = decibels(np.mean(clip**2.0) / np.mean(added**2))
        assert ratio == pytest.approx(snr, abs=0.01)

    def test_silence_gets_noise_of_its_own_level(self):
        silence = np.zeros((300, 500), np.float32)
        result = augmentation.add_noise(silence, NOISES, (0, 30), probability=1, rng=seeded())
        levels = decibels((result**2).mean(axis=1))
        assert levels.min() == pytest.approx(-60, abs=1)
        assert levels.max() == pytest.approx(-20, abs=1)

    def test_silent_noise_adds_nothing(self):
        silent = [np.zeros(9000, np.float32)]
        result = augmentation.add_noise(clips(2), silent, (0, 0), probability=1, rng=seeded())
        np.testing.assert_array_equal(result, clips(2))

    def test_no_noises_no_noise(self):
        config = replace(NEUTRAL, noise_probability=1)
        result = augmentation.augment_waveforms(
            clips(2), config, noises=[], sample_rate=RATE, rng=seeded()
        )
        np.testing.assert_array_equal(result, clips(2))


class TestRandomCrops:
    def test_is_a_stretch_of_a_noise_from_anywhere(self):
        noise = np.arange(12, dtype=np.float32)
        cuts = augmentation.random_crops([noise], 50, 10, rng=seeded())
        assert {cut[0] for cut in cuts} == {0, 1, 2}
        for cut in cuts:
            np.testing.assert_array_equal(np.diff(cut), 1)

    def test_a_longer_noise_is_heard_more_often(self):
        noises = [np.zeros(1009, np.float32), np.ones(3009, np.float32)]
        ones = augmentation.random_crops(noises, 1000, 10, rng=seeded()).mean()
        assert ones == pytest.approx(0.75, abs=0.05)

    def test_a_short_noise_is_repeated(self):
        cut = augmentation.random_crops([np.array([1, 2, 3], np.float32)], 1, 7, rng=seeded())[0]
        assert cut.tolist() == [1, 2, 3, 1, 2, 3, 1]


class TestGain:
    @pytest.mark.parametrize("level", [-20, -6, 5])
    def test_is_exact(self, level):
        result = augmentation.gain(clips(4), (level, level), rng=seeded())
        np.testing.assert_allclose(result, clips(4) * 10 ** (level / 20), rtol=1e-6)

    def test_what_exceeds_full_scale_clips(self):
        given = np.array([[0.6, -0.6, 0.1]], np.float32)
        result = augmentation.gain(given, (20, 20), rng=seeded())
        np.testing.assert_allclose(result, [[1, -1, 1]])

    def test_levels_fill_the_range(self):
        result = augmentation.gain(np.full((300, 2), 0.5, np.float32), (-20, 6), rng=seeded())
        levels = 20 * np.log10(result[:, 0] / 0.5)
        assert levels.min() == pytest.approx(-20, abs=0.3)
        assert levels.max() == pytest.approx(6, abs=0.3)


class TestRandomEq:
    def responses(self, batch: int, deviation: float) -> np.ndarray:
        given = spectrograms(batch) / 10  # far from the floor
        added = augmentation.random_eq(given, deviation, rng=seeded()) - given
        # The same at every moment of a clip.
        np.testing.assert_allclose(added, added[:, :1].repeat(20, axis=1), atol=1e-5)
        return added[:, 0]

    def test_every_clip_has_its_own(self):
        responses = self.responses(8, 4)
        assert np.abs(np.diff(responses, axis=0)).max(axis=1).min() > 1

    def test_is_smooth(self):
        # Nothing but the first five cosines over the bands, and no change of level.
        coefficients = fft.dct(self.responses(8, 4), norm="ortho", axis=1)
        np.testing.assert_allclose(coefficients[:, 0], 0, atol=1e-4)
        np.testing.assert_allclose(coefficients[:, 6:], 0, atol=1e-4)
        assert (np.abs(coefficients[:, 1:6]) > 1e-3).all()

    @pytest.mark.parametrize("deviation", [1, 4])
    def test_has_the_standard_deviation(self, deviation):
        assert self.responses(1000, deviation).std() == pytest.approx(deviation, rel=0.05)


class TestLowPass:
    def narrowed(self, given: np.ndarray, cutoff: float) -> np.ndarray:
        return augmentation.low_pass(
            given, (cutoff, cutoff), probability=1, band_frequencies=BANDS, rng=seeded()
        )

    def test_attenuates_only_above_the_cutoff(self):
        given = spectrograms(4)
        result = self.narrowed(given, 3000)
        np.testing.assert_array_equal(result[..., BANDS <= 3000], given[..., BANDS <= 3000])
        assert (result[..., BANDS > 3000] < given[..., BANDS > 3000]).all()

    def test_falls_by_48_db_an_octave(self):
        bands = np.array([500.0, 1000, 2000, 4000])
        loud = np.full((1, 1, 4), 40, np.float32)
        result = augmentation.low_pass(
            loud, (1000, 1000), probability=1, band_frequencies=bands, rng=seeded()
        )
        np.testing.assert_allclose(result[0, 0], [40, 40, -8, -56], atol=1e-4)

    def test_cutoffs_fill_the_range(self):
        loud = np.zeros((300, 1, 1), np.float32)
        result = augmentation.low_pass(
            loud, (2000, 4000), probability=1, band_frequencies=np.array([4000.0]), rng=seeded()
        )
        assert result.min() == pytest.approx(-48, abs=0.5)
        assert result.max() == pytest.approx(0, abs=0.5)

    def test_a_band_at_0_hz_is_below_every_cutoff(self):
        given = np.zeros((1, 1, 1), np.float32)
        result = augmentation.low_pass(
            given, (1000, 1000), probability=1, band_frequencies=np.zeros(1), rng=seeded()
        )
        np.testing.assert_array_equal(result, given)


@pytest.mark.parametrize("axis", [1, 2])
class TestMask:
    def hidden(self, axis: int, *, count: int, longest: int, batch: int = 300) -> np.ndarray:
        """Return what is hidden of each clip, (batch, size); check what it became, and the rest."""
        given = spectrograms(batch)
        result = augmentation.mask(given, count=count, longest=longest, axis=axis, rng=seeded())
        changed = result != given
        # All of a frame, or of a band, or nothing of it.
        other = 3 - axis
        np.testing.assert_array_equal(changed.any(axis=other), changed.all(axis=other))
        means = np.broadcast_to(given.mean(axis=(1, 2), keepdims=True), given.shape)
        np.testing.assert_allclose(result[changed], means[changed], rtol=1e-6)
        return changed.any(axis=other)

    def test_hides_one_stretch_of_at_most_the_width(self, axis):
        hidden = self.hidden(axis, count=1, longest=5)
        assert set(hidden.sum(axis=1)) == {0, 1, 2, 3, 4, 5}
        edges = np.abs(np.diff(np.pad(hidden, ((0, 0), (1, 1))).astype(int), axis=1))
        assert set(edges.sum(axis=1)) == {0, 2}

    def test_is_anywhere(self, axis):
        assert self.hidden(axis, count=1, longest=5).any(axis=0).all()

    def test_several_hide_more(self, axis):
        hidden = self.hidden(axis, count=3, longest=5)
        assert 5 < hidden.sum(axis=1).max() <= 15

    def test_a_width_beyond_the_size_is_the_size(self, axis):
        size = spectrograms(1).shape[axis]
        assert self.hidden(axis, count=1, longest=1000).sum(axis=1).max() == size


class TestConfig:
    def test_lists_become_tuples(self):
        # As they are read from a recipe; reverberate keeps its rooms by them.
        config = AugmentationConfig(speed_perturb=[1, 2], rt60=[0.1, 0.2])  # type: ignore[arg-type]
        assert config.speed_perturb == (1.0, 2.0)
        assert hash(config) == hash(AugmentationConfig(speed_perturb=(1, 2), rt60=(0.1, 0.2)))

    @pytest.mark.parametrize("name", ["speed_perturb", "rt60", "snr", "gain", "bandwidth"])
    def test_a_range_goes_upwards(self, name):
        with pytest.raises(ValueError, match=rf"{name} as \[low, high\], received \[5, 4\]"):
            AugmentationConfig(**{name: (5, 4)})

    @pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
    @pytest.mark.parametrize("name", ["speed_perturb", "reverberation", "noise", "bandwidth"])
    def test_a_probability_is_between_0_and_1(self, name, value):
        with pytest.raises(
            ValueError, match=rf"augmentation.{name}_probability .*received {value}"
        ):
            AugmentationConfig(**{f"{name}_probability": value})

    @pytest.mark.parametrize("name", ["speed_perturb", "rt60", "bandwidth"])
    def test_a_factor_a_time_and_a_frequency_are_above_0(self, name):
        with pytest.raises(ValueError, match=rf"{name} of at least .* received \[0, 2\]"):
            AugmentationConfig(**{name: (0, 2)})

    @pytest.mark.parametrize(
        "name",
        ["shift", "random_eq", "time_masks", "time_mask", "frequency_masks", "frequency_mask"],
    )
    def test_an_amount_is_not_negative(self, name):
        with pytest.raises(ValueError, match=rf"{name} of at least 0, received -1"):
            AugmentationConfig(**{name: -1})

    def test_the_shortest_reverberation_has_a_tail(self):
        responses = augmentation.room_responses((0.05, 0.05), RATE)
        assert np.isfinite(responses).all()
        assert (np.count_nonzero(responses, axis=1) > 100).all()


# --- another voice


def test_a_mixup_is_heard_and_labelled_in_the_same_shares():
    tones = 0.2 * np.sin(2 * np.pi * np.arange(8)[:, None] * np.arange(4000) / 40)  # orthogonal
    given = tones.astype(np.float32)[1:]
    targets = np.eye(7, dtype=np.float32)
    mixed, probabilities = augmentation.mixup(given, targets, probability=1, rng=seeded())
    heard = mixed @ given.T / np.square(given).sum(axis=1)
    np.testing.assert_allclose(heard, probabilities, atol=1e-4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    own = np.diag(probabilities)
    assert (own >= 0.5).all()
    assert (own < 1).all()


def test_a_mixup_makes_the_other_as_loud_as_the_clip():
    tones = np.sin(2 * np.pi * np.array([[1], [2]]) * np.arange(4000) / 40)
    given = (tones * [[0.5], [0.005]]).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)
    for seed in range(8):
        mixed, probabilities = augmentation.mixup(given, targets, probability=1, rng=seeded(seed))
        heard = np.abs(mixed @ tones.T)
        np.testing.assert_allclose(
            heard / heard.sum(axis=1, keepdims=True), probabilities, atol=1e-3
        )


def test_a_clip_alone_has_nobody_to_be_mixed_with():
    given, targets = clips(1), np.ones((1, 1), np.float32)
    mixed, same = augmentation.mixup(given, targets, probability=1, rng=seeded())
    np.testing.assert_allclose(mixed, given, atol=1e-6)
    np.testing.assert_array_equal(same, targets)


def test_a_mixup_with_silence_leaves_the_clip_finite():
    given = np.concatenate([clips(1), np.zeros((1, 4000), np.float32)])
    targets = np.eye(2, dtype=np.float32)
    for seed in range(8):
        mixed, _ = augmentation.mixup(given, targets, probability=1, rng=seeded(seed))
        assert np.isfinite(mixed).all()
        assert not mixed[1].any()


@pytest.mark.parametrize(("probability", "least", "most"), [(0, 0, 0), (0.3, 500, 700)])
def test_the_probability_of_a_mixup_is_the_part_of_the_clips_that_change(probability, least, most):
    given, targets = clips(2000, n=100), np.eye(2000, dtype=np.float32)
    mixed, _ = augmentation.mixup(given, targets, probability=probability, rng=seeded())
    assert least <= (mixed != given).any(axis=1).sum() <= most
    assert not np.shares_memory(mixed, given)


def test_in_babble_all_talk_equally_loud_at_one_level():
    tones = np.sin(2 * np.pi * np.array([[100], [200], [400], [800]]) * np.arange(4000) / 4000)
    loud = (tones * [[0.5], [0.05], [0.2], [0.01]]).astype(np.float32)
    result = augmentation.babble(loud, talkers=4, rng=seeded())
    assert (result.shape, result.dtype) == ((4000,), np.float32)
    assert 20 * np.log10(result.std()) == pytest.approx(-20, abs=0.01)
    power = np.abs(np.fft.rfft(result))[[100, 200, 400, 800]]
    np.testing.assert_allclose(power / power.max(), 1, atol=0.01)


def test_a_talker_says_one_clip_after_the_other():
    result = augmentation.babble(clips(6), talkers=2, rng=seeded())
    assert result.shape == (3 * 4000,)
    np.testing.assert_array_equal(result, augmentation.babble(clips(6), talkers=2, rng=seeded()))
    assert np.isfinite(augmentation.babble(clips(2) * [[1], [0]], talkers=2, rng=seeded())).all()


# --- synthetic noise


def test_synthetic_noises_are_seeded_and_of_one_level():
    def noise(seed):
        rng = np.random.default_rng(seed)
        return augmentation.synthetic_noise(32_000, sample_rate=16_000, rng=rng)

    for seed in range(12):
        n = noise(seed)
        assert n.dtype == np.float32
        assert n.shape == (32_000,)
        assert 20 * np.log10(n.std()) == pytest.approx(-20, abs=0.01)
        np.testing.assert_array_equal(n, noise(seed))
    assert not np.array_equal(noise(0), noise(1))


def test_synthetic_noises_differ_in_colour_and_in_rhythm():
    rng = np.random.default_rng(0)
    noises = [augmentation.synthetic_noise(32_000, sample_rate=16_000, rng=rng) for _ in range(24)]
    spectra = [np.abs(np.fft.rfft(n)) ** 2 for n in noises]
    low_part = [s[:2000].sum() / s.sum() for s in spectra]  # below 1 kHz
    assert min(low_part) < 0.2
    assert max(low_part) > 0.8
    blocks = [np.square(n.reshape(100, -1)).mean(axis=1) for n in noises]
    unevenness = [b.std() / b.mean() for b in blocks]
    assert min(unevenness) < 0.3
    assert max(unevenness) > 1


class TestScaled:
    def test_full_strength_changes_nothing(self):
        assert AugmentationConfig().scaled(1.0) == AugmentationConfig()

    def test_no_strength_leaves_shift_alone(self):
        config = replace(AugmentationConfig().scaled(0.0), shift=0)
        rng = seeded()
        given = clips(4)
        result = augmentation.augment_waveforms(
            given, config, noises=NOISES, sample_rate=RATE, rng=rng
        )
        np.testing.assert_array_equal(result, given)
        drawn = augmentation.augment_log_mels(
            spectrograms(4), config, band_frequencies=BANDS, floor=FLOOR, rng=rng
        )
        np.testing.assert_allclose(drawn, spectrograms(4), atol=1e-5)

    def test_half_strength_is_between(self):
        full, half = AugmentationConfig(), AugmentationConfig().scaled(0.5)
        assert half.noise_probability == full.noise_probability / 2
        assert replace(full, mixup_probability=0.4).scaled(0.5).mixup_probability == 0.2
        assert half.gain == (full.gain[0] / 2, full.gain[1] / 2)
        assert half.snr == full.snr
        assert (half.time_mask, half.frequency_mask) == (6, 4)


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.15, 3.0])
def test_speed_interpolates_as_numpy_does(factor):
    rng = np.random.default_rng(0)
    clips = rng.uniform(-1, 1, (2, 1600)).astype(np.float32)
    places = np.arange(1600)
    played = (places - 800) * factor + 800
    result = augmentation.speed_perturb(clips, (factor, factor), probability=1, rng=rng)
    for clip, heard in zip(clips, result, strict=True):
        expected = np.interp(played, places, clip, left=0, right=0)
        np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_no_microphone_brings_a_band_under_the_floor():
    given = spectrograms(8)
    result = augmentation.augment_log_mels(
        given,
        AugmentationConfig(random_eq=20, bandwidth_probability=1, time_masks=0, frequency_masks=0),
        band_frequencies=BANDS,
        floor=FLOOR,
        rng=seeded(),
    )
    assert result.min() == FLOOR
    assert (result == FLOOR).mean() < 0.5
