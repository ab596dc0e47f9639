"""Calibration measures against explicit sums and simulated calibrated classifiers."""

import numpy as np
import pytest
from scipy.stats import t
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


def plain_squared(confidence, correct, bins):
    """Return the debiased squared error in given bins by explicit sums."""
    total, n = 0.0, len(confidence)
    for b in np.unique(bins):
        c, r = confidence[bins == b], correct[bins == b]
        noise = r.mean() * (1 - r.mean()) / (len(r) - 1) if len(r) > 1 else 0.0
        total += len(r) / n * ((r.mean() - c.mean()) ** 2 - noise)
    return total


def test_the_interval_is_the_jackknife_s_by_explicit_deletions():
    rng = np.random.default_rng(6)
    n, members = 23, np.repeat(np.arange(12), 2)[:23]
    confidence, correct = rng.uniform(0.4, 1, (3, n)), rng.random((3, n)) < 0.6
    for groups in (None, members):
        units = np.arange(n) if groups is None else groups
        found = ce.calibration_error_interval(confidence, correct, groups)
        deleted = []
        for unit in range(units.max() + 1):
            keep = units != unit
            values = []
            for c, r in zip(confidence, correct, strict=True):
                bins = np.empty(n, dtype=int)
                for number, rows in enumerate(np.array_split(np.argsort(c), n // 5)):
                    bins[rows] = number
                values.append(plain_squared(c[keep], r[keep], bins[keep]))
            deleted.append(np.mean(values))
        u = len(deleted)
        half = t.ppf(0.975, u - 1) * np.sqrt((u - 1) ** 2 / u * np.var(deleted, ddof=1))
        pairs = list(zip(confidence, correct, strict=True))
        middle = np.mean([ce.squared_calibration_error(c, r) for c, r in pairs])
        printed = np.mean([ce.debiased_calibration_error(c, r) for c, r in pairs])
        low, high = (np.sqrt(max(0.0, end)) for end in (middle - half, middle + half))
        assert found == pytest.approx((min(low, printed), max(high, printed)))
    assert ce.calibration_error_interval(confidence[:, :4], correct[:, :4]) is None
    assert ce.calibration_error_interval(np.full((1, 9), 0.9), np.ones((1, 9), dtype=bool)) is None


def test_the_interval_holds_the_error_of_an_overconfident_classifier():
    rng = np.random.default_rng(7)
    n, draws, held = 60, 300, 0
    middles = 0.4 + 0.6 * (np.arange(12) + 0.5) / 12
    # The chance of being right moves by 0.4 of the confidence: gaps of the twelve bins' middles.
    truth = np.sqrt(np.mean((0.6 * (middles - 0.7)) ** 2))
    for _ in range(draws):
        confidence = confident(rng, n)
        correct = rng.random((1, n)) < 0.7 + 0.4 * (confidence - 0.7)
        low, high = ce.calibration_error_interval(confidence[None], correct)
        held += low <= truth <= high
    assert held / draws >= 0.93 - 3 * np.sqrt(0.95 * 0.05 / draws)
