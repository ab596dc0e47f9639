"""Which models and datasets home shows, and in which order: what has results or can run comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.survey_rows import DatasetRow, ModelRow

Scope = Literal["here", "all", "results"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
WORDS: Mapping[Scope, str] = {"here": "models here or with results", "all": "all models", "results": "results alone"}
_RESULTS, _HERE, _MADE, _ABSENT = range(4)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Rows and columns of home."""

    models: tuple[ModelRow, ...]
    datasets: tuple[DatasetRow, ...]
    hidden: Mapping[str, int]
    """Group -> models of it that the scope leaves out."""


def arranged(board: Board, scope: Scope, model_text: str, dataset_text: str) -> Arrangement:
    """Return the models and datasets that home shows; a filter looks through all of them."""
    done = board.with_results
    ranked = {row.id: _rank(row, done) for row in board.models.values()}
    ranked |= {row.id: _rank(row, done) for row in board.datasets.values()}
    models = sorted(board.models.values(), key=lambda row: ranked[row.id])
    datasets = sorted(board.datasets.values(), key=lambda row: ranked[row.id])
    models = [row for row in models if model_text.lower() in f"{row.id} {row.name} {row.group}".lower()]
    datasets = [row for row in datasets if dataset_text.lower() in f"{row.id} {row.name} {row.modality}".lower()]
    if model_text or dataset_text:
        return Arrangement(tuple(models), tuple(datasets), {})
    least = {"here": _MADE, "all": _ABSENT, "results": _RESULTS}[scope]
    shown = [row for row in models if ranked[row.id] <= least]
    columns = [row for row in datasets if scope != "results" or ranked[row.id] == _RESULTS]
    if not shown or not columns:  # a matrix without cells would say nothing
        return Arrangement(tuple(models), tuple(datasets), {})
    hidden = Counter(row.group for row in models if ranked[row.id] > least)
    return Arrangement(tuple(shown), tuple(columns), hidden)


def _rank(row: ModelRow | DatasetRow, done: frozenset[str]) -> int:
    if row.id in done:
        return _RESULTS
    if row.state != "ready":
        return _ABSENT
    return _MADE if isinstance(row, DatasetRow) and row.synthetic else _HERE
