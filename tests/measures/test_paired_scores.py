"""Differences of two models' scores: interval, smallest difference, and draws of training images."""

import numpy as np
import pytest
from scipy.stats import norm, t

from medvlm_tui.measures.influence import mean_influence
from medvlm_tui.measures.paired_scores import (
    POWER,
    draws_p_value,
    score_difference,
    smallest_seen,
    too_few,
)


def pair(seed=0, n=50):
    rng = np.random.default_rng(seed)
    return mean_influence(rng.integers(0, 6, n) / 5), mean_influence(rng.integers(0, 6, n) / 5)


def test_added_images_adjust_the_interval():
    first, second = pair()
    found = score_difference(first, second, None, None)
    assert found.value == pytest.approx(first.value - second.value)
    # The mean and the variance of its mean with an eighth of an image more for either model.
    steps = (first.per_image - second.per_image) * 50 + found.value
    assert (found.low + found.high) / 2 == pytest.approx(steps.sum() / 50.25)
    error = np.sqrt((50 * steps.var(ddof=1) + 0.25) / 50.25**2)
    assert found.error == pytest.approx(error)
    assert (found.high - found.low) / 2 == pytest.approx(t.ppf(0.975, 49) * error)


def test_equal_models_have_an_interval_too():
    same = mean_influence(np.ones(20))
    found = score_difference(same, same, None, None)
    assert found.value == 0
    assert found.low < -0.02 < 0.02 < found.high
    groups = np.repeat(np.arange(5), 4)
    wider = score_difference(same, same, None, groups)
    assert wider.units == 5
    assert wider.high > found.high


def test_the_smallest_difference_that_would_have_shown():
    first, second = pair()
    found = score_difference(first, second, None, None)
    wanted = (norm.isf(0.05 / 3 / 2) + norm.ppf(POWER)) * found.error
    assert smallest_seen(found, 0.05, 3) == pytest.approx(wanted)
    # Five images have p-values of 1/16 at least; ten have 1/512, which three pairs leave below 0.05.
    assert too_few(5, 0.05, 1)
    assert not too_few(6, 0.05, 1)
    assert too_few(6, 0.05, 2)
    assert smallest_seen(score_difference(*pair(n=5), None, None), 0.05, 1) is None
    # Models that agree on all of 574 images: seven must differ, 2^-6 < 0.05 / 3.
    same = mean_influence(np.ones(574))
    assert smallest_seen(score_difference(same, same, None, None), 0.05, 3) == pytest.approx(7 / 574)


def test_draws_of_training_images_add_their_part():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.05, 0.02, 10)
    alone = draws_p_value(0.05, 0.0, draws, 100)
    assert alone == pytest.approx(2 * t.sf(0.05 / np.sqrt(draws.var(ddof=1) / 10), 9))
    assert draws_p_value(0.05, 0.03**2, draws, 100) > alone
    assert draws_p_value(0.0, 0.0, np.zeros(10), 100) == 1.0
