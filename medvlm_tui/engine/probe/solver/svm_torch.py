"""The solver of `svm.py` on a device of torch's, in float64: the same objective, method and certificate.

All classes that still move go together: decision values, gradients and line searches are batched products, and only
the factors are made class by class. Second moments are renewed at every step, since a GPU multiplies matrices faster
than it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from medvlm_tui.engine.probe.solver.newton import GRAM_RATIO, LINE_STEPS
from medvlm_tui.engine.probe.solver.svm import MAX_STEPS, TOLERANCE, Floats, Ints, SvmPath, path_of, problems_of


def solve_path(
    features: Floats,
    codes: Ints,
    n_classes: int,
    costs: Sequence[float],
    check: Callable[[], None],
    start: tuple[Floats, Floats] | None,
    device: str,
) -> SvmPath:
    """Solve as `svm.solve_path` does; raises torch.OutOfMemoryError when the device's memory is too small."""
    classes = problems_of(codes, n_classes)
    weights = np.zeros((len(costs), n_classes, features.shape[1] + 1))
    objective, gradient_norm = np.zeros((2, len(costs), n_classes))
    first = None if start is None else np.column_stack(start)[classes]
    problems = _Problems(features, np.where(codes[None] == classes[:, None], 1.0, -1.0), first, device)
    for index in np.argsort(costs, kind="stable"):
        problems.minimise(costs[index], check)
        found = problems.certificate(costs[index])
        weights[index, classes], objective[index, classes], gradient_norm[index, classes] = found
    return path_of(weights, objective, gradient_norm)


class _Problems:
    """The problems of all classes on one device."""

    def __init__(self, features: Floats, signs: Floats, start: Floats | None, device: str) -> None:
        self._x = torch.ones((len(features), features.shape[1] + 1), dtype=torch.float64, device=device)
        self._x[:, :-1] = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float64))
        self._signs = torch.from_numpy(signs).to(device)
        begin = np.zeros((len(signs), self._x.shape[1])) if start is None else start
        self._weights = torch.from_numpy(begin).to(device)
        self._values = self._weights @ self._x.T
        self._total: torch.Tensor | None = None

    def minimise(self, cost: float, check: Callable[[], None]) -> None:
        """Move the weights to where P at this C is smallest."""
        live = torch.arange(len(self._weights), device=self._x.device)
        for _ in range(MAX_STEPS):
            check()
            slack, gradient, objective = self._gradient(live, cost)
            short = _gap(gradient) > TOLERANCE * objective
            live, slack, gradient = live[short], slack[short], gradient[short]
            if not len(live):
                return
            live = live[self._step(live, slack, gradient, cost)]

    def certificate(self, cost: float) -> tuple[Floats, Floats, Floats]:
        """Return weights, objectives and gradient norms, from decision values computed anew."""
        self._values = self._weights @ self._x.T
        _, gradient, objective = self._gradient(torch.arange(len(self._weights), device=self._x.device), cost)
        norm = (2.0 * _gap(gradient)).sqrt()
        return self._weights.cpu().numpy(), objective.cpu().numpy(), norm.cpu().numpy()

    def _gradient(self, live: torch.Tensor, cost: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return slack (n, N), gradients (n, d + 1) and objectives (n,) of some problems."""
        signs, weights = self._signs[live], self._weights[live]
        slack = 1.0 - signs * self._values[live]
        hinge = slack.clamp(min=0.0)
        gradient = weights - 2.0 * cost * (signs * hinge) @ self._x
        return slack, gradient, 0.5 * (weights**2).sum(dim=1) + cost * (hinge**2).sum(dim=1)

    def _step(self, live: torch.Tensor, slack: torch.Tensor, gradient: torch.Tensor, cost: float) -> torch.Tensor:
        """Take one Newton step in each live problem; return which of them moved by more than rounding."""
        step = -self._solve(slack > 0.0, gradient, cost)
        change = step @ self._x.T
        weights = self._weights[live]
        slope, square = (weights * step).sum(dim=1), (step * step).sum(dim=1)
        size = line_minima(slack, self._signs[live] * change, slope, square, cost)
        moved = size * step.abs().amax(dim=1) > 1e-15 * weights.abs().amax(dim=1)
        self._weights[live] = weights + size[:, None] * step
        self._values[live] += size[:, None] * change
        return moved

    def _solve(self, active: torch.Tensor, gradient: torch.Tensor, cost: float) -> torch.Tensor:
        """Return (I + 2C X_A' X_A)^-1 gradient of each problem, with its active rows (n, N)."""
        counts = active.sum(dim=1).tolist()
        if min(counts) == len(self._x):  # where all begin: one factor serves them
            return self._solve_one(active[0], counts[0], gradient.T, cost).T
        pairs = zip(active, counts, gradient, strict=True)
        return torch.stack([self._solve_one(rows, n, g[:, None], cost)[:, 0] for rows, n, g in pairs])

    def _solve_one(self, active: torch.Tensor, count: int, gradient: torch.Tensor, cost: float) -> torch.Tensor:
        """Solve for the columns of (d + 1, m) gradients, on the side that is smaller and better conditioned."""
        if count > GRAM_RATIO * self._x.shape[1]:
            return torch.cholesky_solve(gradient, _factor(self._moments(active, count), cost)) / (2.0 * cost)
        part = self._x[active]
        return gradient - part.T @ torch.cholesky_solve(part @ gradient, _factor(part @ part.T, cost))

    def _moments(self, active: torch.Tensor, count: int) -> torch.Tensor:
        """Return X_A' X_A from the active rows, or from the total less the others where those are fewer."""
        if 2 * count <= len(self._x):
            part = self._x[active]
            return part.T @ part
        if self._total is None:
            self._total = self._x.T @ self._x
        rest = self._x[~active]
        return self._total - rest.T @ rest


def line_minima(
    slack: torch.Tensor, change: torch.Tensor, slope: torch.Tensor, square: torch.Tensor, cost: float
) -> torch.Tensor:
    """Return what `newton.line_minimum` does for each row of slack and change (n, N)."""
    low, high, s = torch.zeros_like(slope), torch.full_like(slope, torch.inf), torch.ones_like(slope)
    for _ in range(LINE_STEPS):
        rest = (slack - s[:, None] * change).clamp(min=0.0)
        derivative = slope + s * square - 2.0 * cost * (change * rest).sum(dim=1)
        curvature = square + 2.0 * cost * (change**2 * (rest > 0.0)).sum(dim=1)
        uphill = derivative > 0.0
        low, high = torch.where(uphill, low, s), torch.where(uphill, s, high)
        step = s - derivative / curvature
        between = torch.where(high.isfinite(), 0.5 * (low + high), 2.0 * s)
        step = torch.where((low < step) & (step < high), step, between)
        if bool(((step - s).abs() <= 1e-12 * s.clamp(min=1.0)).all()):
            return step
        s = step
    return s


def _factor(matrix: torch.Tensor, cost: float) -> torch.Tensor:
    """Return the Cholesky factor of a matrix, which is changed, plus I / 2C."""
    matrix.diagonal().add_(1.0 / (2.0 * cost))
    factor: torch.Tensor = torch.linalg.cholesky(matrix)
    return factor


def _gap(gradient: torch.Tensor) -> torch.Tensor:
    return 0.5 * (gradient**2).sum(dim=1)
