"""The probe: classifiers on stored features, under one protocol each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from medvlm_tui.stages.protocols import LINEAR_PROTOCOLS
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.stage import Draft, PlannedCell, Scope, Stage, View

NOT_LINEAR = (
    "saliency and bias look into a linear classifier, and none of the protocols asked for ends in one\n"
    f"ask for one of {', '.join(LINEAR_PROTOCOLS)} too"
)


def _drafts(view: View) -> Iterator[Draft]:
    extract, blocked = view.cell.of("extract")[0].id, view.cell.no_classifier
    for protocol in view.request.protocols:
        yield (
            Draft({}, detail=protocol, blocked=blocked)
            if blocked
            else Draft(asdict(ProbeParams(protocol, view.request.of(SplitParams))), (extract,), protocol)
        )


def _summary(record: ProbeRecord) -> Mapping[str, Any]:
    metrics = record.metrics
    shown = {name: metrics[name].mean for name in ("accuracy", "macro_f1") if name in metrics}
    return {**shown, "std": metrics["accuracy"].std, "t": record.t, "saturated": record.saturated}


PROBE = Stage(
    kind="probe",
    version=4,
    title="probe",
    scope=Scope.CELL,
    record=ProbeRecord,
    work="medvlm_tui.engine.probe.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract",),
    needs_classes=True,
    options=SplitParams,
    outputs="medvlm_tui.report.scores.files",
    screen="scores",
)


def linear_probe(cell: PlannedCell) -> Step | None:
    """Return the first planned probe that ends in a linear classifier, which saliency and the bias lab explain."""
    return next((step for step in cell.of("probe") if step.params["protocol"] in LINEAR_PROTOCOLS), None)


def on_linear_probe(cell: PlannedCell, params: Mapping[str, Any]) -> Draft:
    """Return the draft of a step that explains the cell's linear classifier; blocked when it has none."""
    probe = linear_probe(cell)
    if probe is None:
        return Draft({}, blocked=cell.no_classifier or NOT_LINEAR)
    return Draft(params, (cell.of("extract")[0].id, probe.id))
