"""The files of covered lesions: a table and figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.background.rows import tables_of
from medvlm_tui.report.background.section import sections as sections
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.background import BACKGROUND


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the table below `out`; yields the file when it is complete."""
    for path in write_all(out, tables_of(results)):
        yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw the conditions of each cell below `out`."""
    source = results.source
    for step, found in source.stored(BACKGROUND):
        # Imported here: matplotlib costs seconds that a report without covered lesions need not pay.
        from medvlm_tui.report.background.drawings import draw_accuracies, draw_pictures
        from medvlm_tui.report.figures.canvas import chart_files

        model, dataset = source.models[step.model], source.datasets[step.dataset]
        chart, pictures = (
            out / "figures" / f"{file_stem(name, model.id, dataset.spec.id)}.png"
            for name in ("background", "background_images")
        )
        draw_accuracies(chart, model, dataset, found)
        yield from chart_files(chart)
        draw_pictures(pictures, model, dataset, found)
        yield FileWritten(str(pictures), "figure")
