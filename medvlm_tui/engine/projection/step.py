"""UMAP maps of a model's features on a dataset: a step computes one cell of the grid, and others on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.plan import Step
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.features.neighbours import unit_rows
from medvlm_tui.engine.projection.layout import SPREAD, Layout
from medvlm_tui.engine.projection.map_scores import map_scores
from medvlm_tui.engine.projection.umap_grid import Grid, open_grid
from medvlm_tui.engine.step.devices import choose
from medvlm_tui.engine.step.inputs import Labelled, feature_table, params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import Cancelled, UsageError
from medvlm_tui.measures.draws import stratified_subsample
from medvlm_tui.stages.params.projection import ProjectionParams
from medvlm_tui.stages.projection import PROJECT
from medvlm_tui.stages.records.projection import MapRecord


class OpenGrid:
    """The grid that the last step worked on; the next step most often wants another cell of it."""

    def __init__(self) -> None:
        self.grid: Grid | None = None

    def close(self) -> None:
        """End its processes and forget it."""
        if self.grid is not None:
            self.grid.close()
        self.grid = None


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Draw one map, and store what of `job.ahead` is ready by then; raises MedvlmError when the features cannot
    be used. The neighbours, and for each n_neighbors the start, are made once for all of them."""
    begun = time.monotonic()
    _check(params_of(ProjectionParams, job.step.params))
    open_one = context.resources.of(OpenGrid)
    result = context.store.read_record(job.step.key, PROJECT.record)
    ahead = [step for step in job.ahead if _same_rows(step, job.step) and not context.store.has_result(step.key)]
    steps = {step.key: step for step in ((job.step, *ahead) if result is None else ahead)}
    if result is None:
        done = len(job.ahead) + 1 - len(steps)
        yield StepProgress(job.step.id, done, len(job.ahead) + 1, unit="maps")
        try:
            grid = _grid(job, context, steps)
            for stored in _fill(job, context, grid, steps, begun):
                done += 1
                yield StepProgress(job.step.id, done, len(job.ahead) + 1, unit="maps")
                steps.pop(stored, None)
        except (Cancelled, GeneratorExit):
            open_one.close()  # what the processes still do is for nobody
            raise
        result = context.store.read_record(job.step.key, PROJECT.record)
        assert result is not None
    if not steps:
        open_one.close()
    shown = PROJECT.summary(result)
    yield ResultReady(job.step.id, "project", job.step.key, job.step.model, job.step.dataset, shown)


def _check(params: ProjectionParams) -> None:
    if params.n_neighbors < 2:
        raise UsageError(f"n_neighbors {params.n_neighbors} is too small for UMAP", "choose 2 or more")
    if not 0 <= params.min_dist <= SPREAD:
        raise UsageError(f"min_dist {params.min_dist:g} is outside 0 to {SPREAD:g}", "choose one between, e.g. 0.1")


def _same_rows(step: Step, of: Step) -> bool:
    """Return whether a step is a map of the same rows, with parameters that it will not be refused for."""
    theirs, ours = params_of(ProjectionParams, step.params), params_of(ProjectionParams, of.params)
    valid = theirs.n_neighbors >= 2 and 0 <= theirs.min_dist <= SPREAD
    return valid and (theirs.max_points, theirs.seed) == (ours.max_points, ours.seed)


def _grid(job: CellJob, context: StepContext, steps: Mapping[str, Step]) -> Grid:
    """Return the grid of the job's rows: the open one, or a new one in its place."""
    params = params_of(ProjectionParams, job.step.params)
    lacking = [params_of(ProjectionParams, step.params) for step in steps.values()]
    identity = (job.inputs["extract"], params.max_points, params.seed)
    kept = context.resources.of(OpenGrid)
    if kept.grid is not None and kept.grid.serves(identity, lacking):
        return kept.grid
    kept.close()
    table = feature_table(job, context)
    codes = Labelled.of(table, job.dataset.classes).codes
    rows = stratified_subsample(codes, params.max_points, params.seed)
    units = unit_rows(table.matrix[rows])
    device = choose(job.request.device).device
    kept.grid = open_grid(
        identity, len(codes), units, rows, codes[rows], lacking, context.check, device, job.request.workers
    )
    return kept.grid


def _fill(job: CellJob, context: StepContext, grid: Grid, steps: Mapping[str, Step], begun: float) -> Iterator[str]:
    """Store cells as they are laid out, until the job's own is; yield their keys. Another's failure is its own."""
    cells = {key: params_of(ProjectionParams, step.params) for key, step in steps.items()}
    for finished in grid.cells(job.step.key, cells, job.request.workers, context.check):
        if isinstance(finished.outcome, Layout):
            record = _record(grid, cells[finished.cell], finished.outcome, time.monotonic() - begun)
            context.store.put_result(finished.cell, {"xy": finished.outcome.xy, "rows": grid.rows}, record)
            yield finished.cell
        elif finished.cell == job.step.key:
            raise finished.outcome


def _record(grid: Grid, params: ProjectionParams, layout: Layout, elapsed_s: float) -> MapRecord:
    return MapRecord(
        n_neighbors=params.n_neighbors,
        n_neighbors_used=layout.n_neighbors,
        min_dist=params.min_dist,
        seed=params.seed,
        n=grid.n,
        subsampled=len(grid.rows) < grid.n,
        scores=map_scores(grid.features, layout.xy, grid.codes),
        note="; ".join(layout.notes),
        versions=versions("numpy", "scipy", "umap-learn", "pynndescent", "numba"),
        seconds=elapsed_s,
        layout_seconds=layout.seconds,
    )
