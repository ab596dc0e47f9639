"""Scores over several hold-outs: Nadeau and Bengio's correction by hand, ranks by counting."""

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_1samp

from medvlm_tui.measures.repeats import (
    HoldOuts,
    rank_spread,
    repeated_difference,
    resampled_interval,
    smallest_repeated_difference,
)

QUARTER = HoldOuts(40, 160)


def test_the_corrected_t_test_by_hand():
    first, second = np.array([0.8, 0.84, 0.9, 0.79, 0.83]), np.array([0.7, 0.8, 0.82, 0.78, 0.8])
    gains = first - second
    plain = ttest_1samp(gains, 0.0)
    # The correction divides the plain statistic by sqrt(1 + J n_test / n_train).
    corrected = plain.statistic / np.sqrt(1 + 5 * 0.25)
    found = repeated_difference(first, second, QUARTER)
    assert found.value == pytest.approx(gains.mean())
    assert found.p_value == pytest.approx(2 * t.sf(corrected, 4))
    assert found.p_value > plain.pvalue
    half = t.ppf(0.975, 4) * np.sqrt((1 / 5 + 0.25) * gains.var(ddof=1))
    assert (found.low, found.high) == pytest.approx((gains.mean() - half, gains.mean() + half))


def test_scores_have_the_corrected_interval():
    values = np.array([0.8, 0.85, 0.9, 0.75, 0.8])
    half = t.ppf(0.975, 4) * np.sqrt((1 / 5 + 40 / 160) * np.var(values, ddof=1))
    assert resampled_interval(values, QUARTER) == pytest.approx((0.82 - half, 0.82 + half))
    assert resampled_interval(np.array([0.9]), QUARTER) is None
    assert resampled_interval(np.array([0.99, 1.0, 0.9]), QUARTER)[1] == 1.0


def test_equal_scores_everywhere_have_an_interval():
    low, high = resampled_interval(np.ones(10), QUARTER)
    # The root of a quarter of an image: 0.5 of 40.
    assert (low, high) == pytest.approx((1 - t.ppf(0.975, 9) * 0.5 / 40, 1.0))
    same = repeated_difference(np.full(3, 0.75), np.full(3, 0.75), QUARTER)
    assert (same.value, same.p_value) == (0.0, 1.0)
    assert same.low < -0.04 < 0.04 < same.high


def test_the_correction_keeps_the_level_where_the_plain_test_does_not():
    # 10 hold-outs of a fifth of 200 images, a quarter of each shared: two models that are right equally often.
    rng = np.random.default_rng(0)
    corrected, plain = [], []
    for _ in range(300):
        right = rng.random((2, 200)) < 0.8
        rows = [rng.permutation(200)[:40] for _ in range(10)]
        first, second = (np.array([model[r].mean() for r in rows]) for model in right)
        corrected.append(repeated_difference(first, second, HoldOuts(40, 160)).p_value < 0.05)
        plain.append(ttest_1samp(first - second, 0.0).pvalue < 0.05)
    assert np.mean(corrected) < 0.09 < np.mean(plain)


def test_the_smallest_difference():
    gains = np.array([0.2, 0.0, 0.1, 0.04])
    error = np.sqrt((1 / 4 + 0.25) * gains.var(ddof=1))
    wanted = (t.isf(0.05 / 3 / 2, 3) + t.ppf(0.8, 3)) * error
    assert smallest_repeated_difference(gains, QUARTER, 0.05, 3) == pytest.approx(wanted)
    assert wanted > (norm.isf(0.05 / 6) + norm.ppf(0.8)) * error


def test_ranks_and_their_spread():
    mean, low, high = rank_spread(np.array([[0.9, 0.8, 0.8], [0.5, 0.9, 0.7]]))
    assert mean.tolist() == [2.0, 1.75, 2.25]
    assert (low.tolist(), high.tolist()) == ([1.0, 1.0, 2.0], [3.0, 2.5, 2.5])
