"""The files of maps, separability and similarity: their tables, the coordinates of every map, and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.maps import rows
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.predictions import projection_name, write_projection


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write every table of maps and of the full feature space below `out`; yields each file when it is complete."""
    if results.maps:
        rows.write_projection_scores(out / "projection_scores.csv", results.maps, rows.proposals(results))
        yield FileWritten(str(out / "projection_scores.csv"), "table")
    for name, write in (("separability.csv", rows.write_separability), ("similarity.csv", rows.write_similarity)):
        if write(out / name, results):
            yield FileWritten(str(out / name), "table")
    store = results.source.store
    for shown in results.maps:
        table, result = store.tables.read(shown.table_key), store.result(shown.key)
        if table is not None and result is not None:
            path = out / "projections" / projection_name(shown)
            write_projection(path, table, result)
            yield FileWritten(str(path), "projection")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw every figure of maps below `out`."""
    if results.maps:
        # Imported here: matplotlib costs seconds that a report without maps need not pay.
        from medvlm_tui.report.maps.figures import draw_maps

        yield from draw_maps(results, results.source.store, out / "figures")
