"""Influences against numerical derivatives of scikit-learn's weighted scores, and DeLong's variance."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

from medvlm_tui.measures import influence
from medvlm_tui.measures.influence import influences, unit_count, variance


def made(seed, n=60, folds=3, k=3):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, n)
    # Rounded: decision values with ties.
    return codes, np.round(rng.normal(size=(folds, n, k)) + np.eye(k)[codes], 1)


def weighted(name, codes, scores, weights):
    k = scores.shape[2]
    predicted = scores.argmax(axis=2)
    if name == "auroc":
        classes = [1] if k == 2 else range(k)
        return np.mean([[roc_auc_score(codes == c, fold[:, c], sample_weight=weights) for c in classes]
                        for fold in scores])  # fmt: skip
    metric = {
        "accuracy": accuracy_score,
        "balanced_accuracy": balanced_accuracy_score,
        "macro_f1": lambda t, p, sample_weight: f1_score(t, p, average="macro", sample_weight=sample_weight),
        "f1_positive": lambda t, p, sample_weight: f1_score(t, p, pos_label=1, sample_weight=sample_weight),
    }[name]
    return np.mean([metric(codes, fold, sample_weight=weights) for fold in predicted])


@pytest.mark.parametrize("k", [2, 3])
def test_each_image_moves_the_score_as_its_weight_does(k):
    codes, scores = made(k, k=k)
    found = influences(codes, scores, 1 if k == 2 else None)
    assert ("f1_positive" in found) == (k == 2)
    for name, one in found.items():
        ones = np.ones(len(codes))
        assert one.value == pytest.approx(weighted(name, codes, scores, ones), abs=1e-12), name
        assert one.per_image.sum() == pytest.approx(0, abs=1e-12)
        step = 1e-5
        for image in range(0, len(codes), 7):
            heavier = ones + step * (np.arange(len(codes)) == image)
            lighter = ones - step * (np.arange(len(codes)) == image)
            up, down = (weighted(name, codes, scores, w) for w in (heavier, lighter))
            assert one.per_image[image] == pytest.approx((up - down) / (2 * step), abs=1e-7), (name, image)


def test_the_variance_is_the_bootstrap_s():
    codes, scores = made(7, n=400, folds=1)
    found = influences(codes, scores, None)
    rows = (np.arange(400),)
    for name in ("accuracy", "macro_f1"):

        def score(drawn, name=name):
            return weighted(name, codes[drawn], scores[:, drawn], np.ones(len(drawn)))

        error = bootstrap(
            rows, score, n_resamples=300, vectorized=False, method="percentile", rng=np.random.default_rng(0)
        ).standard_error
        assert np.sqrt(variance(found[name].per_image, None, None)) == pytest.approx(error, rel=0.15), name


def test_the_area_s_variance_is_delong_s():
    codes, scores = made(3, n=80, folds=1, k=2)
    one = influences(codes, scores, 1)["auroc"]
    value = scores[0, :, 1]
    order = (value[codes == 1][:, None] > value[codes == 0]) + 0.5 * (value[codes == 1][:, None] == value[codes == 0])
    wanted = np.var(order.mean(axis=1), ddof=1) / (codes == 1).sum()
    wanted += np.var(order.mean(axis=0), ddof=1) / (codes == 0).sum()
    assert variance(one.per_image, codes, None) == pytest.approx(wanted)


def test_groups_and_strata():
    values = np.array([3.0, -1.0, 2.0, -4.0, 1.0, -1.0])
    groups = np.array([5, 5, 2, 2, 9, 9])
    # Group sums 2, -2, 0: (4 + 4 + 0) 3 / 2.
    assert variance(values, np.zeros(6, dtype=np.int64), groups) == pytest.approx(12.0)
    assert variance(values, None, None) == pytest.approx(np.var(values, ddof=1) * 6)
    strata = np.array([0, 0, 0, 1, 1, 2])
    # The last class has one image: it counts as it is.
    wanted = 3 * np.var(values[:3], ddof=1) + 2 * np.var(values[3:5], ddof=1) + 1.0
    assert variance(values, strata, None) == pytest.approx(wanted)
    assert (unit_count(6, groups), unit_count(6, None)) == (3, 6)
    assert influence.group_effect(np.array([1, 1, 1, 2])) == pytest.approx((9 + 1) / 4)


def test_one_class_has_no_area():
    scores = np.random.default_rng(0).normal(size=(2, 6, 2))
    assert "auroc" not in influences(np.ones(6, dtype=np.int64), scores, 1)
