"""Models and datasets of the survey as the report's tables and figures take them."""

from __future__ import annotations

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import DatasetSpec, ModelSpec, PreprocessSpec
from medvlm_tui.tui.state.board import Board


def model_spec(board: Board, model: str) -> ModelSpec:
    """Return the catalog's record of a model, else one with what the survey says of it."""
    known = load_models().get(model)
    if known is not None:
        return known
    row = board.models.get(model)
    if row is None:
        return ModelSpec(model, model, "", "", "", "", PreprocessSpec(0, 0), {"": 0})
    features = {"": row.dim}
    return ModelSpec(
        model, row.name, "", "", "", "", PreprocessSpec(0, 0), features, gated=row.gated, licence=row.licence
    )


def dataset_spec(board: Board, dataset: str) -> DatasetSpec:
    """Return the catalog's record of a dataset, else one with what the survey says of it."""
    known, row = load_datasets().get(dataset), board.datasets.get(dataset)
    if known is not None:
        return known
    if row is None:
        return DatasetSpec(dataset, dataset, "", "")
    return DatasetSpec(dataset, row.name, row.modality, "", published_n=row.published_n, synthetic=row.synthetic)
