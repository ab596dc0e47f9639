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

from medvlm_tui.engine.probe.solver.newton import Curvature, Rows, line_minimum, with_constant
from medvlm_tui.engine.probe.solver.threads import lanes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Duality gap over objective. A step from here on is Newton's last, so that a looser rule would save little.
TOLERANCE = 1e-10
# What `converged` promises; between the two lies what rounding allows.
PROMISE = 1e-6
MAX_STEPS = 200
# Features times classes below which threads cost more than they save.
ONE_LANE = 1_000_000


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
    classes = problems_of(codes, n_classes)
    shape = (len(costs), n_classes)
    weights = np.zeros((*shape, features.shape[1] + 1))
    objective, gradient_norm = np.zeros(shape), np.zeros(shape)
    order = np.argsort(costs, kind="stable")
    first = None if start is None else np.column_stack(start)
    small = features.size * n_classes < ONE_LANE
    with lanes(1 if small else n_classes) as shared:
        rows = Rows(features, shared)
        for group in _groups(rows, classes):
            problems = _Problems(rows, codes, group, None if first is None else first[group])
            for index in order:
                weights[index, group] = problems.minimise(costs[index], check)
                objective[index, group], gradient_norm[index, group] = problems.certificate(costs[index])
    return path_of(weights, objective, gradient_norm)


def problems_of(codes: Ints, n_classes: int) -> Ints:
    """Return the classes whose problems are solved: of two the second alone, the first being its mirror image."""
    if len(np.unique(codes)) < 2:
        raise ValueError("an SVM needs at least two classes")
    return np.array([1]) if n_classes == 2 else np.arange(n_classes)


def path_of(weights: Floats, objective: Floats, gradient_norm: Floats) -> SvmPath:
    """Return the solutions of weights (T, k, d + 1) with their certificates (T, k), as far as `problems_of` solved."""
    if weights.shape[1] == 2:
        weights[:, 0] = -weights[:, 1]
        objective[:, 0], gradient_norm[:, 0] = objective[:, 1], gradient_norm[:, 1]
    converged = np.all(0.5 * gradient_norm**2 <= PROMISE * objective, axis=1)
    return SvmPath(weights[..., :-1], weights[..., -1], objective, gradient_norm, converged)


def decision_values(features: Floats, coef: Floats, intercept: Floats) -> Floats:
    """Return the decision values (n, k) of (n, d) features under (k, d) weights and (k,) intercepts."""
    values: Floats = features @ coef.T + intercept
    return values


def certificate(features: Floats, codes: Ints, coef: Floats, intercept: Floats, cost: float) -> tuple[Floats, Floats]:
    """Return the objective (k,) and the gradient norm (k,) of each class's problem at a solution."""
    x, weights = with_constant(features), np.column_stack([coef, intercept])
    signs = np.where(codes[:, None] == np.arange(len(weights)), 1.0, -1.0)
    slack = np.maximum(0.0, 1.0 - signs * (x @ weights.T))
    objective = 0.5 * (weights**2).sum(axis=1) + cost * (slack**2).sum(axis=0)
    gradient = weights - 2.0 * cost * (signs * slack).T @ x
    return objective, np.sqrt((gradient**2).sum(axis=1))


def _groups(rows: Rows, classes: Ints) -> list[Ints]:
    """Return the classes in groups whose second moments together are no larger than the features."""
    size = len(classes) if rows.has_gram else max(1, rows.count // rows.dim)
    return [classes[i : i + size] for i in range(0, len(classes), size)]


class _Problems:
    """The problems of several classes, advanced together so that they share each pass over the features."""

    def __init__(self, rows: Rows, codes: Ints, classes: Ints, start: Floats | None) -> None:
        self._rows = rows
        self._signs = np.where(codes[None] == classes[:, None], 1.0, -1.0)
        self._curvature = Curvature(rows, len(classes))
        self._weights = np.zeros((len(classes), rows.dim)) if start is None else start.copy()
        self._values = rows.values(self._weights)

    def minimise(self, cost: float, check: Callable[[], None] | None) -> Floats:
        """Return the weights (classes, d + 1) that minimise P at this C, starting from the last ones."""
        live = np.arange(len(self._weights))
        for _ in range(MAX_STEPS):
            if check is not None:
                check()
            slack, gradient, objective = self._gradient(live, cost)
            short = _gap(gradient) > TOLERANCE * objective
            live, slack, gradient = live[short], slack[short], gradient[short]
            if not len(live):
                break
            moved = self._step(live, slack, gradient, cost)
            live = live[moved]
        return self._weights.copy()

    def certificate(self, cost: float) -> tuple[Floats, Floats]:
        """Return the objective and the gradient norm of each class, from decision values computed anew."""
        self._values = self._rows.values(self._weights)
        _, gradient, objective = self._gradient(np.arange(len(self._weights)), cost)
        return objective, np.sqrt(2.0 * _gap(gradient))

    def _gradient(self, live: Ints, cost: float) -> tuple[Floats, Floats, Floats]:
        """Return slack (n, N), gradients (n, d + 1) and objectives (n,) of some problems."""
        slack = np.empty((len(live), self._rows.count))

        def of_block(block: slice) -> tuple[Floats, Floats]:
            signs = self._signs[live, block]
            slack[:, block] = 1.0 - signs * self._values[live, block]
            hinge = np.maximum(slack[:, block], 0.0)
            return (signs * hinge) @ self._rows.x[block], (hinge**2).sum(axis=1)

        parts = self._rows.lanes.map(of_block, self._rows.blocks)
        weights = self._weights[live]
        gradient = weights - 2.0 * cost * sum(pull for pull, _ in parts)
        objective = 0.5 * (weights**2).sum(axis=1) + cost * sum(loss for _, loss in parts)
        return slack, gradient, objective

    def _step(self, live: Ints, slack: Floats, gradient: Floats, cost: float) -> NDArray[np.bool_]:
        """Take one Newton step in each live problem; return which of them moved by more than rounding."""
        step = -self._curvature.solve(live, slack > 0.0, cost, gradient)
        change = self._rows.values(step)

        def search(i: int) -> bool:
            problem, w, p = live[i], self._weights[live[i]], step[i]
            size = line_minimum(slack[i], self._signs[problem] * change[i], float(w @ p), float(p @ p), cost)
            moved = size * np.abs(p).max() > 1e-15 * np.abs(w).max()
            w += size * p
            self._values[problem] += size * change[i]
            return bool(moved)

        return np.array(self._rows.lanes.map(search, range(len(live))))


def _gap(gradient: Floats) -> Floats:
    """Return the duality gap at a point of each gradient."""
    gap: Floats = 0.5 * (gradient**2).sum(axis=1)
    return gap
