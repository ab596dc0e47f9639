"""How many grey levels become 256: the named intensity windows, and their formulas as the DICOM standard gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.text import clean
from medvlm_tui.errors import UsageError

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

# Centre and width in Hounsfield units, as radiologists set them.
PRESETS = {
    "brain": (40.0, 80.0),
    "soft_tissue": (50.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
}
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class Window:
    """What the user chose; `str` of it is its name, and belongs to the key of features."""

    kind: Literal["file", "preset", "percentiles", "fixed"]
    centre: float = 0.0
    width: float = 0.0
    name: str = "file"

    def __str__(self) -> str:
        return self.name


FROM_FILE = Window("file")


def parse_window(text: str) -> Window:
    """Return the window for `file`, a preset's name, `percentiles`, or `CENTRE/WIDTH`; raises UsageError."""
    if text in ("", "file"):
        return FROM_FILE
    if text in PRESETS:
        return Window("preset", *PRESETS[text], name=text)
    if text == "percentiles":
        return Window("percentiles", name=text)
    try:
        centre, width = (float(part) for part in text.split("/"))
    except ValueError:
        centre = width = float("nan")
    if not (np.isfinite(centre) and np.isfinite(width) and width >= 1):
        raise UsageError(
            f"{clean(text)!r} is no intensity window", f"file, {', '.join(PRESETS)}, percentiles, or CENTRE/WIDTH"
        )
    return Window("fixed", centre, width, name=f"{centre:g}/{width:g}")


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
