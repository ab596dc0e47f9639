"""The solver on a device of torch's, here the CPU: the same optimum as the other; and the choice between the two."""

import numpy as np
import pytest
import torch

from medvlm_tui.engine.probe.solver import choice as solver
from medvlm_tui.engine.probe.solver import svm, svm_torch
from medvlm_tui.engine.probe.solver.newton import line_minimum
from medvlm_tui.engine.step import device_session
from medvlm_tui.errors import Cancelled
from tests.made.svm_problems import PROBLEMS, REAL, beyond_the_margin, check_optimum, solved

ALL = [pytest.param(name, marks=[pytest.mark.slow] * (name in REAL)) for name in (*PROBLEMS, *REAL)]


def on_torch(x, codes, costs, start=None, check=lambda: None):
    return svm_torch.solve_path(x, codes, int(codes.max()) + 1, costs, check, start, "cpu")


@pytest.mark.parametrize("name", ALL)
def test_the_same_optimum(name):
    x, codes, costs, path = solved(name)
    found = on_torch(x, codes, costs)
    check_optimum(x, codes, costs, found)
    np.testing.assert_allclose(found.objective, path.objective, rtol=2e-6)
    for i in range(len(costs)):
        ours, theirs = (svm.decision_values(x, p.coef[i], p.intercept[i]) for p in (path, found))
        ordered = np.sort(ours, axis=1)
        clear = ordered[:, -1] - ordered[:, -2] > 1e-5
        np.testing.assert_array_equal(ours.argmax(axis=1)[clear], theirs.argmax(axis=1)[clear])


@pytest.mark.parametrize("ratio", [0.0, 1e9])
def test_either_side_of_the_matrix_gives_the_solution(ratio, monkeypatch):
    x, codes, costs, path = solved("overlapping")
    monkeypatch.setattr(svm_torch, "GRAM_RATIO", ratio)
    np.testing.assert_allclose(on_torch(x, codes, costs).coef, path.coef, atol=1e-6)


def test_a_start_from_elsewhere_changes_nothing_and_costs_come_in_any_order():
    x, codes, costs, path = solved("overlapping")
    rng = np.random.default_rng(0)
    start = (rng.normal(size=path.coef[0].shape), rng.normal(size=path.intercept[0].shape))
    again = on_torch(x, codes, costs[::-1], start)
    np.testing.assert_allclose(again.coef[::-1], path.coef, atol=1e-5)


@pytest.mark.parametrize("name", ["separable", "separable, d below N"])
def test_a_start_that_leaves_no_row_any_slack(name):
    x, codes, costs, path = solved(name)
    check_optimum(x, codes, costs, on_torch(x, codes, costs, beyond_the_margin(path)))


def test_line_searches_are_those_of_one_problem():
    rng = np.random.default_rng(3)
    slack, change, slope = rng.normal(size=(4, 50)), rng.normal(size=(4, 50)), -rng.random(4)
    found = svm_torch.line_minima(*map(torch.from_numpy, (slack, change, slope, np.ones(4))), 0.7)
    expected = [line_minimum(slack[i], change[i], slope[i], 1.0, 0.7) for i in range(4)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        on_torch(np.ones((5, 2)), np.zeros(5, dtype=int), (1.0,))


def stop():
    raise Cancelled("cancelled", "")


def test_check_can_stop_it():
    x, codes, costs, _ = solved("overlapping")
    with pytest.raises(Cancelled):
        on_torch(x, codes, costs, check=stop)


@pytest.fixture
def asked(monkeypatch):
    """Devices that the solver on torch was asked for; each request is answered on the CPU."""
    asked = []

    def answer(features, codes, n_classes, costs, check, start, device):
        asked.append(device)
        return svm.solve_path(features, codes, n_classes, costs, check, start)

    monkeypatch.setattr(svm_torch, "solve_path", answer)
    return asked


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Devices that were opened; there is no GPU here to open."""
    opened = []
    monkeypatch.setattr(device_session, "open_device", opened.append)
    return opened


@pytest.mark.parametrize(
    ("device", "worth", "used"), [("cuda:1", 0, "cuda:1"), ("cuda:1", 10**9, "cpu"), ("cpu", 0, "cpu")]
)
def test_a_gpu_is_used_where_there_is_one_and_enough_to_do(asked, opened, monkeypatch, device, worth, used):
    x, codes, costs, _ = solved("overlapping")
    monkeypatch.setattr(solver, "WORTH_A_GPU", worth)
    chosen = solver.Solver(lambda: None, device)
    assert chosen.path(x, codes, 3, costs).converged.all()
    assert chosen.used == {used}
    assert asked == opened == [used] * (used != "cpu")
    assert chosen.note == ""


def test_what_does_not_fit_into_the_gpu_is_solved_on_the_cpu_and_said(monkeypatch):
    x, codes, costs, path = solved("overlapping")

    def too_large(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(solver, "WORTH_A_GPU", 0)
    monkeypatch.setattr(svm_torch, "solve_path", too_large)
    chosen = solver.Solver(lambda: None, "cuda:0")
    np.testing.assert_array_equal(chosen.path(x, codes, 3, costs).coef, path.coef)
    assert chosen.used == {"cpu"}
    assert chosen.note == "1 SVM problems did not fit into the memory of cuda:0: solved on the CPU"


def test_second_moments_without_a_factor_are_solved_on_the_cpu_and_said(monkeypatch):
    x, codes, costs, path = solved("overlapping")
    monkeypatch.setattr(solver, "WORTH_A_GPU", 0)
    monkeypatch.setattr(svm_torch, "solve_path", lambda *_: torch.linalg.cholesky(-torch.eye(3)))
    chosen = solver.Solver(lambda: None, "cuda:0")
    np.testing.assert_array_equal(chosen.path(x, codes, 3, costs).coef, path.coef)
    assert chosen.note == "1 SVM problems had no Cholesky factor on cuda:0: solved on the CPU"


def test_another_error_of_the_gpu_is_not_hidden(monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(solver, "WORTH_A_GPU", 0)
    monkeypatch.setattr(svm_torch, "solve_path", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        solver.Solver(lambda: None, "cuda:0").path(np.eye(4), np.array([0, 1, 0, 1]), 2, (1.0,))
