"""The files of the verdict: verdict.csv and verdict.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.verdict.cards import verdicts
from medvlm_tui.report.verdict.document import document
from medvlm_tui.report.verdict.rows import verdict_table
from medvlm_tui.report.verdict.section import sections as sections


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the verdict as a table and as a document below `out`; yields each file when it is complete."""
    found = verdicts(results)
    if found:
        for path in write_all(out, [verdict_table(found)]):
            yield FileWritten(str(path), "table")
        write_export(out / "verdict.md", document(found).encode())
        yield FileWritten(str(out / "verdict.md"), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Yield nothing: the verdict has no figure of its own."""
    yield from ()
