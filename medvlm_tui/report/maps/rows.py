"""What a run knows of its distributions beside the maps: each pair's proposed map, separability, similarity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.results.run_results import Gathered, Map, ReportInput

Row = Sequence[Value]
SEPARABILITY = (
    "model", "dataset", "label_view", "feature", "grouping", "measure", "value", "p_value", "by_chance", "groups",
    "neighbours", "permutations", "seed", "n", "used", "depends_on_n",
)  # fmt: skip
SIMILARITY = (
    "dataset", "label_view", "model_a", "model_b", "measure", "value", "p_against_shuffled_images", "by_chance",
    "neighbours", "permutations", "seed", "n", "used",
)  # fmt: skip
PROJECTION_SCORES = (
    "model", "dataset", "label_view", "feature", "n_neighbors", "min_dist", "seed", "n", "subsampled", "proposed",
    "score", "value",
)  # fmt: skip
DEPENDS_ON_N = frozenset({"rank_me", "participation_ratio", "intrinsic_dimension", "knn_purity"})
"""Measures whose value changes with the number of images alone: comparable on the same images only."""
CLASSES = "class"
"""The grouping of separability.csv that is no tag."""


def results(source: ReportInput, kind: str) -> Iterator[tuple[Step, StoredResult]]:
    """Yield the steps of a kind that have a result."""
    for step in source.plan.steps:
        if step.kind == kind and step.key and step.dataset in source.datasets:
            found = source.store.result(step.key)
            if found is not None:
                yield step, found


def grids(source: ReportInput) -> dict[tuple[str, str], StoredResult]:
    """Return (model, dataset) -> result of its grid step."""
    return {(step.model, step.dataset): found for step, found in results(source, "grid")}


def proposals(gathered: Gathered) -> set[str]:
    """Return the keys of the maps that the grid steps propose."""
    return {str(found.record["proposed"]) for found in grids(gathered.source).values()}


def write_projection_scores(path: Path, maps: Sequence[Map], proposed: set[str]) -> None:
    """Write projection_scores.csv: one row a (UMAP cell, score)."""
    write_csv(path, PROJECTION_SCORES, (row for shown in maps for row in _map_scores(shown, shown.key in proposed)))


def write_separability(path: Path, gathered: Gathered) -> bool:
    """Write separability.csv, one row a (model, dataset, grouping, measure); return whether there was any."""
    rows = [row for step, found in results(gathered.source, "separability") for row in _measures(gathered, step, found)]
    if rows:
        write_csv(path, SEPARABILITY, rows)
    return bool(rows)


def write_similarity(path: Path, gathered: Gathered) -> bool:
    """Write similarity.csv, one row a (dataset, pair of models, measure); return whether there was any."""
    rows = [row for step, found in results(gathered.source, "similarity") for row in _pairs(gathered, step, found)]
    if rows:
        write_csv(path, SIMILARITY, rows)
    return bool(rows)


def _map_scores(shown: Map, proposed: bool) -> Iterator[Row]:
    for name, value in shown.scores.items():
        if value is not None:
            yield (
                shown.model.id, shown.dataset.spec.id, shown.dataset.view, shown.feature, shown.n_neighbors,
                shown.min_dist, shown.seed, shown.n, shown.subsampled, proposed, name, value,
            )  # fmt: skip


def _measures(gathered: Gathered, step: Step, found: StoredResult) -> Iterator[Row]:
    record: Mapping[str, Any] = found.record
    feature = gathered.features.get((step.model, step.dataset), ("", ""))[1]
    view = gathered.source.datasets[step.dataset].view
    for name, value in record["measures"].items():
        if value is not None:
            chance = record["purity_by_chance"] if name == "knn_purity" else None
            yield (
                step.model, step.dataset, view, feature, record["tag"] or CLASSES, name, value,
                record["p_values"].get(name), chance, len(record["classes"]), record["neighbours"],
                record["permutations"], record["seed"], record["n"], record["used"], name in DEPENDS_ON_N,
            )  # fmt: skip


def _pairs(gathered: Gathered, step: Step, found: StoredResult) -> Iterator[Row]:
    record: Mapping[str, Any] = found.record
    view = gathered.source.datasets[step.dataset].view
    for pair in record["pairs"]:
        for name in ("cka", "mutual_knn", "procrustes"):
            if pair[name] is not None:
                chance = pair["mutual_knn_by_chance"] if name == "mutual_knn" else None
                yield (
                    step.dataset, view, pair["a"], pair["b"], name, pair[name], pair[f"{name}_p"], chance,
                    pair["neighbours"], record["permutations"], record["seed"], pair["n"], pair["used"],
                )  # fmt: skip
