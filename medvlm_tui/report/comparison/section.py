"""The comparisons on the page: pairs of models, and every other interval and test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from medvlm_tui.report.comparison.rows import STATISTICS, statistics
from medvlm_tui.report.page.blocks import STATISTICS as PLACE
from medvlm_tui.report.page.blocks import Block, Fold, Paragraph, Section
from medvlm_tui.report.results.run_results import Gathered

_PAIRS = ("paired_exchange", "resampled_t", "paired_bootstrap")
_STATISTIC, _METRIC = (next(i for i, c in enumerate(STATISTICS) if c.name == name) for name in ("statistic", "metric"))


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of comparisons where models were compared."""
    if results.pairs or results.rankings:
        yield Section("comparisons", "Comparisons of models", PLACE, tuple(_blocks(results)))


def _blocks(results: Gathered) -> Iterator[Block]:
    whole = statistics(results)
    pairs = tuple(row for row in whole.values if row[_STATISTIC] in _PAIRS and row[_METRIC] == "accuracy")
    if pairs:
        yield Paragraph(
            "Differences in accuracy, the first model less the other, as fractions. p adjusted is over all pairs; "
            "a difference below the smallest difference would have been missed more often than in one of five cases."
        )
        yield replace(whole, rows=pairs, title="Pairs of models, accuracy")
    yield Fold("Every interval and test", (whole,))
