"""The hold-outs over which models are compared, and the images or groups that are the units of all of them.

With several, an image can be held out more than once. It is one unit: whatever is exchanged or flipped for it is so in
every hold-out that it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.comparison.common_images import CommonImages
from medvlm_tui.measures.repeats import HoldOuts
from medvlm_tui.stages.gathered import CellInput

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SeveralHoldOuts:
    """One hold-out or more of the same models on one dataset."""

    parts: tuple[CommonImages, ...]
    """Of each seed, the run's first."""
    places: tuple[Ints, ...]
    """Of each part (n,), the number of the unit that an image is, or that its group is under `grouped`."""
    units: int
    """Different images, or groups, of all parts."""

    @classmethod
    def of(cls, cells: Sequence[CellInput], store: Store) -> SeveralHoldOuts:
        """Read every hold-out of the cells; raises MedvlmError when a probe is gone."""
        parts = tuple(
            CommonImages.of([replace(cell, probe=key) for cell, key in zip(cells, keys, strict=True)], store)
            for keys in zip(*(cell.probes for cell in cells), strict=True)
        )
        # An image keeps its place among the units whichever hold-out names it first.
        names = [_unit_names(part) for part in parts]
        numbers = np.unique(np.concatenate(names), return_inverse=True)[1]
        places = np.split(numbers, np.cumsum([len(each) for each in names])[:-1])
        if len(parts) == 1 and parts[0].groups is None:
            places = [np.arange(len(parts[0].codes))]
        return cls(parts, tuple(places), int(numbers.max()) + 1)

    @property
    def first(self) -> CommonImages:
        """The hold-out of the run's seed."""
        return self.parts[0]

    @property
    def images(self) -> int:
        """Different images of all parts."""
        return len({name for part in self.parts for name in part.ids})

    @property
    def sizes(self) -> HoldOuts:
        """The size of a hold-out, and of what is not held out."""
        return HoldOuts(len(self.first.codes), self.first.n_train)

    def local_units(self, part: int) -> Ints:
        """Return (units of the part,) their numbers among all, in the order in which the part's sums list them."""
        places = self.places[part]
        return places if self.parts[part].groups is None else np.unique(places)

    def mean_sums(self, values: Sequence[Floats]) -> Floats:
        """Return (units, ...) sums of the values (n, ...) of each part, divided by the number of parts."""
        total = np.zeros((self.units, *values[0].shape[1:]))
        for places, each in zip(self.places, values, strict=True):
            np.add.at(total, places, each)
        return total / len(self.parts)


def _unit_names(part: CommonImages) -> NDArray[np.str_] | Ints:
    return np.array(part.ids) if part.groups is None else part.groups
