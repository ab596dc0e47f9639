"""The figures of classification: confusions, classes, calibration, learning curves, ranks. Imports matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.comparison.critical_difference import draw_critical_difference
from medvlm_tui.report.figures.canvas import chart_files
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import file_stem, model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.figures.calibration import Reliability, draw_calibration, reliability
from medvlm_tui.report.scores.figures.confusion import confusion_counts, draw_confusion
from medvlm_tui.report.scores.figures.learning_curve import curve, draw_learning_curves
from medvlm_tui.report.scores.figures.per_class import draw_per_class
from medvlm_tui.report.scores.side_tables import per_class
from medvlm_tui.stages.probe import PROBE

Arrays = Mapping[str, NDArray[Any]]


def probe_figures(gathered: Gathered, store: Store, figures: Path) -> Iterator[FileWritten]:
    """Draw each cell's figures, then those of several cells; yields each file when it is complete."""
    for cell in gathered.cells:
        probe = store.read(cell.probe_key, PROBE.record)
        if probe is not None:
            yield from _cell(cell, probe.arrays, figures)
    yield from _learning_curves(gathered, figures)
    yield from _ranks(gathered, figures)


def _cell(cell: Cell, arrays: Arrays, figures: Path) -> Iterator[FileWritten]:
    k, truth = len(cell.classes), arrays["labels"][arrays["hold_out"]]

    def path_of(kind: str) -> Path:
        return figures / f"{file_stem(kind, cell.model.id, cell.dataset.spec.id, cell.protocol)}.png"

    if "final_predicted" in arrays:
        draw_confusion(path_of("confusion"), cell, confusion_counts(truth, arrays["final_predicted"], k))
        yield from chart_files(path_of("confusion"))
    values = per_class(truth, arrays["predicted_test"], k)
    draw_per_class(path_of("per_class"), cell, np.bincount(truth, minlength=k), values)
    yield from chart_files(path_of("per_class"))
    if "probabilities_test" in arrays:
        draw_calibration(path_of("calibration"), cell, calibration(arrays))
        yield from chart_files(path_of("calibration"))


def calibration(arrays: Arrays) -> list[Reliability]:
    """Return the reliability of each fold's classifier on the hold-out, from its calibrated probabilities.

    The predicted class is that of the decision values, as for every other score.
    """
    truth = arrays["labels"][arrays["hold_out"]]
    rows = np.arange(len(truth))
    folds = zip(arrays["probabilities_test"].astype(np.float64), arrays["predicted_test"], strict=True)
    return [reliability(shares[rows, predicted], predicted == truth) for shares, predicted in folds]


def _learning_curves(gathered: Gathered, figures: Path) -> Iterator[FileWritten]:
    cells = [cell for cell in gathered.cells if cell.protocol == "few_shot" and len(curve(cell)) > 1]
    for dataset in dict.fromkeys(cell.dataset.spec.id for cell in cells):
        path = figures / f"{file_stem('learning_curve', dataset)}.png"
        draw_learning_curves(path, [cell for cell in cells if cell.dataset.spec.id == dataset])
        yield from chart_files(path)


def _ranks(gathered: Gathered, figures: Path) -> Iterator[FileWritten]:
    """Draw the critical difference diagrams: of accuracy under the first protocol, then what else there is."""
    models = gathered.source.models
    names = {model.id: model_title(model) for model in models.values()}
    groups = {model.id: model.group for model in models.values()}
    for number, compared in enumerate(gathered.rankings):
        for metric, ranking in compared.record.rankings.items():
            if ranking.ranks is None:
                continue
            parts = [*([compared.protocol] if number else []), *([metric] if metric != "accuracy" else [])]
            path = figures / f"{file_stem('critical_difference', *parts)}.png"
            draw_critical_difference(path, compared, metric, names, groups)
            yield from chart_files(path)
