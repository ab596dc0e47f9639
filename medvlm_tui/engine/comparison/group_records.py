"""The permutation tests of every trait of models, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.catalog.traits import TRAITS
from medvlm_tui.measures.permutation import adjusted, group_test
from medvlm_tui.stages.records.comparison import GroupRecord

Traits = Mapping[str, bool | None]


def group_records(
    metric: str, scores: NDArray[np.float64], traits: Sequence[Sequence[Traits]], seed: int
) -> list[GroupRecord]:
    """Return a record for each trait that divides the models, p-values adjusted by Holm over these.

    `scores` (N, k), NaN where a model has none; `traits` N x k.
    """
    places = {name: _places(traits, name) for name in TRAITS}
    known = ~np.isnan(scores)
    usable = [n for n, p in places.items() if any(_divides(row[there]) for row, there in zip(p, known, strict=True))]
    tests = [group_test(scores, places[name], seed) for name in usable]
    return [
        GroupRecord(trait=name, metric=metric, holm=p, **asdict(test))
        for name, test, p in zip(usable, tests, adjusted(tests), strict=True)
    ]


def _places(traits: Sequence[Sequence[Traits]], name: str) -> NDArray[np.float64]:
    return np.array([[_place(model.get(name)) for model in row] for row in traits])


def _place(inside: bool | None) -> float:
    return np.nan if inside is None else float(inside)


def _divides(places: NDArray[np.float64]) -> bool:
    return bool((places == 1).any() and (places == 0).any())
