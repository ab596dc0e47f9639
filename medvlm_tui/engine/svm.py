"""The linear SVM of the probe: scikit-learn's `LinearSVC` objective, one-vs-rest, with a certificate of how near it is.

For each class c, with y = +1 for its rows and -1 for the others and the intercept treated as the weight of a
constant feature 1:

    P(w, b) = 1/2 (|w|^2 + b^2) + C sum_i max(0, 1 - y_i (w.x_i + b))^2

P is 1-strongly convex, so that P(w, b) - min P <= 1/2 |gradient|^2: the gradient norm certifies the solution.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SEED = 0


@dataclass(frozen=True, slots=True)
class SvmPath:
    """The solutions for T values of C and k classes in d dimensions."""

    coef: Floats
    """(T, k, d)"""
    intercept: Floats
    """(T, k)"""
    objective: Floats
    """(T, k): P at the solution."""
    gradient_norm: Floats
    """(T, k): |gradient of P| at the solution; the objective is above its minimum by at most half its square."""
    converged: NDArray[np.bool_]
    """(T,): the solver met its own tolerance for every class."""


def solve_path(
    features: Floats, codes: Ints, n_classes: int, costs: Sequence[float], check: Callable[[], None] | None = None
) -> SvmPath:
    """Solve the one-vs-rest problems for every C in `costs`.

    `features` is (n, d) float64, `codes` (n,) are classes 0 .. n_classes - 1, of which at least two must occur
    (ValueError). With two classes one problem is solved, for class 1, and class 0 is its mirror image. A class
    without rows gets no weights and a negative intercept, the solution where features have zero mean. `check` is called
    between fits and may raise.
    """
    if len(np.unique(codes)) < 2:
        raise ValueError("an SVM needs at least two classes")
    shape = (len(costs), n_classes)
    coef, intercept = np.zeros((*shape, features.shape[1])), np.zeros(shape)
    converged = np.zeros(len(costs), dtype=bool)
    for index, cost in enumerate(costs):
        if check is not None:
            check()
        converged[index] = _fit(features, codes, cost, coef[index], intercept[index])
    objective, gradient_norm = np.zeros(shape), np.zeros(shape)
    for index, cost in enumerate(costs):
        objective[index], gradient_norm[index] = certificate(features, codes, coef[index], intercept[index], cost)
    return SvmPath(coef, intercept, objective, gradient_norm, converged)


def decision_values(features: Floats, coef: Floats, intercept: Floats) -> Floats:
    """Return the decision values (n, k) of (n, d) features under (k, d) weights and (k,) intercepts."""
    values: Floats = features @ coef.T + intercept
    return values


def certificate(features: Floats, codes: Ints, coef: Floats, intercept: Floats, cost: float) -> tuple[Floats, Floats]:
    """Return the objective (k,) and the gradient norm (k,) of each class's problem at a solution."""
    signs = np.where(codes[:, None] == np.arange(len(coef)), 1.0, -1.0)
    slack = np.maximum(0.0, 1.0 - signs * decision_values(features, coef, intercept))
    objective = 0.5 * ((coef**2).sum(axis=1) + intercept**2) + cost * (slack**2).sum(axis=0)
    pull = 2.0 * cost * signs * slack
    gradient = coef - pull.T @ features
    intercept_gradient = intercept - pull.sum(axis=0)
    return objective, np.sqrt((gradient**2).sum(axis=1) + intercept_gradient**2)


def _fit(features: Floats, codes: Ints, cost: float, coef: Floats, intercept: Floats) -> bool:
    """Fill `coef` (k, d) and `intercept` (k,) in place; return whether the solver met its tolerance."""
    model = LinearSVC(C=cost, loss="squared_hinge", dual="auto", intercept_scaling=1.0, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, codes)
    if len(model.classes_) == 2:
        low, high = model.classes_
        coef[low], coef[high] = -model.coef_[0], model.coef_[0]
        intercept[low], intercept[high] = -model.intercept_[0], model.intercept_[0]
    else:
        coef[model.classes_], intercept[model.classes_] = model.coef_, model.intercept_
    absent = np.setdiff1d(np.arange(len(coef)), model.classes_)
    pull = 2.0 * cost * len(codes)
    intercept[absent] = -pull / (1.0 + pull)
    return bool(np.max(model.n_iter_) < model.max_iter)
