"""How many grey levels become 256: the formulas of intensity windows, as the DICOM standard gives them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


def windowed(values: NDArray[Any], centre: float, width: float, function: Function = "LINEAR") -> NDArray[np.float64]:
    """Return values in 0 to 1 by DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    x = values.astype(np.float64)
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(-4.0 * (x - centre) / width))
    if function == "LINEAR_EXACT":
        return np.clip((x - centre) / width + 0.5, 0.0, 1.0)
    if width <= 1:  # the standard's limit of the linear formula: a step
        return (x > centre - 0.5).astype(np.float64)
    return np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    """Return values in 0 to 1 with `low` at 0 and `high` at 1; a flat image becomes 0."""
    if high <= low:
        return np.zeros(values.shape)
    return np.clip((values.astype(np.float64) - low) / (high - low), 0.0, 1.0)
