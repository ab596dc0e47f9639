"""The picture of a map as a PNG, written from what is on the screen: nothing is computed."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import Dataset
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.report_specs import dataset_spec, model_spec
from medvlm_tui.tui.state.survey_rows import Cell

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored
    from medvlm_tui.report.results.run_results import Explained
    from medvlm_tui.stages.records.saliency import SaliencyRecord


def explained(board: Board, cell: Cell, found: Stored[SaliencyRecord]) -> Explained:
    """Return a stored result as the report draws it; the images themselves are not needed."""
    from medvlm_tui.report.results.run_results import explained_of

    dataset = Dataset(dataset_spec(board, cell.dataset), Path(), "", (), found.record.classes, ())
    return explained_of(model_spec(board, cell.model), dataset, found.key, found.record)


def write_map(
    whole: Explained,
    found: Stored[SaliencyRecord],
    index: int,
    shown_class: int,
    values: NDArray[np.floating],
    folder: Path,
) -> list[Path]:
    """Write the picture of one image's map and the map itself, as a run's report writes them; returns both files.

    `shown_class` is the place of the explained class; of one that is not the first, neither score nor error is stored.
    """
    from medvlm_tui.core.atomic_files import write_export
    from medvlm_tui.report.results.naming import file_stem
    from medvlm_tui.report.saliency.one_map import draw_saliency

    item = whole.items[index]
    name = file_stem("rise", whole.model.id, whole.dataset.spec.id, item.image)
    if shown_class:
        item = replace(
            item, explained=item.explained_classes[shown_class], score=None, relative_error=None, mostly_noise=False
        )
        name = file_stem("rise", whole.model.id, whole.dataset.spec.id, item.image, item.explained)
    picture, raw = folder / f"{name}.png", folder / f"{name}.npy"
    draw_saliency(picture, whole, item, found.arrays["images"][index], values.astype(np.float32))
    packed = io.BytesIO()
    np.save(packed, values, allow_pickle=False)
    write_export(raw, packed.getvalue())
    return [picture, raw]
