"""The probe's solver against scikit-learn's `LinearSVC()`: five folds by five t, all classes, the same cores.

Two made problems: brain-like (2,296 x 1,280, four classes, separable, as Brain MR's features are) and hicervix-like
(22,528 x 768, 26 classes that overlap: accuracy near 0.6). scikit-learn's time is the better of one fit after the
other and joblib over the folds; on the hicervix-like problem it is measured on a few one-vs-rest classes of one fold
at t = 1, where it is quickest, and scaled to all classes, folds and t.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from medvlm_tui.core.params import PAPER_T_GRID
from medvlm_tui.engine import svm
from medvlm_tui.engine.classifier import Scaler
from medvlm_tui.engine.crossvalidation import costs

FOLDS = 5
TARGETS = {"speedup_brain_like": 20, "speedup_hicervix_like": 30, "objective_excess": 1e-6}


@dataclass(frozen=True)
class Fold:
    """A standardised training part and a validation part."""

    x: np.ndarray
    codes: np.ndarray
    held: np.ndarray
    truth: np.ndarray


def brain_like(n, d, seed=0):
    """Rectified, correlated features of four classes, with the singular values of efficientnet_lite0's on Brain MR.

    Standardised, their values 2, 11, 51 and 201 over the first are 0.79, 0.36, 0.20 and 0.10 (0.80, 0.43, 0.24 and
    0.12 on 480 real images); they are separable in training, and validation accuracy is 0.70.
    """
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, n)
    basis = rng.normal(size=(400, d)) * (np.arange(1, 401) ** -0.5)[:, None]
    latent = rng.normal(size=(n, 400))
    latent[:, :40] += 0.35 * rng.normal(size=(4, 40))[codes]
    return np.maximum(latent @ basis + 0.3 * rng.normal(size=(n, d)), 0.0), codes


def hicervix_like(n, d, rank, distance, seed=0):
    """Correlated features of 26 classes that overlap, the sizes falling as 1 / rank."""
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, 27)
    codes = rng.choice(26, n, p=share / share.sum())
    basis = rng.normal(size=(rank, d)) * (np.arange(1, rank + 1) ** -0.6)[:, None]
    centres = rng.normal(size=(26, rank)) * distance
    return (centres[codes] + rng.normal(size=(n, rank))) @ basis + 0.3 * rng.normal(size=(n, d)), codes


def folds_of(x, codes):
    """Return the folds, standardised as the probe does."""
    folds = []
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, codes):
        scaler = Scaler.fit(x[train])
        folds.append(Fold(scaler.apply(x[train]), codes[train], scaler.apply(x[held]), codes[held]))
    return folds


def ours(folds, k):
    """Return every fold's path, each started from the one before, as the probe does."""
    paths, start = [], None
    for fold in folds:
        grid = costs(PAPER_T_GRID, fold.x.shape[1], len(fold.x))
        paths.append(svm.solve_path(fold.x, fold.codes, k, grid, start=start))
        start = (paths[-1].coef[0], paths[-1].intercept[0])
    return paths


def sklearn_fold(x, codes):
    """Fit every t of one fold as users do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for cost in costs(PAPER_T_GRID, x.shape[1], len(x)):
            LinearSVC(C=cost).fit(x, codes)


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def sklearn_whole(folds):
    """Return the better of one fold after the other and joblib over the folds, in seconds."""
    one = seconds(lambda: [sklearn_fold(f.x, f.codes) for f in folds])
    jobs = os.cpu_count() or 1
    side = seconds(lambda: Parallel(n_jobs=jobs)(delayed(sklearn_fold)(f.x, f.codes) for f in folds))
    print(f"  LinearSVC: one after the other {one:.1f} s, joblib over folds {side:.1f} s")
    return min(one, side)


def sklearn_scaled(folds, k, classes):
    """Return the time of some one-vs-rest problems at t = 1, scaled to all classes, folds and t."""
    fold = folds[0]
    cost = costs((1.0,), fold.x.shape[1], len(fold.x))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        taken = [seconds(lambda c=c: LinearSVC(C=cost).fit(fold.x, fold.codes == c)) for c in classes]
    print(f"  LinearSVC: {len(classes)} of {k} classes of one fold at t = 1: {sum(taken):.1f} s, scaled to the whole")
    return float(np.mean(taken)) * k * FOLDS * len(PAPER_T_GRID)


def accuracy(folds, paths):
    """Return the mean validation accuracy at t = 1."""
    scores = [
        svm.decision_values(f.held, p.coef[0], p.intercept[0]).argmax(axis=1) for f, p in zip(folds, paths, strict=True)
    ]
    return float(np.mean([(s == f.truth).mean() for s, f in zip(scores, folds, strict=True)]))


def measure(name, folds, k, baseline, rounds):
    """Return (speed-up, largest duality gap over objective) of one problem."""
    ratios, excess = [], 0.0
    for _ in range(rounds):
        theirs = baseline()
        begun = time.perf_counter()
        paths = ours(folds, k)
        mine = time.perf_counter() - begun
        excess = max(excess, *(float((0.5 * p.gradient_norm**2 / p.objective).max()) for p in paths))
        ratios.append(theirs / mine)
        print(f"  {name}: ours {mine:.2f} s, theirs {theirs:.1f} s, accuracy {accuracy(folds, paths):.3f}", flush=True)
    return statistics.median(ratios), excess


def main():
    """Run both problems and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems, one round")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 3
    small = folds_of(*(brain_like(600, 320) if quick else brain_like(2296, 1280)))
    print("brain-like", small[0].x.shape, flush=True)
    brain, first = measure("brain-like", small, 4, lambda: sklearn_whole(small), rounds)
    large = folds_of(*(hicervix_like(3000, 128, 60, 0.3) if quick else hicervix_like(28160, 768, 150, 0.22)))
    print("hicervix-like", large[0].x.shape, flush=True)
    hicervix, second = measure("hicervix-like", large, 26, lambda: sklearn_scaled(large, 26, (0, 5, 20)), rounds)
    values = {"speedup_brain_like": brain, "speedup_hicervix_like": hicervix, "objective_excess": max(first, second)}
    figures = {
        name: {"value": value, "target": TARGETS[name], "better": "lower" if name == "objective_excess" else "higher"}
        for name, value in values.items()
    }
    machine = {"cores": os.cpu_count(), "processor": platform.processor(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "probe", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
