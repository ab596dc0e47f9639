"""Which figures a run's results make, and the raw maps beside them. Imports matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.bias.figures import bias_figures
from medvlm_tui.report.maps.figures import draw_maps
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.saliency.figures import saliency_pages
from medvlm_tui.report.saliency.one_map import draw_saliency
from medvlm_tui.report.scores.figures.draw import probe_figures


def draw_all(gathered: Gathered, store: Store, figures: Path, raw: Path) -> Iterator[FileWritten]:
    """Draw every figure that the results allow; yields each file when it is complete."""
    yield from probe_figures(gathered, store, figures)
    yield from draw_maps(gathered, store, figures)
    yield from _saliency(gathered, store, figures, raw)
    yield from saliency_pages(gathered, store, figures)
    yield from bias_figures(gathered.source, figures)


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
            write_export(raw / f"{name}.npy", packed.getvalue())
            yield FileWritten(str(raw / f"{name}.npy"), "saliency")
