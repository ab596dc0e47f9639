"""The steps that compare models: what they store is what the tests say when called directly, on the same images."""

import json
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas
import pytest
import scikit_posthocs
from autorank import autorank
from autorank._util import get_sorted_rank_groups
from scipy.stats import friedmanchisquare, t
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.published import load_published
from medvlm_tui.core.events import ResultReady
from medvlm_tui.engine.comparison.ranking_step import ranking_record
from medvlm_tui.engine.run.gathered_steps import tables_of, without
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.paired_tests import holm, mcnemar
from medvlm_tui.measures.permutation import group_test
from medvlm_tui.measures.ranks import rank_models, rank_pairs
from medvlm_tui.stages.comparison import PAIRS, RANKING
from tests.made.plans import gathering_jobs
from tests.made.probes import done, probes

MODELS = tuple(load_models()[name] for name in ("biomedclip", "conch", "clip_b16", "vgg16"))


def _comparisons(jobs, store):
    return [job for stage in (PAIRS, RANKING) for job in gathering_jobs(stage, jobs, store)]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Four models of falling quality on two data sets, compared."""
    context, jobs = probes(tmp_path_factory.mktemp("probes"), MODELS, ("one", "two"), lambda m: (5.0, 4.5, 2.0, 0.2)[m])
    found = {job.step.id: (job, *done(job, context)) for job in _comparisons(jobs, context.store)}
    yield context, jobs, found
    context.store.close()


def test_the_plan_has_a_step_a_dataset_and_one_over_all(compared):
    _, jobs, found = compared
    assert list(found) == ["pairs:*:one:paper", "pairs:*:two:paper", "ranking:*:*:paper"]
    job, _, events = found["pairs:*:one:paper"]
    assert job.step.needs == tuple(j.step.id for j in jobs if j.step.dataset == "one")
    assert tables_of(job.step) == ("table-0-0", "table-1-0", "table-2-0", "table-3-0")
    assert isinstance(events[-1], ResultReady)
    assert (events[-1].kind, events[-1].dataset, events[-1].summary["pairs"]) == ("pairs", "one", 6)


def test_mcnemar_of_the_final_classifiers_is_statsmodels(compared):
    context, _, found = compared
    _, record, _ = found["pairs:*:one:paper"]
    arrays = [context.store.result(f"probe-{m}-0-paper").arrays for m in range(4)]
    truth = arrays[0]["labels"][arrays[0]["hold_out"]]
    right = [a["final_predicted"] == truth for a in arrays]
    assert [(p["a"], p["b"]) for p in record["pairs"]] == list(combinations([m.id for m in MODELS], 2))
    for pair, (a, b) in zip(record["pairs"], combinations(right, 2), strict=True):
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        assert pair["mcnemar"]["exact"] == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
        assert (pair["mcnemar"]["only_first"], pair["mcnemar"]["only_second"]) == (table[0][1], table[1][0])
        assert pair["mcnemar"]["mid_p"] <= pair["mcnemar"]["exact"]
    adjusted = multipletests([pair["mcnemar"]["mid_p"] for pair in record["pairs"]], method="holm")[1]
    assert [pair["mcnemar"]["holm"] for pair in record["pairs"]] == pytest.approx(list(adjusted))
    best_worst = record["pairs"][2]
    assert best_worst["mcnemar"]["holm"] < record["alpha"] < record["pairs"][0]["mcnemar"]["holm"]


def test_the_difference_is_that_of_the_printed_scores(compared):
    context, _, found = compared
    for dataset, d in (("one", 0), ("two", 1)):
        _, record, _ = found[f"pairs:*:{dataset}:paper"]
        metrics = [context.store.result(f"probe-{m}-{d}-paper").record["metrics"] for m in range(4)]
        for pair, (a, b) in zip(record["pairs"], combinations(metrics, 2), strict=True):
            for name, found_ in pair["differences"].items():
                assert found_["value"] == pytest.approx(a[name]["mean"] - b[name]["mean"], abs=1e-12)
                assert found_["low"] < found_["value"] < found_["high"]
                # The interval and the test read the same images: they disagree at most near the border.
                if found_["p_value"] < 0.005 and name != "auroc":
                    assert found_["low"] > 0 or found_["high"] < 0


def test_accuracy_is_decided_by_the_signs_of_the_printed_difference(compared):
    context, _, found = compared
    _, record, _ = found["pairs:*:one:paper"]
    arrays = [context.store.result(f"probe-{m}-0-paper").arrays for m in range(4)]
    truth = arrays[0]["labels"][arrays[0]["hold_out"]]
    right = [(a["predicted_test"] == truth).sum(axis=0) for a in arrays]
    p_values = []
    for pair, (a, b) in zip(record["pairs"], combinations(right, 2), strict=True):
        steps = (a - b).astype(int)
        steps = steps[steps != 0]
        # The distribution of the signed sum, step by step.
        chances = {0: 1.0}
        for step in steps.tolist():
            moved: dict[int, float] = {}
            for total, chance in chances.items():
                for sign in (1, -1):
                    moved[total + sign * step] = moved.get(total + sign * step, 0) + chance / 2
            chances = moved
        p_values.append(sum(chance for total, chance in chances.items() if abs(total) >= abs(steps.sum())))
        accuracy = pair["differences"]["accuracy"]
        assert accuracy["p_value"] == pytest.approx(p_values[-1])
        assert accuracy["method"] == "exact"
        assert pair["differences"]["macro_f1"]["method"] == "drawn"
        assert 0 < accuracy["smallest_seen"] < 1
    adjusted = multipletests(p_values, method="holm")[1]
    assert [pair["differences"]["accuracy"]["holm"] for pair in record["pairs"]] == pytest.approx(list(adjusted))
    assert (record["too_few"], record["groups_drawn"], record["draws"]) == (False, None, 9_999)


def test_under_grouped_whole_groups_are_exchanged(tmp_path):
    # 150 rows in 30 groups of five; the images of one group are no independent evidence.
    names = [f"patient {row // 5}" for row in range(150)]
    context, jobs = probes(
        tmp_path, MODELS[:2], ("one",), lambda m: (2.0, 1.2)[m], groups=names, protocol="grouped", counts=(50, 50, 50)
    )
    [job] = _comparisons(jobs, context.store)
    record, _ = done(job, context)
    probes_ = [context.store.result(f"probe-{m}-0-grouped").arrays for m in range(2)]
    held = probes_[0]["hold_out"]
    truth, group = probes_[0]["labels"][held], probes_[0]["group"][held]
    steps = [(a["predicted_test"] == truth).sum(axis=0) for a in probes_]
    sums = [int((steps[0] - steps[1])[group == g].sum()) for g in np.unique(group)]
    assert record["groups_drawn"] == len(sums) < record["n"]
    signs = np.array(list(product((1, -1), repeat=len(sums))))
    wanted = np.mean(np.abs(signs @ np.array(sums)) >= abs(sum(sums)))
    assert record["pairs"][0]["differences"]["accuracy"]["p_value"] == pytest.approx(wanted)
    # Six groups or so cannot give a small p-value to a pair of several; two models need five at least.
    assert record["too_few"] == (2.0 ** (1 - len(sums)) >= 0.05)
    context.store.close()


def test_too_few_images_are_said_to_be(tmp_path):
    context, jobs = probes(tmp_path, MODELS[:3], ("one",), lambda m: (5.0, 4.0, 0.2)[m], counts=(10, 10, 10))
    record, _ = done(next(iter(_comparisons(jobs, context.store))), context)
    # Six held-out images: no p-value below 2 / 64, three pairs.
    assert (record["n"], record["too_few"]) == (6, True)
    assert all(d["smallest_seen"] is None for pair in record["pairs"] for d in pair["differences"].values())
    assert all(d["holm"] >= 0.05 for pair in record["pairs"] for d in pair["differences"].values())
    context.store.close()


def test_the_ranking_holds_every_model_with_every_score(compared):
    _, _, found = compared
    _, record, _ = found["ranking:*:*:paper"]
    json.dumps(record, allow_nan=False)
    ranks = record["rankings"]["accuracy"]["ranks"]
    assert ranks["models"] == [m.id for m in MODELS]
    assert ranks["datasets"] == 2
    assert ranks["mean_ranks"][0] < ranks["mean_ranks"][3] == 4.0
    assert {group["trait"] for group in record["groups"]} == {
        "medical", "language_model_text_encoder", "pmc_15m", "modality_seen",
    } - {"language_model_text_encoder"}  # fmt: skip
    medical = next(g for g in record["groups"] if (g["trait"], g["metric"]) == ("medical", "accuracy"))
    assert (medical["inside"], medical["outside"], medical["permutations"], medical["datasets"]) == (2, 2, 6, 2)
    assert medical["p_value"] == pytest.approx(2 / 6)
    assert medical["holm"] >= medical["p_value"]


def test_a_failed_cell_leaves_the_others_and_another_key(compared):
    context, _, found = compared
    job, whole, _ = found["pairs:*:one:paper"]
    less = without(job.step, {job.step.needs[1], "extract:x:y"})
    assert less.key != job.step.key
    assert [cell["model"] for cell in less.params["cells"]] == ["biomedclip", "clip_b16", "vgg16"]
    record, _ = done(replace(job, step=less), context)
    assert len(record["pairs"]) == 3
    assert record["pairs"][0]["mcnemar"]["mid_p"] == whole["pairs"][1]["mcnemar"]["mid_p"]
    assert without(job.step, {"another"}) is job.step
    assert without(job.step, set(job.step.needs[1:])) is job.step


def test_a_lost_probe_is_named(compared):
    context, _, found = compared
    job = found["pairs:*:one:paper"][0]
    cells = [{**job.step.params["cells"][0], "probe": "gone"}, job.step.params["cells"][1]]
    with pytest.raises(MedvlmError, match="the probe of biomedclip on one"):
        done(replace(job, step=replace(job.step, params={**job.step.params, "cells": cells})), context)


def test_images_that_one_model_lacks_are_left_out_for_all(tmp_path):
    context, jobs = probes(tmp_path, MODELS[:2], ("one",), lambda m: 4.0)
    probe = context.store.result("probe-1-0-paper")
    arrays = {**probe.arrays, "hold_out": probe.arrays["hold_out"][3:]}
    arrays |= {
        "predicted_test": probe.arrays["predicted_test"][:, 3:],
        "final_predicted": probe.arrays["final_predicted"][3:],
    }
    context.store.put_result("short", arrays, probe.record)
    short = replace(jobs[1], step=replace(jobs[1].step, key="short"))
    [job] = _comparisons([jobs[0], short], context.store)
    record, _ = done(job, context)
    assert (record["n"], record["left_out"]) == (len(probe.arrays["hold_out"]) - 3, 3)
    context.store.close()


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 1), (3, 3), (2, 9), (40, 61), (300, 380)])
def test_mid_p_is_the_exact_one_less_what_was_seen(only_first, only_second):
    first = np.repeat([True, False, True], [only_first, only_second, 20])
    second = np.repeat([False, True, True], [only_first, only_second, 20])
    found = mcnemar(first, second)
    table = [[20, only_first], [only_second, 0]]
    assert found.exact == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
    assert 0 < found.mid_p < found.exact <= 1
    if only_first + only_second > 100:
        # Many discordant images: the chi2 without continuity correction says the same.
        chi2 = statsmodels_mcnemar(table, exact=False, correction=False).pvalue
        assert found.mid_p == pytest.approx(chi2, rel=0.02)


def made_scores(seed: int, n: int = 9, k: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    # Rounded: ties within a data set, whose ranks are shared.
    return np.round(rng.normal(0.8, 0.03, size=(n, k)) + np.linspace(0.12, 0, k), 2)


@pytest.mark.parametrize("seed", range(3))
def test_nemenyi_is_that_of_scikit_posthocs_and_holm_that_of_statsmodels(seed):
    scores = made_scores(seed)
    names = list("abcdef")
    ranking = rank_models(scores, names)
    found = {(p.first, p.second): p for p in rank_pairs(ranking)}
    wanted = scikit_posthocs.posthoc_nemenyi_friedman(pandas.DataFrame(scores, columns=names))
    assert len(found) == 15
    for (a, b), pair in found.items():
        assert pair.nemenyi == pytest.approx(wanted.loc[a, b], abs=1e-6)
        assert (pair.nemenyi < 0.05) == ((a, b) in ranking.separable)
    raw = [0.01, 0.2, 0.03, 0.03, 0.5]
    assert holm(raw) == pytest.approx(list(multipletests(raw, method="holm")[1]))


@pytest.mark.parametrize("source", ["made", "printed"])
def test_autorank_names_the_same_groups(source):
    scores, names = made_scores(5, n=12), list("abcdef")
    if source == "printed":
        rows = [r for r in load_published() if r.source.startswith("arXiv") and r.metric == "accuracy"]
        names = list(dict.fromkeys(r.printed_model for r in rows))
        datasets = list(dict.fromkeys(r.dataset for r in rows))
        by_cell = {(r.dataset, r.printed_model): r.mean for r in rows}
        scores = np.array([[by_cell[d, m] for m in names] for d in datasets])
    ranking = rank_models(scores, names)
    found = autorank(pandas.DataFrame(scores, columns=names), alpha=0.05, verbose=False, force_mode="nonparametric")
    assert found.cd == pytest.approx(ranking.critical_difference, abs=0.01)
    assert found.pvalue == pytest.approx(friedmanchisquare(*scores.T).pvalue)
    assert ranking.chi2 == pytest.approx(friedmanchisquare(*scores.T).statistic)
    _, ordered, groups = get_sorted_rank_groups(found, False)
    theirs = {frozenset(ordered[low : high + 1]) for low, high in groups}
    assert theirs == {frozenset(clique) for clique in ranking.cliques}


def test_too_few_models_for_a_ranking_is_a_reason():
    record = ranking_record(np.array([[0.1, 0.2, np.nan], [0.3, 0.4, 0.5]]), "abc", ("x", "y"), 0.05)
    assert (record.models, record.left_out, record.ranks) == (("a", "b"), ("c",), None)
    assert "cannot be ranked" in record.reason


def test_membership_may_depend_on_the_dataset():
    scores = np.array([[0.9, 0.5, 0.5, np.nan], [0.5, 0.9, 0.5, 0.5]])
    members = np.array([[1, 0, 0, np.nan], [0, 1, 0, np.nan]], dtype=float)
    found = group_test(scores, members)
    # On either data set the one model that saw its modality is 0.4 better; the fourth takes no part.
    assert found.difference == pytest.approx(0.4)
    assert (found.inside, found.outside, found.datasets, found.permutations) == (2, 3, 2, 6)
    assert found.p_value == pytest.approx(1 / 6)


def test_nearest_neighbours_are_compared_as_the_linear_protocols_are(tmp_path):
    context, jobs = probes(tmp_path, MODELS[:2], ("one",), lambda m: (4.5, 0.2)[m], protocol="knn")
    [job] = _comparisons(jobs, context.store)
    record, _ = done(job, context)
    assert job.step.id == "pairs:*:one:knn"
    assert record["pairs"][0]["mcnemar"]["holm"] < record["alpha"]
    assert record["pairs"][0]["differences"]["accuracy"]["holm"] < record["alpha"]
    context.store.close()


def test_few_shots_are_compared_by_draws_of_images_and_of_training_sets(tmp_path):
    context, jobs = probes(tmp_path, MODELS[:2], ("one", "two"), lambda m: (4.5, 0.2)[m], protocol="few_shot")
    found = {job.step.id: done(job, context)[0] for job in _comparisons(jobs, context.store)}
    assert list(found) == ["pairs:*:one:few_shot", "pairs:*:two:few_shot", "ranking:*:*:few_shot"]
    [pair] = found["pairs:*:one:few_shot"]["pairs"]
    assert pair["mcnemar"] is None
    means = [context.store.result(f"probe-{m}-0-few_shot").record["metrics"]["accuracy"]["mean"] for m in (0, 1)]
    accuracy = pair["differences"]["accuracy"]
    assert accuracy["value"] == pytest.approx(means[0] - means[1])
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert accuracy["holm"] < found["pairs:*:one:few_shot"]["alpha"]
    context.store.close()


def test_draws_of_training_images_count_in_a_difference(tmp_path, monkeypatch):
    context, jobs = probes(tmp_path, MODELS[:2], ("one",), lambda m: (1.5, 1.0)[m], protocol="few_shot")
    [job] = _comparisons(jobs, context.store)
    record, _ = done(job, context)
    accuracy = record["pairs"][0]["differences"]["accuracy"]
    folds = [context.store.result(f"probe-{m}-0-few_shot").record["metrics"]["accuracy"]["folds"] for m in (0, 1)]
    spread = np.var(np.subtract(*folds), ddof=1) / 10
    monkeypatch.setattr("medvlm_tui.engine.comparison.two_models._draws", lambda *_: None)
    alone = done(replace(job, step=replace(job.step, key="alone")), context)[0]["pairs"][0]["differences"]["accuracy"]
    assert alone["p_value"] <= accuracy["p_value"]
    half, without_draws = ((one["high"] - one["low"]) / 2 for one in (accuracy, alone))
    error = t.ppf(0.975, record["n"] - 1)
    assert half == pytest.approx(error * np.sqrt((without_draws / error) ** 2 + spread))
    context.store.close()
