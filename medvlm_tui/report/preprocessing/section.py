"""The preprocessing lab on the page: which choice matters for which model, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.core.plan import Step
from medvlm_tui.report.page.blocks import PREPROCESSING, Block, Drawing, Fold, Paragraph, Section, figures_in
from medvlm_tui.report.preprocessing.rows import tables_of
from medvlm_tui.report.results.naming import dataset_title, file_stem, model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.stages.preprocessing import PREPROCESSING as STAGE
from medvlm_tui.stages.records.preprocessing import PreprocessingRecord


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of the lab where the run has one; `written` are the files that lie beside the page."""
    found = [(step, record) for step, record in results.source.records(STAGE) if record.measured]
    if found:
        blocks = tuple(_blocks(results, found, figures_in(written)))
        yield Section("preprocessing", "Preprocessing lab", PREPROCESSING, blocks)


def _blocks(
    results: Gathered, found: Sequence[tuple[Step, PreprocessingRecord]], figures: dict[str, Path]
) -> Iterator[Block]:
    yield Paragraph(
        "Each change acts alone on images of the hold-out and of the training part. Transferred: the classifier of "
        "unchanged images meets changed ones. Retrained: it was trained on changed ones. What retraining repairs is a "
        "matter of fit; what it does not repair is lost information."
    )
    for step, _ in found:
        model, dataset = results.source.models[step.model], results.source.datasets[step.dataset]
        path = figures.get(file_stem("preprocessing", step.model, step.dataset))
        if path is not None:
            yield Drawing(path, f"{model_title(model)} on {dataset_title(dataset)}")
    yield Fold("Every measure", tables_of(results))
