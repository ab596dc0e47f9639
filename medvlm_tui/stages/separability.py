"""Separability: how well classes, or the values of a tag, lie apart in the full feature space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from medvlm_tui.core.digests import of_record
from medvlm_tui.stages.params.separability import SeparabilityParams
from medvlm_tui.stages.records.separability import SeparabilityRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    reads, of_classes = (view.cell.of("extract")[0].id,), view.request.of(SeparabilityParams)
    yield Draft(asdict(of_classes), reads)
    for tag, values in view.cell.tags.items():
        params = {**asdict(replace(of_classes, tag=tag)), "values": of_record(values)}
        yield Draft(params, reads, tag, groups=values)


def _summary(record: SeparabilityRecord) -> Mapping[str, Any]:
    return {name: record.measures.get(name) for name in ("silhouette", "knn_purity")}


SEPARABILITY = Stage(
    kind="separability",
    version=2,
    title="separability",
    scope=Scope.CELL,
    record=SeparabilityRecord,
    work="medvlm_tui.engine.separability.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract",),
    options=SeparabilityParams,
    outputs="medvlm_tui.report.maps.files",
    screen="map",
)
