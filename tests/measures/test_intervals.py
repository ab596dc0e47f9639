"""Intervals against statsmodels and by hand; never of zero width, none below five images."""

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from medvlm_tui.measures.intervals import (
    PULL,
    mean_interval,
    score_interval,
    share_interval,
)


@pytest.mark.parametrize(("right", "n"), [(0, 12), (12, 12), (5, 5), (70, 72), (431, 574)])
def test_a_share_has_wilson_s_interval(right, n):
    wanted = proportion_confint(right, n, method="wilson")
    assert share_interval(right, n) == pytest.approx(wanted, abs=1e-12)
    # Independent right-or-wrong images are the special case of a mean.
    p = right / n
    again = score_interval(p, p * (1 - p) / n, n, n)
    assert again == pytest.approx(wanted, abs=1e-12)


def test_the_effective_number_of_images():
    # 200 images at 0.9 whose variance is half the binomial one: 18 errors against the pull of a quarter of one.
    effect = (0.5 * 18 + PULL) / (18 + PULL)
    wanted = proportion_confint(0.9 * 200 / effect, 200 / effect, method="wilson", alpha=0.1)
    assert score_interval(0.9, 0.5 * 0.09 / 200, 200, 200, 1.0, 0.9) == pytest.approx(wanted)
    # No error at all: as many images as there are groups.
    assert score_interval(1.0, 0.0, 21, 7, 3.0) == pytest.approx(proportion_confint(7, 7, method="wilson"))


def test_no_interval_below_five_and_none_of_zero_width():
    assert share_interval(4, 4) is None
    assert mean_interval(np.array([0.2, 0.3, 0.4, 0.1]), (0, 1)) is None
    assert score_interval(0.8, 0.01, 9, 1) is None
    for values in (np.zeros(5), np.ones(40), np.full(8, 0.6)):
        low, high = mean_interval(values, (0.0, 1.0))
        assert 0 <= low <= values[0] <= high <= 1
        assert high - low > 0.05
        assert mean_interval(values) is None
    values = np.array([0.1, -0.4, 0.3, 0.9, 0.2, 0.25])
    assert mean_interval(values) == pytest.approx(t.interval(0.95, 5, values.mean(), values.std(ddof=1) / np.sqrt(6)))
    assert [type(end) for end in mean_interval(values)] == [float, float]  # records hold plain numbers
    low, high = mean_interval(values, (-1.0, 1.0))
    assert -1 < low < values.mean() < high < 1
