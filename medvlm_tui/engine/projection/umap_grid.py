"""Data that the cells of one grid share while their steps run: the graph, the rows, and processes that work ahead."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.features.neighbours import Floats, cosine_neighbours
from medvlm_tui.engine.projection.layout import Layout, Row, lay_out_cell, prepare_row, small_layout
from medvlm_tui.engine.projection.map_scores import NEIGHBOURS, FeatureRanks
from medvlm_tui.engine.projection.processes import Finished, LayoutPool, Task
from medvlm_tui.engine.step.cores import cores
from medvlm_tui.stages.params.projection import ProjectionParams

Ints = NDArray[np.int64]
Check = Callable[[], None]
# Below this a spectral layout in two dimensions has no eigenvectors to use, and a graph says nothing.
MIN_POINTS = 5
# A process pays umap-learn's imports and compilation before its first map; maps of fewer points are done before that.
PARALLEL_POINTS = 300
_POLL_S = 0.1
_KEPT_ROWS = 2


@dataclass(slots=True)
class Grid:
    """The maps of one set of rows. Cells are named by the key of their result."""

    identity: tuple[str, int, int]
    """Table, max_points, seed: what the rows depend on."""
    n: int
    """Rows of the table."""
    rows: Ints
    """(m,) indices into the table."""
    codes: Ints
    """(m,) classes."""
    features: FeatureRanks
    _rows: dict[int, Row] = field(default_factory=dict)
    _pool: LayoutPool | None = None
    _given: set[str] = field(default_factory=set)
    """Cells that the processes were given."""
    _open: set[str] = field(default_factory=set)
    """Those of them that are not answered."""

    def serves(self, identity: tuple[str, int, int], params: Sequence[ProjectionParams]) -> bool:
        """Return whether these maps are of the same rows and need no more neighbours than are known."""
        known = self.features.near.indices.shape[1]
        return self.identity == identity and known >= neighbours_needed(params, len(self.rows))

    def cells(
        self, wanted: str, cells: Mapping[str, ProjectionParams], workers: int, check: Check
    ) -> Iterator[Finished]:
        """Yield cells as they are laid out, in no order, until `wanted` is among them; `check` may raise.

        `cells` are those still lacking. With several, processes work on them side by side, and go on with what
        they have while the caller stores and asks for the next; a cell alone is laid out here.
        """
        self._pool = self._pool or _pool_for(len(cells), len(self.rows), workers)
        if self._pool is None:
            begun = time.monotonic()
            layout = self._alone(cells[wanted])
            yield Finished(wanted, replace(layout, seconds=time.monotonic() - begun))
            return
        pool = self._pool
        if wanted not in self._open:
            self._given.discard(wanted)
        lacking = [cell for cell in (wanted, *cells) if cell not in self._given]
        done = False
        while not done:
            check()
            if lacking and pool.hungry:
                self._give(lacking[0], cells[lacking[0]], pool)
                lacking = [cell for cell in lacking if cell not in self._given]
            for finished in pool.collect(0.0 if lacking and pool.hungry else _POLL_S):
                done = done or finished.cell == wanted
                self._open.discard(finished.cell)
                yield finished

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None
        self._given.clear()
        self._open.clear()

    def _alone(self, params: ProjectionParams) -> Layout:
        if len(self.rows) < MIN_POINTS:
            return small_layout(self.features.units, params.n_neighbors)
        return lay_out_cell(self._row(params), params.min_dist, params.seed)

    def _give(self, cell: str, params: ProjectionParams, pool: LayoutPool) -> None:
        pool.submit(Task(cell, self._row(params), params.min_dist, params.seed))
        self._given.add(cell)
        self._open.add(cell)

    def _row(self, params: ProjectionParams) -> Row:
        if params.n_neighbors not in self._rows:
            # A row of n_neighbors 1000 on 28,160 points has 28 million edges: the one in work and the next are kept.
            while len(self._rows) >= _KEPT_ROWS:
                del self._rows[next(iter(self._rows))]
            near = self.features.near.first(min(params.n_neighbors, len(self.rows) - 1))
            self._rows[params.n_neighbors] = prepare_row(self.features.units, near, params.n_neighbors, params.seed)
        return self._rows[params.n_neighbors]


def open_grid(
    identity: tuple[str, int, int],
    n: int,
    units: Floats,
    rows: Ints,
    codes: Ints,
    params: Sequence[ProjectionParams],
    check: Check,
    device: str = "cpu",
    workers: int = 0,
) -> Grid:
    """Return the grid of unit rows (m, d) with the neighbours that the cells in `params` need, found once.

    Its processes start meanwhile; `check` may raise, and none is left then.
    """
    pool = _pool_for(len(params), len(rows), workers)
    try:
        near = cosine_neighbours(units, neighbours_needed(params, len(rows)), check, device)
    except BaseException:
        if pool is not None:
            pool.close()
        raise
    return Grid(identity, n, rows, codes, FeatureRanks(units, near), _pool=pool)


def _pool_for(cells: int, points: int, workers: int) -> LayoutPool | None:
    """Return processes for several cells, None where a process would cost more than it does."""
    several = cells > 1 and points >= PARALLEL_POINTS
    return LayoutPool(min(workers or cores(), cells)) if several else None


def neighbours_needed(params: Sequence[ProjectionParams], m: int) -> int:
    """Return how many neighbours of each row, itself included, the cells and their scores read."""
    return min(m, max(NEIGHBOURS + 1, *(p.n_neighbors for p in params)))
