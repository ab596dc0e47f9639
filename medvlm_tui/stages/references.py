"""References of similarity: a model beside its network with random weights, and beside itself on mirrored images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.params.similarity import ReferenceParams
from medvlm_tui.stages.records.similarity import ReferencesRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    yield Draft(asdict(view.request.of(ReferenceParams)), (view.cell.of("extract")[0].id,))


def _summary(record: ReferencesRecord) -> Mapping[str, Any]:
    return {each.reference: each.cka for each in record.references}


REFERENCES = Stage(
    kind="references",
    version=1,
    title="references of similarity",
    scope=Scope.CELL,
    record=ReferencesRecord,
    work="medvlm_tui.engine.similarity.references_step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract",),
    options=ReferenceParams,
    on_demand=True,
    outputs="medvlm_tui.report.maps.files",
    screen="map",
)
