"""Output of a batch run on stdout: the plan before it, the numbers after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medvlm_tui.core.counts import counted
from medvlm_tui.core.events import RunFinished
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.store.store import Store
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.protocols import SATURATED
from medvlm_tui.stages.records.probe import MetricRecord
from medvlm_tui.stages.records.verdict import VerdictRecord


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the plan as a person reads it: what is had, what is to do, what is missing."""
    for step in plan.steps:
        state = "missing" if step.blocked else "have" if step.have else "to do"
        cost = f"  {counted(step.images, 'image')}" if step.images else ""
        yield f"{state:8}{clean(step.id)}{cost}"
        for line in step.blocked.splitlines():
            yield f"{'':8}  {clean(line)}"
    images = sum(step.images for step in plan.steps)
    todo = sum(not (step.have or step.blocked) for step in plan.steps)
    missing = sum(bool(step.blocked) for step in plan.steps)
    yield f"{counted(todo, 'step')} to do, {counted(images, 'image')} to encode, {missing} missing"
    for warning in plan.warnings:
        yield f"warning: {clean(warning)}"


def result_lines(plan: Plan, store: Store, finished: RunFinished) -> Iterator[str]:
    """Yield a line for each probe with a result, the warnings, and where the files are."""
    probes = [step for step in plan.steps if step.kind == "probe"]
    rows = [row for row in (_row(step, store) for step in probes) if row is not None]
    header = ("model", "dataset", "protocol", "accuracy", "macro F1", "n", "t")
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows) if rows else ():
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    if any(row[-1].endswith("(saturated)") for row in rows):
        yield SATURATED
    yield from _verdicts(plan, store)
    for warning in plan.warnings:
        yield f"warning: {clean(warning)}"
    if finished.out and Path(finished.out).is_dir():
        yield f"files: {clean(finished.out)}"


def _verdicts(plan: Plan, store: Store) -> Iterator[str]:
    """Yield which models are not separated from the best, for each dataset with several; verdict.md has the rest."""
    for step in plan.steps:
        record = store.read_record(step.key, VerdictRecord) if step.kind == "verdict" and step.key else None
        if record is None or len(record.candidates) < 2:
            continue
        inside = ", ".join(candidate.model for candidate in record.inside)
        found = f"the best of {len(record.candidates)} models is among {inside}"
        if len(record.inside) == len(record.candidates):
            found = f"not enough evidence, none of {len(record.candidates)} models is separated from the best"
        yield clean(f"verdict on {step.dataset}, {record.protocol}, n = {record.n}: {found}")


def _row(step: Step, store: Store) -> tuple[str, ...] | None:
    record = store.read_record(step.key, PROBE.record) if step.key else None
    if record is None:
        return None
    scores = [record.metrics[name] for name in ("accuracy", "macro_f1")]
    t = "" if record.t is None else f"{record.t:g}"
    return (
        clean(step.model),
        clean(step.dataset),
        record.protocol,
        *map(_score, scores),
        f"{record.n_train}+{record.n_test}",
        f"{t} (saturated)" if record.saturated else t,
    )


def _score(found: MetricRecord) -> str:
    """Return mean and spread in percent, empty where the metric is undefined."""
    return "" if found.mean is None or found.std is None else f"{100 * found.mean:.1f} ± {100 * found.std:.1f} %"
