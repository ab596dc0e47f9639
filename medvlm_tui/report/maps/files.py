"""The files of maps, separability and similarity: their tables, the coordinates of every map, and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.maps import rows
from medvlm_tui.report.maps.section import sections as sections
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.predictions import projection_table
from medvlm_tui.stages.projection import PROJECT


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write every table of maps and of the full feature space below `out`; yields each file when it is complete."""
    for path in write_all(out, rows.tables(results)):
        yield FileWritten(str(path), "table")
    store = results.source.store
    for shown in results.maps:
        features, result = store.tables.read(shown.table_key), store.read(shown.key, PROJECT.record)
        if features is not None and result is not None:
            for path in write_all(out, [projection_table(shown, features, result)]):
                yield FileWritten(str(path), "projection")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw every figure of maps below `out`."""
    if results.maps:
        # Imported here: matplotlib costs seconds that a report without maps need not pay.
        from medvlm_tui.report.maps.figures import draw_maps

        yield from draw_maps(results, results.source.store, out / "figures")
