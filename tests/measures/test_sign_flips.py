"""Sign-flip and exchange tests against all signs counted by hand, and against scipy's permutation test."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from medvlm_tui.measures import exchange, sign_flips


def counted(steps):
    """Share of all signs whose sum is at least as far from 0, one by one."""
    sums = [abs(sum(sign * step for sign, step in zip(signs, steps, strict=True)))
            for signs in product((1, -1), repeat=len(steps))]  # fmt: skip
    return np.mean(np.array(sums) >= abs(sum(steps)))


@pytest.mark.parametrize("seed", range(5))
def test_the_convolution_counts_every_sign(seed):
    steps = np.random.default_rng(seed).integers(-5, 6, 12)
    assert sign_flips.exact_p_value(steps) == pytest.approx(counted(steps.tolist()), rel=1e-12)


@pytest.mark.parametrize(("up", "down"), [(1, 0), (8, 2), (40, 25), (1500, 1300)])
def test_equal_steps_are_the_sign_test(up, down):
    steps = np.repeat([3, -3, 0], [up, down, 50])
    assert sign_flips.exact_p_value(steps) == pytest.approx(binomtest(up, up + down).pvalue, rel=1e-9)


def test_no_difference_and_the_smallest_p_value():
    assert sign_flips.exact_p_value(np.zeros(9, dtype=np.int64)) == 1.0
    assert sign_flips.exact_p_value(np.array([2, -2, 1, -1])) == 1.0
    assert sign_flips.exact_p_value(np.full(6, 5)) == pytest.approx(sign_flips.smallest_p_value(6))
    assert sign_flips.smallest_p_value(6) == 2 / 64
    assert sign_flips.smallest_p_value(1) == 1.0


def test_drawn_signs_repeat_and_are_even():
    drawn = np.concatenate(list(sign_flips.drawn_signs(7, 2500, 3)))
    assert drawn.shape == (2500, 7)
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    assert np.abs(drawn.mean(axis=0)).max() < 0.08
    assert (drawn == np.concatenate(list(sign_flips.drawn_signs(7, 2500, 3)))).all()
    assert sign_flips.draws_needed(3, 0.05) == 9_999
    # 210 pairs: 210 / (draws + 1) lies below 0.05.
    assert 210 / (sign_flips.draws_needed(210, 0.05) + 1) == pytest.approx(0.0125, rel=1e-3)


def made(seed, n=9, folds=2, k=3):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % k)
    first = rng.normal(size=(folds, n, k)) + 1.4 * np.eye(k)[codes]
    second = rng.normal(size=(folds, n, k)) + 0.3 * np.eye(k)[codes]
    return codes, first, second


def area(positive, score):
    gaps = score[positive][:, None] - score[~positive]
    return ((gaps > 0) + 0.5 * (gaps == 0)).mean()


def f1(codes, predicted, c):
    """F1 of one class, None where it occurs neither in truth nor in prediction."""
    size = (codes == c).sum() + (predicted == c).sum()
    return 2 * ((codes == c) & (predicted == c)).sum() / size if size else None


def reference(name, codes, ranks, predicted, k):
    """One model's score by its definition; `ranks` (F, n, k), `predicted` (F, n)."""
    if name == "auroc":
        return np.mean([[area(codes == c, fold[:, c]) for c in ([1] if k == 2 else range(k))] for fold in ranks])
    if name == "f1_positive":
        return np.mean([f1(codes, fold, 1) for fold in predicted])
    if name == "macro_f1":
        each = [[f1(codes, fold, c) for c in range(k)] for fold in predicted]
        return np.mean([np.mean([value for value in fold if value is not None]) for fold in each])
    if name == "balanced_accuracy":
        return np.mean([[(fold[codes == c] == c).mean() for c in range(k)] for fold in predicted])
    return np.mean(predicted == codes)


def test_the_references_are_scikit_learn_s():
    codes, first, _ = made(0, n=12)
    fold = first[:1].argmax(axis=2)
    for name, value in (
        ("macro_f1", f1_score(codes, fold[0], average="macro")),
        ("balanced_accuracy", balanced_accuracy_score(codes, fold[0])),
        ("auroc", np.mean([roc_auc_score(codes == c, first[0, :, c]) for c in range(3)])),
    ):
        assert reference(name, codes, first[:1], fold, 3) == pytest.approx(value)


@pytest.mark.parametrize("k", [2, 3])
def test_all_exchanges_are_scipy_s_permutation_test(k):
    codes, first, second = made(k, n=8, k=k)
    one, two = exchange.Outputs.of(first), exchange.Outputs.of(second)
    images = exchange.Images(codes, k, 1 if k == 2 else None, None)
    found = exchange.exchange_p_values(images, one, two, 100, 0)
    assert set(found) == {"accuracy", "balanced_accuracy", "macro_f1", "auroc"} | ({"f1_positive"} if k == 2 else set())

    def difference(x, y, name):
        # scipy exchanges numbers: these are the indices of the outputs in both models' together.
        x, y = x.astype(int), y.astype(int)
        ranks = np.concatenate([one.ranks, two.ranks], axis=1)
        predicted = np.concatenate([one.predicted, two.predicted], axis=1)
        return reference(name, codes, ranks[:, x], predicted[:, x], k) - reference(
            name, codes, ranks[:, y], predicted[:, y], k
        )

    for name, p_value in found.items():
        wanted = permutation_test(
            (np.arange(8.0), np.arange(8.0) + 8), lambda x, y, name=name: difference(x, y, name),
            permutation_type="samples", n_resamples=np.inf,
        )  # fmt: skip
        below, above = (np.mean(side) for side in (
            wanted.null_distribution <= -abs(wanted.statistic) + 1e-12,
            wanted.null_distribution >= abs(wanted.statistic) - 1e-12,
        ))  # fmt: skip
        assert p_value == pytest.approx(below + above if wanted.statistic else 1.0), name


def test_groups_are_exchanged_whole():
    codes, first, second = made(5, n=12, k=2)
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 5, 5]) * 7
    images = exchange.Images(codes, 2, 1, groups)
    assert images.units == 6
    found = exchange.exchange_p_values(images, exchange.Outputs.of(first), exchange.Outputs.of(second), 100, 0)
    steps = (first.argmax(axis=2) == codes).sum(axis=0) - (second.argmax(axis=2) == codes).sum(axis=0)
    sums = [steps[groups == g].sum() for g in np.unique(groups)]
    assert found["accuracy"] == pytest.approx(counted([int(s) for s in sums]))
    ranks = [exchange.Outputs.of(s).ranks for s in (first, second)]
    gaps = []
    for signs in product((False, True), repeat=6):
        swap = np.array(signs)[np.unique(groups, return_inverse=True)[1]][None, :, None]
        a, b = np.where(swap, ranks[1], ranks[0]), np.where(swap, ranks[0], ranks[1])
        gaps.append(reference("auroc", codes, a, None, 2) - reference("auroc", codes, b, None, 2))
    assert found["auroc"] == pytest.approx(np.mean(np.abs(gaps) >= abs(gaps[0]) - 1e-12))


def test_drawn_exchanges_approach_all_of_them(monkeypatch):
    codes, first, second = made(11, n=12, k=3)
    images = exchange.Images(codes, 3, None, None)
    outputs = exchange.Outputs.of(first), exchange.Outputs.of(second)
    exact = exchange.exchange_p_values(images, *outputs, 9_999, 0)
    monkeypatch.setattr(exchange, "EXACT_UNITS", 4)
    drawn = exchange.exchange_p_values(images, *outputs, 9_999, 0)
    assert drawn == exchange.exchange_p_values(images, *outputs, 9_999, 0)
    for name, p_value in exact.items():
        assert drawn[name] == pytest.approx(p_value, abs=0.02), name
    # What was drawn never says 0: the observed order is one of those possible.
    better = np.eye(3)[codes][None] + 0.01 * np.random.default_rng(0).random((1, 12, 3))
    worse = -better
    least = exchange.exchange_p_values(images, exchange.Outputs.of(better), exchange.Outputs.of(worse), 199, 0)
    assert 1 / 200 <= least["macro_f1"] < 0.05


def test_a_model_against_itself_is_not_told_apart():
    codes, first, _ = made(1, n=30)
    outputs = exchange.Outputs.of(first)
    found = exchange.exchange_p_values(exchange.Images(codes, 3, None, None), outputs, outputs, 9_999, 0)
    assert set(found.values()) == {1.0}
