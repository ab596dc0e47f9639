"""The data check writes no file of its own: `medvlm-tui check` prints it, the screens show it, and so does the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.check.section import sections as sections
from medvlm_tui.report.results.run_results import Gathered


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Yield nothing."""
    yield from ()


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Yield nothing."""
    yield from ()
