"""Language on the page: zero-shot scores, prompts, and how images and texts are aligned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.language.rows import tables_of
from medvlm_tui.report.page.blocks import STATISTICS, Block, Drawing, Fold, Section, figures_in
from medvlm_tui.report.results.naming import dataset_title, file_stem
from medvlm_tui.report.results.run_results import Gathered

_CHARTS = {"zero_shot": "Zero-shot", "alignment": "Distance of images and texts", "reading": "Words in pictures"}


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of language, between the comparisons and the maps, where the run has results of it."""
    tables = tables_of(results)
    if tables:
        folds = tuple(Fold(table.title or table.name.replace("_", " "), (table,)) for table in tables)
        blocks: tuple[Block, ...] = (*_charts(results, written), *folds)
        yield Section("language", "Language: classes by their names", STATISTICS + 5, blocks)


def _charts(results: Gathered, written: Sequence[Path]) -> Iterator[Drawing]:
    figures = figures_in(written)
    for dataset, found in results.source.datasets.items():
        for name, title in _CHARTS.items():
            if (path := figures.get(file_stem(name, dataset))) is not None:
                yield Drawing(path, f"{title}: {dataset_title(found)}")
