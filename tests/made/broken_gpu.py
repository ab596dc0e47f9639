"""A step for a worker process whose stand-in GPU breaks as often as the job says."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.engine.step import job as steps
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.stages.request import RunRequest


@dataclass(frozen=True)
class Breakage:
    """How often it breaks, and the file that names each process that tried; unpickling it imports this module."""

    times: int
    notes: Path


def job(notes: Path, times: int) -> CellJob:
    """Return a job whose first `times` attempts break the GPU."""
    notes.write_text("")
    step = Step("extract:tiny:made", "extract", "tiny", "made", {"breakage": Breakage(times, notes)})
    nothing = Dataset(DatasetSpec("", "", "", ""), notes, "", (), ())
    model = ModelSpec("tiny", "Tiny", "general", "timm", "tiny", "bring", PreprocessSpec(32, 36), {"pooled": 8})
    key = EncoderKey("tiny", "w", "p", "pooled", "fp32", "1")
    return CellJob(step, RunRequest(), nothing, model, Weights("present"), key)


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Note this process; break as CUDA does, or end well."""
    breakage = job.step.params["breakage"]
    tried = breakage.notes.read_text().split()
    breakage.notes.write_text(" ".join([*tried, str(os.getpid())]))
    if len(tried) < breakage.times:
        # As much of torch as is asked after an error; importing it takes seconds.
        sys.modules["torch"] = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
        raise RuntimeError("CUDA error: device-side assert triggered")
    yield ResultReady(job.step.id, "extract", "key")


if multiprocessing.parent_process() is not None:  # in the worker alone
    steps._UNPLANNED = {**steps._UNPLANNED, "extract": __name__}
