"""The paper's Tables 3 and 4 as records: groups of models by datasets, best, ties, marks, difference to print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from medvlm_tui.catalog.models import group_titles
from medvlm_tui.catalog.published import SOURCES
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.formats.table import Printed
from medvlm_tui.report.results.cells import Cell, Metric
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.scores.published_difference import compare, f1_metric, training_mark
from medvlm_tui.report.scores.table_notes import FULL_PRECISION, mixed, notes
from medvlm_tui.report.scores.table_records import DatasetColumns, Entry, Group, ScoreTable
from medvlm_tui.report.scores.verdicts import Verdicts

AllVerdicts = Mapping[tuple[str, str], Verdicts]
"""(dataset, protocol) -> the comparison of its models, where there is one."""


def score_tables(cells: Sequence[Cell], verdicts: AllVerdicts) -> tuple[ScoreTable, ...]:
    """Return one table per protocol, in the order the protocols were asked for; ties are the verdicts'."""
    protocols = dict.fromkeys(cell.protocol for cell in cells)
    return tuple(
        _table(protocol, [cell for cell in cells if cell.protocol == protocol], verdicts) for protocol in protocols
    )


def percent(fraction: float) -> str:
    """Return a fraction as percent with one decimal, without the sign of percent."""
    return f"{100 * fraction:.1f}"


def percentage(fraction: float, unit: str = "") -> Printed:
    """Return a fraction as tables print it in percent."""
    return Printed(percent(fraction), fraction, unit)


def difference(fraction: float) -> Printed:
    """Return a difference as tables print it in points."""
    return Printed(points(fraction), fraction)


def interval(metric: Metric) -> str:
    """Return a metric's interval in percent as [low, high], empty where there is none."""
    return "" if metric.low is None or metric.high is None else f"[{percent(metric.low)}, {percent(metric.high)}]"


def points(fraction: float) -> str:
    """Return a difference in percent points with its sign, a typographic minus."""
    text = f"{100 * fraction:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _table(protocol: str, cells: Sequence[Cell], verdicts: AllVerdicts) -> ScoreTable:
    datasets = dict.fromkeys(cell.dataset.spec.id for cell in cells)
    columns = tuple(
        _column([c for c in cells if c.dataset.spec.id == dataset], verdicts.get((dataset, protocol)), mixed(cells))
        for dataset in datasets
    )
    here = {dataset: verdicts.get((dataset, protocol)) for dataset in datasets}
    return ScoreTable(protocol, _groups(cells), columns, notes(cells, columns, here))


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


def _column(cells: Sequence[Cell], verdicts: Verdicts | None, mixed_precision: bool) -> DatasetColumns:
    accuracies = _scores({cell.model.id: cell.metric("accuracy") for cell in cells}, verdicts)
    f1s = _scores({cell.model.id: cell.metric(f1_metric(cell)) for cell in cells}, verdicts)
    entries = {c.model.id: _entry(c, accuracies[c.model.id], f1s[c.model.id], mixed_precision) for c in cells}
    positive = next((cell.positive for cell in cells if f1_metric(cell) == "f1_positive"), "")
    return DatasetColumns(
        title=dataset_title(cells[0].dataset),
        f1_title=f"F1 ({clean(positive)})" if positive else "F1",
        entries=entries,
        sources=tuple(name for name in SOURCES if any(name in entry.differences for entry in entries.values())),
    )


def _entry(cell: Cell, accuracy: Printed | None, f1: Printed | None, mixed_precision: bool) -> Entry:
    reduced = mixed_precision and cell.precision != FULL_PRECISION
    mark, precision = training_mark(cell.model, cell.dataset.spec), clean(cell.precision) if reduced else ""
    balanced = cell.metric("balanced_accuracy")
    found = [each for source in SOURCES if (each := compare(cell, "accuracy", source)) is not None]
    return Entry(
        accuracy=None if accuracy is None else replace(accuracy, mark=mark, precision=precision),
        f1=None if f1 is None else replace(f1, mark=mark, precision=precision),
        balanced=None if balanced is None or balanced.mean is None else percentage(balanced.mean, "%"),
        differences={each.source: Printed(points(each.delta), each.delta, raised=each.marks) for each in found},
    )


def _scores(metrics: Mapping[str, Metric | None], verdicts: Verdicts | None) -> dict[str, Printed | None]:
    """Return the scores of one column: the highest mean is best, and what prints the same.

    Tied with it is what the verdicts do not tell apart from it, however different it looks.
    """
    means = {model: m.mean for model, m in metrics.items() if m is not None and m.mean is not None}
    best = max(means, key=lambda model: means[model], default="")
    # With one model in the column there is nothing to be best of.
    contested = len(means) > 1

    def score(model: str, metric: Metric) -> Printed:
        is_best = contested and percent(means[model]) == percent(means[best])
        rival = verdicts if not is_best else None
        return Printed(
            text=f"{percent(means[model])} ± {percent(metric.std or 0.0)}",
            value=means[model],
            unit="%",
            best=is_best,
            tied=rival is not None and rival.tied(model, best, metric.name),
            too_few=rival is not None and rival.undecided(model, best, metric.name),
            interval=interval(metric),
        )

    return {
        model: None if metric is None or model not in means else score(model, metric)
        for model, metric in metrics.items()
    }
