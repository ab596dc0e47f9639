"""Paper minus grouped: the same images under both trainings, against scipy and a plain computation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from medvlm_tui.report.results.cells import Metric
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.group_gap import gap_rows, right, same_images
from tests.made.report_store import filled


def test_the_interval_is_students_over_the_groups_means():
    rng = np.random.default_rng(0)
    paper, grouped = rng.integers(0, 2, (2, 60)).astype(float)
    groups = np.repeat(np.arange(12), 5)
    found = same_images(paper, grouped, groups)
    own = ttest_1samp((paper - grouped).reshape(12, 5).mean(axis=1), 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((own.low, own.high))
    assert (found.n, found.groups) == (60, 12)
    assert found.paper - found.grouped == pytest.approx((paper - grouped).mean())


def test_few_groups_and_equal_scores_have_no_interval():
    scores = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    assert same_images(scores, 1 - scores, np.array([0, 0, 1, 1, 2, 3])).low is None
    assert same_images(scores, scores, np.arange(6)).high is None


def test_an_image_is_scored_by_classifiers_that_did_not_see_it():
    arrays = {
        "labels": np.array([0, 1, 1, 0]),
        "hold_out": np.array([1, 3]),
        "predicted_validation": np.array([0, -1, 0, -1]),
        "predicted_test": np.array([[1, 1], [0, 1], [1, 0], [1, 1]]),
    }
    assert right(arrays).tolist() == [1.0, 0.75, 0.0, 0.25]


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
