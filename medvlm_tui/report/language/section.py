"""Language on the page: zero-shot scores, prompts, and how images and texts are aligned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.language.rows import tables_of
from medvlm_tui.report.page.blocks import STATISTICS, Fold, Section
from medvlm_tui.report.results.run_results import Gathered


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of language, between the comparisons and the maps, where the run has results of it."""
    tables = tables_of(results)
    if tables:
        blocks = tuple(Fold(table.title or table.name.replace("_", " "), (table,)) for table in tables)
        yield Section("language", "Language: classes by their names", STATISTICS + 5, blocks)
