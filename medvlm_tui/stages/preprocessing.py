"""The preprocessing lab: what another window, compression, resize or disturbance does to a model's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.params.preprocessing import PreprocessingParams
from medvlm_tui.stages.probe import on_linear_probe
from medvlm_tui.stages.records.preprocessing import PreprocessingRecord
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
