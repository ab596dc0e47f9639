"""New images on a stored map: what `medvlm-tui place` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.features.neighbours import Floats, unit_rows
from medvlm_tui.engine.new_images.encode import encode_files
from medvlm_tui.engine.new_images.placing import place
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.engine.step.numba_cache import place_numba_cache
from medvlm_tui.errors import MissingInputError
from medvlm_tui.stages import VERSIONS
from medvlm_tui.stages.projection import GRID, PROJECT
from medvlm_tui.stages.records.projection import MapRecord
from medvlm_tui.stages.request import RunRequest

COLUMNS = ("image", "x", "y", "nearest", "nearest_label", "cosine_distance")


@dataclass(frozen=True, slots=True)
class Placed:
    """Places of new images on a map."""

    shown: Stored[MapRecord]
    """The map: a project result."""
    rows: tuple[tuple[str, float, float, str, str, float], ...]
    """One an image, in the order of COLUMNS."""


def place_files(request: RunRequest, paths: Sequence[Path], workspace: Workspace) -> Placed:
    """Place image files on the proposed map of the request's one model and one dataset.

    Raises MissingInputError when the workspace has no features or no map of them, and what `encode_files` raises.
    """
    (model,), (dataset,) = request.models, request.datasets
    place_numba_cache(workspace.root)
    with Store(workspace.store, read_only=True) as store:
        plan = lay_out(replace(request, stages=("extract",)), workspace, store, "").plan
        table = store.tables.read(plan.steps[0].key) if plan.steps[0].key else None
        shown = None if table is None else _map_of(plan.steps[0].key, store, workspace)
        if table is None or shown is None:
            raise MissingInputError(
                f"the workspace {workspace.root} has no map of {dataset} by {model}",
                f"medvlm-tui --batch --models {model} --datasets {dataset} --stages project, with the same --data",
            )
        new = encode_files(
            model, paths, weights=request.weights.get(model, ""), feature=request.feature, device=request.device,
            precision=str(plan.steps[0].params["precision"]), offline=request.offline,
        )  # fmt: skip
        return Placed(shown, _rows(unit_rows(new.features), new.names, table, shown))


def _map_of(table: str, store: Store, workspace: Workspace) -> Stored[MapRecord] | None:
    """Return the map that the newest grid of a table proposes, None when there is none."""
    latest = LatestResults(workspace.root / "latest.json", VERSIONS).of("grid", table)
    grid = store.read_record(latest, GRID.record) if latest is not None else None
    return None if grid is None else store.read(grid.proposed, PROJECT.record)


def _rows(
    new: Floats, names: Sequence[str], table: FeatureTable, shown: Stored[MapRecord]
) -> tuple[tuple[str, float, float, str, str, float], ...]:
    rows: NDArray[np.int64] = shown.arrays["rows"]
    units = unit_rows(table.matrix[rows])
    places = place(new, units, shown.arrays["xy"], shown.record.n_neighbors_used)
    distances = np.clip(1.0 - new @ units.T, 0.0, 2.0)
    nearest = distances.argmin(axis=1)
    return tuple(
        (name, float(x), float(y), table.ids[rows[near]], table.labels[rows[near]], float(distances[image, near]))
        for image, (name, (x, y), near) in enumerate(zip(names, places, nearest.tolist(), strict=True))
    )
