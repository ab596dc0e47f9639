"""The files of features and probes: score tables, costs, the supplement, predictions, and figures of classification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats import plain_tables
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores import group_gap, latex, markdown, predictions, results_csv, side_tables, supplement
from medvlm_tui.report.scores.score_table import score_tables
from medvlm_tui.report.scores.study_tables import DATASETS, MODELS, dataset_rows, model_rows


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write every table of features and probes below `out`; yields each file when it is complete."""
    costs = tuple(results.tables())
    if costs:
        side_tables.write_cost(out / "cost.csv", costs)
        yield _table(out / "cost.csv")
    if results.cells:
        yield from _scores(results, out)
        yield from _details(results, out)
        yield from _supplement(results, out)
        yield from _predictions(results, out)


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw confusions, classes, calibration, learning curves and ranks below `out`."""
    if results.cells:
        # Imported here: matplotlib costs seconds that a report without probes need not pay.
        from medvlm_tui.report.scores.figures.draw import probe_figures

        yield from probe_figures(results, results.source.store, out / "figures")


def _table(path: Path) -> FileWritten:
    return FileWritten(str(path), "table")


def _scores(results: Gathered, out: Path) -> Iterator[FileWritten]:
    for name, write in (("results.csv", results_csv.write_results), ("folds.csv", results_csv.write_folds)):
        write(out / name, results.cells)
        yield _table(out / name)
    made = score_tables(results.cells, results.verdicts)
    for name, text in (("table.tex", latex.render(made)), ("table.md", markdown.render(made))):
        write_export(out / name, text.encode("utf-8"))
        yield _table(out / name)
    if any(cell.readings for cell in results.cells):
        results_csv.write_readings(out / "readings.csv", results.cells)
        yield _table(out / "readings.csv")


def _details(results: Gathered, out: Path) -> Iterator[FileWritten]:
    side_tables.write_grid(out / "t_grid.csv", results.cells)
    yield _table(out / "t_grid.csv")
    side_tables.write_per_class(out / "per_class.csv", results.cells, results.source.store)
    yield _table(out / "per_class.csv")
    for name, header, rows in (
        ("leakage.csv", group_gap.GAP, group_gap.gap_rows(results.cells, results.source.store)),
        ("published.csv", side_tables.PUBLISHED, side_tables.published_rows(results.cells)),
        ("models.csv", MODELS, model_rows(results)),
        ("datasets.csv", DATASETS, dataset_rows(results)),
    ):
        if rows:
            write_csv(out / name, header, rows)
            yield _table(out / name)


def _supplement(results: Gathered, out: Path) -> Iterator[FileWritten]:
    made = supplement.sheets(results)
    for name, text in (
        ("supplement.tex", plain_tables.to_latex(made)),
        ("supplement.md", plain_tables.to_markdown(made)),
    ):
        write_export(out / name, text.encode("utf-8"))
        yield _table(out / name)


def _predictions(results: Gathered, out: Path) -> Iterator[FileWritten]:
    store = results.source.store
    for cell in results.cells:
        table, probe = store.tables.read(cell.table_key), store.result(cell.probe_key)
        if table is not None and probe is not None:
            path = out / "predictions" / predictions.predictions_name(cell)
            predictions.write_predictions(path, cell, table, probe)
            yield FileWritten(str(path), "predictions")
