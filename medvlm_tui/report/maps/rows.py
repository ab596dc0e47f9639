"""The numbers of a run's distributions beside the maps: each pair's proposed map, separability, similarity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Stored
from medvlm_tui.report.formats.table import Row, Table, numbers, texts
from medvlm_tui.report.results.run_results import Gathered, Map, ReportInput, made_once
from medvlm_tui.stages.projection import GRID
from medvlm_tui.stages.records.projection import GridRecord
from medvlm_tui.stages.records.separability import SeparabilityRecord
from medvlm_tui.stages.records.similarity import Likeness, LikenessRecord, ReferencesRecord, SimilarityRecord
from medvlm_tui.stages.separability import SEPARABILITY as STAGE
from medvlm_tui.stages.similarity import REFERENCES as REFERENCES_STAGE
from medvlm_tui.stages.similarity import SIMILARITY as SIMILARITY_STAGE

SEPARABILITY = (
    *texts("model", "dataset", "label_view", "feature", "grouping", "measure"),
    *numbers("value", "p_value", "by_chance", "groups", "neighbours", "permutations", "seed", "n", "used"),
    *texts("depends_on_n"),
)
SIMILARITY = (
    *texts("dataset", "label_view", "model_a", "model_b", "measure"),
    *numbers("value", "ci_low", "ci_high", "p_against_shuffled_images", "by_chance", "neighbours", "permutations"),
    *numbers("seed", "n", "used"),
)
REFERENCES = (
    *texts("model", "dataset", "label_view", "feature", "reference", "measure"),
    *numbers("value", "ci_low", "ci_high", "by_chance", "neighbours", "seed", "n", "used"),
)
PROJECTION_SCORES = (
    *texts("model", "dataset", "label_view", "feature"), *numbers("n_neighbors", "min_dist", "seed", "n"),
    *texts("subsampled", "proposed", "score"), *numbers("value"),
)  # fmt: skip
DEPENDS_ON_N = frozenset({"rank_me", "participation_ratio", "intrinsic_dimension", "knn_purity"})
"""Measures whose value changes with the number of images alone: comparable on the same images only."""
CLASSES = "class"
"""The grouping of separability.csv that is no tag."""


def grids(source: ReportInput) -> dict[tuple[str, str], Stored[GridRecord]]:
    """Return (model, dataset) -> result of its grid step."""
    return {(step.model, step.dataset): found for step, found in source.stored(GRID)}


def proposals(gathered: Gathered) -> set[str]:
    """Return the keys of the maps that the grid steps propose."""
    return {record.proposed for _, record in gathered.source.records(GRID)}


@made_once
def tables(gathered: Gathered) -> tuple[Table, ...]:
    """Return the tables that the run has something for."""
    scores = (projection_scores(gathered.maps, proposals(gathered)),) if gathered.maps else ()
    found = (separability(gathered), similarity(gathered), references(gathered))
    return (*scores, *(table for table in found if table.rows))


def projection_scores(maps: Sequence[Map], proposed: set[str]) -> Table:
    """Return one row per (UMAP cell, score)."""
    rows = tuple(row for shown in maps for row in _map_scores(shown, shown.key in proposed))
    return Table("projection_scores", PROJECTION_SCORES, rows, "How well the maps show the features")


def separability(gathered: Gathered) -> Table:
    """Return one row per (model, dataset, grouping, measure)."""
    found = gathered.source.records(STAGE)
    rows = tuple(row for step, record in found for row in _measures(gathered, step, record))
    return Table("separability", SEPARABILITY, rows, "Separability in the full feature space")


@made_once
def similarity(gathered: Gathered) -> Table:
    """Return one row per (dataset, pair of models, measure)."""
    found = gathered.source.records(SIMILARITY_STAGE)
    rows = tuple(row for step, record in found for row in _pairs(gathered, step, record))
    return Table("similarity", SIMILARITY, rows, "Similarity of models")


def references(gathered: Gathered) -> Table:
    """Return one row per (model, dataset, reference, measure): what the values of `similarity` are read against."""
    found = gathered.source.records(REFERENCES_STAGE)
    rows = tuple(row for step, record in found for row in _references(gathered, step, record))
    return Table("similarity_references", REFERENCES, rows, "References of similarity")


def _map_scores(shown: Map, proposed: bool) -> Iterator[Row]:
    for name, value in shown.scores.items():
        if value is not None:
            yield (
                shown.model.id, shown.dataset.spec.id, shown.dataset.view, shown.feature, shown.n_neighbors,
                shown.min_dist, shown.seed, shown.n, shown.subsampled, proposed, name, value,
            )  # fmt: skip


def _measures(gathered: Gathered, step: Step, record: SeparabilityRecord) -> Iterator[Row]:
    feature = gathered.features.get((step.model, step.dataset), ("", ""))[1]
    view = gathered.source.datasets[step.dataset].view
    for name, value in record.measures.items():
        if value is not None:
            chance = record.purity_by_chance if name == "knn_purity" else None
            yield (
                step.model, step.dataset, view, feature, record.tag or CLASSES, name, value,
                record.p_values.get(name), chance, len(record.classes), record.neighbours,
                record.permutations, record.seed, record.n, record.used, name in DEPENDS_ON_N,
            )  # fmt: skip


def _pairs(gathered: Gathered, step: Step, record: SimilarityRecord) -> Iterator[Row]:
    view = gathered.source.datasets[step.dataset].view
    for pair in record.pairs:
        for name, found, chance in _likenesses(pair):
            yield (
                step.dataset, view, pair.a, pair.b, name, found.value, found.low, found.high, found.p_value,
                chance, pair.neighbours, record.permutations, record.seed, pair.n, pair.used,
            )  # fmt: skip


def _references(gathered: Gathered, step: Step, record: ReferencesRecord) -> Iterator[Row]:
    feature = gathered.features.get((step.model, step.dataset), ("", ""))[1]
    view = gathered.source.datasets[step.dataset].view
    for each in record.references:
        for name, found, chance in _likenesses(each):
            yield (
                step.model, step.dataset, view, feature, each.reference, name, found.value, found.low, found.high,
                chance, each.neighbours, record.seed, each.n, each.used,
            )  # fmt: skip


def _likenesses(of: LikenessRecord) -> Iterator[tuple[str, Likeness, float | None]]:
    """Yield the name of each measure that is defined, its value with its interval, and its value by chance."""
    for name in ("cka", "mutual_knn", "procrustes"):
        found = of.measure(name)
        if found is not None:
            yield name, found, of.mutual_knn_by_chance if name == "mutual_knn" else None
