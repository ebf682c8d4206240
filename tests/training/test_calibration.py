"""What is folded into the last layer: a temperature, and priors."""

import numpy as np
import pytest
from scipy.special import softmax

from echoic import networks, training
from echoic.config import ModelConfig


def small_network():
    return networks.build(
        ModelConfig(layers=({"type": "gru", "units": 8},)),
        channels=5,
        n_labels=4,
        mean=np.zeros(5),
        variance=np.ones(5),
    )


@pytest.mark.parametrize("factor", [0.25, 1.0, 5.0])
def test_calibration_undoes_whatever_made_a_network_too_sure(factor):
    """Targets are drawn from the softmax of the logits, which are then scaled."""
    rng = np.random.default_rng(0)
    model = small_network()
    layer = model.get_layer("logits")
    layer.set_weights([10 * weights for weights in layer.get_weights()])
    x = rng.standard_normal((4000, 3, 5)).astype(np.float32)
    logits = networks.clip_logits(model.predict(x, batch_size=500, verbose=0))
    targets = np.eye(4)[(logits + rng.gumbel(size=logits.shape)).argmax(axis=1)]
    layer.set_weights([factor * weights for weights in layer.get_weights()])
    assert training.calibrate(model, x, targets[:, None]) == pytest.approx(factor, rel=0.1)
    calibrated = networks.clip_logits(model.predict(x, batch_size=500, verbose=0))
    np.testing.assert_allclose(calibrated, logits, rtol=0.1, atol=1e-4)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), logits.argmax(axis=1))


def test_adjusted_logits_lack_the_priors_and_nothing_else():
    model = small_network()
    x = np.random.default_rng(0).standard_normal((20, 3, 5)).astype(np.float32)
    before = softmax(networks.clip_logits(model.predict(x, verbose=0)), axis=1)
    priors = np.array([0.1, 0.6, 0.3, 0.0])
    training.adjust_logits(model, priors)
    after = softmax(networks.clip_logits(model.predict(x, verbose=0)), axis=1)
    # Bayes: the odds of two labels are divided by those that they had beforehand.
    odds = (before[:, 1] / before[:, 0]) / (priors[1] / priors[0])
    np.testing.assert_allclose(after[:, 1] / after[:, 0], odds, rtol=1e-4)
