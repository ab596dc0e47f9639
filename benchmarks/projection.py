"""The 50-cell UMAP grid against fresh `umap.UMAP` fits, both seeded, on the same cores.

The grid is run whole, as one job: graph, rows, processes and their start, scores. Of the fresh fits one cell of each
n_neighbors is timed (min_dist alternates between the ends), half of them before the grid and half after; their mean is
scaled to 50 cells. umap-learn is compiled before anything is timed; the grid's processes compile inside its time.
Trustworthiness (15 neighbours, cosine) of the grid's cell is compared with the median of three fresh fits with seeds of
their own. The two further fits of a cell are made in turn, the cells that fit fastest first, until --budget-s seconds
have passed since the start; cells without three fits give no loss, and the output says how many gave one. Features:
made ones, 2,870 x 1,280 (four classes on a curved manifold of 16 dimensions, rectified), or a .npy file (n, d) by
--features.
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

from medvlm_tui.engine.extract.peak_memory import peak_bytes, start_counting
from medvlm_tui.engine.features.neighbours import Neighbours, cosine_neighbours, unit_rows
from medvlm_tui.engine.projection.layout import Layout, lay_out_cell, prepare_row
from medvlm_tui.engine.projection.map_scores import FeatureRanks, map_neighbours, map_scores, trustworthiness
from medvlm_tui.engine.projection.umap_grid import open_grid
from medvlm_tui.stages.params.projection import ProjectionParams

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


def fit(features, cell, seed):
    """Return (seconds, xy) of one fresh fit."""
    begun = time.perf_counter()
    model = umap.UMAP(n_neighbors=cell[0], min_dist=cell[1], metric="cosine", random_state=seed)
    xy = model.fit_transform(features)
    seconds = time.perf_counter() - begun
    print(f"fresh n_neighbors {cell[0]} min_dist {cell[1]} seed {seed}: {seconds:.1f} s", flush=True)
    return seconds, xy


def more_fits(features, fits, wanted, until):
    """Return {cell: [xy of each seed]} of the cells that have `wanted` fits by the time `until`, cheap ones first."""
    maps = {cell: [xy] for cell, (_, xy) in fits.items()}
    for cell in sorted(fits, key=lambda each: fits[each][0]):
        for seed in range(1, wanted):
            if time.perf_counter() + fits[cell][0] > until:
                return {cell: found for cell, found in maps.items() if len(found) == wanted}
            maps[cell].append(fit(features, cell, seed)[1])
    return {cell: found for cell, found in maps.items() if len(found) == wanted}


def losses(features, maps, fits):
    """Return the trustworthiness of each cell's fresh fits (median) minus the grid's."""
    units = unit_rows(features)
    ranks = FeatureRanks(units, cosine_neighbours(units, 16, no_check))

    def score(xy):
        return trustworthiness(ranks, map_neighbours(xy))

    found = []
    for cell, fresh in fits.items():
        scores, ours = [score(xy) for xy in fresh], score(maps[cell])
        found.append(statistics.median(scores) - ours)
        print(f"n_neighbors {cell[0]} min_dist {cell[1]}: grid {ours:.4f}, fresh {min(scores):.4f}-{max(scores):.4f}")
    return found


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,500 points, three rows of the grid")
    parser.add_argument("--features", type=Path, help=".npy of features (n, d)")
    parser.add_argument("--fits", type=int, default=3, help="seeds of each fresh cell that is compared")
    parser.add_argument("--budget-s", type=float, default=600.0, help="no further fits after this many seconds")
    parser.add_argument("--large", action="store_true", help="28,160 x 768 alone: graph for 1,000 neighbours, one cell")
    options = parser.parse_args()
    if options.large:
        large()
        return
    warnings.simplefilter("ignore")
    until = time.perf_counter() + options.budget_s
    neighbors = (3, 25, 200) if options.quick else NEIGHBORS
    features, codes = made(1500 if options.quick else 2870)
    if options.features:
        features = np.load(options.features, allow_pickle=False).astype(np.float32)
        codes = np.arange(len(features)) % 4
    print(f"{len(features)} x {features.shape[1]} features, {len(neighbors)} x {len(MIN_DISTS)} cells", flush=True)
    umap.UMAP(metric="cosine", random_state=0, n_epochs=11).fit(features[:200])
    cells = [(k, MIN_DISTS[0 if position % 2 == 0 else -1]) for position, k in enumerate(neighbors)]
    fits = {cell: fit(features, cell, 0) for cell in cells[::2]}
    seconds, maps = time_grid(features, codes, neighbors)
    print(f"grid: {seconds:.1f} s", flush=True)
    fits |= {cell: fit(features, cell, 0) for cell in cells[1::2]}
    fresh = statistics.mean(each for each, _ in fits.values()) * len(maps)
    print(
        f"fresh fits of all {len(maps)} cells, scaled: {fresh:.0f} s; {fresh / seconds:.2f} times the grid's",
        flush=True,
    )
    compared = more_fits(features, fits, options.fits, until)
    print(f"trustworthiness compared in {len(compared)} of the {len(cells)} cells fitted afresh", flush=True)
    lost = losses(features, maps, compared)
    report(fresh / seconds, lost)


def large(n=28160, d=768, k=1000):
    """Print the cost of a set as large as HiCervix: the graph for k neighbours, then a row of 15 and its first cell."""
    features, _ = made(n, d, classes=26)
    start_counting("cpu")
    before, begun = peak_bytes("cpu"), time.perf_counter()
    units = unit_rows(features)
    near = cosine_neighbours(units, k, no_check)
    graph, peak = time.perf_counter() - begun, peak_bytes("cpu")
    print(f"graph of {n} x {d} for {k} neighbours: {graph:.1f} s, {(peak - before) / 2**20:.0f} MB more", flush=True)
    fewer = Neighbours(near.indices[:, :15], near.distances[:, :15])
    row = prepare_row(units, fewer, 15, 0)
    started = time.perf_counter() - begun
    lay_out_cell(row, 0.1, 0)
    shown = time.perf_counter() - begun
    print(f"start of n_neighbors 15 after {started:.1f} s, its first cell after {shown:.1f} s", flush=True)
    figures = {"graph_large_s": graph, "graph_large_mb": (peak - before) / 2**20, "first_cell_large_s": shown}
    print_line({name: {"value": round(v, 1), "target": None, "better": "lower"} for name, v in figures.items()})


def report(speedup, lost):
    """Print the figures as the last line; without a cell that was compared there is no loss to tell."""
    values = {"grid_speedup": speedup}
    if lost:
        values |= {"trustworthiness_loss_mean": statistics.mean(lost), "trustworthiness_loss_max": max(lost)}
    figures = {
        name: {
            "value": round(value, 5),
            "target": TARGETS[name],
            "better": "higher" if name == "grid_speedup" else "lower",
        }
        for name, value in values.items()
    }
    print_line(figures)


def print_line(figures):
    """Print the figures as the last line."""
    machine = {"cpus": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    machine["umap-learn"] = umap.__version__
    print(json.dumps({"benchmark": "projection", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
