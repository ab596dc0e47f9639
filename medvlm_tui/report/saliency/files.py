"""The files of saliency: quality tables, one picture and one raw map for each explained image, pages of maps."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.events import FileWritten
from medvlm_tui.report.formats.csv_file import write_all
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import Explained, Gathered
from medvlm_tui.report.saliency import rows
from medvlm_tui.report.saliency.section import sections as sections
from medvlm_tui.stages.params.saliency import PROMPT
from medvlm_tui.stages.records.saliency import ExplainedImage
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
    """Draw the first map of every image, and those of prompts beside it."""
    for explained in results.explained:
        result = results.source.store.read(explained.key, SALIENCY.record)
        if result is None:
            continue
        arrays = result.arrays
        for row, item in enumerate(explained.items):
            yield from _one_map(explained, item, arrays["images"][row], arrays["maps"][row], out)
            for place, name in enumerate(item.explained_classes):
                if place and name.startswith(PROMPT):
                    yield from _one_map(explained, of_prompt(item, name), arrays["images"][row],
                                        arrays["class_maps"][row, place], out)  # fmt: skip


def of_prompt(item: ExplainedImage, name: str) -> ExplainedImage:
    """Return the image as its map of a prompt, `prompt:TEXT`, explains it; of that no error is stored."""
    similarity = item.similarities.get(name.removeprefix(PROMPT))
    return replace(item, explained=name, score=similarity, relative_error=None, mostly_noise=False)


def _one_map(
    explained: Explained, item: ExplainedImage, image: NDArray[np.uint8], values: NDArray[np.float32], out: Path
) -> Iterator[FileWritten]:
    from medvlm_tui.report.saliency.one_map import draw_saliency

    further = (item.explained,) if item.explained.startswith(PROMPT) else ()
    name = file_stem("rise", explained.model.id, explained.dataset.spec.id, item.image, *further)
    picture, raw = out / "figures" / f"{name}.png", out / "saliency" / f"{name}.npy"
    draw_saliency(picture, explained, item, image, values)
    yield FileWritten(str(picture), "figure")
    packed = io.BytesIO()
    np.save(packed, values, allow_pickle=False)
    write_export(raw, packed.getvalue())
    yield FileWritten(str(raw), "saliency")
