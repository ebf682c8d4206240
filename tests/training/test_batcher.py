"""Input of the teachers of a batch."""

import dataclasses

import numpy as np
import pytest

from echoic import augmentation, features
from echoic.config import FeatureConfig, Recipe
from echoic.training import batcher

OWN = FeatureConfig(floor_db=-80.0)


@pytest.fixture(scope="module")
def clips():
    """Noise that swells, float32 (3, 16000)."""
    noise = np.random.default_rng(0).standard_normal((3, 16_000)) * np.linspace(0, 0.3, 16_000)
    return noise.astype(np.float32)


def test_a_teacher_with_the_features_of_its_student_hears_the_masks_too(clips):
    rng = np.random.default_rng(0)
    log_mels = features.log_mel(clips, OWN)
    masked = augmentation.mask(log_mels, count=1, longest=9, axis=1, rng=rng)
    theirs = dataclasses.replace(OWN, floor_db=-60.0)
    heard = batcher.teacher_features(theirs, clips, masked, OWN)
    assert heard.shape == (3, 50, 40)
    expected = features.cepstrum(np.maximum(masked, -60), theirs)
    np.testing.assert_allclose(heard, expected, atol=1e-4)


def test_a_teacher_with_other_features_hears_the_clips(clips):
    theirs = Recipe.load("embedding").features
    log_mels = np.zeros((3, 50, 40), dtype=np.float32)
    heard = batcher.teacher_features(theirs, clips, log_mels, OWN)
    assert heard.shape == (3, 100, 32)
    np.testing.assert_allclose(heard, features.compute(clips, theirs), atol=1e-3)


@pytest.mark.parametrize("theirs", [FeatureConfig(), Recipe.load("embedding").features])
def test_a_teacher_hears_what_is_too_faint_for_it(clips, theirs):
    """Its student has a lower floor; the teacher has its own, and faint clips are amplified."""
    lacking = batcher.TARGET_DB - features.log_mel(clips, theirs).max(axis=(1, 2))
    loud = clips * (10 ** (lacking / 20)).astype(np.float32)[:, None]
    faint = loud * np.float32(10 ** (-20 / 20))
    a, b = (
        batcher.teacher_features(theirs, w, features.log_mel(w, OWN), OWN) for w in (loud, faint)
    )
    # What the student's floor has swallowed stays away; of the rest nothing is lost.
    np.testing.assert_allclose(a, b, atol=3.0)
    assert np.abs(a - b).mean() < 0.3


def test_silence_stays_silence(clips):
    quiet = batcher.normalize_level(features.log_mel(np.zeros_like(clips), OWN))
    assert np.ptp(quiet) == 0
    assert quiet.max() == pytest.approx(OWN.floor_db + batcher.MAX_GAIN_DB)
