"""Further hold-outs: the probes of a cell once more, each under another seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from medvlm_tui.core.store.keys import step_key
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    if view.cell.no_classifier:
        return  # the probe says so
    extract, split = view.cell.of("extract")[0], view.request.of(SplitParams)
    for seed in view.request.further_seeds():
        for protocol in view.request.protocols:
            params = asdict(ProbeParams(protocol, replace(split, seed=seed)))
            # The key of a probe: a run under that seed alone finds the same result.
            key = step_key(PROBE.kind, PROBE.version, params, [extract.key])
            yield Draft(params, (extract.id,), f"{protocol}:{seed}", key=key)


REPEAT = Stage(
    kind="repeat",
    version=1,
    title="further hold-outs",
    scope=Scope.CELL,
    record=PROBE.record,
    work="medvlm_tui.engine.probe.repeat_step",
    drafts=_drafts,
    summary=PROBE.summary,
    asked_by="probe",
    screen="scores",
)
