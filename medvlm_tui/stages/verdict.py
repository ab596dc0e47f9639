"""The verdict: the models of a dataset that its held-out images do not separate from the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medvlm_tui.stages.gathered import by_protocol, over_cells
from medvlm_tui.stages.params.verdict import VerdictParams
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.stage import Draft, Remark, Scope, Stage, View

_WITHOUT = frozenset({"few_shot"})
"""Protocols whose draws of training images are part of the chance, which sign flips of images leave out."""


def _drafts(view: View) -> Iterator[Draft | Remark]:
    for protocol, probes, params in by_protocol(view, VerdictParams):
        if probes and protocol in _WITHOUT:
            yield Remark(
                f"{view.dataset}: no verdict under {protocol}: it would leave out the chance of the drawn training "
                "images, which the comparisons of models count"
            )
        elif probes:
            yield over_cells(params, probes, protocol)


def _summary(record: VerdictRecord) -> Mapping[str, Any]:
    return {"models": len(record.candidates), "inside": len(record.inside)}


VERDICT = Stage(
    kind="verdict",
    version=1,
    title="verdict",
    scope=Scope.DATASET,
    record=VerdictRecord,
    work="medvlm_tui.engine.comparison.verdict_step",
    drafts=_drafts,
    summary=_summary,
    options=VerdictParams,
    needs=("extract", "probe", "statistics"),
    gathers="cells",
    fewest=1,
    outputs="medvlm_tui.report.verdict.files",
    screen="verdict",
)
