"""Which figures a run's results make, and the raw maps beside them. Imports matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.files import write_atomic
from medvlm_tui.core.store import Store
from medvlm_tui.report.bias_drawing import bias_figures
from medvlm_tui.report.cells import Gathered
from medvlm_tui.report.figures.confusion import confusion_counts, draw_confusion
from medvlm_tui.report.figures.critical_difference import draw_critical_difference
from medvlm_tui.report.figures.per_class import draw_per_class
from medvlm_tui.report.figures.saliency import draw_saliency
from medvlm_tui.report.map_drawing import draw_maps
from medvlm_tui.report.naming import file_stem, model_title
from medvlm_tui.report.saliency_drawing import saliency_pages
from medvlm_tui.report.side_tables import per_class


def draw_all(gathered: Gathered, store: Store, figures: Path, raw: Path) -> Iterator[FileWritten]:
    """Draw every figure that the results allow; yields each file when it is complete."""
    yield from _probes(gathered, store, figures)
    yield from _ranks(gathered, figures)
    yield from draw_maps(gathered, store, figures)
    yield from _saliency(gathered, store, figures, raw)
    yield from saliency_pages(gathered, store, figures)
    yield from bias_figures(gathered.source, figures)


def _probes(gathered: Gathered, store: Store, figures: Path) -> Iterator[FileWritten]:
    """Draw confusion matrix and per-class scores of each cell."""
    for cell in gathered.cells:
        probe = store.result(cell.probe_key)
        if probe is None:
            continue
        arrays, k = probe.arrays, len(cell.classes)
        truth = arrays["labels"][arrays["hold_out"]]
        ids = (cell.model.id, cell.dataset.spec.id, cell.protocol)
        if "final_predicted" in arrays:
            path = figures / f"{file_stem('confusion', *ids)}.png"
            draw_confusion(path, cell, confusion_counts(truth, arrays["final_predicted"], k))
            yield FileWritten(str(path), "figure")
        path = figures / f"{file_stem('per_class', *ids)}.png"
        draw_per_class(path, cell, np.bincount(truth, minlength=k), per_class(truth, arrays["predicted_test"], k))
        yield FileWritten(str(path), "figure")


def _ranks(gathered: Gathered, figures: Path) -> Iterator[FileWritten]:
    """Draw the critical difference diagrams: of accuracy under the first protocol, then what else there is."""
    models = gathered.source.models
    names = {model.id: model_title(model) for model in models.values()}
    for number, compared in enumerate(gathered.rankings):
        for metric, ranking in compared.record["rankings"].items():
            if ranking["ranks"] is None:
                continue
            parts = [*([compared.protocol] if number else []), *([metric] if metric != "accuracy" else [])]
            path = figures / f"{file_stem('critical_difference', *parts)}.png"
            draw_critical_difference(
                path, compared, metric, names, {model.id: model.group for model in models.values()}
            )
            yield FileWritten(str(path), "figure")


def _saliency(gathered: Gathered, store: Store, figures: Path, raw: Path) -> Iterator[FileWritten]:
    for explained in gathered.explained:
        result = store.result(explained.key)
        if result is None:
            continue
        for item, image, values in zip(explained.items, result.arrays["images"], result.arrays["maps"], strict=True):
            name = file_stem("rise", explained.model.id, explained.dataset.spec.id, item.image)
            draw_saliency(figures / f"{name}.png", explained, item, image, values)
            yield FileWritten(str(figures / f"{name}.png"), "figure")
            packed = io.BytesIO()
            np.save(packed, values, allow_pickle=False)
            write_atomic(raw / f"{name}.npy", packed.getvalue())
            yield FileWritten(str(raw / f"{name}.npy"), "saliency")
