"""Extraction: the features of a dataset's images by one encoder, as a sealed table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medvlm_tui.core.store.keys import table_key
from medvlm_tui.stages.records.extract import ExtractRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    encoder, dataset = view.cell.encoder, view.cell.dataset
    params = {"encoder": encoder.digest, "feature": encoder.feature, "precision": encoder.precision}
    yield Draft(params, key=table_key(EXTRACT.version, encoder, dataset.digest))


def _summary(record: ExtractRecord) -> Mapping[str, Any]:
    """Return rows, failures and dimension from the manifest of a sealed table."""
    rows, dim = record.shape
    return {"rows": rows, "failed": len(record.failed), "dim": dim}


EXTRACT = Stage(
    kind="extract",
    version=1,
    title="features",
    scope=Scope.CELL,
    record=ExtractRecord,
    work="medvlm_tui.engine.extract.step",
    drafts=_drafts,
    summary=_summary,
    outputs="medvlm_tui.report.scores.files",
    screen="scores",
)
