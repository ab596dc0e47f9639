"""Friedman's test against scipy, Iman and Davenport's formula, and every order counted."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import f, friedmanchisquare, rankdata

from medvlm_tui.measures.friedman import friedman


def made(seed, n, k):
    # Rounded: ties within a data set.
    return np.round(np.random.default_rng(seed).normal(0.8, 0.05, size=(n, k)) + np.linspace(0, 0.06, k), 2)


@pytest.mark.parametrize(("n", "k"), [(2, 3), (3, 3), (4, 3), (3, 4)])
def test_few_data_sets_are_counted(n, k):
    scores = made(n, n, k)
    ranks = rankdata(scores, axis=1)
    sums = [np.sum(orders, axis=0) for orders in product(*[list(permutations(row)) for row in ranks])]
    sizes = np.array([(s**2).sum() for s in sums])
    found = friedman(scores)
    assert (found.method, found.chi2) == ("exact", pytest.approx(friedmanchisquare(*scores.T).statistic))
    assert found.p_value == pytest.approx(np.mean(sizes >= (ranks.sum(axis=0) ** 2).sum() - 1e-9))


def test_a_published_exact_value():
    # Three models in one order on four data sets: 3! orders of (3!)^4 reach chi2 = 8 (tables: 0.0046).
    assert friedman(np.tile([0.9, 0.8, 0.7], (4, 1))).p_value == pytest.approx(6 / 6**4)


def test_more_models_have_iman_and_davenport_s_and_more_data_sets_chi2():
    scores = made(0, 8, 21)
    chi2 = friedmanchisquare(*scores.T)
    found = friedman(scores)
    wanted = 7 * chi2.statistic / (8 * 20 - chi2.statistic)
    assert (found.method, found.iman_davenport) == ("Iman-Davenport", pytest.approx(wanted))
    assert found.p_value == pytest.approx(f.sf(wanted, 20, 140))
    many = friedman(made(1, 12, 6))
    assert many.method == "chi2"
    assert many.p_value == pytest.approx(friedmanchisquare(*made(1, 12, 6).T).pvalue)


def test_one_order_everywhere_and_equal_scores():
    same = friedman(np.tile(np.arange(7.0), (3, 1)))
    assert same.iman_davenport is None
    assert same.p_value == pytest.approx(1 / 5040**2)
    equal = friedman(np.full((5, 3), 0.7))
    assert (equal.chi2, equal.p_value) == (0.0, pytest.approx(1.0))
