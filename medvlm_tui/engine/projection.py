"""One UMAP map of a model's features on a dataset."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.params import ProjectionParams
from medvlm_tui.engine import summaries
from medvlm_tui.engine.map_scores import map_scores
from medvlm_tui.engine.neighbours import Floats, Neighbours, cosine_neighbours, unit_rows
from medvlm_tui.engine.step_inputs import Labelled, feature_table, params_of
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import UsageError

Ints = NDArray[np.int64]
# Below this a spectral layout in two dimensions has no eigenvectors to use, and a graph says nothing.
MIN_POINTS = 5
SPREAD = 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """A map and how it came about."""

    xy: Floats
    """(m, 2)"""
    n_neighbors: int
    """As used: at most m - 1."""
    notes: tuple[str, ...] = ()


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Draw one map; raises MedvlmError when the features cannot be used."""
    begun = time.monotonic()
    params = params_of(ProjectionParams, job.step.params)
    _check(params)
    table = feature_table(job, context)
    labelled = Labelled.of(table, job.dataset.classes)
    rows = stratified_subsample(labelled.codes, params.max_points, params.seed)
    units = unit_rows(table.matrix[rows])
    yield StepProgress(job.step.id, 1, 4, unit="parts")
    k = min(params.n_neighbors, len(rows) - 1)
    near = cosine_neighbours(units, k, context.check) if len(rows) >= MIN_POINTS else None
    yield StepProgress(job.step.id, 2, 4, unit="parts")
    layout = umap_layout(units, near, params) if near is not None else _small_layout(units, k)
    context.check()
    yield StepProgress(job.step.id, 3, 4, unit="parts")
    record = {
        "n_neighbors": params.n_neighbors,
        "n_neighbors_used": layout.n_neighbors,
        "min_dist": params.min_dist,
        "seed": params.seed,
        "n": len(table.ids),
        "subsampled": len(rows) < len(table.ids),
        "scores": map_scores(units, layout.xy, labelled.codes[rows]),
        "note": "; ".join(layout.notes),
        "versions": versions("numpy", "scipy", "umap-learn", "pynndescent", "numba"),
        "seconds": time.monotonic() - begun,
    }
    context.store.put_result(job.step.key, {"xy": layout.xy, "rows": rows}, record)
    shown = summaries.of_record("project", record)
    yield ResultReady(job.step.id, "project", job.step.key, job.step.model, job.step.dataset, shown)


def _check(params: ProjectionParams) -> None:
    if params.n_neighbors < 2:
        raise UsageError(f"n_neighbors {params.n_neighbors} is too small for UMAP", "choose 2 or more")
    if not 0 <= params.min_dist <= SPREAD:
        raise UsageError(f"min_dist {params.min_dist:g} is outside 0 to {SPREAD:g}", "choose one between, e.g. 0.1")


def stratified_subsample(codes: Ints, max_points: int, seed: int) -> Ints:
    """Return sorted row indices, all of them or `max_points` with the classes' shares kept, one of each at least."""
    n = len(codes)
    if n <= max_points:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    classes, sizes = np.unique(codes, return_counts=True)
    quota = np.maximum(1, np.floor(sizes * max_points / n).astype(int))
    # What rounding left over goes to the classes with the largest remainders.
    remainder = sizes * max_points / n - quota
    for c in np.argsort(-remainder, kind="stable")[: max(0, max_points - int(quota.sum()))]:
        quota[c] += 1
    chosen = [rng.permutation(np.flatnonzero(codes == c))[:q] for c, q in zip(classes, quota, strict=True)]
    return np.sort(np.concatenate(chosen))


def umap_layout(units: Floats, near: Neighbours, params: ProjectionParams) -> Layout:
    """Return the seeded UMAP map of unit rows with their exact neighbours; the same call gives the same bytes.

    The fuzzy set and the layout are umap-learn's, with its defaults for whatever is not a parameter here.
    """
    k = near.indices.shape[1]
    notes: list[str] = []
    if k < params.n_neighbors:
        notes.append(f"n_neighbors reduced from {params.n_neighbors} to {k}: there are {len(units)} points")
    if (units == units[0]).all():
        notes.append("all points have the same features: the map shows nothing")
    random = np.random.RandomState(params.seed)
    # Copies: umap marks neighbours that are too far in place.
    graph, _, _ = fuzzy_simplicial_set(
        units, k, random, "cosine", {}, near.indices.copy(), near.distances.copy(), angular=True
    )
    xy, failures = _embed(units, graph, params, "spectral")
    if failures:
        notes.append("the spectral start failed: started from principal components")
        xy, _ = _embed(units, graph, params, "pca")
    if not np.isfinite(xy).all():
        notes.append("UMAP gave no finite map: principal components are shown")
        xy = _principal_components(units)
    return Layout(xy.astype(np.float32), k, tuple(notes))


def _embed(units: Floats, graph: object, params: ProjectionParams, init: str) -> tuple[Floats, Sequence[str]]:
    """Return the map and the failures of the spectral start that umap warned about."""
    a, b = find_ab_params(SPREAD, params.min_dist)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        xy, _ = simplicial_set_embedding(
            data=units,
            graph=graph,
            n_components=2,
            initial_alpha=1.0,
            a=a,
            b=b,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=None,
            init=init,
            random_state=np.random.RandomState(params.seed),
            metric="cosine",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
            parallel=False,
        )
    return xy, [str(w.message) for w in caught if "pectral" in str(w.message)]


def _small_layout(units: Floats, k: int) -> Layout:
    return Layout(
        _principal_components(units), k, (f"{len(units)} points are too few for UMAP: principal components are shown",)
    )


def _principal_components(units: Floats) -> Floats:
    """Return (n, 2) principal components, zero where there are fewer."""
    centred = units.astype(np.float64) - units.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(2, len(s))
    xy = np.zeros((len(units), 2), dtype=np.float32)
    xy[:, :kept] = u[:, :kept] * s[:kept]
    return xy
