"""The solver reaches the optimum on awkward problems: a duality gap that the test computes itself, and scikit-learn."""

import warnings
from functools import cache

import numpy as np
import pytest
from made_jobs import blobs
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from medvlm_tui.engine import svm

GRID = (1e-5, 1e-3, 0.1, 1.0, 100.0, 1e4)


def of_blobs(counts, dim, distance):
    x, codes = blobs(counts, dim, distance)
    return x, codes


def with_column(column):
    x, codes = blobs((30, 25, 20), 10, 1.5)
    x[:, 4] = column(x)
    return x, codes


def duplicated():
    x, codes = blobs((20, 20), 6, 1.0)
    return np.repeat(x, 3, axis=0), np.repeat(codes, 3)


def contradicting():
    """Every image twice, once with each label."""
    x, _ = blobs((40,), 6, 1.0)
    return np.concatenate([x, x]), np.repeat([0, 1], 40)


def digits(k, n, dim=64):
    x, codes = load_digits(return_X_y=True)
    kept = codes < k
    return x[kept][:n, :dim], codes[kept][:n]


PROBLEMS = {
    "separable": lambda: of_blobs((40, 40, 40), 100, 40.0),
    "overlapping": lambda: of_blobs((80, 60, 40), 8, 1.0),
    "pure noise": lambda: of_blobs((50, 50, 50), 12, 0.0),
    "rare class": lambda: of_blobs((100, 60, 3), 10, 1.5),
    "one member": lambda: of_blobs((40, 30, 1), 10, 1.5),
    "two classes, d above N": lambda: of_blobs((20, 25), 200, 3.0),
    "two classes, d below N": lambda: of_blobs((120, 80), 5, 1.0),
    "29 classes": lambda: of_blobs((6,) * 29, 20, 3.0),
    "one dimension": lambda: of_blobs((30, 30), 1, 1.0),
    "N is d + 1": lambda: of_blobs((20, 21), 40, 1.0),
    "constant column": lambda: with_column(lambda _: 7.0),
    "repeated column": lambda: with_column(lambda x: x[:, 0]),
    "nearly repeated column": lambda: with_column(lambda x: x[:, 0] + 1e-6 * x[:, 1]),
    "one huge value": lambda: with_column(lambda x: np.where(np.arange(len(x)) == 3, 1e6, 0.0)),
    "duplicated rows": duplicated,
    "contradicting rows": contradicting,
    "digits": lambda: digits(10, 500),
    "two digits": lambda: digits(2, 300),
    "few digits, many columns": lambda: digits(5, 40),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
}


@cache
def solved(name):
    x, codes = PROBLEMS[name]()
    x, codes = StandardScaler().fit_transform(np.asarray(x, dtype=np.float64)), np.asarray(codes, dtype=np.int64)
    costs = [t * x.shape[1] / len(x) for t in GRID]
    return x, codes, costs, svm.solve_path(x, codes, int(codes.max()) + 1, costs)


def gap(x, y, coef, intercept, cost):
    """Primal minus dual objective at the solution's own dual variables, relative to the primal."""
    z, theta = np.column_stack([x, np.ones(len(x))]), np.append(coef, intercept)
    slack = np.maximum(0.0, 1 - y * (z @ theta))
    primal = 0.5 * theta @ theta + cost * slack @ slack
    alpha = 2 * cost * slack
    pulled = z.T @ (alpha * y)
    dual = alpha.sum() - 0.5 * pulled @ pulled - alpha @ alpha / (4 * cost)
    return (primal - dual) / primal, primal


@pytest.mark.parametrize("name", PROBLEMS)
def test_duality_gap(name):
    x, codes, costs, path = solved(name)
    assert path.converged.all()
    for i, cost in enumerate(costs):
        for c in range(path.coef.shape[1]):
            y = np.where(codes == c, 1.0, -1.0)
            found, primal = gap(x, y, path.coef[i, c], path.intercept[i, c], cost)
            assert -1e-9 < found < 1e-6, (GRID[i], c)
            assert path.objective[i, c] == pytest.approx(primal, rel=1e-9)
            assert 0.5 * path.gradient_norm[i, c] ** 2 / primal == pytest.approx(found, abs=1e-7)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name not in ("digits", "breast cancer")])
def test_never_above_sklearn_and_equal_predictions_where_it_converged(name):
    x, codes, costs, path = solved(name)
    for i in (1, 3, 5):
        theirs = LinearSVC(C=costs[i], tol=1e-8, max_iter=20_000, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs.fit(x, codes)
        two = len(theirs.classes_) == 2
        coef = np.concatenate([-theirs.coef_, theirs.coef_]) if two else theirs.coef_
        intercept = np.concatenate([-theirs.intercept_, theirs.intercept_]) if two else theirs.intercept_
        reached, norm = svm.certificate(x, codes, coef, intercept, costs[i])
        assert (path.objective[i] <= reached * (1 + 1e-6)).all()
        if (0.5 * norm**2 <= 1e-10 * reached).all():
            values = np.sort(svm.decision_values(x, path.coef[i], path.intercept[i]), axis=1)
            clear = values[:, -1] - values[:, -2] > 1e-3
            ours = svm.decision_values(x, path.coef[i], path.intercept[i]).argmax(axis=1)
            np.testing.assert_array_equal(ours[clear], theirs.predict(x)[clear])


def test_a_start_from_elsewhere_changes_nothing():
    x, codes, costs, path = solved("overlapping")
    rng = np.random.default_rng(0)
    start = (rng.normal(size=path.coef[0].shape), rng.normal(size=path.intercept[0].shape))
    again = svm.solve_path(x, codes, 3, costs, start=start)
    np.testing.assert_allclose(again.coef, path.coef, atol=1e-5)


def test_costs_in_any_order():
    x, codes, costs, path = solved("overlapping")
    turned = svm.solve_path(x, codes, 3, costs[::-1])
    np.testing.assert_allclose(turned.coef[::-1], path.coef, atol=1e-5)


def test_check_can_stop_the_solver():
    x, codes, costs, _ = solved("overlapping")

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        svm.solve_path(x, codes, 3, costs, check=stop)
