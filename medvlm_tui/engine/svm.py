"""The linear SVM of the probe: scikit-learn's `LinearSVC` objective, one-vs-rest, solved to its optimum.

For each class c, with y = +1 for its rows and -1 for the others and the intercept treated as the weight of a
constant feature 1:

    P(w, b) = 1/2 (|w|^2 + b^2) + C sum_i max(0, 1 - y_i (w.x_i + b))^2

The method is the modified finite Newton of Keerthi and DeCoste (JMLR 2005): Newton steps on the active rows, exact
line search, every C started from the one before. The duality gap of a point, with the dual variables
2C max(0, 1 - y f), is exactly 1/2 |gradient|^2, which is both the stopping rule and the certificate.
docs/solver.md says what was tried and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.newton import Curvature, Rows, line_minimum

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Duality gap over objective. A step from here on is Newton's last, so that a looser rule would save little.
TOLERANCE = 1e-10
# What `converged` promises; between the two lies what rounding allows.
PROMISE = 1e-6
MAX_STEPS = 200


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
    """(T, k): |gradient of P|; half its square is the duality gap, the most by which P exceeds its minimum."""
    converged: NDArray[np.bool_]
    """(T,): the duality gap of every class is at most 1e-6 of its objective."""


def solve_path(
    features: Floats,
    codes: Ints,
    n_classes: int,
    costs: Sequence[float],
    check: Callable[[], None] | None = None,
    start: tuple[Floats, Floats] | None = None,
) -> SvmPath:
    """Solve the one-vs-rest problems for every C in `costs`.

    `features` is (n, d) float64, `codes` (n,) are classes 0 .. n_classes - 1, of which at least two must occur
    (ValueError). With two classes one problem is solved, for class 1, and class 0 is its mirror image. `check` is
    called between steps and may raise. `start` is the (k, d) weights and (k,) intercepts of a similar problem,
    such as another fold's; it changes the time, not the solution.
    """
    if len(np.unique(codes)) < 2:
        raise ValueError("an SVM needs at least two classes")
    rows = Rows(features)
    weights = np.zeros((len(costs), n_classes, rows.dim))
    order = np.argsort(costs, kind="stable")
    first = None if start is None else np.column_stack(start)
    for group in _groups(rows, n_classes):
        problems = _Problems(rows, codes, group, None if first is None else first[group])
        for index in order:
            weights[index, group] = problems.minimise(costs[index], check)
    if n_classes == 2:
        weights[:, 0] = -weights[:, 1]
    objective, gradient_norm = np.zeros((2, len(costs), n_classes))
    for index, cost in enumerate(costs):
        objective[index], gradient_norm[index] = _certificate(rows.x, codes, weights[index], cost)
    converged = np.all(0.5 * gradient_norm**2 <= PROMISE * objective, axis=1)
    return SvmPath(weights[..., :-1], weights[..., -1], objective, gradient_norm, converged)


def decision_values(features: Floats, coef: Floats, intercept: Floats) -> Floats:
    """Return the decision values (n, k) of (n, d) features under (k, d) weights and (k,) intercepts."""
    values: Floats = features @ coef.T + intercept
    return values


def certificate(features: Floats, codes: Ints, coef: Floats, intercept: Floats, cost: float) -> tuple[Floats, Floats]:
    """Return the objective (k,) and the gradient norm (k,) of each class's problem at a solution."""
    return _certificate(Rows(features).x, codes, np.column_stack([coef, intercept]), cost)


def _certificate(x: Floats, codes: Ints, weights: Floats, cost: float) -> tuple[Floats, Floats]:
    signs = np.where(codes[:, None] == np.arange(len(weights)), 1.0, -1.0)
    slack = np.maximum(0.0, 1.0 - signs * (x @ weights.T))
    objective = 0.5 * (weights**2).sum(axis=1) + cost * (slack**2).sum(axis=0)
    gradient = weights - 2.0 * cost * (signs * slack).T @ x
    return objective, np.sqrt((gradient**2).sum(axis=1))


def _groups(rows: Rows, n_classes: int) -> list[Ints]:
    """Return the classes in groups whose second moments together are no larger than the features."""
    classes = np.array([1]) if n_classes == 2 else np.arange(n_classes)
    size = len(classes) if rows.has_gram else max(1, rows.count // rows.dim)
    return [classes[i : i + size] for i in range(0, len(classes), size)]


class _Problems:
    """The problems of several classes, advanced together so that they share each pass over the features."""

    def __init__(self, rows: Rows, codes: Ints, classes: Ints, start: Floats | None) -> None:
        self._rows = rows
        self._signs = np.where(codes[None] == classes[:, None], 1.0, -1.0)
        self._curvature = Curvature(rows, len(classes))
        self._weights = np.zeros((len(classes), rows.dim)) if start is None else start.copy()
        self._values = self._weights @ rows.x.T

    def minimise(self, cost: float, check: Callable[[], None] | None) -> Floats:
        """Return the weights (classes, d + 1) that minimise P at this C, starting from the last ones."""
        live = np.arange(len(self._weights))
        for _ in range(MAX_STEPS):
            if check is not None:
                check()
            slack = 1.0 - self._signs[live] * self._values[live]
            gradient, short = self._gradient(live, slack, cost)
            live, slack, gradient = live[short], slack[short], gradient[short]
            if not len(live):
                break
            moved = self._step(live, slack, gradient, cost)
            live = live[moved]
        return self._weights.copy()

    def _gradient(self, live: Ints, slack: Floats, cost: float) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the gradients and which problems are still short of the tolerance."""
        hinge = np.maximum(slack, 0.0)
        gradient = self._weights[live] - 2.0 * cost * (self._signs[live] * hinge) @ self._rows.x
        objective = 0.5 * (self._weights[live] ** 2).sum(axis=1) + cost * (hinge**2).sum(axis=1)
        return gradient, 0.5 * (gradient**2).sum(axis=1) > TOLERANCE * objective

    def _step(self, live: Ints, slack: Floats, gradient: Floats, cost: float) -> NDArray[np.bool_]:
        """Take one Newton step in each live problem; return which of them moved by more than rounding."""
        solve = self._curvature.solve
        step = np.stack([-solve(p, s > 0, cost, g) for p, s, g in zip(live, slack, gradient, strict=True)])
        change = step @ self._rows.x.T
        moved = np.zeros(len(live), dtype=bool)
        for i, problem in enumerate(live):
            w, p = self._weights[problem], step[i]
            size = line_minimum(slack[i], self._signs[problem] * change[i], float(w @ p), float(p @ p), cost)
            moved[i] = size * np.abs(p).max() > 1e-15 * np.abs(w).max()
            w += size * p
            self._values[problem] += size * change[i]
        return moved
