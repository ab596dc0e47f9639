"""Bootstrap intervals: deterministic, ordered, around the score, and of a width that theory predicts."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

from medvlm_tui.core.request import ProbeParams, StatisticsParams
from medvlm_tui.engine.comparison import intervals_step
from tests.made.jobs import Bench, blobs, table_of


@pytest.fixture
def bench(tmp_path):
    matrix, codes = blobs((150, 100), 6, 1.5)
    return Bench(tmp_path, table_of(matrix, codes, names=("a", "b")))


def test_intervals_contain_the_score_and_repeat(bench):
    probe, _, _ = bench.run("probe", ProbeParams())
    record, _, _ = bench.run("statistics", StatisticsParams(resamples=500))
    again, _, _ = bench.run("statistics", StatisticsParams(resamples=500))
    assert record["intervals"] == again["intervals"]
    assert set(record["intervals"]) == {"accuracy", "balanced_accuracy", "macro_f1", "f1_positive", "auroc"}
    for name, (low, high) in record["intervals"].items():
        assert 0 <= low < probe["metrics"][name]["mean"] < high <= 1
    assert (record["resamples"], record["confidence"], record["seed"]) == (500, 0.95, 0)
    wider, _, _ = bench.run("statistics", StatisticsParams(resamples=500, confidence=0.99))
    assert wider["intervals"]["accuracy"][0] < record["intervals"]["accuracy"][0]
    other, _, _ = bench.run("statistics", StatisticsParams(resamples=500, seed=1))
    assert other["intervals"] != record["intervals"]


def test_one_resample_equals_sklearn_on_the_repeated_rows():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 60)
    scores = np.round(rng.normal(size=(2, 60, 3)) + np.eye(3)[codes], 1)  # with ties
    weights = intervals_step.resample_weights(codes, 4, rng)
    for c in range(3):
        assert (weights[:, codes == c].sum(axis=1) == (codes == c).sum()).all()
    found = intervals_step.resampled_metrics(codes, weights, scores, None)
    for r, counts in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(60), counts)
        predicted = [fold[rows].argmax(axis=1) for fold in scores]
        for name, metric in (
            ("accuracy", accuracy_score),
            ("balanced_accuracy", balanced_accuracy_score),
            ("macro_f1", lambda t, p: f1_score(t, p, average="macro")),
        ):
            assert found[name][r] == pytest.approx(np.mean([metric(codes[rows], p) for p in predicted]))
        area = [np.mean([roc_auc_score(codes[rows] == c, f[rows, c]) for c in range(3)]) for f in scores]
        assert found["auroc"][r] == pytest.approx(np.mean(area))


def test_width_is_that_of_the_binomial():
    n = 2000
    codes = np.zeros(n, dtype=np.int64)
    right = np.random.default_rng(1).random(n) < 0.8
    scores = np.stack([right, ~right], axis=1)[None].astype(float)
    weights = intervals_step.resample_weights(codes, 2000, np.random.default_rng(0))
    low, high = intervals_step.interval(
        intervals_step.resampled_metrics(codes, weights, scores, None)["accuracy"], 0.95
    )
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / n), rel=0.1)


def test_one_class_in_the_hold_out_has_no_auroc():
    scores = np.random.default_rng(0).normal(size=(1, 5, 2))
    weights = intervals_step.resample_weights(np.ones(5, dtype=np.int64), 3, np.random.default_rng(0))
    assert "auroc" not in intervals_step.resampled_metrics(np.ones(5, dtype=np.int64), weights, scores, 1)
