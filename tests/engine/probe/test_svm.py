"""The solver's answers against the objective itself."""

import numpy as np
import pytest
from scipy.optimize import minimize

from medvlm_tui.engine.probe.solver import svm
from tests.made.jobs import blobs


def objective(theta, x, y, cost):
    slack = np.maximum(0, 1 - y * (x @ theta[:-1] + theta[-1]))
    return 0.5 * theta @ theta + cost * slack @ slack


def best(x, y, cost):
    found = minimize(objective, np.zeros(x.shape[1] + 1), (x, y, cost), method="L-BFGS-B", options={"maxiter": 5000})
    return found.fun


@pytest.mark.parametrize("counts", [(20, 25), (15, 20, 10)])
def test_objective_is_minimal_for_every_class_and_cost(counts):
    x, codes = blobs(counts, 6, 1.5)
    x = x.astype(np.float64)
    costs = (0.01, 1.0)
    path = svm.solve_path(x, codes, len(counts), costs)
    for i, cost in enumerate(costs):
        for c in range(len(counts)):
            y = np.where(codes == c, 1.0, -1.0)
            theta = np.append(path.coef[i, c], path.intercept[i, c])
            assert path.objective[i, c] == pytest.approx(objective(theta, x, y, cost))
            assert path.objective[i, c] == pytest.approx(best(x, y, cost), rel=1e-3)
    assert path.converged.all()


def test_gradient_norm_is_that_of_the_objective():
    x, codes = blobs((12, 14), 3, 1.0)
    x = x.astype(np.float64)
    coef, intercept = np.array([[0.3, -0.2, 0.5], [0.1, 0.2, 0.3]]), np.array([0.1, -0.4])
    _, norm = svm.certificate(x, codes, coef, intercept, 2.0)
    for c in range(2):
        y, theta = np.where(codes == c, 1.0, -1.0), np.append(coef[c], intercept[c])
        steps = 1e-6 * np.eye(4)
        slopes = [(objective(theta + s, x, y, 2.0) - objective(theta - s, x, y, 2.0)) / 2e-6 for s in steps]
        assert norm[c] == pytest.approx(np.linalg.norm(slopes), rel=1e-5)


def test_a_class_without_rows_gets_the_solution_of_its_problem():
    x, codes = blobs((20, 20), 4, 1.0)
    x = x.astype(np.float64)
    path = svm.solve_path(x, np.where(codes == 1, 2, 0), 3, (0.5,))
    assert path.coef.shape == (1, 3, 4)
    assert (svm.decision_values(x, path.coef[0], path.intercept[0])[:, 1] < 0).all()


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        svm.solve_path(np.ones((5, 2)), np.zeros(5, dtype=int), 2, (1.0,))
