"""The preprocessing lab: what another window, compression, resize or disturbance does to a model's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.gathered import FEWEST, over_cells
from medvlm_tui.stages.params.preprocessing import PreprocessingParams
from medvlm_tui.stages.probe import on_linear_probe
from medvlm_tui.stages.records.preprocessing import PreprocessingRanksRecord, PreprocessingRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    yield on_linear_probe(view.cell, asdict(view.request.of(PreprocessingParams)))


def _summary(record: PreprocessingRecord) -> Mapping[str, Any]:
    transfer = [record.by_name["accuracy_transfer", name].value for name in record.measured]
    return {"changes": len(record.measured), "lowest_transfer": min(transfer, default=None)}


PREPROCESSING = Stage(
    kind="preprocessing",
    version=1,
    title="preprocessing lab",
    scope=Scope.CELL,
    record=PreprocessingRecord,
    work="medvlm_tui.engine.preprocessing.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract", "probe"),
    needs_classes=True,
    on_demand=True,
    options=PreprocessingParams,
    first_look={"prep_train": 8, "prep_test": 4},
    outputs="medvlm_tui.report.preprocessing.files",
)


def _ranks_drafts(view: View) -> Iterator[Draft]:
    labs = [(cell, step) for cell, step in view.of("preprocessing") if not step.blocked]
    if len({step.model for _, step in labs}) >= FEWEST:
        yield over_cells({"seed": view.request.seed}, labs)


def _ranks_summary(record: PreprocessingRanksRecord) -> Mapping[str, Any]:
    changes = [change for dataset in record.datasets for change in dataset.changes]
    return {"datasets": len(record.datasets), "reversed_pairs": sum(change.reversed_pairs for change in changes)}


PREPROCESSING_RANKS = Stage(
    kind="preprocessing_ranks",
    version=1,
    title="order of the models in the preprocessing lab",
    scope=Scope.RUN,
    record=PreprocessingRanksRecord,
    work="medvlm_tui.engine.preprocessing.ranks_step",
    drafts=_ranks_drafts,
    summary=_ranks_summary,
    asked_by="preprocessing",
    gathers="cells",
    fewest=FEWEST,
)
