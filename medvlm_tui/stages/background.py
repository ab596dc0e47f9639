"""Background: does a model still know the class where the lesion is covered by a square?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.params.background import BackgroundParams
from medvlm_tui.stages.probe import on_linear_probe
from medvlm_tui.stages.records.background import BackgroundRecord
from medvlm_tui.stages.stage import Draft, Remark, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft | Remark]:
    dataset = view.cell.dataset
    if any(sample.mask is not None for sample in dataset.samples):
        yield on_linear_probe(view.cell, asdict(view.request.of(BackgroundParams)))
    else:
        yield Remark(f"{dataset.spec.id} has no lesion masks: it has no part in background")


def _summary(record: BackgroundRecord) -> Mapping[str, Any]:
    index = record.by_name.get(("shortcut_index", record.fills[0]))
    cost = record.by_name.get(("cost_of_cover", record.fills[0]))
    return {"shortcut_index": index and index.value, "cost_of_cover": cost and cost.value}


BACKGROUND = Stage(
    kind="background",
    version=1,
    title="background: lesions covered",
    scope=Scope.CELL,
    record=BackgroundRecord,
    work="medvlm_tui.engine.background.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract", "probe"),
    needs_classes=True,
    on_demand=True,
    options=BackgroundParams,
    first_look={"cover_train": 8, "cover_test": 4},
    outputs="medvlm_tui.report.background.files",
)
