"""Whether two models see a dataset alike: similarities of their features with permutation p-values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.engine import summaries
from medvlm_tui.engine.devices import choose
from medvlm_tui.engine.neighbours import Neighbours, cosine_neighbours, unit_rows
from medvlm_tui.engine.projection import stratified_subsample
from medvlm_tui.engine.similarity_measures import DebiasedCka, Measure, MutualNeighbours, ProcrustesDistance
from medvlm_tui.engine.step_inputs import Labelled, feature_table, params_of
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import MedvlmError

Ints = NDArray[np.int64]
Wide = NDArray[np.float64]
Check = Callable[[], None]
LOWER_IS_NEARER = frozenset({"procrustes"})


@dataclass(frozen=True, slots=True)
class SimilarityParams:
    """What the measures depend on."""

    neighbours: int = 10
    permutations: int = 200
    max_points: int = 2000
    """Stratified; two Grams of 2,000 rows have 64 MB."""
    seed: int = 0


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Compare every pair of `job.step.params["tables"]`, a mapping of model id -> key of its sealed table.

    Images that one of the models lacks are left out for all. Raises MedvlmError with fewer than two models or
    no common image.
    """
    begun = time.monotonic()
    params = params_of(SimilarityParams, job.step.params)
    tables = _tables(job, context)
    common = common_ids(tables)
    labels = dict(zip(tables[0].ids, Labelled.of(tables[0], job.dataset.classes).codes, strict=True))
    rows = stratified_subsample(np.array([labels[i] for i in common]), params.max_points, params.seed)
    chosen = [common[row] for row in rows]
    names = list(job.step.params["tables"])
    device = choose(job.request.device).device
    spaces = [_Space.of(rows_of(table, chosen), params.neighbours, context.check, device) for table in tables]
    pairs = list(combinations(range(len(names)), 2))
    found: list[dict[str, Any]] = []
    for done, (a, b) in enumerate(pairs):
        yield StepProgress(job.step.id, done, len(pairs), unit="pairs")
        measured = compare(_measures(spaces[a], spaces[b]), len(chosen), params, context.check)
        found.append({"a": names[a], "b": names[b], **measured})
    record = {
        "pairs": found,
        "n": len(common),
        "used": len(chosen),
        "neighbours": min(params.neighbours, len(chosen) - 1),
        "mutual_knn_by_chance": min(1.0, params.neighbours / max(1, len(chosen) - 1)),
        "permutations": params.permutations,
        "seed": params.seed,
        "versions": versions("numpy", "scipy"),
        "seconds": time.monotonic() - begun,
    }
    context.store.put_result(job.step.key, {}, record)
    shown = summaries.of_record("similarity", record)
    yield ResultReady(job.step.id, "similarity", job.step.key, job.step.model, job.step.dataset, shown)


def compare(measures: Mapping[str, Measure], n: int, params: SimilarityParams, check: Check) -> dict[str, float | None]:
    """Return each measure as NAME and its permutation p-value as NAME_p.

    The null is that the rows of the two sets belong to different images: p = (1 + permutations that are at least
    as alike) / (1 + permutations).
    """
    found = {name: measure.value() for name, measure in measures.items()}
    above = dict.fromkeys(measures, 0)
    rng = np.random.default_rng(params.seed)
    for _ in range(params.permutations):
        check()
        order = rng.permutation(n)
        for name, measure in measures.items():
            ours, value = found[name], measure.value(order) if found[name] is not None else None
            if ours is not None and value is not None:
                above[name] += value <= ours if name in LOWER_IS_NEARER else value >= ours
    p_values = {
        f"{name}_p": None if found[name] is None else (1 + count) / (1 + params.permutations)
        for name, count in above.items()
    }
    return {**found, **p_values}


def common_ids(tables: list[FeatureTable]) -> list[str]:
    """Return the images that every table has, in the first one's order; raises MedvlmError when there is none."""
    shared = set(tables[0].ids).intersection(*(table.ids for table in tables[1:]))
    if not shared:
        raise MedvlmError("the models have no image in common", "run them on the same dataset and part")
    return [i for i in tables[0].ids if i in shared]


def rows_of(table: FeatureTable, ids: list[str]) -> Wide:
    """Return the rows (len(ids), d) of these images as float64."""
    position = {name: row for row, name in enumerate(table.ids)}
    return np.asarray(table.matrix[[position[i] for i in ids]], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Space:
    rows: Wide
    near: Neighbours

    @classmethod
    def of(cls, rows: Wide, neighbours: int, check: Check, device: str) -> _Space:
        return cls(rows, cosine_neighbours(unit_rows(rows), min(neighbours + 1, len(rows)), check, device))

    @property
    def others(self) -> Ints:
        """(n, k) neighbours without the row itself."""
        return self.near.indices[:, 1:].astype(np.int64)


def _measures(a: _Space, b: _Space) -> dict[str, Measure]:
    return {
        "cka": DebiasedCka.of(a.rows, b.rows),
        "mutual_knn": MutualNeighbours(a.others, b.others),
        "procrustes": ProcrustesDistance.of(a.rows, b.rows),
    }


def _tables(job: Job, context: StepContext) -> list[FeatureTable]:
    keys: Mapping[str, str] = job.step.params["tables"]
    if len(keys) < 2:
        raise MedvlmError("similarity compares models, and there is one", "choose two models or more")
    jobs = [replace(job, step=replace(job.step, model=m), inputs={"extract": key}) for m, key in keys.items()]
    return [feature_table(each, context) for each in jobs]
