"""The files of the preprocessing lab: its table and its figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.preprocessing.rows import tables_of
from medvlm_tui.report.preprocessing.section import sections as sections
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.preprocessing import PREPROCESSING


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the table of the lab below `out`; yields the file when it is complete."""
    for path in write_all(out, tables_of(results)):
        yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw the changes of each cell below `out`."""
    source = results.source
    for step, lab in source.stored(PREPROCESSING):
        if not lab.record.measured:
            continue
        # Imported here: matplotlib costs seconds that a report without labs need not pay.
        from medvlm_tui.report.figures.canvas import chart_files
        from medvlm_tui.report.preprocessing.drawings import draw_changes, draw_pictures

        model, dataset = source.models[step.model], source.datasets[step.dataset]
        chart, pictures = (
            out / "figures" / f"{file_stem(name, model.id, dataset.spec.id)}.png"
            for name in ("preprocessing", "preprocessing_images")
        )
        draw_changes(chart, model, dataset, lab)
        yield from chart_files(chart)
        draw_pictures(pictures, model, dataset, lab)
        yield FileWritten(str(pictures), "figure")
