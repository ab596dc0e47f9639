"""Comparisons of models: published critical values, figures worked out by hand, and the paper's own tables."""

import numpy as np
import pytest
from scipy.stats import f, permutation_test

from medvlm_tui.catalog.published import SOURCES
from medvlm_tui.engine.comparison.published_tests import audit_published
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.paired_tests import holm, mcnemar
from medvlm_tui.measures.permutation import group_test
from medvlm_tui.measures.ranks import rank_models


@pytest.mark.parametrize(
    ("metric", "chi2", "separable"),
    [("accuracy", 97.0, 21), ("f1", 95.5, 19)],
)
def test_the_paper_s_tables_separate_few_models(metric, chi2, separable):
    audit = audit_published(metric)
    assert audit.ranking.chi2 == pytest.approx(chi2, abs=0.05)
    assert audit.ranking.critical_difference == pytest.approx(11.07, abs=0.005)
    assert len(audit.ranking.separable) == separable
    assert audit.ranking.pairs == 210
    # Eight data sets: the p-value is of Iman and Davenport's F, 7 chi2 / (8 20 - chi2).
    assert audit.ranking.iman_davenport == pytest.approx(7 * audit.ranking.chi2 / (160 - audit.ranking.chi2))
    assert audit.ranking.method == "Iman-Davenport"
    assert audit.ranking.p_value == pytest.approx(f.sf(audit.ranking.iman_davenport, 20, 140))
    assert (len(audit.ranking.models), len(audit.datasets)) == (21, 8)
    assert (audit.equal_spreads, audit.cells) == (168, 168)
    assert audit.medical_against_general is not None
    assert audit.medical_against_general.p_value > 0.05


def test_the_poster_is_audited_without_its_copied_column():
    audit = audit_published("accuracy", SOURCES[1])
    assert "breast_us" not in audit.datasets
    assert audit.medical_against_general is None
    with pytest.raises(MedvlmError, match="no data set"):
        audit_published("auroc")


def test_critical_difference_is_demsar_s():
    # Demsar 2006, section 3.2.4: k = 4, N = 14, q = 2.569 gives 1.25.
    ranking = rank_models(np.random.default_rng(0).random((14, 4)), "abcd")
    assert ranking.critical_difference == pytest.approx(1.25, abs=0.005)


def test_ranks_ties_and_cliques():
    scores = np.array([[0.9, 0.8, 0.8, 0.1]] * 12)
    ranking = rank_models(scores, ("best", "b", "c", "worst"))
    assert ranking.mean_ranks == (1.0, 2.5, 2.5, 4.0)
    assert ("best", "worst") in ranking.separable
    assert ("b", "c") in ranking.cliques or ("c", "b") in ranking.cliques
    for clique in ranking.cliques:
        assert not any(a in clique and b in clique for a, b in ranking.separable)


def test_equal_models_and_too_few_of_them():
    ranking = rank_models(np.full((5, 3), 0.7), "abc")
    assert (ranking.chi2, ranking.p_value, ranking.separable) == (0.0, pytest.approx(1.0), ())
    assert ranking.cliques == (("a", "b", "c"),)
    with pytest.raises(MedvlmError, match="cannot be ranked"):
        rank_models(np.ones((5, 2)), "ab")


def test_mcnemar_counts_only_the_images_where_they_differ():
    first = np.array([True] * 10 + [False] * 2 + [True] * 30)
    second = np.array([False] * 10 + [True] * 2 + [True] * 30)
    # Two-sided sign test of 10 against 2: 2 (1 + 12 + 66) / 2^12.
    assert mcnemar(first, second).exact == pytest.approx(2 * 79 / 4096)
    assert mcnemar(first, second).mid_p == pytest.approx((2 * 79 - 66) / 4096)
    assert mcnemar(first, first).mid_p == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.5, 0.9]) == (1.0, 1.0)
    assert holm([]) == ()


def test_group_test_equals_scipy_s_exhaustive_one():
    scores = np.random.default_rng(0).random((4, 10)) + np.r_[np.full(5, 0.2), np.zeros(5)]
    found = group_test(scores, np.arange(10) < 5)
    level = scores.mean(axis=0)
    # With five on either side the distribution is symmetric, and twice the smaller tail is scipy's p-value.
    wanted = permutation_test((level[:5], level[5:]), lambda a, b: a.mean() - b.mean(), n_resamples=10_000)
    assert found.exhaustive
    assert found.permutations == 252
    assert found.difference == pytest.approx(wanted.statistic)
    assert found.p_value == pytest.approx(wanted.pvalue)


def test_group_test_of_many_models_is_drawn_and_repeats():
    scores = np.random.default_rng(1).random((3, 30))
    members = np.arange(30) < 12
    assert group_test(scores, members) == group_test(scores, members)
    assert not group_test(scores, members).exhaustive
    with pytest.raises(ValueError, match="both sides"):
        group_test(scores, np.ones(30, dtype=bool))
