"""Similarity: how alike the models of a run see one dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.gathered import FEWEST
from medvlm_tui.stages.params.similarity import ReferenceParams, SimilarityParams
from medvlm_tui.stages.records.similarity import ReferencesRecord, SimilarityRecord
from medvlm_tui.stages.stage import Draft, Remark, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft | Remark]:
    tables = [step for _, step in view.of("extract")]
    if len(tables) >= FEWEST:
        compared = [{"model": step.model, "table": step.key} for step in tables]
        params = {**asdict(view.request.of(SimilarityParams)), "tables": compared}
        yield Draft(params, tuple(step.id for step in tables))
    elif tables:
        yield Remark(f"{view.dataset}: similarity compares models, and there is one")


def _summary(record: SimilarityRecord) -> Mapping[str, Any]:
    return {"pairs": len(record.pairs)}


SIMILARITY = Stage(
    kind="similarity",
    version=2,
    title="similarity of models",
    scope=Scope.DATASET,
    record=SimilarityRecord,
    work="medvlm_tui.engine.similarity.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract",),
    options=SimilarityParams,
    gathers="tables",
    fewest=FEWEST,
    outputs="medvlm_tui.report.maps.files",
    screen="map",
)


def _reference_drafts(view: View) -> Iterator[Draft]:
    yield Draft(asdict(view.request.of(ReferenceParams)), (view.cell.of("extract")[0].id,))


def _reference_summary(record: ReferencesRecord) -> Mapping[str, Any]:
    return {each.reference: each.cka for each in record.references}


REFERENCES = Stage(
    kind="references",
    version=1,
    title="references of similarity",
    scope=Scope.CELL,
    record=ReferencesRecord,
    work="medvlm_tui.engine.similarity.references_step",
    drafts=_reference_drafts,
    summary=_reference_summary,
    needs=("extract",),
    options=ReferenceParams,
    on_demand=True,
    outputs="medvlm_tui.report.maps.files",
    screen="map",
)
