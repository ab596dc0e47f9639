"""The files of statistics: statistics.csv. The diagram of ranks is drawn with the figures of classification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.comparison.rows import statistics
from medvlm_tui.report.comparison.section import sections as sections
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.results.run_results import Gathered


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write intervals, pairs and ranks below `out`; yields each file when it is complete."""
    if any(cell.interval for cell in results.cells) or results.pairs or results.rankings:
        for path in write_all(out, [statistics(results)]):
            yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Yield nothing: the ranks are drawn by `report/scores/figures`."""
    yield from ()
