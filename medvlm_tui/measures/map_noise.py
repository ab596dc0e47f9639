"""When a saliency map shows its sampling error rather than what the classifier looks at."""

from __future__ import annotations

NOISY_ABOVE = 0.5
"""Standard error of the centred map over the centred map's spread. At 0.5 a quarter of the map's variance over
pixels is sampling error."""
MOSTLY_NOISE = "mostly noise"
"""The mark of such a map, wherever it is shown."""


def mostly_noise(relative_error: float | None) -> bool:
    """Return whether a map carries the mark; it does too where its error is unknown (None: too few masks)."""
    return relative_error is None or relative_error > NOISY_ABOVE
