"""Separability of the classes in the full feature space, as numbers with permutation p-values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.features.exact_neighbours import exact_neighbours, wide_unit_rows
from medvlm_tui.engine.features.neighbours import Floats, Neighbours, unit_rows
from medvlm_tui.engine.separability import measures
from medvlm_tui.engine.step.inputs import Labelled, feature_table, params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.draws import stratified_subsample
from medvlm_tui.stages.params.separability import SeparabilityParams
from medvlm_tui.stages.records.separability import SeparabilityRecord
from medvlm_tui.stages.separability import SEPARABILITY

Ints = NDArray[np.int64]
Wide = NDArray[np.float64]
LOWER_IS_BETTER = frozenset({"davies_bouldin", "alignment"})


@dataclass(frozen=True, slots=True)
class Space:
    """Features with what several measures read of them."""

    features: Wide
    """(n, d)"""
    units: Floats
    """(n, d) rows of length 1."""
    wide: Wide
    """(n, d) The same, scaled in float64."""
    near: Neighbours
    clusters: Ints | None = None
    """(n,) k-means clusters, as many as classes; None where there are too few rows."""


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Compute every measure of one model on one dataset, for the classes or a tag; raises MedvlmError when the
    features cannot be used."""
    begun = time.monotonic()
    params = params_of(SeparabilityParams, job.step.params)
    table = _grouped(feature_table(job, context), job, params.tag)
    labelled = Labelled.of(table, () if params.tag else job.dataset.classes)
    rows = stratified_subsample(labelled.codes, params.max_points, params.seed)
    codes = labelled.codes[rows]
    yield StepProgress(job.step.id, 0, params.permutations, unit="permutations")
    space = open_space(table.matrix[rows], codes, params, context.check)
    count = PermutationCount(space, codes, params.seed)
    for done in range(params.permutations if len(labelled.classes) > 1 else 0):
        context.check()
        count.permute()
        if done % 20 == 19:
            yield StepProgress(job.step.id, done + 1, params.permutations, unit="permutations")
    record = SeparabilityRecord(
        measures={**count.found, **space_measures(space)},
        p_values=count.p_values(),
        purity_by_chance=measures.purity_by_chance(codes),
        tag=params.tag,
        classes=tuple(labelled.classes),
        neighbours=space.near.indices.shape[1] - 1,
        permutations=params.permutations,
        seed=params.seed,
        n=len(table.ids),
        used=len(rows),
        subsampled=len(rows) < len(table.ids),
        versions=versions("numpy", "scipy", "scikit-learn"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = SEPARABILITY.summary(record)
    yield ResultReady(job.step.id, "separability", job.step.key, job.step.model, job.step.dataset, shown)


def _grouped(table: FeatureTable, job: CellJob, tag: str) -> FeatureTable:
    """Return the table with the tag's values as labels, without the images that have none."""
    if not tag:
        return table
    rows = [row for row, image in enumerate(table.ids) if image in job.groups]
    if not rows:
        raise MedvlmError(f"no image of {job.step.dataset} has the tag {clean(tag)}", "check the paths of --tags")
    ids = tuple(table.ids[row] for row in rows)
    labels = tuple(job.groups[image] for image in ids)
    groups = tuple(table.groups[row] for row in rows)
    return replace(table, ids=ids, labels=labels, groups=groups, matrix=table.matrix[rows], classes=())


def open_space(
    matrix: NDArray[np.floating],
    codes: Ints,
    params: SeparabilityParams,
    check: Callable[[], None],
) -> Space:
    """Return what the measures read of a matrix (n, d) with classes (n,)."""
    units = unit_rows(matrix)
    wide = wide_unit_rows(matrix)
    near = exact_neighbours(wide, min(params.neighbours + 1, len(wide)), check)
    return Space(matrix.astype(np.float64), units, wide, near, measures.clusters(wide, codes, params.seed))


def class_measures(space: Space, codes: Ints) -> dict[str, float | None]:
    """Return the measures that read classes (n,), by name; None where one is not defined."""
    return {
        "silhouette": measures.silhouette(space.units, codes),
        "davies_bouldin": measures.davies_bouldin(space.features, codes),
        "knn_purity": measures.knn_purity(space.near, codes),
        "fisher_ratio": measures.fisher_ratio(space.features, codes),
        "kmeans_ari": measures.cluster_ari(space.clusters, codes),
        "kmeans_nmi": measures.cluster_nmi(space.clusters, codes),
        "alignment": measures.alignment(space.wide, codes),
    }


class PermutationCount:
    """Counts the permutations of the classes that separate them at least as well as they are."""

    def __init__(self, space: Space, codes: Ints, seed: int) -> None:
        self.found = class_measures(space, codes)
        self._space, self._codes = space, codes
        self._random = np.random.default_rng(seed)
        self._above = dict.fromkeys(self.found, 0)
        self._done = 0

    def permute(self) -> None:
        """Permute the classes once more."""
        for name, value in class_measures(self._space, self._random.permutation(self._codes)).items():
            self._above[name] += _at_least(name, value, self.found[name])
        self._done += 1

    def p_values(self) -> dict[str, float | None]:
        """Return (1 + counted) / (1 + permutations) for each measure; None where it is not defined."""
        known = {name for name, value in self.found.items() if value is not None}
        return {n: (c + 1) / (self._done + 1) if n in known else None for n, c in self._above.items()}


def space_measures(space: Space) -> dict[str, float | None]:
    """Return the measures that read no classes, by name; None where one is not defined."""
    centred = space.features - space.features.mean(axis=0)
    first, second = _two_nearest(space)
    return {
        "rank_me": measures.rank_me(_singular(space.features)),
        "participation_ratio": measures.participation_ratio(_singular(centred)),
        "intrinsic_dimension": measures.two_nn(first, second),
        "uniformity": measures.uniformity(space.wide),
        "hubness": measures.hubness(space.near),
    }


def _singular(rows: Wide) -> Wide:
    return np.asarray(np.linalg.svd(rows, compute_uv=False), dtype=np.float64)


def _two_nearest(space: Space) -> tuple[Wide, Wide]:
    """Return the distances (n,) to the nearest two of the unit rows, in float64: 1 - cosine has 7 digits only."""
    candidates = space.near.indices[:, 1:6]
    if candidates.shape[1] < 2:
        return np.zeros(0), np.zeros(0)
    apart = np.stack([np.linalg.norm(space.wide - space.wide[column], axis=1) for column in candidates.T], axis=1)
    apart.sort(axis=1)
    return apart[:, 0], apart[:, 1]


def _at_least(name: str, value: float | None, found: float | None) -> bool:
    """Return whether a permutation separates the classes at least as well; an undefined value counts as yes."""
    if value is None or found is None:
        return True
    return value <= found if name in LOWER_IS_BETTER else value >= found
