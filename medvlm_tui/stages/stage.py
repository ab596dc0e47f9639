"""The record of an analysis: what the planner, the worker, the survey, the report and the screens know of it.

Neither the code of an analysis nor its libraries are imported here: `Stage.work` and `Stage.outputs` are names of
modules that are imported when a step runs or a report is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from medvlm_tui.core.plan import Step
from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.core.specs import Dataset, EncoderKey, ModelSpec
from medvlm_tui.stages.request import RunRequest


class Scope(Enum):
    """Scope of one step of a stage: what the step works on."""

    FILES = "the files of one dataset"
    CELL = "one model on one dataset"
    DATASET = "all models on one dataset"
    RUN = "all models on all datasets"
    REPORT = "everything"


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One model on one dataset, with the steps that are planned for it so far."""

    model: ModelSpec
    dataset: Dataset
    encoder: EncoderKey
    tags: Mapping[str, Mapping[str, str]]
    """Tag -> sample id -> value."""
    traits: Mapping[str, bool | None]
    """Groups of models that this one belongs to on this dataset; None: no part in the comparison."""
    text: EncoderKey | None = None
    """Key of the model's text tower; None where there is none, or where nobody asked for it."""
    prompts: tuple[PromptSet, ...] = ()
    """The classes in words, one set after the other."""
    no_text: str = ""
    """Why there are no vectors of texts, with the hint after a line break; empty where there are."""
    no_classifier: str = ""
    """Why no classifier can be trained on the dataset, with the hint after a line break; empty where one can."""
    steps: list[Step] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The middle of the ids of its steps, `model:dataset`."""
        return f"{self.model.id}:{self.dataset.spec.id}"

    def of(self, kind: str) -> list[Step]:
        """Return the planned steps of a kind, in the order of the plan."""
        return [step for step in self.steps if step.kind == kind]

    @property
    def table(self) -> str:
        """The key of the cell's feature table."""
        return self.of("extract")[0].key


@dataclass(frozen=True, slots=True)
class View:
    """The cells that `Stage.drafts` may look at: one cell, the cells of one dataset, or all cells of the run."""

    request: RunRequest
    cells: Sequence[PlannedCell]
    dataset: str = ""
    """Id of the dataset; empty for the whole run."""

    @property
    def cell(self) -> PlannedCell:
        """The cell of a stage whose scope is one cell."""
        return self.cells[0]

    def of(self, kind: str) -> list[tuple[PlannedCell, Step]]:
        """Return every planned step of a kind with its cell."""
        return [(cell, step) for cell in self.cells for step in cell.of(kind)]


@dataclass(frozen=True, slots=True)
class Draft:
    """One step that a stage asks for. The planner adds the key, and whether the store has the result."""

    params: Mapping[str, Any]
    """Everything that the result depends on beside what it reads; JSON values."""
    reads: tuple[str, ...] = ()
    """Ids of the steps whose results it reads."""
    detail: str = ""
    """Last part of the step's id, where a cell has several steps of the kind: a protocol, a tag, an n_neighbors."""
    blocked: str = ""
    """Why it cannot run, with the hint after a line break; empty when it can."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> value of the tag that the step reads instead of the classes."""
    key: str = ""
    """Set where the key is no digest of kind, version, parameters and inputs."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning of the plan that a stage yields among its drafts."""

    text: str


Drafts = Callable[[View], Iterator[Draft | Remark]]
R = TypeVar("R")


def no_drafts(view: View) -> Iterator[Draft | Remark]:
    """Yield nothing: the planner itself lays out the steps of this stage."""
    yield from ()


def no_summary(record: Any) -> Mapping[str, Any]:
    """Return nothing: the stage has no result in the store."""
    return {}


@dataclass(frozen=True, slots=True)
class Stage(Generic[R]):
    """An analysis whose results have records of class R."""

    kind: str
    """First word of the id of its steps. Results are stored under it, so it never changes."""
    version: int
    """Part of the key of every result. Raised when the numbers change."""
    title: str
    scope: Scope
    record: type[R]
    """Class of the record beside the arrays of a result (stages/records); a plain dict where there is no such class."""
    work: str = ""
    """Module whose `run(job, context)` computes it; imported by a worker when a step of this kind runs."""
    drafts: Drafts = no_drafts
    summary: Callable[[R], Mapping[str, Any]] = no_summary
    """The few numbers of a result's record that a line or a table cell shows."""
    asked_by: str = ""
    """The word of `--stages` that asks for it, where that is not `kind`."""
    needs: tuple[str, ...] = ()
    """Words of `--stages` that are asked for along with it."""
    gathers: str = ""
    """Name of the parameter that lists the results it reads, one entry for each of its reads. Such a step can do
    without some of them, and its key follows from its parameters alone."""
    fewest: int = 0
    """Smallest number of the gathered results that it can work with."""
    needs_classes: bool = False
    """It stands on a classifier: where a dataset has nothing to tell apart, its step is shown as blocked."""
    shares_work: bool = False
    """The steps of one cell are told of each other, since they compute more together than one after the other."""
    needs_models: bool = True
    on_demand: bool = False
    """A first look at every stage leaves it out, since it encodes images again: its own word asks for it."""
    options: type | None = None
    """Record of parameters whose fields are options of the run; a field that is none is a constant of the program."""
    first_look: Mapping[str, Any] = field(default_factory=dict)
    """Values of its options for a first look at everything, where the usual ones take too long."""
    demo: Mapping[str, Any] = field(default_factory=dict)
    """Values of its options for the demo."""
    outputs: str = ""
    """Module with `tables(results, out)` and `figures(results, out)`, and `sections(results, written)` where it stands
    on the page too; empty: it writes nothing of its own."""
    screen: str = ""
    """Place that shows a finished step of this kind."""

    @property
    def name(self) -> str:
        """The word of `--stages` that asks for it."""
        return self.asked_by or self.kind
