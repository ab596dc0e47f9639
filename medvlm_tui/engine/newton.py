"""The linear algebra of the SVM's Newton steps, on whichever side of the matrix is smaller.

With slack on the rows A, the Newton direction p of the squared hinge solves (I + 2C X_A' X_A) p = -g. Where A has
fewer rows than X has columns the Gram side is cheaper, and at large C far better conditioned:
p = -(g - X_A' (I / 2C + X_A X_A')^-1 X_A g).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import dsyrk

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The whole Gram matrix is kept while it is at most this much larger than the features: every Newton step then
# takes its rows and columns from it. docs/solver.md has the measurements.
GRAM_RATIO = 1.6
# Rows copied at a time: 2048 x 4096 doubles = 67 MB.
CHUNK_ROWS = 2048
LINE_STEPS = 60


class Rows:
    """The features with the intercept's constant 1 as last column, and what all problems on them share."""

    def __init__(self, features: Floats) -> None:
        self.x = np.empty((len(features), features.shape[1] + 1))
        self.x[:, :-1] = features
        self.x[:, -1] = 1.0
        self.count, self.dim = self.x.shape
        self.has_gram = self.count <= GRAM_RATIO * self.dim

    @cached_property
    def total_moments(self) -> Floats:
        """X'X (lower triangle)."""
        return add_moments(np.zeros((self.dim, self.dim), order="F"), self.x, np.arange(self.count), 1.0)

    def some(self, rows: NDArray[np.intp]) -> Floats:
        """Return some rows, ascending; all of them without a copy."""
        return self.x if len(rows) == self.count else self.x[rows]

    def gram(self, rows: NDArray[np.intp]) -> Floats:
        """Return the Gram matrix of some rows, which is the caller's, in LAPACK's order: it is symmetric."""
        if self.has_gram:
            return self._whole_gram[np.ix_(rows, rows)].T
        part = self.some(rows)
        product: Floats = part @ part.T
        return product.T

    @cached_property
    def _whole_gram(self) -> Floats:
        product: Floats = self.x @ self.x.T
        return product


class Curvature:
    """Solves with the Hessians of several problems on the same rows.

    Each problem keeps its X_A' X_A and changes it by the rows that entered or left A: a few hundred of N from one
    step to the next. Subtracting rows again costs digits, which the next step's exact gradient makes good.
    """

    def __init__(self, rows: Rows, problems: int) -> None:
        self._rows = rows
        self._moments: list[tuple[Mask, Floats] | None] = [None] * problems
        # All problems begin with every row active, so that the first factor serves them all.
        self._last: tuple[Mask, float, tuple[Floats, bool]] | None = None

    def solve(self, problem: int, active: Mask, cost: float, gradient: Floats) -> Floats:
        """Return (I + 2C X_A' X_A)^-1 gradient."""
        index = np.flatnonzero(active)
        on_gram_side = self._rows.has_gram or len(index) < self._rows.dim
        factor = self._known_factor(active, cost)
        if factor is None:
            matrix = self._rows.gram(index) if on_gram_side else self._active_moments(problem, active).copy(order="F")
            matrix[np.diag_indices_from(matrix)] += 1.0 / (2.0 * cost)
            factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
            self._last = (active.copy(), cost, factor)
        if not on_gram_side:
            outer: Floats = cho_solve(factor, gradient, check_finite=False) / (2.0 * cost)
            return outer
        part = self._rows.some(index)
        inner: Floats = gradient - cho_solve(factor, part @ gradient, check_finite=False) @ part
        return inner

    def _known_factor(self, active: Mask, cost: float) -> tuple[Floats, bool] | None:
        if self._last is not None and self._last[1] == cost and np.array_equal(self._last[0], active):
            return self._last[2]
        return None

    def _active_moments(self, problem: int, active: Mask) -> Floats:
        """Return X_A' X_A (lower triangle) by the cheapest of three ways: changed rows, active rows, the others."""
        known = self._moments[problem]
        changed = active if known is None else active != known[0]
        ways = (int(changed.sum()), int(active.sum()), int((~active).sum()))
        if known is not None and ways[0] == min(ways):
            before, moments = known
            add_moments(moments, self._rows.x, np.flatnonzero(active & ~before), 1.0)
            add_moments(moments, self._rows.x, np.flatnonzero(before & ~active), -1.0)
        elif ways[1] == min(ways):
            moments = np.zeros((self._rows.dim, self._rows.dim), order="F")
            add_moments(moments, self._rows.x, np.flatnonzero(active), 1.0)
        else:
            moments = self._rows.total_moments.copy(order="F")
            add_moments(moments, self._rows.x, np.flatnonzero(~active), -1.0)
        self._moments[problem] = (active.copy(), moments)
        return moments


def add_moments(moments: Floats, x: Floats, rows: NDArray[np.intp], sign: float) -> Floats:
    """Add sign X'X of some rows to a lower triangle (Fortran order) in place, and return it."""
    for start in range(0, len(rows), CHUNK_ROWS):
        part = x[rows[start : start + CHUNK_ROWS]]
        dsyrk(sign, part.T, beta=1.0, c=moments, overwrite_c=1, lower=1)
    return moments


def line_minimum(slack: Floats, change: Floats, slope: float, square: float, cost: float) -> float:
    """Return the s >= 0 that minimises the objective at w + s p, exactly up to rounding.

    `slack` is 1 - y f and `change` y q, where f and q are the decision values of w and of p; `slope` is w.p and
    `square` p.p. The derivative in s is piecewise linear and increasing: Newton's method, kept between bounds.
    """
    low, high, s = 0.0, np.inf, 1.0
    for _ in range(LINE_STEPS):
        rest = np.maximum(slack - s * change, 0.0)
        derivative = slope + s * square - 2.0 * cost * float(change @ rest)
        moved = change * (rest > 0.0)
        low, high = (low, s) if derivative > 0.0 else (s, high)
        step = s - derivative / (square + 2.0 * cost * float(moved @ change))
        if not low < step < high:
            step = 0.5 * (low + high) if np.isfinite(high) else 2.0 * s
        if abs(step - s) <= 1e-12 * max(s, 1.0):
            return step
        s = step
    return s
