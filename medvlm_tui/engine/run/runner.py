"""The only loop: takes a prepared plan, hands each step to the executor, and says what happens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from medvlm_tui.core.events import (
    Event,
    FileWritten,
    Log,
    PlanReady,
    ResultReady,
    RunFinished,
    StepFailed,
    StepSkipped,
    StepStarted,
)
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.run.gathered_steps import without
from medvlm_tui.engine.run.planner import Prepared
from medvlm_tui.engine.step.executor import Executor
from medvlm_tui.errors import Cancelled, ExitCode, MedvlmError
from medvlm_tui.stages import stage_of
from medvlm_tui.stages.extract import EXTRACT


@dataclass(slots=True)
class Outcome:
    """Outcome of the steps so far; handed to the report."""

    done: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Step id -> (error, hint)."""
    skipped: dict[str, str] = field(default_factory=dict)
    narrowed: dict[str, Step] = field(default_factory=dict)
    """Step id -> the step as it ran, on fewer cells than were planned since some of them failed."""
    seconds: dict[str, float] = field(default_factory=dict)
    cancelled: bool = False

    @property
    def missed(self) -> set[str]:
        """Steps without a result."""
        return {*self.failed, *self.skipped}

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the run's process."""
        if self.cancelled:
            return ExitCode.INTERRUPTED
        return ExitCode.STEPS_FAILED if self.missed else ExitCode.OK

    def as_run(self, plan: Plan) -> Plan:
        """Return the plan with its steps as they ran."""
        return replace(plan, steps=tuple(self.narrowed.get(step.id, step) for step in plan.steps))


class ReportSink(Protocol):
    """Writes a run's files; the engine is handed one and knows no report."""

    def __call__(self, prepared: Prepared, store: Store, outcome: Outcome) -> Iterator[FileWritten | Log]: ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """The store, the executor and the outputs that a run needs besides its plan."""

    store: Store
    executor: Executor
    cancelled: Callable[[], bool]
    report: ReportSink
    out: str
    log: Path
    """File that tracebacks of unknown errors go to."""


def run(prepared: Prepared, context: RunContext) -> Iterator[Event]:
    """Yield everything that happens until RunFinished, which is always the last event."""
    begun = time.monotonic()
    outcome = Outcome()
    yield PlanReady(prepared.plan.run_id, prepared.plan.to_record())
    for warning in prepared.plan.warnings:
        yield Log("warning", warning)
    for step in prepared.plan.steps:
        started = time.monotonic()
        yield from _step(_on_what_is_there(step, context, outcome), prepared, context, outcome)
        outcome.seconds[step.id] = round(time.monotonic() - started, 3)
    yield RunFinished(
        run_id=prepared.plan.run_id,
        exit_code=int(outcome.exit_code),
        done=len(outcome.done),
        cached=len(outcome.cached),
        failed=len(outcome.failed),
        skipped=len(outcome.skipped),
        seconds=round(time.monotonic() - begun, 3),
        out=context.out,
    )


def _on_what_is_there(step: Step, context: RunContext, outcome: Outcome) -> Step:
    """Return a step that compares cells without those that failed."""
    narrowed = without(step, outcome.missed)
    if narrowed is step:
        return step
    narrowed = replace(narrowed, have=context.store.has_result(narrowed.key))
    outcome.narrowed[step.id] = narrowed
    return narrowed


def _step(step: Step, prepared: Prepared, context: RunContext, outcome: Outcome) -> Iterator[Event]:
    reason = _reason_to_skip(step, context, outcome)
    if reason:
        outcome.skipped[step.id] = reason
        yield StepSkipped(step.id, reason)
    elif step.blocked:
        error, _, hint = step.blocked.partition("\n")
        outcome.failed[step.id] = (error, hint)
        yield StepFailed(step.id, error, hint)
    elif step.have:
        outcome.cached.append(step.id)
        known = _stored_summary(context.store, step)
        version = stage_of(step.kind).version
        yield ResultReady(step.id, step.kind, step.key, step.model, step.dataset, known, cached=True, version=version)
    else:
        yield from _execute(step, prepared, context, outcome)


def _stored_summary(store: Store, step: Step) -> Mapping[str, Any]:
    """Return the summary of a stored result; empty when there is none."""
    if step.kind == "extract":
        manifest = store.tables.read_record(step.key, EXTRACT.record)
        return {} if manifest is None else EXTRACT.summary(manifest)
    stage = stage_of(step.kind)
    record = store.read_record(step.key, stage.record)
    return {} if record is None else stage.summary(record)


def _reason_to_skip(step: Step, context: RunContext, outcome: Outcome) -> str:
    if outcome.cancelled or context.cancelled():
        outcome.cancelled = True
        return "cancelled"
    lacking = [need for need in step.needs if need in outcome.missed]
    # The report says what is missing; every other step needs all of its inputs.
    return f"needs {lacking[0]}" if lacking and step.kind != "report" else ""


def _execute(step: Step, prepared: Prepared, context: RunContext, outcome: Outcome) -> Iterator[Event]:
    yield StepStarted(step.id)
    try:
        if step.kind == "report":
            yield from _report(step, prepared, context, outcome)
        else:
            for event in context.executor.run(replace(prepared.jobs[step.id], step=step), context.cancelled):
                yield replace(event, version=stage_of(step.kind).version) if isinstance(event, ResultReady) else event
    except Cancelled:
        outcome.cancelled = True
        outcome.skipped[step.id] = "cancelled"
        yield StepSkipped(step.id, "cancelled")
    except MedvlmError as error:
        # The manifest tells it too.
        outcome.failed[step.id] = told = (redact(error.message), redact(error.hint))
        yield StepFailed(step.id, *told)
    else:
        outcome.done.append(step.id)


def _report(step: Step, prepared: Prepared, context: RunContext, outcome: Outcome) -> Iterator[Event]:
    written = 0
    try:
        for event in context.report(prepared, context.store, outcome):
            written += isinstance(event, FileWritten)
            yield event
    except OSError as error:
        raise MedvlmError(f"{context.out}: {error.strerror or error}", "choose another --out") from error
    except MedvlmError:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("report")
        message = f"the report failed: {type(error).__name__}: {error}"
        raise MedvlmError(message, f"this should not happen; the traceback is in {context.log}") from error
    files: Mapping[str, object] = {"files": written, "out": context.out}
    yield ResultReady(step.id, step.kind, "", summary=files)
