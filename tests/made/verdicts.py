"""A workspace with verdicts on two datasets, and the run that made them, for the screens and for looking at."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from medvlm_tui.core.events import ResultReady, RunAsked, Survey, to_json
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages import VERSIONS
from medvlm_tui.stages.records.bias import BiasRecord
from medvlm_tui.stages.records.language import ZeroShotRecord
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.request import RunRequest
from tests.made.examples import bias_arrays
from tests.made.recorded import RecordedClient
from tests.made.report_store import filled

RANKED = ("vgg16", "biomedclip", "local:net")
"""The example's candidates by falling accuracy: the first two are not separated on Brain MR."""


def record(**changes: object) -> VerdictRecord:
    rows = zip(RANKED, VerdictRecord.example().candidates, strict=True)
    candidates = tuple(replace(candidate, model=model) for model, candidate in rows)
    return replace(replace(VerdictRecord.example(), candidates=candidates), **changes)  # type: ignore[arg-type]


def unseparated() -> VerdictRecord:
    """No model is separated from the best: nothing to choose by."""
    found = record()
    return replace(found, candidates=tuple(replace(one, inside=True, p_value=0.5) for one in found.candidates))


def fill(workspace: Path) -> None:
    """Store a run of three models on two datasets with its verdicts, and a later run of the bias lab."""
    source = filled(workspace)
    with source.store as store:
        store.put_result("verdict-mr", {}, record())
        store.put_result("verdict-phantom", {}, unseparated())
        store.put_result("zero", {}, ZeroShotRecord.example())
        lab = BiasRecord.example()
        store.put_result("lab", bias_arrays(lab, np.random.default_rng(0)), lab)
    steps = [step for step in source.plan.steps if step.key and step.dataset]
    said = [ResultReady(step.id, step.kind, step.key, step.model, step.dataset) for step in steps]
    said += [ResultReady("zero_shot:vgg16:brain_mr", "zero_shot", "zero", "vgg16", "brain_mr")]
    for dataset, key in (("brain_mr", "verdict-mr"), ("phantom", "verdict-phantom")):
        said.append(ResultReady(f"verdict:*:{dataset}:paper", "verdict", key, "", dataset))
    _journal(workspace, "20260101-000000-aaaa", said)
    table = next(one for one in said if (one.kind, one.model, one.dataset) == ("extract", "vgg16", "brain_mr"))
    _journal(
        workspace,
        "20260102-000000-aaaa",
        [table, ResultReady("bias:vgg16:brain_mr", "bias", "lab", "vgg16", "brain_mr")],
    )


def _journal(workspace: Path, run_id: str, said: list[ResultReady]) -> None:
    journal = workspace / "runs" / run_id / "events.jsonl"
    journal.parent.mkdir(parents=True)
    asked = RunAsked(run_id, RunRequest().to_record(), "batch")
    made = (replace(event, version=VERSIONS[event.kind]) for event in said)
    journal.write_text("".join(f"{to_json(event)}\n" for event in (asked, *made)))


def survey(workspace: Path) -> Survey:
    """Return what the engine says of the workspace."""
    engine = Engine(Workspace(workspace))
    try:
        return engine.survey(RunRequest(device="cpu"))
    finally:
        engine.close()


if __name__ == "__main__":
    from medvlm_tui.tui.app import MedvlmApp

    folder = Path(sys.argv[1])
    if not (folder / "store").exists():
        fill(folder)
    MedvlmApp(folder, client=RecordedClient(shown=survey(folder))).run()
