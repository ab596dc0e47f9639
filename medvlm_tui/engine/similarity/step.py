"""Comparison of how two models see a dataset: similarities of features, intervals over images, permutation p-values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.features.neighbours import Neighbours, cosine_neighbours, unit_rows
from medvlm_tui.engine.similarity.deletions import cka_left_out, interval, neighbours_left_out, procrustes_left_out
from medvlm_tui.engine.similarity.measures import DebiasedCka, Measure, MutualNeighbours, ProcrustesDistance
from medvlm_tui.engine.step.devices import choose
from medvlm_tui.engine.step.inputs import Labelled, features_of, params_of
from medvlm_tui.engine.step.job import DatasetJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.draws import stratified_subsample
from medvlm_tui.stages.params.similarity import SimilarityParams
from medvlm_tui.stages.records.similarity import AlikeRecord, SimilarityRecord
from medvlm_tui.stages.similarity import SIMILARITY

Ints = NDArray[np.int64]
Wide = NDArray[np.float64]
Check = Callable[[], None]
LOWER_IS_NEARER = frozenset({"procrustes"})


def run(job: DatasetJob, context: StepContext) -> Iterator[Event]:
    """Compare every pair of `job.step.params["tables"]`, a list of {model, table: key of its sealed table}.

    Each pair is stored on its own, so that one more model costs its own pairs. Images that one of two models lacks
    are left out for both. Raises MedvlmError with fewer than two models.
    """
    begun = time.monotonic()
    params = params_of(SimilarityParams, job.step.params)
    keys = {each["model"]: each["table"] for each in job.step.params["tables"]}
    if len(keys) < 2:
        raise MedvlmError("similarity compares models, and there is one", "choose two models or more")
    pairs = list(combinations(keys, 2))
    spaces = _Spaces(job, context, params)
    found: list[AlikeRecord] = []
    for done, (a, b) in enumerate(pairs):
        yield StepProgress(job.step.id, done, len(pairs), unit="pairs")
        found.append(_pair(a, b, keys, spaces, context, params))
    record = SimilarityRecord(
        pairs=tuple(found),
        permutations=params.permutations,
        seed=params.seed,
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = SIMILARITY.summary(record)
    yield ResultReady(job.step.id, "similarity", job.step.key, job.step.model, job.step.dataset, shown)


def _pair(
    a: str, b: str, keys: Mapping[str, str], spaces: _Spaces, context: StepContext, params: SimilarityParams
) -> AlikeRecord:
    """Return the record of two models, as stored or measured now."""
    key = of_record(["similarity pair", SIMILARITY.version, keys[a], keys[b], asdict(params)])
    stored = context.store.read_record(key, AlikeRecord)
    if stored is not None:
        return stored
    (first, second), common = spaces.of(a, keys[a], b, keys[b])
    pair = Pair.of(first, second)
    found = compare(pair.measures, len(first.rows), params, context.check)
    record = AlikeRecord(a=a, b=b, **pair.described(found, params.seed, context.check), n=common)
    context.store.put_result(key, {}, record)
    return record


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
class Space:
    """One encoder's features of the images that are compared, with their neighbours."""

    rows: Wide
    near: Neighbours
    """Itself, the neighbours that are counted, and one more."""
    neighbours: int

    @classmethod
    def of(cls, rows: Wide, neighbours: int, check: Check, device: str) -> Space:
        """Find the neighbours of rows (n, d) by cosine."""
        return cls(rows, cosine_neighbours(unit_rows(rows), min(neighbours + 2, len(rows)), check, device), neighbours)

    @property
    def others(self) -> Ints:
        """(n, k) neighbours without the row itself."""
        return self.near.indices[:, 1 : self.neighbours + 1].astype(np.int64)

    @property
    def one_more(self) -> Ints:
        """(n, k + 1): one neighbour more, where there are that many images."""
        return self.near.indices[:, 1:].astype(np.int64)


class _Spaces:
    """The models' rows of the images that a pair has in common; the first model's are kept for its next pair."""

    def __init__(self, job: DatasetJob, context: StepContext, params: SimilarityParams) -> None:
        self._job, self._context, self._params = job, context, params
        self._device = choose(job.request.device).device
        self._kept: tuple[str, tuple[str, ...], Space] | None = None

    def of(self, a: str, key_a: str, b: str, key_b: str) -> tuple[tuple[Space, Space], int]:
        """Return both spaces and the number of common images; raises MedvlmError when there is none."""
        first, second = self._table(a, key_a), self._table(b, key_b)
        common = common_ids([first, second])
        labels = dict(zip(first.ids, Labelled.of(first, self._job.dataset.classes).codes.tolist(), strict=True))
        codes = np.array([labels[image] for image in common])
        rows = stratified_subsample(codes, self._params.max_points, self._params.seed)
        chosen = tuple(common[row] for row in rows.tolist())
        if self._kept is None or self._kept[:2] != (key_a, chosen):
            self._kept = key_a, chosen, self._space(first, chosen)
        return (self._kept[2], self._space(second, chosen)), len(common)

    def _table(self, model: str, key: str) -> FeatureTable:
        return features_of(model, self._job.dataset, key, self._context.store)

    def _space(self, table: FeatureTable, chosen: tuple[str, ...]) -> Space:
        rows = rows_of(table, list(chosen))
        return Space.of(rows, self._params.neighbours, self._context.check, self._device)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two spaces of the same images, with what is computed once for values, permutations and intervals."""

    first: Space
    second: Space
    cka: DebiasedCka
    procrustes: ProcrustesDistance

    @classmethod
    def of(cls, first: Space, second: Space) -> Pair:
        """Prepare the measures of two spaces."""
        rows = first.rows, second.rows
        return cls(first, second, DebiasedCka.of(*rows), ProcrustesDistance.of(*rows))

    @property
    def measures(self) -> dict[str, Measure]:
        """The three measures by name."""
        near = MutualNeighbours(self.first.others, self.second.others)
        return {"cka": self.cka, "mutual_knn": near, "procrustes": self.procrustes}

    def described(self, found: Mapping[str, float | None], seed: int, check: Check) -> dict[str, Any]:
        """Return the fields of a record: the values `found`, their intervals, chance, and what they rest on."""
        n, neighbours = len(self.first.rows), self.first.neighbours
        return {
            **found,
            **self._intervals(found, seed, check),
            "used": n,
            "neighbours": min(neighbours, n - 1),
            "mutual_knn_by_chance": min(1.0, neighbours / max(1, n - 1)),
        }

    def _intervals(self, found: Mapping[str, float | None], seed: int, check: Check) -> dict[str, float | None]:
        """Return NAME_low and NAME_high of each measure: the jackknife's interval over images."""
        more = self.first.one_more, self.second.one_more
        left_out = {
            "cka": (cka_left_out(self.cka), -1.0, 1.0),
            "mutual_knn": (neighbours_left_out(*more) if more[0].shape[1] > self.first.neighbours else None, 0.0, 1.0),
            "procrustes": (procrustes_left_out(self.procrustes, seed, check), 0.0, 2.0),
        }
        ends: dict[str, float | None] = {}
        for name, (values, least, most) in left_out.items():
            ends[f"{name}_low"], ends[f"{name}_high"] = interval(found.get(name), values, least, most)
        return ends
