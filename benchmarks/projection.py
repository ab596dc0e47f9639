"""The 50-cell UMAP grid against fresh `umap.UMAP` fits, both seeded, on the same cores.

The grid is run whole, as one job: graph, rows, processes and their start, scores. Of the fresh fits one cell of each
n_neighbors is measured (min_dist alternates between the ends), several seeds each, half of them before the grid and
half after; their mean is scaled to 50 cells. umap-learn is compiled before anything is timed; the grid's processes
compile inside its time. Trustworthiness (15 neighbours, cosine) of the grid's cell is compared with the median of the
same cell's fits. Features: made ones, 2,870 x 1,280 (four classes on a curved manifold of 16 dimensions, rectified),
or a .npy file (n, d) by --features.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import umap

from medvlm_tui.core.params import ProjectionParams
from medvlm_tui.engine.map_scores import FeatureRanks, map_neighbours, map_scores, trustworthiness
from medvlm_tui.engine.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.engine.projection_grid import open_grid
from medvlm_tui.engine.projection_layout import Layout

NEIGHBORS = (3, 5, 10, 15, 25, 50, 100, 200, 500, 1000)
MIN_DISTS = (0.1, 0.25, 0.5, 0.75, 1.0)
TARGETS = {"grid_speedup": 5.0, "trustworthiness_loss_mean": 0.005, "trustworthiness_loss_max": 0.02}


def made(n, d=1280, classes=4, latent=16, seed=0):
    """Features (n, d) float32 and classes (n,): a curved manifold, rectified as pooled features are."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, classes, n)
    spread = 2.0 / np.sqrt(1 + np.arange(latent))
    places = rng.normal(size=(classes, latent))[codes] + rng.normal(size=(n, latent)) * spread
    hidden = np.tanh(places @ rng.normal(size=(latent, 128)) * 1.5 / np.sqrt(latent))
    features = hidden @ rng.normal(size=(128, d)) / np.sqrt(128) + 0.25 * rng.normal(size=(n, d)) + 0.1
    return np.maximum(0.0, features).astype(np.float32), codes


def no_check():
    """Nobody cancels."""


def time_grid(features, codes, neighbors):
    """Return (seconds, {(n_neighbors, min_dist): xy}) of the whole grid with its scores."""
    begun = time.perf_counter()
    cells = {f"{k}:{d}": ProjectionParams(k, d) for k in neighbors for d in MIN_DISTS}
    rows = np.arange(len(features))
    grid = open_grid(("", 0, 0), len(rows), unit_rows(features), rows, codes, list(cells.values()), no_check)
    print(f"neighbours: {time.perf_counter() - begun:.1f} s", flush=True)
    maps = {}
    while cells:
        for finished in grid.cells(next(iter(cells)), cells, 0, no_check):
            assert isinstance(finished.outcome, Layout), finished.outcome
            params = cells.pop(finished.cell)
            map_scores(grid.features, finished.outcome.xy, codes)
            maps[params.n_neighbors, params.min_dist] = finished.outcome.xy
    grid.close()
    return time.perf_counter() - begun, maps


def time_fits(features, cells, fits):
    """Return {cell: (median seconds, [xy of each seed])} of fresh fits."""
    found = {}
    for k, min_dist in cells:
        seconds, maps = [], []
        for seed in range(fits):
            begun = time.perf_counter()
            model = umap.UMAP(n_neighbors=k, min_dist=min_dist, metric="cosine", random_state=seed)
            maps.append(model.fit_transform(features))
            seconds.append(time.perf_counter() - begun)
        found[k, min_dist] = statistics.median(seconds), maps
        print(f"fresh n_neighbors {k} min_dist {min_dist}: {statistics.median(seconds):.1f} s a fit", flush=True)
    return found


def losses(features, maps, fits):
    """Return the trustworthiness of each cell's fresh fits (median) minus the grid's."""
    units = unit_rows(features)
    ranks = FeatureRanks(units, cosine_neighbours(units, 16, no_check))

    def score(xy):
        return trustworthiness(ranks, map_neighbours(xy))

    found = []
    for cell, (_, fresh) in fits.items():
        scores, ours = [score(xy) for xy in fresh], score(maps[cell])
        found.append(statistics.median(scores) - ours)
        print(f"n_neighbors {cell[0]} min_dist {cell[1]}: grid {ours:.4f}, fresh {min(scores):.4f}-{max(scores):.4f}")
    return found


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,500 points, three rows of the grid")
    parser.add_argument("--features", type=Path, help=".npy of features (n, d)")
    parser.add_argument("--fits", type=int, default=3, help="seeds of each fresh cell")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    neighbors = (3, 25, 200) if options.quick else NEIGHBORS
    features, codes = made(1500 if options.quick else 2870)
    if options.features:
        features = np.load(options.features, allow_pickle=False).astype(np.float32)
        codes = np.arange(len(features)) % 4
    print(f"{len(features)} x {features.shape[1]} features, {len(neighbors)} x {len(MIN_DISTS)} cells", flush=True)
    umap.UMAP(metric="cosine", random_state=0, n_epochs=11).fit(features[:200])
    cells = [(k, MIN_DISTS[0 if position % 2 == 0 else -1]) for position, k in enumerate(neighbors)]
    fits = time_fits(features, cells[::2], options.fits)
    seconds, maps = time_grid(features, codes, neighbors)
    print(f"grid: {seconds:.1f} s", flush=True)
    fits |= time_fits(features, cells[1::2], options.fits)
    fresh = statistics.mean(fit for fit, _ in fits.values()) * len(maps)
    print(f"fresh fits of all {len(maps)} cells, scaled: {fresh:.0f} s")
    lost = losses(features, maps, fits)
    report(fresh / seconds, statistics.mean(lost), max(lost))


def report(speedup, loss_mean, loss_max):
    """Print the figures as the last line."""
    values = dict(zip(TARGETS, (speedup, loss_mean, loss_max), strict=True))
    figures = {
        name: {
            "value": round(value, 5),
            "target": TARGETS[name],
            "better": "higher" if name == "grid_speedup" else "lower",
        }
        for name, value in values.items()
    }
    machine = {"cpus": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    machine["umap-learn"] = umap.__version__
    print(json.dumps({"benchmark": "projection", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
