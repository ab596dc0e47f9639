"""The jobs of steps, one record for each scope of a stage, and the module that does a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol, cast

from medvlm_tui.core.events import Event
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, EncoderKey, ModelSpec
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.text.parts import TextParts
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step.frames_wanted import FramesWanted
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.errors import Cancelled
from medvlm_tui.stages import stage_of
from medvlm_tui.stages.request import RunRequest

# Work that is in no plan: one device's share of an extraction or of RISE, and whether a model's features keep their
# values in a lower precision. Other parts of the engine ask for it.
_UNPLANNED: Mapping[str, str] = {
    "extract_shard": "medvlm_tui.engine.extract.shard_step",
    "precision": "medvlm_tui.engine.extract.precision",
    "saliency_share": "medvlm_tui.engine.saliency.share_step",
}


@dataclass(frozen=True, slots=True)
class CellJob:
    """A step on one model and one dataset, with everything it works on; travels to a worker process."""

    step: Step
    request: RunRequest
    dataset: Dataset
    model: ModelSpec
    weights: Weights
    encoder: EncoderKey
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Kind of an earlier step -> key of its result, e.g. `extract` -> key of the sealed table."""
    ahead: tuple[Step, ...] = ()
    """Later steps of the plan of the same kind on the same inputs, which this one may compute on its way."""
    frames: tuple[FramesWanted, ...] | None = None
    """Framed images that later extractions of the plan read; None for other steps."""
    models_ahead: tuple[CellJob, ...] = ()
    """Extractions of the next models on the same dataset, which further devices may begin with."""
    text: TextParts | None = None
    """From what the model's text tower is loaded; None where no step of the run needs it."""
    text_key: EncoderKey | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> value of the tag that the step reads instead of the classes."""


@dataclass(frozen=True, slots=True)
class DatasetJob:
    """A step that compares the models of one dataset; its parameters name the results that it reads."""

    step: Step
    request: RunRequest
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class RunJob:
    """A step that compares the models over all datasets; its parameters name the results that it reads."""

    step: Step
    request: RunRequest


@dataclass(frozen=True, slots=True)
class ModelJob:
    """A step on one model and no dataset: a measurement before the plan is made."""

    step: Step
    model: ModelSpec
    weights: Weights
    encoder: EncoderKey


@dataclass(frozen=True, slots=True)
class CheckJob:
    """The check of a dataset: it needs no model."""

    step: Step
    request: RunRequest
    study: Dataset
    """The part and label view that a run would use."""
    everything: Dataset
    """Every part, by the classes as read."""
    encoder: EncoderKey | None = None
    """Whose features in the store tell of further copies."""


PlannedJob = CellJob | DatasetJob | RunJob | CheckJob
AnyJob = PlannedJob | ModelJob


@dataclass(frozen=True, slots=True)
class StepContext:
    """The store of a step, whether the user asked to stop, and what its worker keeps."""

    store: Store
    cancelled: Callable[[], bool]
    resources: Resources = field(default_factory=Resources)
    """Resources that the worker keeps from step to step."""

    def check(self) -> None:
        """Raise Cancelled when the user asked to stop; called between batches."""
        if self.cancelled():
            raise Cancelled("cancelled", "run the same command again: it goes on from here")


class StepFunction(Protocol):
    """Do a job: yield progress, put the result under `job.step.key`, end with ResultReady."""

    def __call__(self, job: Any, context: StepContext) -> Iterator[Event]:
        """Take the job of the stage's scope."""
        ...


def step_function(kind: str) -> StepFunction:
    """Return the `run` of the module that does steps of this kind."""
    module = _UNPLANNED.get(kind) or stage_of(kind).work
    return cast(StepFunction, import_module(module).run)
