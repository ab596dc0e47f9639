"""The probe's solver against scikit-learn's `LinearSVC()`: five folds by five t, all classes, the same cores.

Two made problems: brain-like (2,296 x 1,280, four classes, separable, as Brain MR's features are) and hicervix-like
(28,160 x 768, so 22,528 in training, 26 classes that overlap: accuracy near 0.6). Both sides have every core: ours
by threads that share the classes, scikit-learn by the better of one fit after the other and joblib over the folds.

What is measured in full: all of ours (brain-like as the median of three rounds). What is scaled, as printed: all of
scikit-learn's, from one fold of five one after the other and from as many folds as there are cores side by side, with
every t and class on the brain-like problem, with three of 26 one-vs-rest classes at two of five t on the hicervix-like
one. (joblib over five folds on two cores would leave one core idle for the last fold; the scaling does not.)

The binary case sets the same solver beside `SVC(kernel="linear")`, plain and as scikit-learn-intelex accelerates it
where that is installed (it leaves LinearSVC alone); these minimise another loss, the hinge that is not squared.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC, LinearSVC

from medvlm_tui.engine.probe.classifier import Scaler
from medvlm_tui.engine.probe.folds import costs
from medvlm_tui.engine.probe.solver import svm
from medvlm_tui.stages.protocols import PAPER_T_GRID

PROBLEMS = ("brain_like", "hicervix_like")
FOLDS = 5
JOBS = os.cpu_count() or 1
SCALED_CLASSES = (0, 5, 20)
SCALED_T = (1.0, 100.0)
TARGETS = {
    "speedup_brain_like": (20, "higher"),
    "speedup_hicervix_like": (30, "higher"),
    "objective_excess": (1e-6, "lower"),
    "memory_over_limit_brain_like": (1, "lower"),
    "memory_over_limit_hicervix_like": (1, "lower"),
    "speedup_binary_svc": (1, "higher"),
    "speedup_binary_intelex": (1, "higher"),
}


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


def problem(name, quick):
    """Return (features, codes, number of classes)."""
    if name == "brain_like":
        return *(brain_like(600, 320) if quick else brain_like(2296, 1280)), 4
    return *(hicervix_like(3000, 128, 60, 0.27) if quick else hicervix_like(28160, 768, 150, 0.18)), 26


def folds_of(x, codes):
    """Return the folds, standardised as the probe does."""
    folds = []
    for train, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, codes):
        scaler = Scaler.fit(x[train])
        folds.append(Fold(scaler.apply(x[train]), codes[train], scaler.apply(x[held]), codes[held]))
    return folds


def grid(fold, ts=PAPER_T_GRID):
    """Return the C of each t."""
    return costs(ts, fold.x.shape[1], len(fold.x))


def ours(folds, k):
    """Return every fold's path, each started from the one before, as the probe does."""
    paths, start = [], None
    for fold in folds:
        paths.append(svm.solve_path(fold.x, fold.codes, k, grid(fold), start=start))
        start = (paths[-1].coef[0], paths[-1].intercept[0])
    return paths


def fit_all(x, targets, costs_of, make=LinearSVC):
    """Fit every (C, labels) as users do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for cost in costs_of:
            for labels in targets:
                make(C=cost).fit(x, labels)


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def side_by_side(jobs):
    """Return the wall time of calls of `fit_all` run by joblib on all cores."""
    return seconds(lambda: Parallel(n_jobs=JOBS)(delayed(fit_all)(*job) for job in jobs))


def theirs_brain(folds):
    """Return the better of one fit after the other and joblib over the folds, in seconds."""
    one = seconds(lambda: fit_all(folds[0].x, [folds[0].codes], grid(folds[0])))
    print(f"  LinearSVC, one after the other: {one:.1f} s for one fold, x {FOLDS}", flush=True)
    used = folds[:JOBS]
    side = side_by_side([(f.x, [f.codes], grid(f)) for f in used])
    print(
        f"  LinearSVC, joblib over the folds: {side:.1f} s for {len(used)} folds, x {FOLDS / len(used):g}", flush=True
    )
    return min(one * FOLDS, side * FOLDS / len(used))


def theirs_hicervix(folds, k):
    """Return the same, from some of the classes, t and folds, scaled to all."""
    parts = [(f.x, [f.codes == c for c in SCALED_CLASSES], grid(f, SCALED_T)) for f in folds[:JOBS]]
    whole = k / len(SCALED_CLASSES) * len(PAPER_T_GRID) / len(SCALED_T) * FOLDS
    fits = f"{len(SCALED_CLASSES)} of {k} classes, t of {SCALED_T}"
    one = seconds(lambda: fit_all(*parts[0]))
    print(f"  LinearSVC, one after the other: {one:.1f} s for {fits}, one fold; x {whole:.0f}", flush=True)
    side = side_by_side(parts)
    print(
        f"  LinearSVC, joblib over the folds: {side:.1f} s for {fits}, {len(parts)} folds; x {whole / len(parts):.0f}",
        flush=True,
    )
    return min(one * whole, side * whole / len(parts))


def accuracy(folds, paths):
    """Return the mean validation accuracy at t = 1."""
    scores = [
        svm.decision_values(f.held, p.coef[0], p.intercept[0]).argmax(axis=1) for f, p in zip(folds, paths, strict=True)
    ]
    return float(np.mean([(s == f.truth).mean() for s, f in zip(scores, folds, strict=True)]))


def measure(name, folds, k, theirs, rounds):
    """Return (speed-up, largest duality gap over objective) of one problem."""
    taken, excess = [], 0.0
    for _ in range(rounds):
        begun = time.perf_counter()
        paths = ours(folds, k)
        taken.append(time.perf_counter() - begun)
        excess = max(excess, *(float((0.5 * p.gradient_norm**2 / p.objective).max()) for p in paths))
        print(f"  ours: {taken[-1]:.2f} s, accuracy {accuracy(folds, paths):.3f}", flush=True)
    baseline = theirs()
    print(f"  {name}: {baseline:.1f} s over {statistics.median(taken):.2f} s", flush=True)
    return baseline / statistics.median(taken), excess


def binary(fold, rounds):
    """Return the speed-ups over SVC, plain and accelerated, on two of the classes against the other two."""
    codes = (fold.codes >= 2).astype(np.int64)
    mine = statistics.median(seconds(lambda: svm.solve_path(fold.x, codes, 2, grid(fold))) for _ in range(rounds))
    makers = {"speedup_binary_svc": SVC}
    try:
        from sklearnex import svm as accelerated

        makers["speedup_binary_intelex"] = accelerated.SVC
    except ImportError:
        print("  scikit-learn-intelex is not installed: not measured")
    found = {}
    for name, maker in makers.items():
        taken = seconds(lambda: fit_all(fold.x, [codes], grid(fold), lambda C: maker(C=C, kernel="linear")))  # noqa: B023
        print(f"  binary, one fold, five t: ours {mine:.2f} s, {maker.__module__} {taken:.2f} s", flush=True)
        found[name] = taken / mine
    return found


def memory_over_limit(name, quick):
    """Return the peak memory of one fold, features included, over 4 N d + 2 min(N, d)^2 doubles."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, quick))


def _peak(name, quick):
    x, codes, k = problem(name, quick)
    fold = folds_of(x, codes)[0]
    del x
    svm.solve_path(fold.x[:60], fold.codes[:60], k, (1.0,))  # loads the libraries
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed must not hide what is taken
    before = _resident("VmRSS") - fold.x.nbytes
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    svm.solve_path(fold.x, fold.codes, k, grid(fold))
    n, d = fold.x.shape
    taken, limit = _resident("VmHWM") - before, 8 * (4 * n * d + 2 * min(n, d) ** 2)
    print(f"  {name}: peak {taken / 1e6:.0f} MB, features {fold.x.nbytes / 1e6:.0f} MB, limit {limit / 1e6:.0f} MB")
    return taken / limit


def _resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def main():
    """Run both problems and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems, one round")
    parser.add_argument("--problem", choices=PROBLEMS, help="one of the two (default: both)")
    parser.add_argument("--ours", action="store_true", help="our side only: no speed-ups")
    options = parser.parse_args()
    quick, values, gaps = options.quick, {}, []
    for name in [options.problem] if options.problem else PROBLEMS:
        x, codes, k = problem(name, quick)
        folds = folds_of(x, codes)
        print(name, "a fold", folds[0].x.shape, f"{JOBS} cores", flush=True)
        rounds = 3 if name == "brain_like" and not quick else 1
        compared = theirs_brain if name == "brain_like" else theirs_hicervix
        arguments = (folds,) if name == "brain_like" else (folds, k)
        theirs = (lambda: float("nan")) if options.ours else (lambda: compared(*arguments))  # noqa: B023
        values[f"speedup_{name}"], gap = measure(name, folds, k, theirs, rounds)
        gaps.append(gap)
        if name == "brain_like" and not options.ours:
            values |= binary(folds[0], rounds)
        values[f"memory_over_limit_{name}"] = memory_over_limit(name, quick)
    values["objective_excess"] = max(gaps)
    figures = {
        name: {"value": values[name], "target": target, "better": better}
        for name, (target, better) in TARGETS.items()
        if name in values and not np.isnan(values[name])
    }
    machine = {"cores": JOBS, "processor": platform.processor(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "probe", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
