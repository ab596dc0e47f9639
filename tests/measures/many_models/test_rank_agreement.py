"""Agreement of orders of models, against scipy's tau and a bootstrap written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from medvlm_tui.measures.many_models.rank_agreement import kendall_tau, rank_agreement


def test_tau_is_scipys_with_ties_and_without() -> None:
    rng = np.random.default_rng(0)
    for levels in (3, 1000):
        first, second = rng.integers(0, levels, (2, 50, 6)).astype(float)
        expected = [kendalltau(a, b).statistic for a, b in zip(first, second, strict=True)]
        np.testing.assert_allclose(kendall_tau(first, second), expected, atol=1e-12)
    assert np.isnan(kendall_tau(np.ones((1, 3)), np.arange(3.0)[None]))[0]


def test_the_interval_is_the_bootstrap_over_images() -> None:
    rng = np.random.default_rng(1)
    before = rng.random((4, 60)) < np.array([0.9, 0.8, 0.7, 0.5])[:, None]
    after = rng.random((4, 60)) < np.array([0.5, 0.8, 0.7, 0.9])[:, None]
    found = rank_agreement(before, after, seed=3)
    assert found.tau == pytest.approx(kendalltau(before.mean(axis=1), after.mean(axis=1)).statistic)
    taus = []
    for _ in range(2000):
        picks = rng.integers(0, 60, 60)
        taus.append(kendalltau(before[:, picks].mean(axis=1), after[:, picks].mean(axis=1)).statistic)
    low, high = np.nanpercentile(taus, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.2)
    assert found.high == pytest.approx(high, abs=0.2)
    assert found.low <= found.tau <= found.high


def test_a_pair_counts_as_turned_round_only_where_both_differences_are_clear() -> None:
    good, bad, even = np.arange(40) % 8 > 0, np.arange(40) % 2 > 0, np.ones(40, dtype=bool)
    assert rank_agreement(np.stack([good, bad, even]), np.stack([bad, good, even]), 0).reversed_pairs == 1
    nearly = good.copy()
    nearly[1] = False
    assert rank_agreement(np.stack([good, nearly, even]), np.stack([nearly, good, even]), 0).reversed_pairs == 0
    same = rank_agreement(np.stack([good, bad, even]), np.stack([good, bad, even]), 0)
    assert (same.tau, same.reversed_pairs) == (pytest.approx(1.0), 0)


def test_models_that_are_all_equal_have_no_order_and_two_models_no_agreement() -> None:
    right = np.ones((3, 10), dtype=bool)
    found = rank_agreement(right, right, 0)
    assert (found.tau, found.low, found.high) == (None, None, None)
    with pytest.raises(ValueError, match="at least 3"):
        rank_agreement(right[:2], right[:2], 0)
