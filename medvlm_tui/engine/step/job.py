"""What a step is given, and which module does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast

from medvlm_tui.core.events import Event
from medvlm_tui.core.plan import Step
from medvlm_tui.core.request import RunRequest
from medvlm_tui.core.specs import Dataset, EncoderKey, ModelSpec
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.errors import Cancelled

# Imported by a worker when a step of the kind runs, so that a plan costs none of the science libraries.
STEP_MODULES: Mapping[str, str] = {
    "extract": "medvlm_tui.engine.extract.step",
    # One device's share of an extraction; in no plan, as `extract` itself asks for it.
    "extract_shard": "medvlm_tui.engine.extract.shard_step",
    # Whether a model's features bear bf16 on this CPU; asked for before a plan, whose keys hold the answer.
    "precision": "medvlm_tui.engine.extract.precision",
    "probe": "medvlm_tui.engine.probe.step",
    "project": "medvlm_tui.engine.projection.step",
    "grid": "medvlm_tui.engine.projection.grid_step",
    "separability": "medvlm_tui.engine.separability.step",
    "similarity": "medvlm_tui.engine.similarity.step",
    "saliency": "medvlm_tui.engine.saliency.step",
    "bias": "medvlm_tui.engine.bias.step",
    "bias_groups": "medvlm_tui.engine.bias.groups_step",
    "statistics": "medvlm_tui.engine.comparison.intervals_step",
    "pairs": "medvlm_tui.engine.comparison.pairs_step",
    "ranking": "medvlm_tui.engine.comparison.ranking_step",
    "check": "medvlm_tui.engine.datasets.check.step",
}
# Part of every result's key: raised when a step's numbers change.
STEP_VERSIONS: Mapping[str, int] = {
    "extract": 1,
    "probe": 3,
    "project": 3,
    "grid": 2,
    "separability": 1,
    "similarity": 1,
    "saliency": 2,
    "bias": 2,
    "bias_groups": 2,
    "statistics": 4,
    "pairs": 2,
    "ranking": 2,
    "check": 2,
}


@dataclass(frozen=True, slots=True)
class Job:
    """A step with everything it works on; travels to a worker process."""

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
    groups: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> value of the tag that the step reads instead of the classes."""


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


AnyJob = Job | CheckJob


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step may use besides its job."""

    store: Store
    cancelled: Callable[[], bool]

    def check(self) -> None:
        """Raise Cancelled when the user asked to stop; called between batches."""
        if self.cancelled():
            raise Cancelled("cancelled", "run the same command again: it goes on from here")


class StepFunction(Protocol):
    """Do a job: yield progress, put the result under `job.step.key`, end with ResultReady."""

    def __call__(self, job: Job, context: StepContext) -> Iterator[Event]: ...


def step_function(kind: str) -> StepFunction:
    """Return the `run` of the module that does steps of this kind."""
    return cast(StepFunction, import_module(STEP_MODULES[kind]).run)
