"""The linear algebra of the SVM's Newton steps, on whichever side of the matrix is smaller.

With slack on the rows A, the Newton direction p of the squared hinge solves (I + 2C X_A' X_A) p = -g. Where A has
fewer rows than X has columns the Gram side is cheaper, and at large C far better conditioned:
p = -(g - X_A' (I / 2C + X_A X_A')^-1 X_A g).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.probe.solver import lapack
from medvlm_tui.engine.probe.solver.threads import Lanes

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# The whole Gram matrix is kept while it is at most this much larger than the features: every Newton step then
# takes its rows and columns from it. docs/solver.md has the measurements.
GRAM_RATIO = 1.6
# Rows, or columns of a square matrix, that one thread takes at a time: 1024 x 4096 doubles = 34 MB.
BLOCK_ROWS = 1024
BLOCK_COLUMNS = 128
LINE_STEPS = 60


def with_constant(features: Floats) -> Floats:
    """Return the features with the intercept's constant 1 as last column."""
    x = np.empty((len(features), features.shape[1] + 1))
    x[:, :-1] = features
    x[:, -1] = 1.0
    return x


class Rows:
    """The features with their constant column, and what all problems on them share.

    Sums over rows are made block by block and added in order, so that they do not depend on the number of lanes.
    """

    def __init__(self, features: Floats, lanes: Lanes) -> None:
        self.x = with_constant(features)
        self.count, self.dim = self.x.shape
        self.lanes = lanes
        self.blocks = _blocks(self.count, BLOCK_ROWS)
        self.has_gram = self.count <= GRAM_RATIO * self.dim

    def values(self, weights: Floats) -> Floats:
        """Return the decision values (k, N) of (k, d + 1) weights."""
        found = np.empty((len(weights), self.count))

        def fill(block: slice) -> None:
            np.matmul(weights, self.x[block].T, out=found[:, block])

        self.lanes.map(fill, self.blocks)
        return found

    @cached_property
    def total_moments(self) -> Floats:
        """X'X (lower triangle, Fortran order)."""
        moments = np.zeros((self.dim, self.dim), order="F")

        def fill(block: slice) -> None:
            moments[block.start :, block] = self.x[:, block.start :].T @ self.x[:, block]

        self.lanes.map(fill, _blocks(self.dim, BLOCK_COLUMNS))
        return moments

    @cached_property
    def whole_gram(self) -> Floats:
        """XX', kept."""
        return self._gram()

    def gram_of(self, active: Mask) -> Floats:
        """Return XX' of some rows, which is the caller's; one of all rows that is not kept yet is made for it."""
        if active.all() and "whole_gram" not in vars(self):
            return self._gram()
        index = np.flatnonzero(active)
        part: Floats = self.whole_gram[np.ix_(index, index)]
        return part

    def _gram(self) -> Floats:
        gram = np.empty((self.count, self.count))

        def fill(block: slice) -> None:
            gram[block, : block.stop] = self.x[block] @ self.x[: block.stop].T
            gram[: block.start, block] = gram[block, : block.start].T

        self.lanes.map(fill, _blocks(self.count, BLOCK_COLUMNS))
        return gram


class Curvature:
    """Solves with the Hessians of several problems on the same rows, one problem a lane.

    Each problem keeps its X_A' X_A and changes it by the rows that entered or left A: a few hundred of N from one
    step to the next. Subtracting rows again costs digits, which the next step's exact gradient makes good.
    """

    def __init__(self, rows: Rows, problems: int) -> None:
        self._rows = rows
        self._moments: list[tuple[Mask, Floats] | None] = [None] * problems

    def solve(self, problems: NDArray[np.int64], active: Mask, cost: float, gradients: Floats) -> Floats:
        """Return (I + 2C X_A' X_A)^-1 gradient of some problems, with their active rows (n, N)."""
        self._prepare(active)
        # All problems begin with every row active, so that one factor serves them all.
        shared = self._factor(int(problems[0]), active[0], cost) if active.all() else None

        def one(i: int) -> Floats:
            factor = self._factor(int(problems[i]), active[i], cost) if shared is None else shared
            return self._solve(factor, active[i], cost, gradients[i])

        return np.stack(self._rows.lanes.map(one, range(len(problems))))

    def _prepare(self, active: Mask) -> None:
        """Compute what all problems share, while the lanes are free for it."""
        if self._rows.has_gram:
            if not active.all():
                _ = self._rows.whole_gram
        elif (2 * active.sum(axis=1) > self._rows.count).any():
            _ = self._rows.total_moments

    def _on_gram_side(self, active: Mask) -> bool:
        return self._rows.has_gram or bool(active.sum() < self._rows.dim)

    def _factor(self, problem: int, active: Mask, cost: float) -> Floats:
        if self._rows.has_gram:
            matrix = self._rows.gram_of(active).T
        elif self._on_gram_side(active):
            part = self._rows.x[active]
            matrix = (part @ part.T).T
        else:
            matrix = self._active_moments(problem, active).copy(order="F")
        matrix[np.diag_indices_from(matrix)] += 1.0 / (2.0 * cost)
        return lapack.factorise(matrix)

    def _solve(self, factor: Floats, active: Mask, cost: float, gradient: Floats) -> Floats:
        if not self._on_gram_side(active):
            return lapack.solve(factor, gradient) / (2.0 * cost)
        if not self._rows.has_gram:
            part = self._rows.x[active]
            return gradient - lapack.solve(factor, part @ gradient) @ part
        inner = np.zeros(self._rows.count)
        inner[active] = lapack.solve(factor, (self._rows.x @ gradient)[active])
        return gradient - inner @ self._rows.x

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


def add_moments(moments: Floats, x: Floats, rows: NDArray[np.intp], sign: float) -> None:
    """Add sign X'X of some rows to a lower triangle (Fortran order)."""
    for block in _blocks(len(rows), BLOCK_ROWS):
        lapack.add_products(sign, x[rows[block]], moments)


def _blocks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


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
