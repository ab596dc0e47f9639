"""The files of language: zero_shot.csv, prompts.csv, alignment.csv and reading.csv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.language.rows import tables_of
from medvlm_tui.report.language.section import sections as sections
from medvlm_tui.report.results.run_results import Gathered


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the tables that the run has something for; yields each file when it is complete."""
    for path in write_all(out, tables_of(results)):
        yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Yield nothing: the numbers stand in tables."""
    yield from ()
