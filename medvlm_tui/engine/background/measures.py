"""Accuracies of a classifier with the lesion covered, the cost of the cover, and the shortcut index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.bench.measures import About
from medvlm_tui.stages.records.background import WHOLE
from medvlm_tui.stages.records.measure import Measure

Flags = NDArray[np.bool_]


def measures_of(
    right: Mapping[str, Flags], fills: Sequence[str], chance: float, seed: int, resamples: int
) -> tuple[Measure, ...]:
    """Return the accuracy under each condition (condition -> (n,) right), and for each fill what the cover costs.

    `cost_of_cover`: accuracy with the square elsewhere less accuracy with the square over the lesion, image by image.
    `shortcut_index`: (covered - chance) / (whole - chance); it is left out where the interval of the accuracy on whole
    images reaches down to chance, because there is nothing to keep.
    """
    found = [About("accuracy", name, chance).share(flags) for name, flags in right.items()]
    whole = found[0]
    for fill in fills:
        cost = right[f"moved {fill}"].astype(np.float64) - right[f"covered {fill}"]
        found.append(About("cost_of_cover", fill, 0.0).mean(cost))
        if whole.low is not None and whole.low > chance:
            found.append(_index(right[WHOLE], right[f"covered {fill}"], fill, chance, seed, resamples))
    return tuple(found)


def _index(whole: Flags, covered: Flags, fill: str, chance: float, seed: int, resamples: int) -> Measure:
    """Return the shortcut index with its bootstrap interval over images; 1 says that covering lesions costs nothing."""
    n = len(whole)
    picks = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    over = picks @ whole - chance
    drawn = np.divide(picks @ covered - chance, over, out=np.full(resamples, np.nan), where=over > 0)
    low, high = (float(end) for end in np.nanpercentile(drawn, [2.5, 97.5]))
    value = float((covered.mean() - chance) / (whole.mean() - chance))
    return Measure("shortcut_index", fill, value, low, high, n, 0.0)
