"""Readings of a model's grid of maps: the proposed cell, all cells in one orientation, the clusters seen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.store.store import Stored
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.projection import examples as map_examples
from medvlm_tui.engine.projection.clusters import find_clusters
from medvlm_tui.engine.step.inputs import feature_table
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.map_choice import RULE, faithfulness, proposed
from medvlm_tui.measures.procrustes import Turn, procrustes
from medvlm_tui.stages.projection import GRID, PROJECT
from medvlm_tui.stages.records.projection import ClusterRecord, ExamplePoints, GridCell, GridRecord, MapRecord

Wide = NDArray[np.float64]


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Propose one of the maps of a model on a dataset and turn the others to it.

    `job.step.params["maps"]` lists the keys of the cells; raises MedvlmError when one is missing.
    """
    begun = time.monotonic()
    keys: Sequence[str] = job.step.params["maps"]
    maps = [each for key in keys if (each := context.store.read(key, PROJECT.record)) is not None]
    if not maps or len(maps) < len(keys):
        missing = f"{len(keys) - len(maps)} of {len(keys)} maps of {job.step.model} on {job.step.dataset} are missing"
        raise MedvlmError(missing, "run the same command again: they are computed anew")
    yield StepProgress(job.step.id, 0, len(maps), unit="maps")
    best = proposed([each.record.scores for each in maps])
    cells, aligned = align(maps, best)
    context.check()
    arrays, clusters, examples = _read_off(maps[best], job, context)
    record = GridRecord(
        rule=RULE,
        proposed=maps[best].key,
        cells=tuple(cells),
        clusters=clusters,
        examples=examples,
        n=maps[best].record.n,
        seed=maps[best].record.seed,
        subsampled=maps[best].record.subsampled,
        versions=versions("numpy", "scikit-learn"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {"xy": aligned.astype(np.float32), **arrays}, record)
    summary = GRID.summary(record)
    yield ResultReady(job.step.id, "grid", job.step.key, job.step.model, job.step.dataset, summary)


def _read_off(
    shown: Stored[MapRecord], job: CellJob, context: StepContext
) -> tuple[dict[str, NDArray[Any]], tuple[ClusterRecord, ...], ExamplePoints]:
    """Return what is seen on the proposed map: arrays, its clusters, and examples with their images."""
    table, rows, xy = feature_table(job, context), shown.arrays["rows"], shown.arrays["xy"]
    clusters, described = find_clusters(xy, [table.labels[row] for row in rows.tolist()])
    chosen = {"density": map_examples.by_density(xy), "cluster": map_examples.by_cluster(xy, clusters)}
    wanted = list(dict.fromkeys(point for points in chosen.values() for point in points))
    samples = {sample.id: sample for sample in job.dataset.samples}
    ids = [table.ids[row] for row in rows.tolist()]
    found, pixels = map_examples.thumbnails(wanted, ids, samples, context.check, job.request.window)
    arrays = {"rows": rows, "clusters": clusters, "examples": np.array(found, dtype=np.int32), "thumbnails": pixels}
    examples = {kind: tuple(point for point in points if point in found) for kind, points in chosen.items()}
    return arrays, tuple(described), ExamplePoints(**examples)


def align(maps: Sequence[Stored[MapRecord]], best: int) -> tuple[list[GridCell], Wide]:
    """Return each cell's record and the turned maps (c, m, 2), which show the same rows.

    From the proposed cell outwards, each is turned onto the nearest one that is turned already, so that one sees
    what changes from neighbour to neighbour.
    """
    places = _places([each.record for each in maps])
    order = sorted(range(len(maps)), key=lambda cell: _apart(places[cell], places[best]))
    turned = np.empty((len(maps), *maps[best].arrays["xy"].shape))
    cells: dict[int, GridCell] = {}
    for done, cell in enumerate(order):
        onto = min(order[:done], key=lambda other: _apart(places[cell], places[other]), default=None)
        xy = maps[cell].arrays["xy"]
        turn = Turn(np.eye(2), 1.0, np.zeros(2), 0.0) if onto is None else procrustes(turned[onto], xy)
        turned[cell] = turn.apply(xy)
        cells[cell] = _cell(maps[cell], turn, None if onto is None else maps[onto].key)
    return [cells[cell] for cell in range(len(maps))], turned


def _places(records: Sequence[MapRecord]) -> list[tuple[int, int]]:
    """Return the (row, column) of each cell in its grid."""
    rows = sorted({record.n_neighbors for record in records})
    columns = sorted({record.min_dist for record in records})
    return [(rows.index(record.n_neighbors), columns.index(record.min_dist)) for record in records]


def _apart(a: tuple[int, int], b: tuple[int, int]) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _cell(found: Stored[MapRecord], turn: Turn, onto: str | None) -> GridCell:
    (a, b), (c, d) = turn.rotation.tolist()
    right, up = turn.shift.tolist()
    return GridCell(
        key=found.key,
        n_neighbors=found.record.n_neighbors,
        min_dist=found.record.min_dist,
        scores=found.record.scores,
        faithfulness=faithfulness(found.record.scores),
        onto=onto,
        disparity=turn.disparity,
        rotation=((a, b), (c, d)),
        scale=turn.scale,
        shift=(right, up),
    )
