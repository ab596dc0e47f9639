"""Awkward problems for the solver: 34 made or from scikit-learn, 6 of real features where there are real images."""

from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.preprocessing import StandardScaler

from medvlm_tui.engine.probe.solver import svm
from tests.made.jobs import blobs
from tests.made.shared import DATA

GRID = (1e-5, 1e-3, 0.1, 1.0, 100.0, 1e4)


def of_blobs(counts, dim, distance):
    x, codes = blobs(counts, dim, distance)
    return x, codes


def with_column(column):
    x, codes = blobs((30, 25, 20), 10, 1.5)
    x[:, 4] = column(x)
    return x, codes


def duplicated():
    x, codes = blobs((20, 20), 6, 1.0)
    return np.repeat(x, 3, axis=0), np.repeat(codes, 3)


def contradicting():
    """Every image twice, once with each label."""
    x, _ = blobs((40,), 6, 1.0)
    return np.concatenate([x, x]), np.repeat([0, 1], 40)


def low_rank():
    x, codes = blobs((60, 50, 40), 3, 1.5)
    return x @ np.random.default_rng(1).normal(size=(3, 40)), codes


def heavy_tails():
    x, codes = blobs((70, 60, 50), 12, 1.5)
    return x**5, codes


def signs():
    x, codes = blobs((60, 60, 40), 30, 3.0)
    return (x > 0).astype(np.float32), codes


def digits(k, n, dim=64):
    x, codes = load_digits(return_X_y=True)
    kept = codes < k
    return x[kept][:n, :dim], codes[kept][:n]


PROBLEMS = {
    "separable": lambda: of_blobs((40, 40, 40), 100, 40.0),
    "overlapping": lambda: of_blobs((80, 60, 40), 8, 1.0),
    "pure noise": lambda: of_blobs((50, 50, 50), 12, 0.0),
    "rare class": lambda: of_blobs((100, 60, 3), 10, 1.5),
    "one member": lambda: of_blobs((40, 30, 1), 10, 1.5),
    "two classes, d above N": lambda: of_blobs((20, 25), 200, 3.0),
    "two classes, d below N": lambda: of_blobs((120, 80), 5, 1.0),
    "29 classes": lambda: of_blobs((6,) * 29, 20, 3.0),
    "one dimension": lambda: of_blobs((30, 30), 1, 1.0),
    "N is d + 1": lambda: of_blobs((20, 21), 40, 1.0),
    "constant column": lambda: with_column(lambda _: 7.0),
    "repeated column": lambda: with_column(lambda x: x[:, 0]),
    "nearly repeated column": lambda: with_column(lambda x: x[:, 0] + 1e-6 * x[:, 1]),
    "one huge value": lambda: with_column(lambda x: np.where(np.arange(len(x)) == 3, 1e6, 0.0)),
    "duplicated rows": duplicated,
    "contradicting rows": contradicting,
    "digits": lambda: digits(10, 500),
    "two digits": lambda: digits(2, 300),
    "few digits, many columns": lambda: digits(5, 40),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "separable, d below N": lambda: of_blobs((60, 60), 10, 30.0),
    "overlapping, d above N": lambda: of_blobs((15, 15, 15), 60, 0.5),
    "29 classes, d above N": lambda: of_blobs((4,) * 29, 200, 8.0),
    "29 classes that overlap": lambda: of_blobs((6,) * 29, 15, 1.0),
    "rare class, d above N": lambda: of_blobs((60, 40, 2), 150, 3.0),
    "one class of many": lambda: of_blobs((185, 15), 20, 1.5),
    "duplicated rows, d above N": lambda: tuple(np.repeat(part, 2, axis=0) for part in blobs((10, 10, 10), 90, 2.0)),
    "low rank": low_rank,
    "heavy tails": heavy_tails,
    "two values a column": signs,
    "many rows": lambda: of_blobs((400, 300, 200), 20, 1.0),
    "two rows": lambda: (np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])),
    "all digits": lambda: digits(10, 1797),
    "half of a digit": lambda: digits(10, 600, 32),
}


def real(name):
    """Features of efficientnet_lite0 of up to 20 images per class, by class folder; skips where there are none."""
    folders = {
        "brain MR": [
            DATA / "brain_mri" / "Training" / kind for kind in ("glioma_tumor", "no_tumor", "pituitary_tumor")
        ],
        "breast ultrasound": [
            DATA / "busi" / "Dataset_BUSI_with_GT" / kind for kind in ("benign", "malignant", "normal")
        ],
        "BreakHis": sorted((DATA / "breakhis" / "BreaKHis_v1" / "histology_slides" / "breast").glob("*nant"))
        + sorted((DATA / "breakhis" / "BreaKHis_v1" / "histology_slides" / "breast").glob("*ign")),
        "BreakHis sub-types": sorted((DATA / "breakhis").glob("BreaKHis_v1/histology_slides/breast/*/SOB/*")),
    }[name]
    if not folders or not all(folder.is_dir() for folder in folders):
        pytest.skip(f"no real images below {DATA}")
    found = [(path, c) for c, folder in enumerate(folders) for path in _images(folder)]
    return features_of(tuple(path for path, _ in found)), np.array([c for _, c in found])


def _images(folder):
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png") and "_mask" not in path.name)
    return files[:20]


@cache
def features_of(paths):
    """Encode images with the packaged encoder."""
    from medvlm_tui.engine.new_images.encode import encode_files

    return encode_files("efficientnet_lite0", paths, device="cpu", precision="fp32", offline=True).features.astype(
        float
    )


def both(name, kept):
    """Only some classes of a real problem, numbered anew."""
    x, codes = real(name)
    rows = np.isin(codes, kept)
    return x[rows], np.searchsorted(kept, codes[rows])


REAL = {
    "brain MR": lambda: real("brain MR"),
    "brain MR, tumour or none": lambda: both("brain MR", (0, 1)),
    "breast ultrasound": lambda: real("breast ultrasound"),
    "breast ultrasound, two": lambda: both("breast ultrasound", (0, 1)),
    "BreakHis": lambda: real("BreakHis"),
    "BreakHis sub-types": lambda: real("BreakHis sub-types"),
}


@cache
def solved(name):
    x, codes = (PROBLEMS | REAL)[name]()
    x, codes = StandardScaler().fit_transform(np.asarray(x, dtype=np.float64)), np.asarray(codes, dtype=np.int64)
    costs = [t * x.shape[1] / len(x) for t in GRID]
    return x, codes, costs, svm.solve_path(x, codes, int(codes.max()) + 1, costs)


def gap(x, y, coef, intercept, cost):
    """Primal minus dual objective at the solution's own dual variables, relative to the primal."""
    z, theta = np.column_stack([x, np.ones(len(x))]), np.append(coef, intercept)
    slack = np.maximum(0.0, 1 - y * (z @ theta))
    primal = 0.5 * theta @ theta + cost * slack @ slack
    alpha = 2 * cost * slack
    pulled = z.T @ (alpha * y)
    dual = alpha.sum() - 0.5 * pulled @ pulled - alpha @ alpha / (4 * cost)
    return (primal - dual) / primal, primal


def check_optimum(x, codes, costs, path):
    """Hold a solution to a duality gap that is computed here, and its certificate to that gap."""
    assert path.converged.all()
    for i, cost in enumerate(costs):
        for c in range(path.coef.shape[1]):
            y = np.where(codes == c, 1.0, -1.0)
            found, primal = gap(x, y, path.coef[i, c], path.intercept[i, c], cost)
            assert -1e-9 < found < 1e-6, (GRID[i], c)
            assert path.objective[i, c] == pytest.approx(primal, rel=1e-9)
            assert 0.5 * path.gradient_norm[i, c] ** 2 / primal == pytest.approx(found, abs=1e-7)


def beyond_the_margin(path):
    """A start from which no row of separable classes has slack: the solution far too long."""
    return 1e4 * path.coef[-1], 1e4 * path.intercept[-1]
