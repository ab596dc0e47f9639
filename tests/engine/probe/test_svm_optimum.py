"""The solver reaches the optimum on awkward problems: a duality gap that the test computes itself, and scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from medvlm_tui.engine.probe.solver import svm
from tests.made.svm_problems import GRID, PROBLEMS, REAL, beyond_the_margin, check_optimum, solved

# liblinear takes half a minute over each of these.
LONG = ("29 classes, d above N", "digits", "all digits")
ALL = [pytest.param(name, marks=[pytest.mark.slow] * (name in REAL or name in LONG)) for name in (*PROBLEMS, *REAL)]
assert len(ALL) == 40


def fitted(x, codes, **options):
    """scikit-learn's coefficients (k, d), intercepts (k,) and the fitted classifier."""
    theirs = LinearSVC(random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x, codes)
    both = (-1, 1) if len(theirs.classes_) == 2 else (1,)
    coef, intercept = (np.concatenate([sign * part for sign in both]) for part in (theirs.coef_, theirs.intercept_))
    return coef, intercept, theirs


@pytest.mark.parametrize("name", ALL)
def test_duality_gap(name):
    x, codes, costs, path = solved(name)
    check_optimum(x, codes, costs, path)


def test_a_start_from_elsewhere_changes_nothing():
    x, codes, costs, path = solved("overlapping")
    rng = np.random.default_rng(0)
    start = (rng.normal(size=path.coef[0].shape), rng.normal(size=path.intercept[0].shape))
    again = svm.solve_path(x, codes, 3, costs, start=start)
    np.testing.assert_allclose(again.coef, path.coef, atol=1e-5)


@pytest.mark.parametrize("name", ["separable", "separable, d below N"])
def test_a_start_that_leaves_no_row_any_slack(name):
    x, codes, costs, path = solved(name)
    start = beyond_the_margin(path)
    signs = np.where(codes[:, None] == np.arange(len(start[0])), 1.0, -1.0)
    assert (signs * svm.decision_values(x, *start) > 1.0).all()
    again = svm.solve_path(x, codes, int(codes.max()) + 1, costs, start=start)
    check_optimum(x, codes, costs, again)


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


@pytest.mark.parametrize("t", [1e-3, 1.0])
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in (*PROBLEMS, *REAL)])
def test_never_above_sklearn_as_it_is_used_or_pressed(name, t):
    x, codes, costs, path = solved(name)
    i = GRID.index(t)
    pressed = {"tol": 1e-8, "max_iter": 100_000} if len(x) <= 200 else {}
    coef, intercept, _ = fitted(x, codes, C=costs[i], **pressed)
    reached, _ = svm.certificate(x, codes, coef, intercept, costs[i])
    assert (path.objective[i] <= reached * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", ALL)
def test_never_above_and_the_same_predictions_as_a_converged_liblinear(name):
    x, codes, costs, path = solved(name)
    compared = 0
    for i, cost in enumerate(costs):
        coef, intercept, theirs = fitted(x, codes, C=cost, dual=False, tol=1e-12, max_iter=2000)
        reached, norm = svm.certificate(x, codes, coef, intercept, cost)
        assert (path.objective[i] <= reached * (1 + 1e-6)).all()
        if (0.5 * norm**2 <= 1e-10 * reached).all():
            values = svm.decision_values(x, path.coef[i], path.intercept[i])
            ordered = np.sort(values, axis=1)
            clear = ordered[:, -1] - ordered[:, -2] > 1e-6
            np.testing.assert_array_equal(values.argmax(axis=1)[clear], theirs.predict(x)[clear])
            compared += 1
    assert compared
