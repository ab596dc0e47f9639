"""Writes everything a run leaves behind, one file after the other, and says each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.files import write_atomic
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store import Store
from medvlm_tui.report import image_rows, latex, markdown, tidy
from medvlm_tui.report.cells import Cell, Gathered, Map, ReportInput
from medvlm_tui.report.manifest import write_manifest
from medvlm_tui.report.naming import file_stem
from medvlm_tui.report.tables import score_tables


def write_report(source: ReportInput, out: Path) -> Iterator[FileWritten]:
    """Write tables, per-image files, figures and the manifest below `out`; yields each file when it is complete.

    Only what the store has is written: a step that failed leaves its files out, and the manifest says why.
    Raises OSError when `out` cannot be written.
    """
    gathered = Gathered(source)
    written: list[Path] = []
    for event in _files(gathered, source.store, out):
        written.append(Path(event.path))
        yield event
    write_manifest(out / "manifest.json", source, gathered, written)
    yield FileWritten(str(out / "manifest.json"), "manifest")


def _files(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    yield from _tables(gathered, out)
    yield from _predictions(gathered, store, out)
    yield from _projections(gathered, store, out)
    yield from _confusions(gathered, store, out)
    yield from _maps(gathered, store, out)
    yield from _saliency(gathered, store, out)


def _tables(gathered: Gathered, out: Path) -> Iterator[FileWritten]:
    if gathered.cells:
        for name, write in (("results.csv", tidy.write_results), ("folds.csv", tidy.write_folds)):
            write(out / name, gathered.cells)
            yield FileWritten(str(out / name), "table")
        tables = score_tables(gathered.cells)
        for name, text in (("table.tex", latex.render(tables)), ("table.md", markdown.render(tables))):
            write_atomic(out / name, text.encode("utf-8"))
            yield FileWritten(str(out / name), "table")
    if any(cell.interval for cell in gathered.cells):
        tidy.write_statistics(out / "statistics.csv", gathered.cells)
        yield FileWritten(str(out / "statistics.csv"), "table")
    if gathered.maps:
        tidy.write_projection_scores(out / "projection_scores.csv", gathered.maps)
        yield FileWritten(str(out / "projection_scores.csv"), "table")


def _predictions(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for cell in gathered.cells:
        table, probe = store.tables.read(cell.table_key), store.result(cell.probe_key)
        if table is not None and probe is not None:
            path = out / "predictions" / image_rows.predictions_name(cell)
            image_rows.write_predictions(path, cell, table, probe)
            yield FileWritten(str(path), "predictions")


def _projections(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for shown in gathered.maps:
        table, result = store.tables.read(shown.table_key), store.result(shown.key)
        if table is not None and result is not None:
            path = out / "projections" / image_rows.projection_name(shown)
            image_rows.write_projection(path, table, result)
            yield FileWritten(str(path), "projection")


def _confusions(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for cell in gathered.cells:
        # Imported here and in the functions below: matplotlib costs a second that a report of tables need not pay.
        from medvlm_tui.report.figures.confusion import confusion_counts, draw_confusion

        probe, table = store.result(cell.probe_key), store.tables.read(cell.table_key)
        if probe is None or table is None:
            continue
        truth = _codes(table, cell)[probe.arrays["hold_out"]]
        name = file_stem("confusion", cell.model.id, cell.dataset.spec.id, cell.protocol) + ".png"
        draw_confusion(
            out / "figures" / name,
            cell,
            confusion_counts(truth, probe.arrays["final_predicted"], len(cell.classes)),
        )
        yield FileWritten(str(out / "figures" / name), "figure")


def _codes(table: FeatureTable, cell: Cell) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the class index of every row."""
    index = {name: code for code, name in enumerate(cell.classes)}
    return np.array([index.get(name, -1) for name in table.labels], dtype=np.int64)


def _maps(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for several in _by_pair(gathered.maps):
        from medvlm_tui.report.figures.scatter import draw_map

        shown = most_trustworthy(several)
        table, result = store.tables.read(shown.table_key), store.result(shown.key)
        if table is None or result is None:
            continue
        labels = [table.labels[row] for row in result.arrays["rows"].tolist()]
        path = out / "figures" / (file_stem("umap", shown.model.id, shown.dataset.spec.id) + ".png")
        draw_map(path, shown, result.arrays["xy"], labels, of=len(several))
        yield FileWritten(str(path), "figure")


def _by_pair(maps: tuple[Map, ...]) -> list[list[Map]]:
    """Return the maps of each (model, dataset) together."""
    pairs: dict[tuple[str, str], list[Map]] = {}
    for shown in maps:
        pairs.setdefault((shown.model.id, shown.dataset.spec.id), []).append(shown)
    return list(pairs.values())


def most_trustworthy(maps: list[Map]) -> Map:
    """Return the map with the highest trustworthiness, which reads no labels; the first of equals."""
    return max(maps, key=lambda shown: shown.scores.get("trustworthiness") or 0.0)


def _saliency(gathered: Gathered, store: Store, out: Path) -> Iterator[FileWritten]:
    for explained in gathered.explained:
        result = store.result(explained.key)
        if result is None:
            continue
        for item, image, values in zip(explained.items, result.arrays["images"], result.arrays["maps"], strict=True):
            from medvlm_tui.report.figures.saliency import draw_saliency

            name = file_stem("rise", explained.model.id, explained.dataset.spec.id, item.image)
            draw_saliency(out / "figures" / f"{name}.png", explained, item, image, values)
            yield FileWritten(str(out / "figures" / f"{name}.png"), "figure")
            raw = io.BytesIO()
            np.save(raw, values, allow_pickle=False)
            write_atomic(out / "saliency" / f"{name}.npy", raw.getvalue())
            yield FileWritten(str(out / "saliency" / f"{name}.npy"), "saliency")
