"""Facts that each extraction of a plan is told of those after it.

Which framed images they read again, so that images are decoded once; and, where there are several devices, the models
that the other devices may begin with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.registry import family_entry
from medvlm_tui.engine.images.framing import by_pillow
from medvlm_tui.engine.step.frames_wanted import FramesWanted, framing_of
from medvlm_tui.engine.step.job import CellJob, PlannedJob


def with_frames(steps: Sequence[Step], jobs: Mapping[str, PlannedJob]) -> dict[str, PlannedJob]:
    """Return the jobs, each extraction with the framings that the extractions after it read."""
    told = dict(jobs)
    later: Counter[tuple[str, PreprocessSpec]] = Counter()
    for step in reversed(steps):
        job = jobs.get(step.id)
        if step.kind != "extract" or step.have or not isinstance(job, CellJob):
            continue
        wanted = (FramesWanted(dataset, framing, models) for (dataset, framing), models in later.items())
        told[step.id] = replace(job, frames=tuple(wanted))
        if _is_framed(job.model):
            later[step.dataset, framing_of(job.model.preprocess)] += 1
    return told


def _is_framed(spec: ModelSpec) -> bool:
    """Return whether decoding processes frame images for a model; others prepare whole images by themselves."""
    return spec.volume is None and by_pillow(spec.preprocess) and not family_entry(spec).own_preparation


def with_models_ahead(steps: Sequence[Step], jobs: Mapping[str, PlannedJob], devices: int) -> dict[str, PlannedJob]:
    """Return the jobs, each extraction with those of the next models on its dataset: one for each further device."""
    told = dict(jobs)
    later: dict[str, tuple[CellJob, ...]] = {}
    for step in reversed(steps):
        job = jobs.get(step.id)
        if step.kind != "extract" or step.have or not isinstance(job, CellJob):
            continue
        following = later.get(step.dataset, ())
        told[step.id] = replace(job, models_ahead=following[: devices - 1])
        later[step.dataset] = (job, *following)
    return told
