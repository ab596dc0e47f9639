"""Intervals of shares and of means over images against statsmodels, scipy, and their coverage."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from medvlm_tui.engine.image_means import mean_over_images
from medvlm_tui.engine.shares import wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (15, 15), (5, 5), (0, 2), (3, 10), (187, 200), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(successes, n):
    found = wilson_interval(successes, n)
    assert found == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)
    scipys = stats.binomtest(successes, n).proportion_ci(0.9, method="wilson")
    assert wilson_interval(successes, n, 0.9) == pytest.approx((scipys.low, scipys.high), abs=1e-12)
    assert 0 <= found[0] <= successes / n <= found[1] <= 1
    assert found[1] - found[0] > 0.05


def test_no_share_of_zero_images_and_none_above_one():
    for successes, n in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(ValueError, match="is no share"):
            wilson_interval(successes, n)


def test_the_interval_of_a_mean_is_students():
    values = np.random.default_rng(0).normal(2, 3, 8)
    found = mean_over_images(values)
    wanted = stats.t.interval(0.95, 7, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted)
    assert (found.mean, found.n) == (pytest.approx(values.mean()), 8)
    assert mean_over_images([0.0, 0.0, 0.0, 0.1, 0.0], (0.0, 1.0)).low == 0.0


@pytest.mark.parametrize("values", [[0.5], [0.1, 0.2, 0.3, 0.9], [0.0] * 30])
def test_a_mean_of_few_or_equal_values_has_no_interval(values):
    found = mean_over_images(values)
    assert found.low is found.high is None
    assert found.mean == pytest.approx(np.mean(values))


def test_intervals_hold_the_truth_as_often_as_they_say():
    """2,000 draws: a share near 1 by Wilson, a skewed mean of eight images by t (percentile bootstrap: 0.88)."""
    rng = np.random.default_rng(1)
    for n, truth in ((15, 0.95), (40, 0.98), (8, 0.5)):
        bounds = [wilson_interval(int(k), n) for k in rng.binomial(n, truth, 2000)]
        assert np.mean([low <= truth <= high for low, high in bounds]) >= 0.92
    draws = rng.beta(2, 8, (2000, 8))
    bounds = [mean_over_images(row) for row in draws]
    assert np.mean([one.low <= 0.2 <= one.high for one in bounds]) >= 0.92
