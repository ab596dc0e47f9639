"""Covered lesions on the page: is the lesion needed, and is the rest enough?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.background.finding import finding
from medvlm_tui.report.background.rows import tables_of
from medvlm_tui.report.page.blocks import BACKGROUND, Block, Drawing, Fold, Paragraph, Section, figures_in
from medvlm_tui.report.results.naming import dataset_title, file_stem, model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.background import BACKGROUND as STAGE


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section where the run has covered lesions; `written` are the files that lie beside the page."""
    if tables_of(results):
        blocks = tuple(_blocks(results, figures_in(written)))
        yield Section("background", "Background: lesions covered", BACKGROUND, blocks)


def _blocks(results: Gathered, figures: dict[str, Path]) -> Iterator[Block]:
    source = results.source
    yield Paragraph(
        "A square of one size lies over every lesion (covered), or elsewhere in the same image (moved), or is all that "
        "is left of it (only). A classifier is trained and tested under each condition on the same images."
    )
    for step, record in source.records(STAGE):
        names = f"{model_title(source.models[step.model])} on {dataset_title(source.datasets[step.dataset])}"
        yield Paragraph(f"{names}: {finding(record)}")
        path = figures.get(file_stem("background", step.model, step.dataset))
        if path is not None:
            yield Drawing(path, names)
    yield Fold("Every measure", tables_of(results))
