"""Wide empty bands of a map closed, so that far islands do not leave the frame empty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
# A band without a point is a gap from this share of the axis on; what is left of it, as a share of the filled part.
_WIDE, _LEFT = 0.1, 0.06
# Gaps are closed on an axis where points fill less than this share of it.
LEAST_FILLED = 0.5


@dataclass(frozen=True, slots=True)
class Axis:
    """Places at which the values of one axis are drawn: between two knots, evenly."""

    knots: NDArray[np.float64]
    drawn: NDArray[np.float64]

    def __call__(self, values: Floats) -> NDArray[np.float64]:
        """Return the drawn places of values; those outside the knots keep their distance from the nearest one."""
        inside = np.interp(values, self.knots, self.drawn)
        return np.asarray(inside + (values - np.clip(values, self.knots[0], self.knots[-1])))


@dataclass(frozen=True, slots=True)
class Gaps:
    """The two axes of a map whose gaps are closed; None for one that is drawn as it is."""

    across: Axis | None
    up: Axis | None

    @classmethod
    def of(cls, xy: Floats) -> Gaps:
        """Return what closes the gaps of a map (n, 2): nothing on an axis of which points fill a half."""
        finite = xy[np.isfinite(xy).all(axis=1)]
        return cls(_axis(finite[:, 0]), _axis(finite[:, 1]))

    def __bool__(self) -> bool:
        """Return whether any gap is closed."""
        return self.across is not None or self.up is not None

    def close(self, xy: Floats) -> Floats:
        """Return the points (n, 2) at their drawn places."""
        if not self:
            return xy
        columns = [column if axis is None else axis(column) for axis, column in zip(
            (self.across, self.up), (xy[:, 0], xy[:, 1]), strict=True
        )]  # fmt: skip
        return np.stack(columns, axis=1)


def filled(values: Floats) -> float:
    """Return the share of an axis that is not in wide gaps between its values."""
    steps = np.diff(np.unique(values.astype(np.float64)))
    whole = steps.sum()
    return 1.0 if whole <= 0 else float(1.0 - steps[steps > _WIDE * whole].sum() / whole)


def _axis(values: Floats) -> Axis | None:
    if len(values) < 2 or filled(values) >= LEAST_FILLED:
        return None
    knots = np.unique(values.astype(np.float64))
    steps = np.diff(knots)
    wide = steps > _WIDE * steps.sum()
    # Islands of single points have no width of their own: then all gaps become alike.
    rest = steps[~wide].sum() or steps.sum()
    drawn = np.where(wide, _LEFT * rest, steps)
    return Axis(knots, np.concatenate([[knots[0]], knots[0] + np.cumsum(drawn)]))
