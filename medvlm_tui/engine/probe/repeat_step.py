"""One probe under a further seed: the same computation, told as another kind of result than the run's own probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.engine.probe import step
from medvlm_tui.engine.step.job import CellJob, StepContext


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Probe the features under the seed in the step's parameters; raises what the probe raises."""
    for event in step.run(job, context):
        # Under its own kind it does not take the place of the run's probe on the screens and in later steps.
        yield replace(event, kind=job.step.kind) if isinstance(event, ResultReady) else event
