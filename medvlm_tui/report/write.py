"""Writes everything a run leaves behind, one file after the other, and says each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.atomic_files import refuse_linked_folders, write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.bias import rows as bias_tables
from medvlm_tui.report.comparison.rows import write_statistics
from medvlm_tui.report.formats import plain_tables
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.manifest import write_manifest
from medvlm_tui.report.maps import rows as distribution
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.saliency import rows as saliency_tables
from medvlm_tui.report.scores import latex, markdown, predictions, results_csv, side_tables, supplement
from medvlm_tui.report.scores.score_table import score_tables
from medvlm_tui.report.scores.study_tables import DATASETS, MODELS, dataset_rows, model_rows


def write_report(source: ReportInput, out: Path) -> Iterator[FileWritten]:
    """Write tables, per-image files, figures and the manifest below `out`; yields each file when it is complete.

    Only what the store has is written: a step that failed leaves its files out, and the manifest says why.
    Raises OSError when `out` cannot be written, StoreError when a folder below it is a link to another place.
    """
    refuse_linked_folders(out)
    gathered = Gathered(source)
    written: list[Path] = []
    for event in _files(gathered, source.store, out):
        written.append(Path(event.path))
        yield event
    write_manifest(out / "manifest.json", source, gathered, written)
    yield FileWritten(str(out / "manifest.json"), "manifest")


def _files(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    yield from _tables(gathered, out)
    yield from _side_tables(gathered, store, out)
    yield from _predictions(gathered, store, out)
    yield from _projections(gathered, store, out)
    if gathered.cells or gathered.maps or gathered.explained or bias_tables.labs(gathered.source):
        # Imported here: matplotlib costs seconds that a report without results need not pay.
        from medvlm_tui.report import drawing

        yield from drawing.draw_all(gathered, store, out / "figures", out / "saliency")


def _tables(gathered: Gathered, out: Path) -> Iterator[FileWritten]:
    if gathered.cells:
        for name, write in (("results.csv", results_csv.write_results), ("folds.csv", results_csv.write_folds)):
            write(out / name, gathered.cells)
            yield FileWritten(str(out / name), "table")
        tables = score_tables(gathered.cells, gathered.verdicts)
        for name, text in (("table.tex", latex.render(tables)), ("table.md", markdown.render(tables))):
            write_export(out / name, text.encode("utf-8"))
            yield FileWritten(str(out / name), "table")
    if any(cell.readings for cell in gathered.cells):
        results_csv.write_readings(out / "readings.csv", gathered.cells)
        yield FileWritten(str(out / "readings.csv"), "table")
    if any(cell.interval for cell in gathered.cells) or gathered.pairs or gathered.rankings:
        write_statistics(out / "statistics.csv", gathered)
        yield FileWritten(str(out / "statistics.csv"), "table")
    if gathered.maps:
        chosen = distribution.proposals(gathered)
        distribution.write_projection_scores(out / "projection_scores.csv", gathered.maps, chosen)
        yield FileWritten(str(out / "projection_scores.csv"), "table")
    if distribution.write_separability(out / "separability.csv", gathered):
        yield FileWritten(str(out / "separability.csv"), "table")
    if distribution.write_similarity(out / "similarity.csv", gathered):
        yield FileWritten(str(out / "similarity.csv"), "table")


def _side_tables(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    tables = tuple(gathered.tables())
    if tables:
        side_tables.write_cost(out / "cost.csv", tables)
        yield FileWritten(str(out / "cost.csv"), "table")
    if gathered.cells:
        side_tables.write_grid(out / "t_grid.csv", gathered.cells)
        yield FileWritten(str(out / "t_grid.csv"), "table")
        side_tables.write_per_class(out / "per_class.csv", gathered.cells, store)
        yield FileWritten(str(out / "per_class.csv"), "table")
    if gathered.explained:
        saliency_tables.write_quality(out / "saliency_quality.csv", gathered.explained)
        yield FileWritten(str(out / "saliency_quality.csv"), "table")
        saliency_tables.write_images(out / "saliency_images.csv", gathered.explained)
        yield FileWritten(str(out / "saliency_images.csv"), "table")
    for path in bias_tables.write_all(out, gathered.source):
        yield FileWritten(str(path), "table")
    for name, header, rows in (
        ("leakage.csv", side_tables.LEAKAGE, side_tables.leakage_rows(gathered.cells)),
        ("published.csv", side_tables.PUBLISHED, side_tables.published_rows(gathered.cells)),
        ("models.csv", MODELS, model_rows(gathered) if gathered.cells else []),
        ("datasets.csv", DATASETS, dataset_rows(gathered) if gathered.cells else []),
    ):
        if rows:
            write_csv(out / name, header, rows)
            yield FileWritten(str(out / name), "table")
    if gathered.cells:
        made = supplement.sheets(gathered)
        for name, text in (
            ("supplement.tex", plain_tables.to_latex(made)),
            ("supplement.md", plain_tables.to_markdown(made)),
        ):
            write_export(out / name, text.encode("utf-8"))
            yield FileWritten(str(out / name), "table")


def _predictions(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for cell in gathered.cells:
        table, probe = store.tables.read(cell.table_key), store.result(cell.probe_key)
        if table is not None and probe is not None:
            path = out / "predictions" / predictions.predictions_name(cell)
            predictions.write_predictions(path, cell, table, probe)
            yield FileWritten(str(path), "predictions")


def _projections(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for shown in gathered.maps:
        table, result = store.tables.read(shown.table_key), store.result(shown.key)
        if table is not None and result is not None:
            path = out / "projections" / predictions.projection_name(shown)
            predictions.write_projection(path, table, result)
            yield FileWritten(str(path), "projection")
