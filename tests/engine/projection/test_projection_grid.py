"""The grid: a cell is the same bytes alone and among others, in processes that end with their parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest

from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.features.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.engine.projection import step as projection
from medvlm_tui.engine.projection import umap_grid
from medvlm_tui.engine.projection.layout import Layout, lay_out_cell, prepare_row
from medvlm_tui.engine.projection.processes import LayoutPool, Task
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.stages.params.projection import ProjectionParams
from medvlm_tui.stages.request import RunRequest
from tests.made.jobs import ENCODER, Bench, blobs, table_of


def no_check():
    pass


def map_step(neighbors, min_dist, key):
    params = asdict(ProjectionParams(neighbors, min_dist))
    return Step(f"project:stub:made:{neighbors}:{min_dist}", "project", "stub", "made", params, key)


def job_of(bench, step, ahead=()):
    model = ModelSpec("stub", "Stub", "general", "stub", "stub", "bring", PreprocessSpec(32, 32), {"pooled": 4})
    return CellJob(
        step, RunRequest(workers=2), bench.dataset, model, Weights("present"), ENCODER, bench.keys, tuple(ahead)
    )


@pytest.fixture
def bench(tmp_path):
    matrix, codes = blobs((60, 50), 12, 6.0)
    matrix[7] = matrix[3]  # a tie
    made = Bench(tmp_path, table_of(matrix, codes))
    yield made
    made.context.resources.close()


def test_a_cell_of_the_grid_is_the_cell_alone(bench, monkeypatch):
    monkeypatch.setattr(umap_grid, "PARALLEL_POINTS", 1)
    steps = [map_step(k, d, f"g{k}{d}") for k in (4, 30) for d in (0.1, 0.9)]
    for position, step in enumerate(steps):
        list(projection.run(job_of(bench, step, steps[position + 1 :]), bench.context))
    assert bench.context.resources.of(projection.OpenGrid).grid is None
    alone = [map_step(k, d, f"a{k}{d}") for k in (4, 30) for d in (0.1, 0.9)]
    for grid_step, step in zip(steps, alone, strict=True):
        list(projection.run(job_of(bench, step), bench.context))
        in_grid, by_itself = bench.store.result(grid_step.key), bench.store.result(step.key)
        np.testing.assert_array_equal(in_grid.arrays["xy"], by_itself.arrays["xy"])
        assert in_grid.record["scores"] == by_itself.record["scores"]
        assert (in_grid.record["n_neighbors"], in_grid.record["min_dist"]) == (
            grid_step.params["n_neighbors"],
            grid_step.params["min_dist"],
        )
    assert not np.array_equal(bench.store.result("a40.1").arrays["xy"], bench.store.result("a300.1").arrays["xy"])


def test_neighbours_do_not_depend_on_how_many_are_asked_for():
    matrix, _ = blobs((90,), 5, 0.0)
    units = unit_rows(np.concatenate([matrix, matrix[:40], matrix[:20]]))
    many = cosine_neighbours(units, 100, no_check)
    for k in (2, 3, 17):
        few = cosine_neighbours(units, k, no_check)
        np.testing.assert_array_equal(few.indices, many.first(k).indices)
        np.testing.assert_array_equal(few.distances, many.first(k).distances)


def row_of(n=40, neighbors=5):
    units = unit_rows(blobs((n,), 8, 0.0)[0])
    return prepare_row(units, cosine_neighbours(units, neighbors, no_check), neighbors, 0)


def finish(pool, count, limit_s=120):
    found, deadline = {}, time.monotonic() + limit_s
    while len(found) < count:
        assert time.monotonic() < deadline
        found |= {finished.cell: finished.outcome for finished in pool.collect(0.2)}
    return found


def test_a_process_that_dies_costs_its_own_cell():
    row = row_of()
    pool = LayoutPool(1)
    try:
        pool.submit(Task("a", row, 0.1, 0))
        list(pool.collect(0.0))
        os.kill(pool._hands[0].process.pid, signal.SIGKILL)
        pool.submit(Task("b", row, 0.1, 0))
        found = finish(pool, 2)
    finally:
        pool.close()
    assert isinstance(found["a"], MedvlmError)
    assert "SIGKILL" in found["a"].message
    assert isinstance(found["b"], Layout)
    np.testing.assert_array_equal(found["b"].xy, lay_out_cell(row, 0.1, 0).xy)


def test_cancel_ends_the_processes(bench, monkeypatch):
    monkeypatch.setattr(umap_grid, "PARALLEL_POINTS", 1)
    begun = time.monotonic()
    context = StepContext(bench.store, lambda: bool(multiprocessing.active_children()))
    steps = [map_step(k, 0.1, f"c{k}") for k in (4, 5, 6)]
    with pytest.raises(Cancelled):
        list(projection.run(job_of(bench, steps[0], steps[1:]), context))
    assert not multiprocessing.active_children()
    assert context.resources.of(projection.OpenGrid).grid is None
    assert time.monotonic() - begun < 30


_PARENT = """
import os, time
from medvlm_tui.engine.projection import processes as projection_pool
def endless(*_):
    print(os.getpid(), flush=True)
    time.sleep(120)
projection_pool.lay_out_cell = endless  # in the child too, which imports this file
if __name__ == "__main__":
    pool = projection_pool.LayoutPool(1)
    pool.submit(projection_pool.Task("a", "a row", 0.1, 0))
    list(pool.collect(120))
"""


@pytest.mark.slow
def test_a_process_dies_with_its_parent_in_the_middle_of_a_layout(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert child != parent.pid
    assert _alive(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("neighbors", [2, 3])
def test_disconnected_graphs_give_a_picture(tmp_path, neighbors):
    matrix = np.concatenate([np.eye(8) * 5 + 0.01 * np.random.default_rng(s).normal(size=(8, 8)) for s in range(4)])
    _, arrays, _ = Bench(tmp_path, table_of(matrix, np.arange(32) % 2)).run(
        "project", ProjectionParams(n_neighbors=neighbors)
    )
    assert np.isfinite(arrays["xy"]).all()
    assert np.ptp(arrays["xy"], axis=0).min() > 0
