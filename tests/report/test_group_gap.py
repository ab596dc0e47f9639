"""Paper minus grouped: the same images under both trainings, against scipy and a plain computation."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from medvlm_tui.report.results.cells import Metric
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.group_gap import Outputs, gap_rows, outputs, same_images
from tests.made.report_store import filled


def made(rng, n=60, folds=3, k=3):
    """Decision values of n images, and classes that every class is among."""
    labels = np.arange(n) % k
    return Outputs(rng.normal(size=(folds, n, k)) + np.eye(k)[labels], labels)


def of(found, metric):
    return next(each for each in found if each.metric == metric)


def test_the_interval_of_accuracy_is_students_over_the_groups_means():
    rng = np.random.default_rng(0)
    paper, grouped = made(rng), made(rng)
    found = of(same_images(paper, grouped, np.repeat(np.arange(12), 5)), "accuracy")
    right = [(each.scores.argmax(axis=2) == each.labels).mean(axis=0) for each in (paper, grouped)]
    own = ttest_1samp((right[0] - right[1]).reshape(12, 5).mean(axis=1), 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((own.low, own.high))
    assert (found.n, found.groups) == (60, 12)
    assert found.paper == pytest.approx(right[0].mean())


@pytest.mark.parametrize("metric", ["macro_f1", "auroc", "balanced_accuracy"])
def test_the_interval_of_other_scores_agrees_with_a_bootstrap_of_whole_groups(metric):
    rng = np.random.default_rng(1)
    paper, grouped = made(rng, n=400, folds=2), made(rng, n=400, folds=2)
    groups = np.repeat(np.arange(80), 5)
    found = of(same_images(paper, grouped, groups), metric)

    def score(each, rows):
        codes, values = each.labels[rows], each.scores[:, rows]
        if metric == "auroc":
            return np.mean([[roc_auc_score(codes == c, fold[:, c]) for c in range(3)] for fold in values])
        chosen = {"macro_f1": partial(f1_score, average="macro"), "balanced_accuracy": balanced_accuracy_score}[metric]
        return np.mean([chosen(codes, fold.argmax(axis=1)) for fold in values])

    everything = np.arange(400)
    assert found.paper == pytest.approx(score(paper, everything))
    assert found.grouped == pytest.approx(score(grouped, everything))
    drawn = []
    for _ in range(200):
        rows = np.concatenate([everything[groups == g] for g in rng.integers(0, 80, 80)])
        drawn.append(score(paper, rows) - score(grouped, rows))
    assert (found.high - found.low) / 2 == pytest.approx(1.99 * np.std(drawn), rel=0.2)
    assert (found.high + found.low) / 2 == pytest.approx(found.paper - found.grouped)


def test_few_groups_and_equal_scores_have_no_interval():
    rng = np.random.default_rng(2)
    paper, grouped = made(rng, n=6), made(rng, n=6)
    assert of(same_images(paper, grouped, np.array([0, 0, 1, 1, 2, 3])), "accuracy").low is None
    assert of(same_images(paper, paper, np.arange(6)), "macro_f1").high is None


def test_an_image_is_scored_by_classifiers_that_did_not_see_it():
    arrays = {
        "labels": np.array([0, 1, 1, 0]),
        "hold_out": np.array([1, 3]),
        "scores_validation": np.array([[1.0, -1], [np.nan, np.nan], [2, -2], [np.nan, np.nan]]),
        "scores_test": np.array([[[3.0, -3], [4, -4]], [[5, -5], [6, -6]]]),
    }
    found = outputs(arrays)
    assert found.scores[:, :, 0].tolist() == [[1, 3, 2, 4], [1, 5, 2, 6]]
    assert found.labels.tolist() == [0, 1, 1, 0]


def test_rows_name_their_images_and_leave_calibration_out(tmp_path):
    gathered = Gathered(filled(tmp_path))
    cell, store = gathered.cells[0], gathered.source.store
    scores = [Metric(name, mean, 0.0, (mean,), ()) for name, mean in (("accuracy", 0.75), ("ece", 0.2), ("brier", 0.3))]
    paper, grouped = (replace(cell, protocol=name, metrics=tuple(scores)) for name in ("paper", "grouped"))
    assert gap_rows([paper], store) == []
    assert [row[3:8] for row in gap_rows([paper, grouped], store)] == [("accuracy", "two hold-outs", 0.75, 0.75, 0.0)]

    stored = store.result(cell.probe_key)
    groups = np.arange(len(stored.arrays["labels"])) // 2
    store.put_result("made-grouped", {**stored.arrays, "group": groups}, stored.record)
    rows = gap_rows([paper, replace(grouped, probe_key="made-grouped")], store)
    assert rows[0][3:5] == ("accuracy", "same")
    assert rows[0][10:12] == (len(groups), groups.max() + 1)
