"""The paper's Tables 3 and 4 as records: groups of models by datasets, best, ties, marks, difference to print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medvlm_tui.catalog.models import group_titles
from medvlm_tui.core.text import clean
from medvlm_tui.report.cells import Cell, Metric
from medvlm_tui.report.comparison import Comparison, Mark, compare, f1_metric, source_for, training_mark
from medvlm_tui.report.naming import dataset_title, model_title


@dataclass(frozen=True, slots=True)
class Score:
    """A metric as a table prints it, in percent."""

    mean: str
    std: str
    best: bool
    tied: bool
    """Best, and another model prints the same mean."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model's part of one dataset's columns."""

    accuracy: Score | None
    f1: Score | None
    mark: Mark
    difference: str
    """Accuracy minus the printed one in points, signed; empty where nothing comparable was printed."""
    n_differs: bool


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset: accuracy, F1 and, where anything was printed, the difference."""

    title: str
    f1_title: str
    entries: Mapping[str, Entry]
    """Model id -> entry."""
    compared: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Models under one heading."""

    title: str
    models: tuple[tuple[str, str], ...]
    """(id, title)."""


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """One protocol's table."""

    protocol: str
    groups: tuple[Group, ...]
    columns: tuple[Column, ...]
    notes: tuple[str, ...]


def score_tables(cells: Sequence[Cell]) -> tuple[ScoreTable, ...]:
    """Return one table a protocol, in the order the protocols were asked for."""
    protocols = dict.fromkeys(cell.protocol for cell in cells)
    return tuple(_table(protocol, [cell for cell in cells if cell.protocol == protocol]) for protocol in protocols)


def percent(fraction: float) -> str:
    """Return a fraction as percent with one decimal, without the sign of percent."""
    return f"{100 * fraction:.1f}"


def points(fraction: float) -> str:
    """Return a difference in percent points with its sign, a typographic minus."""
    text = f"{100 * fraction:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _table(protocol: str, cells: Sequence[Cell]) -> ScoreTable:
    datasets = dict.fromkeys(cell.dataset.spec.id for cell in cells)
    columns = tuple(_column([cell for cell in cells if cell.dataset.spec.id == dataset]) for dataset in datasets)
    return ScoreTable(protocol, _groups(cells), columns, _notes(protocol, cells, columns))


def _groups(cells: Iterable[Cell]) -> tuple[Group, ...]:
    titles = group_titles()
    models = {cell.model.id: cell.model for cell in cells}
    keys = dict.fromkeys([*titles, *(model.group for model in models.values())])
    groups = (
        Group(
            clean(titles.get(key, key) or "Other models"),
            tuple((m.id, model_title(m)) for m in models.values() if m.group == key),
        )
        for key in keys
    )
    return tuple(group for group in groups if group.models)


def _column(cells: Sequence[Cell]) -> Column:
    f1 = {cell.model.id: cell.metric(f1_metric(cell)) for cell in cells}
    accuracies = _scores({cell.model.id: cell.metric("accuracy") for cell in cells})
    f1s = _scores(f1)
    entries = {c.model.id: _entry(c, accuracies[c.model.id], f1s[c.model.id]) for c in cells}
    positive = next((cell.positive for cell in cells if f1_metric(cell) == "f1_positive"), "")
    return Column(
        title=dataset_title(cells[0].dataset),
        f1_title=f"F1 ({clean(positive)})" if positive else "F1",
        entries=entries,
        compared=any(entry.difference for entry in entries.values()),
    )


def _entry(cell: Cell, accuracy: Score | None, f1: Score | None) -> Entry:
    comparison: Comparison | None = compare(cell, "accuracy")
    return Entry(
        accuracy=accuracy,
        f1=f1,
        mark=training_mark(cell),
        difference="" if comparison is None else points(comparison.delta),
        n_differs=comparison is not None and comparison.n_differs,
    )


def _scores(metrics: Mapping[str, Metric | None]) -> dict[str, Score | None]:
    """Return the scores of one column; what prints the same as the best is best, and tied with it."""
    shown = {model: percent(m.mean) for model, m in metrics.items() if m is not None and m.mean is not None}
    top = max(shown.values(), key=float, default="")
    several = sum(text == top for text in shown.values()) > 1
    # With one model in the column there is nothing to be best of.
    contested = len(shown) > 1
    return {
        model: None
        if metric is None or model not in shown
        else Score(
            shown[model], percent(metric.std or 0.0), contested and shown[model] == top, several and shown[model] == top
        )
        for model, metric in metrics.items()
    }


def _notes(protocol: str, cells: Sequence[Cell], columns: Sequence[Column]) -> tuple[str, ...]:
    entries = [entry for column in columns for entry in column.entries.values()]
    notes = ["Mean ± standard deviation over the folds' classifiers on the hold-out."]
    if any(score.best for entry in entries for score in (entry.accuracy, entry.f1) if score):
        notes.append("Bold: best of the column; =: prints the same as another best.")
    if any(entry.mark == "dagger" for entry in entries):
        notes.append("†: the dataset's modality was in the model's training data.")
    if any(entry.mark == "star" for entry in entries):
        notes.append("★: the dataset itself was in the model's training data.")
    if any(entry.difference for entry in entries):
        notes.append(f"Δ: accuracy minus the published one ({source_for(protocol)}), in percent points.")
    if any(entry.n_differs for entry in entries):
        notes.append("ⁿ: computed on another number of images than the published one.")
    saturated = sum(cell.saturated for cell in cells)
    if saturated:
        notes.append(
            f"The grid of t is saturated (training error 0 at every t) in {saturated} of {len(cells)} cells; "
            "results.csv names them."
        )
    return (*notes, *_warnings(cells))


def _warnings(cells: Sequence[Cell]) -> list[str]:
    datasets = {cell.dataset.spec.id: cell.dataset for cell in cells}
    notes = [clean(warning) for dataset in datasets.values() for warning in dataset.warnings]
    if any(d.spec.synthetic for d in datasets.values()):
        notes.append("SYNTHETIC: images made by this program; their scores say nothing about medicine.")
    return notes
