"""Data of the map screen, read from the store: a UMAP, its classes, and the facts about one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.measures.procrustes import procrustes
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.projection import GridRecord, MapRecord
from medvlm_tui.stages.records.similarity import Likeness, ReferencesRecord, SimilarityRecord

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store.store import Stored

NEIGHBOURS = 5
_FIRST_SCORES = ("trustworthiness", "knn_purity")


@dataclass(frozen=True, slots=True)
class MapData:
    """One map; names are safe to show, ids are as they are."""

    key: str
    xy: NDArray[np.floating]
    """(m, 2)"""
    codes: NDArray[np.int64]
    """(m,) index of each point's class."""
    names: tuple[str, ...]
    ids: tuple[str, ...]
    """Of the images, to ask for."""
    rows: NDArray[np.int64]
    """(m,) rows of the feature table."""
    n_neighbors: int
    min_dist: float
    scores: Mapping[str, float]
    facts: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """Prediction for an image by the classifiers that were not trained on it."""

    code: int
    """Index in `classes` of the probe."""
    name: str
    how: str


def map_data(key: str, found: Stored[MapRecord], table: FeatureTable) -> MapData:
    """Join a map with the labels and ids of the table it was made of."""
    rows = found.arrays["rows"].astype(np.int64)
    names = tuple(table.classes) or tuple(sorted(set(table.labels)))
    number = {name: index for index, name in enumerate(names)}
    codes = np.array([number.get(table.labels[row], 0) for row in rows.tolist()], np.int64)
    ids = tuple(table.ids[row] for row in rows.tolist())
    record = found.record
    known = {name: score for name, score in record.scores.items() if score is not None}
    return MapData(
        key, found.arrays["xy"], codes, tuple(map(clean, names)), ids, rows, *settings(record), known, facts(record),
    )  # fmt: skip


def settings(record: MapRecord) -> tuple[int, float]:
    """Return n_neighbors and min_dist of a map's record."""
    return record.n_neighbors, record.min_dist


def aligned(data: MapData, grid: Stored[GridRecord] | None) -> MapData:
    """Return the map as its grid has turned it, so that all maps of the grid lie alike; unchanged without one."""
    keys = [] if grid is None else [cell.key for cell in grid.record.cells]
    if grid is None or data.key not in keys or not np.array_equal(grid.arrays["rows"], data.rows):
        return data
    return replace(data, xy=grid.arrays["xy"][keys.index(data.key)])


def similarity_words(found: SimilarityRecord | None, first: str, second: str) -> str:
    """Return how alike two models' full feature spaces are, in words; empty where it was not measured."""
    pairs = () if found is None else found.pairs
    pair = next((pair for pair in pairs if {pair.a, pair.b} == {first, second}), None)
    if pair is None:
        return ""
    names = (("CKA", "cka"), ("mutual kNN", "mutual_knn"), ("Procrustes", "procrustes"))
    # Without the p-value against shuffled images: any two encoders are more alike than these.
    measured = [(name, pair.measure(key)) for name, key in names]
    said = [f"{name} {one.value:.2f}{_ends(one)}" for name, one in measured if one is not None]
    return "features: " + ", ".join(said) if said else ""


def reference_words(found: ReferencesRecord | None) -> str:
    """Return the CKA of a model with its references, in words; empty where they were not measured."""
    measured = () if found is None else found.references
    said = [f"{clean(each.reference)} {each.cka:.2f}" for each in measured if each.cka is not None]
    return "CKA with " + ", ".join(said) if said else ""


def _ends(one: Likeness) -> str:
    return "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"


def facts(record: MapRecord) -> str:
    """Return `n 15 · d 0.1 · trust 0.96 · 360 images` of a projection's record"""
    parts = [f"n {record.n_neighbors}", f"d {record.min_dist}"]
    scores = record.scores
    # The parts that a narrow screen must not cut come first.
    for name in sorted(scores, key=lambda name: (_FIRST_SCORES.index(name) if name in _FIRST_SCORES else 9, name)):
        if (score := scores[name]) is not None:
            label = "trust" if name == "trustworthiness" else clean(name).replace("_", " ")
            parts.append(f"{label} {score:.2f}")
    return " · ".join([*parts, f"{record.n:,} images", *(["a stratified part"] if record.subsampled else [])])


def cautions(scores: Mapping[str, Any]) -> str:
    """Return how the scores of a map are to be read, for those that it has."""
    said = ["trust says how easily the features flatten"] if "trustworthiness" in scores else []
    said += ["purity depends on the number of images"] if "knn_purity" in scores else []
    return "".join(f" · {each}" for each in said)


def turned_onto(reference: MapData, other: MapData) -> tuple[MapData, float | None]:
    """Return `other` turned, mirrored and scaled to lie as `reference` does, and what remains between them.

    The remainder is Procrustes' disparity over the images that both show, 0 to 1; None when they share fewer
    than three.
    """
    position = {image: index for index, image in enumerate(reference.ids)}
    pairs = [(position[image], index) for index, image in enumerate(other.ids) if image in position]
    if len(pairs) < 3:
        return other, None
    ours, theirs = np.array(pairs).T
    turn = procrustes(reference.xy[ours], other.xy[theirs])
    return replace(other, xy=turn.apply(other.xy)), turn.disparity


def prediction(probe: Stored[ProbeRecord], row: int) -> Prediction | None:
    """Return what the probe predicts of a table's row, by classifiers that were not fitted on it."""
    names = probe.record.classes
    held_out = np.flatnonzero(probe.arrays["hold_out"] == row)
    if len(held_out):
        votes = probe.arrays["predicted_test"][:, held_out[0]]
        code = int(probe.arrays["final_predicted"][held_out[0]])
        how = f"held out, {int((votes == code).sum())}/{len(votes)} folds agree"
    elif "predicted_validation" in probe.arrays:
        code, how = int(probe.arrays["predicted_validation"][row]), "by the fold without it"
    else:
        return None
    return Prediction(code, clean(names[code]), how) if 0 <= code < len(names) else None


def neighbours(table: FeatureTable, row: int, count: int = NEIGHBOURS) -> list[int]:
    """Return the table's rows nearest to `row` by cosine distance in the full feature space, itself left out."""
    matrix = np.asarray(table.matrix, dtype=np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", matrix, matrix))
    similar = (matrix @ matrix[row]) / np.where(norms > 0, norms, 1.0)
    similar[row] = -np.inf
    nearest = np.argpartition(-similar, min(count, len(similar) - 1))[:count]
    ordered: list[int] = nearest[np.argsort(-similar[nearest], kind="stable")].tolist()
    return [index for index in ordered if index != row]
