"""The scores on the page: tables by protocol, ranks and learning curves, then every cell's figures and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.page.blocks import SCORES, Block, Caution, Drawing, Fold, Section, figures_in
from medvlm_tui.report.results.naming import SYNTHETIC, dataset_title, file_stem, model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores import supplement
from medvlm_tui.report.scores.layout import printed_scores

_CELL_FIGURES = {"confusion": "Confusion matrix", "per_class": "Scores of each class", "calibration": "Reliability"}


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of scores where the run has any; `written` are the files that lie beside the page."""
    if results.cells:
        figures = figures_in(written)
        blocks = (*_warnings(results), *printed_scores(results), *_several(results, figures), *_folds(results, figures))
        yield Section("scores", "Scores", SCORES, blocks)


def _warnings(results: Gathered) -> Iterator[Block]:
    datasets = {cell.dataset.spec.id: cell.dataset for cell in results.cells}
    for dataset in datasets.values():
        if dataset.spec.synthetic:
            yield Caution(f"{dataset_title(dataset)} is {SYNTHETIC}: its scores say nothing about medicine.")
        yield from map(Caution, dataset.warnings)


def _several(results: Gathered, figures: dict[str, Path]) -> Iterator[Block]:
    for stem, path in figures.items():
        if stem.startswith("critical_difference"):
            yield Drawing(path, "Mean ranks of the models; a bar joins those that are not told apart")
    for dataset_id, dataset in results.source.datasets.items():
        curve = figures.get(file_stem("learning_curve", dataset_id))
        if curve is not None:
            yield Drawing(curve, f"Score by number of training images, {dataset_title(dataset)}")


def _folds(results: Gathered, figures: dict[str, Path]) -> Iterator[Block]:
    drawings = tuple(_cells(results, figures))
    if drawings:
        yield Fold(f"Figures of every model and dataset ({len(drawings)})", drawings)
    yield Fold("Models, datasets, cost, calibration, leakage and further tables", supplement.tables(results))


def _cells(results: Gathered, figures: dict[str, Path]) -> Iterator[Block]:
    for cell in results.cells:
        for kind, title in _CELL_FIGURES.items():
            path = figures.get(file_stem(kind, cell.model.id, cell.dataset.spec.id, cell.protocol))
            if path is not None:
                names = f"{model_title(cell.model)} on {dataset_title(cell.dataset)}, protocol {cell.protocol}"
                yield Drawing(path, f"{title}: {names}")
