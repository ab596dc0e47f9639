"""Calibration measures against explicit sums and simulated calibrated classifiers."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from medvlm_tui.measures import calibration_error as ce
from medvlm_tui.measures.calibration import expected_calibration_error


def confident(rng, n):
    return rng.uniform(0.4, 1.0, n)


@pytest.mark.parametrize("n", [10, 15, 40])
def test_what_a_calibrated_classifier_gets(n):
    rng = np.random.default_rng(n)
    confidence = confident(rng, n)
    drawn = [expected_calibration_error(confidence, rng.random(n) < confidence) for _ in range(4000)]
    assert ce.calibrated_ece(confidence) == pytest.approx(np.mean(drawn), abs=0.005)


def test_the_reference_falls_with_n_as_the_tables_say():
    rng = np.random.default_rng(0)
    found = [np.mean([ce.calibrated_ece(confident(rng, n)) for _ in range(60)]) for n in (10, 15, 40, 80, 574)]
    assert found == pytest.approx([0.27, 0.23, 0.15, 0.11, 0.04], abs=0.012)


def test_debiased_is_right_on_average_where_ece_is_not():
    rng = np.random.default_rng(1)
    n, draws = 40, 3000
    confidence = confident(rng, n)
    order = np.argsort(confidence)
    bins = np.array_split(order, 8)
    for shift in (0.0, 0.15):
        truth = np.clip(confidence - shift, 0, 1)
        wanted = sum(len(b) / n * (truth[b].mean() - confidence[b].mean()) ** 2 for b in bins)
        found = np.mean([ce.squared_calibration_error(confidence, rng.random(n) < truth) for _ in range(draws)])
        # Bin means of unequal chances vary a little less than the correction assumes.
        assert found == pytest.approx(wanted, abs=0.002)
    right = rng.random(n) < confidence
    assert ce.debiased_calibration_error(confidence, right) == np.sqrt(
        max(0, ce.squared_calibration_error(confidence, right))
    )


def test_debiased_by_hand():
    confidence = np.array([0.5, 0.6, 0.5, 0.6, 0.55, 0.9, 0.9, 0.95, 0.85, 0.9])
    correct = np.array([True, False, False, False, True, True, True, True, False, True])
    wanted = 0.5 * ((0.4 - 0.55) ** 2 - 0.24 / 4) + 0.5 * ((0.8 - 0.9) ** 2 - 0.16 / 4)
    assert ce.squared_calibration_error(confidence, correct) == pytest.approx(wanted)


def test_brier_is_scikit_learn_s():
    rng = np.random.default_rng(2)
    probabilities = rng.dirichlet(np.ones(3), 50)
    codes = rng.integers(0, 3, 50)
    found = ce.brier_per_image(probabilities, codes)
    assert found.mean() == pytest.approx(brier_score_loss(codes, probabilities, scale_by_half=False))
    drawn = [[rng.choice(3, p=row) for row in probabilities] for _ in range(300)]
    means = [ce.brier_per_image(probabilities, np.array(each)).mean() for each in drawn]
    assert ce.calibrated_brier(probabilities) == pytest.approx(np.mean(means), abs=0.01)
