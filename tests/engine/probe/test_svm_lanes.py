"""The solver's threads and the LAPACK routines that they call."""

import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from medvlm_tui.engine.probe.solver import lapack, svm
from medvlm_tui.engine.probe.solver import threads as lanes
from tests.made.svm_problems import solved


def blas_threads_now():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize("name", ["overlapping", "low rank"])
@pytest.mark.parametrize("with_gram", [True, False])
def test_any_number_of_threads_gives_the_same_bits(name, with_gram, monkeypatch):
    x, codes, costs, _ = solved(name)
    monkeypatch.setattr(svm, "ONE_LANE", 0)
    monkeypatch.setattr("medvlm_tui.engine.probe.solver.newton.BLOCK_ROWS", 32)
    monkeypatch.setattr("medvlm_tui.engine.probe.solver.newton.GRAM_RATIO", 1e9 if with_gram else 0.0)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(lanes, "blas_threads", lambda threads=threads: threads)
        found.append(svm.solve_path(x, codes, codes.max() + 1, costs))
    assert found[0].converged.all()
    np.testing.assert_array_equal(found[0].coef, found[1].coef)
    np.testing.assert_array_equal(found[0].gradient_norm, found[1].gradient_norm)


def test_blas_has_one_thread_inside_and_its_own_number_after():
    before = blas_threads_now()
    with lanes.lanes(2) as shared:
        assert shared.map(lambda _: blas_threads_now(), range(2)) == [{1}, {1}]
    assert blas_threads_now() == before


def test_what_a_lane_raises_is_raised():
    def fail(item):
        raise ValueError(f"item {item}")

    with lanes.lanes(2) as shared, pytest.raises(ValueError, match="item 0"):
        shared.map(fail, range(3))


def test_products_factor_and_solution_are_those_of_numpy():
    rng = np.random.default_rng(0)
    rows, total = rng.normal(size=(20, 6)), np.zeros((6, 6), order="F")
    lapack.add_products(1.0, rows, total)
    lapack.add_products(-1.0, rows[:3].copy(), total)
    whole = rows[3:].T @ rows[3:]
    np.testing.assert_allclose(np.tril(total), np.tril(whole), atol=1e-12)
    right = rng.normal(size=6)
    found = lapack.solve(lapack.factorise(total), right)
    np.testing.assert_allclose(found, np.linalg.solve(whole, right), atol=1e-12)


def test_nothing_is_factorised_and_solved():
    nothing = np.zeros((0, 0), order="F")
    assert lapack.solve(lapack.factorise(nothing), np.zeros(0)).shape == (0,)


def test_what_is_not_positive_definite_or_not_in_order_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="row 2"):
        lapack.factorise(np.asfortranarray(np.diag([1.0, -1.0])))
    with pytest.raises(ValueError, match="Fortran"):
        lapack.factorise(np.arange(4.0).reshape(2, 2))
    with pytest.raises(ValueError, match="C order"):
        lapack.add_products(1.0, np.ones((3, 2), order="F"), np.zeros((2, 2), order="F"))


def test_lanes_within_a_lane_end():
    # In a process of its own: threads that wait for each other could not be ended here.
    script = """
import numpy as np
from medvlm_tui.engine.probe.solver import threads as lanes
lanes.blas_threads = lambda: 2
with lanes.lanes(2) as shared:
    print(shared.map(lambda i: shared.map(lambda j: i + j, range(3)), range(4)))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]"


def test_a_class_that_begins_with_every_row_active_beside_others_that_do_not():
    script = """
import numpy as np
from medvlm_tui.engine.probe.solver import svm, threads as lanes
lanes.blas_threads, svm.ONE_LANE = lambda: 2, 0
rng = np.random.default_rng(0)
features, codes = rng.normal(size=(60, 80)), np.arange(60) % 4
start = (np.zeros((4, 80)), np.array([0.0, 0.0, -50.0, -50.0]))
print(svm.solve_path(features, codes, 4, [0.1, 1.0], start=start).converged.all())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "True"
