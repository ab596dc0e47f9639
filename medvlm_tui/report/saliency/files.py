"""The files of saliency: quality tables, one picture and one raw map for each explained image, pages of maps."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.saliency import rows
from medvlm_tui.report.saliency.section import sections as sections
from medvlm_tui.stages.saliency import SALIENCY


def tables(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Write the quality of the maps below `out`; yields each file when it is complete."""
    if results.explained:
        for path in write_all(out, (rows.quality(results.explained), rows.images(results.explained))):
            yield FileWritten(str(path), "table")


def figures(results: Gathered, out: Path) -> Iterator[FileWritten]:
    """Draw every map and the pages of maps below `out`, the raw maps as .npy beside them."""
    if not results.explained:
        return
    # Imported here: matplotlib costs seconds that a report without maps need not pay.
    from medvlm_tui.report.saliency.figures import saliency_pages

    yield from _maps(results, out)
    yield from saliency_pages(results, results.source.store, out / "figures")


def _maps(results: Gathered, out: Path) -> Iterator[FileWritten]:
    from medvlm_tui.report.saliency.one_map import draw_saliency

    for explained in results.explained:
        result = results.source.store.read(explained.key, SALIENCY.record)
        if result is None:
            continue
        for item, image, values in zip(explained.items, result.arrays["images"], result.arrays["maps"], strict=True):
            name = file_stem("rise", explained.model.id, explained.dataset.spec.id, item.image)
            picture, raw = out / "figures" / f"{name}.png", out / "saliency" / f"{name}.npy"
            draw_saliency(picture, explained, item, image, values)
            yield FileWritten(str(picture), "figure")
            packed = io.BytesIO()
            np.save(packed, values, allow_pickle=False)
            write_export(raw, packed.getvalue())
            yield FileWritten(str(raw), "saliency")
