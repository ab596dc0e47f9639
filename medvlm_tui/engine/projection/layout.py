"""One row of the UMAP grid (fuzzy set and starting layout of an n_neighbors) and one cell of it (a min_dist).

Everything that moves points is umap-learn's. A row is prepared once and serves all its cells; a cell depends on
its row, its min_dist and the seed alone, so that it has the same bytes whichever process computes it.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import ArpackError
from tqdm import tqdm
from umap.spectral import spectral_layout
from umap.umap_ import find_ab_params, fuzzy_simplicial_set, noisy_scale_coords, simplicial_set_embedding

from medvlm_tui.engine.features.neighbours import Floats, Neighbours

SPREAD = 1.0
# umap-learn takes 500 up to 10,000 points and 200 above. From 1,000 points on, 200 lose no more trustworthiness than
# another seed does (docs/projection.md) for two fifths of the time; below, time is no matter.
EPOCHS_SMALL, EPOCHS_LARGE = 500, 200
_SMALL = 1_000
# tqdm's own lock, which umap-learn's layout takes, has a semaphore that a process leaves behind when it is killed.
tqdm.set_lock(threading.RLock())


@dataclass(frozen=True, slots=True)
class Row:
    """Data that the cells of one n_neighbors share."""

    n_neighbors: int
    """As used: at most n - 1."""
    heads: NDArray[np.int32]
    """(edges,)"""
    tails: NDArray[np.int32]
    """(edges,)"""
    weights: Floats
    """(edges,) membership strengths, without those too weak to be drawn in `epochs`."""
    start: Floats
    """(n, 2) where every cell starts."""
    epochs: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """A map and how it came about."""

    xy: Floats
    """(n, 2)"""
    n_neighbors: int
    """As used: at most n - 1."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def prepare_row(units: Floats, near: Neighbours, asked: int, seed: int) -> Row:
    """Return the fuzzy set and the start of unit rows with their exact neighbours, themselves first.

    The start is spectral; principal components where the eigenvectors cannot be found.
    """
    k = near.indices.shape[1]
    notes: list[str] = []
    if k < asked:
        notes.append(f"n_neighbors reduced from {asked} to {k}: there are {len(units)} points")
    if (units == units[0]).all():
        notes.append("all points have the same features: the map shows nothing")
    random = np.random.RandomState(seed)
    # Copies: umap marks neighbours that are too far in place.
    graph, _, _ = fuzzy_simplicial_set(
        units, k, random, "cosine", {}, near.indices.copy(), near.distances.copy(), angular=True
    )
    epochs = EPOCHS_SMALL if len(units) <= _SMALL else EPOCHS_LARGE
    graph = graph.tocoo()
    graph.sum_duplicates()
    if graph.nnz:
        graph.data[graph.data < graph.data.max() / epochs] = 0.0
        graph.eliminate_zeros()
    start, failures = _start(units, graph, seed)
    heads, tails = graph.row.astype(np.int32), graph.col.astype(np.int32)
    return Row(k, heads, tails, graph.data.astype(np.float32), start, epochs, (*notes, *failures))


def lay_out_cell(row: Row, min_dist: float, seed: int) -> Layout:
    """Return the map of one cell; the same call gives the same bytes."""
    if not len(row.weights):
        return Layout(row.start, row.n_neighbors, (*row.notes, "no neighbours: the start is shown"))
    a, b = find_ab_params(SPREAD, min_dist)
    n = len(row.start)
    xy, _ = simplicial_set_embedding(
        data=None,
        graph=coo_matrix((row.weights.copy(), (row.heads, row.tails)), shape=(n, n)),
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=row.epochs,
        init=row.start.copy(),
        random_state=np.random.RandomState(seed),
        metric="cosine",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=False,
    )
    layout = Layout(xy.astype(np.float32), row.n_neighbors, row.notes)
    if np.isfinite(layout.xy).all():
        return layout
    return replace(layout, xy=row.start, notes=(*row.notes, "UMAP gave no finite map: the start is shown"))


def small_layout(units: Floats, asked: int) -> Layout:
    """Return principal components, for sets that are too small for a graph to say anything."""
    k = min(asked, len(units) - 1)
    note = f"{len(units)} points are too few for UMAP: principal components are shown"
    return Layout(principal_components(units), k, (note,))


def principal_components(units: Floats) -> Floats:
    """Return (n, 2) principal components, zero where there are fewer."""
    centred = units.astype(np.float64) - units.mean(axis=0, dtype=np.float64)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(2, len(s))
    xy = np.zeros((len(units), 2), dtype=np.float32)
    xy[:, :kept] = u[:, :kept] * s[:kept]
    return xy


def _start(units: Floats, graph: coo_matrix, seed: int) -> tuple[Floats, Sequence[str]]:
    """Return the starting layout (n, 2), 0 to 10 in both directions, and what is to be said about it."""
    random = np.random.RandomState(seed)
    failed = False
    xy: NDArray[np.floating] = np.zeros((len(units), 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            xy = spectral_layout(units, graph, 2, random, metric="cosine", metric_kwds={})
        except (ArpackError, np.linalg.LinAlgError, ValueError, TypeError, IndexError):
            # Disconnected graphs with components of a few points; each release of scipy words it differently.
            failed = True
    failed = failed or any("pectral" in str(w.message) for w in caught) or not np.isfinite(xy).all()
    if failed:
        random = np.random.RandomState(seed)
        xy = principal_components(units)
    if np.abs(xy).max() == 0:
        xy = random.uniform(-1.0, 1.0, xy.shape)
    xy = np.asarray(noisy_scale_coords(xy, random, max_coord=10, noise=0.0001), dtype=np.float64)
    low, high = xy.min(axis=0), xy.max(axis=0)
    scaled = 10.0 * (xy - low) / np.where(high > low, high - low, 1.0)
    return scaled.astype(np.float32), (
        "the spectral start failed: started from principal components",
    ) if failed else ()
