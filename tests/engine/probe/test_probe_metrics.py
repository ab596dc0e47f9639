"""Metrics and calibration against scikit-learn and against figures worked out by hand."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import _sigmoid_calibration

from medvlm_tui.engine.probe.classifier import Scaler
from medvlm_tui.measures import classification
from medvlm_tui.measures.calibration import Platt, expected_calibration_error


def draws(n, k, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n), rng.integers(0, k, n), rng.normal(size=(n, k))


@pytest.mark.parametrize(("n", "k", "seed"), [(50, 3, 0), (12, 5, 1), (7, 6, 2), (30, 2, 3)])
def test_confusion_metrics_equal_sklearn_also_with_classes_that_do_not_occur(n, k, seed):
    truth, predicted, _ = draws(n, k, seed)
    matrix = classification.confusion(truth, predicted, k)
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(truth, predicted, labels=range(k)))
    assert float(classification.accuracy(matrix)) == pytest.approx(reference.accuracy_score(truth, predicted))
    recall = reference.recall_score(truth, predicted, labels=np.unique(truth), average="macro")
    assert float(classification.balanced_accuracy(matrix)) == pytest.approx(recall)
    f1 = reference.f1_score(truth, predicted, average="macro", zero_division=0)
    assert float(classification.macro_f1(matrix)) == pytest.approx(f1)


def test_metrics_of_many_matrices_at_once():
    stack = np.stack([classification.confusion(*draws(40, 4, seed)[:2], 4) for seed in range(6)]).reshape(2, 3, 4, 4)
    for metric in classification.from_confusion(1).values():
        np.testing.assert_allclose(metric(stack), [[metric(m) for m in row] for row in stack])


def test_auroc_equals_sklearn_with_ties():
    truth, _, scores = draws(80, 3, 4)
    scores = np.round(scores, 1)
    each = [reference.roc_auc_score(truth == c, scores[:, c]) for c in range(3)]
    assert classification.auroc(truth, scores) == pytest.approx(np.mean(each))
    assert classification.auroc(np.zeros(5, dtype=int), scores[:5]) is None


def test_platt_sigmoid_equals_sklearn():
    rng = np.random.default_rng(0)
    score = 30 * rng.normal(size=200)
    truth = (score + 20 * rng.normal(size=200) > 5).astype(int)
    fitted = Platt.fit(np.stack([-score, score], axis=1), truth)
    slope, offset = _sigmoid_calibration(score, truth)
    np.testing.assert_allclose([fitted.slope[1], fitted.offset[1]], [-slope, -offset], rtol=1e-3, atol=1e-4)
    probabilities = fitted.probabilities(np.stack([-score, score], axis=1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(slope * score + offset)), atol=1e-4)


@pytest.mark.parametrize("score", [np.zeros(10), np.repeat([-1e6, 1e6], 5), 1e-30 * np.arange(10)])
def test_platt_on_degenerate_scores_stays_finite(score):
    fitted = Platt.fit(np.stack([-score, score], axis=1), np.repeat([0, 1], 5))
    assert np.isfinite(fitted.probabilities(np.stack([-score, score], axis=1))).all()


def test_calibration_error_by_hand():
    # Two bins are used: (0.6, wrong and right) and (1.0, right).
    confidence, correct = np.array([0.61, 0.61, 1.0, 1.0]), np.array([True, False, True, True])
    assert expected_calibration_error(confidence, correct) == pytest.approx(abs(0.5 - 0.61) / 2)


def test_scaler_equals_sklearn_and_leaves_constant_columns():
    from sklearn.preprocessing import StandardScaler

    x = np.random.default_rng(0).normal(size=(30, 4)) * [1, 1e-3, 1e3, 0] + [0, 5, -7, 0.1]
    ours, theirs = Scaler.fit(x), StandardScaler().fit(x)
    np.testing.assert_allclose(ours.mean, theirs.mean_)
    np.testing.assert_allclose(ours.scale, theirs.scale_)
    assert ours.scale[3] == 1.0
