"""The files of the bias lab: its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.bias import rows
from medvlm_tui.report.bias.section import sections as sections
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.results.run_results import Gathered


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write every table of the bias lab below `out`; yields each file when it is complete."""
    for path in write_all(out, chain(rows.measured(results), rows.burned_texts(results.source))):
        yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw every figure of the bias lab below `out`."""
    if rows.measured(results):
        # Imported here: matplotlib costs seconds that a report without labs need not pay.
        from medvlm_tui.report.bias.figures import bias_figures

        yield from bias_figures(results.source, out / "figures")
