"""The files of language: charts, and zero_shot.csv, prompts.csv, alignment.csv and reading.csv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats import latex, markdown
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.language.printed import printed_table
from medvlm_tui.report.language.rows import tables_of
from medvlm_tui.report.language.section import sections as sections
from medvlm_tui.report.results.run_results import Gathered


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the tables that the run has something for; yields each file when it is complete."""
    made = tables_of(results)
    for path in write_all(out, made):
        yield FileWritten(str(path), "table")
    if made:
        printed = [printed_table(results)]
        for suffix, text in ((".tex", latex.render(printed)), (".md", markdown.render(printed))):
            path = out / f"language{suffix}"
            write_export(path, text.encode("utf-8"))
            yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw the charts of the datasets that have results of language below `out`."""
    if tables_of(results):
        # Imported here: matplotlib costs seconds that a report without language need not pay.
        from medvlm_tui.report.language.figures import language_figures

        yield from language_figures(results.source, out / "figures")
