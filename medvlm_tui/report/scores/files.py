"""The files of features and probes: score tables, costs, the supplement, predictions, and figures of classification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats import latex, markdown, parquet_file
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.formats.table import Table
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores import group_gap, predictions, results_csv, side_tables, supplement
from medvlm_tui.report.scores.layout import printed_scores
from medvlm_tui.report.scores.section import sections as sections
from medvlm_tui.report.scores.study_tables import datasets_table, models_table
from medvlm_tui.stages.probe import PROBE

PARQUET = "results.parquet"


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write every table of features and probes below `out`; yields each file when it is complete."""
    for path in write_all(out, csv_tables(results)):
        yield FileWritten(str(path), "table")
    if results.cells:
        if parquet_file.can_write():
            parquet_file.write_parquet(out / PARQUET, results_csv.results_table(results.cells), results_csv.TYPES)
            yield FileWritten(str(out / PARQUET), "table")
        yield from _documents(results, out)
        yield from _predictions(results, out)


def left_out(results: Gathered) -> dict[str, str]:
    """Return file -> why it is not written, although the run has something for it."""
    return {PARQUET: parquet_file.WITHOUT} if results.cells and not parquet_file.can_write() else {}


def csv_tables(results: Gathered) -> Iterator[Table]:
    """Yield the tables that the run has something for, except those with a row per image."""
    if results.tables:
        yield side_tables.cost_table(results.tables)
    if results.cells:
        yield results_csv.results_table(results.cells)
        yield results_csv.folds_table(results.cells)
        if any(cell.readings for cell in results.cells):
            yield results_csv.readings_table(results.cells)
        yield side_tables.grid_table(results.cells)
        yield side_tables.per_class_table(results.cells, results.source.store)
        optional = (
            group_gap.gap_table(results), side_tables.published_table(results.cells),
            models_table(results), datasets_table(results),
        )  # fmt: skip
        yield from (table for table in optional if table.rows)


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw confusions, classes, calibration, learning curves and ranks below `out`."""
    if results.cells:
        # Imported here: matplotlib costs seconds that a report without probes need not pay.
        from medvlm_tui.report.scores.figures.draw import probe_figures

        yield from probe_figures(results, results.source.store, out / "figures")


def _documents(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the score tables and the supplement, each as LaTeX and as Markdown."""
    for name, made in (("table", printed_scores(results)), ("supplement", supplement.tables(results))):
        for suffix, text in ((".tex", latex.render(made)), (".md", markdown.render(made))):
            path = out / f"{name}{suffix}"
            write_export(path, text.encode("utf-8"))
            yield FileWritten(str(path), "table")


def _predictions(results: Gathered, out: Path) -> Iterator[FileWritten]:
    store = results.source.store
    for cell in results.cells:
        features, probe = store.tables.read(cell.table_key), store.read(cell.probe_key, PROBE.record)
        if features is not None and probe is not None:
            for path in write_all(out, [predictions.predictions_table(cell, features, probe)]):
                yield FileWritten(str(path), "predictions")
