"""From what the user asked to ordered steps with their keys, and which of them the store already has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medvlm_tui.core.plan import Plan
from medvlm_tui.core.specs import Dataset, ModelSpec, Precision
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.tags import read_tags
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.encoders.resolve.names import has_prefix
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.extract import precision
from medvlm_tui.engine.extract.precision import Measure
from medvlm_tui.engine.run.classes import too_few_classes
from medvlm_tui.engine.run.inputs import DatasetInput, ModelInput, Say, find_datasets, find_models, foreseen
from medvlm_tui.engine.run.later_extractions import with_frames, with_models_ahead
from medvlm_tui.engine.run.layout import Layout
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import PlannedJob
from medvlm_tui.errors import MedvlmError
from medvlm_tui.settings.options import refuse_unknown
from medvlm_tui.stages import CELL_STAGES, STAGES
from medvlm_tui.stages.check import CHECK
from medvlm_tui.stages.request import RunRequest


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with everything its steps work on."""

    plan: Plan
    request: RunRequest
    hardware: devices.Device
    jobs: Mapping[str, PlannedJob]
    """By the id of the step; the report and blocked steps have none."""
    found_models: tuple[ModelInput, ...]
    found_datasets: tuple[DatasetInput, ...]

    @property
    def models(self) -> dict[str, ModelSpec]:
        """Every model of the request by id, with or without weights."""
        return {found.spec.id: found.spec for found in self.found_models}

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The datasets that could be read, by id."""
        return {found.spec.id: found.dataset for found in self.found_datasets if found.dataset is not None}


def prepare(
    request: RunRequest,
    workspace: Workspace,
    store: Store,
    run_id: str,
    say: Say | None = None,
    measure: Measure | None = None,
    foresee: bool = False,
) -> Prepared:
    """Lay out a run; raises UsageError for names that do not exist, and the reason (MissingInputError,
    DatasetError) when nothing at all can run. With `foresee` the steps on a phantom that the run will make are laid out
    as they will be, under keys that are not theirs: such a plan is to be read, not carried out."""
    prepared = lay_out(request, workspace, store, run_id, say, measure, foresee)
    _refuse_if_nothing_can_run(prepared.found_models, prepared.found_datasets)
    return prepared


def lay_out(
    request: RunRequest,
    workspace: Workspace,
    store: Store,
    run_id: str,
    say: Say | None = None,
    measure: Measure | None = None,
    foresee: bool = False,
) -> Prepared:
    """Resolve the request and lay out its steps; one that lacks its input says so in `Step.blocked`.

    `say` receives messages while weights are fetched and the phantom is made; without it (a dry run, a survey)
    neither happens and what is missing stays missing. `measure` finds out what `--precision auto` means for a model
    where bf16 or fp16 would be faster than fp32.
    """
    refuse_unknown(request)
    machines = devices.every(request.device, request.precision)
    machine = machines[0]

    def precision_of(spec: ModelSpec, weights: Weights, feature: str) -> Precision:
        return precision.chosen(request, machine, store, (spec, weights, feature), measure)

    models = [] if _needs_no_model(request) else find_models(request, store.file_digests, precision_of, say)
    datasets = find_datasets(request, workspace, store.file_digests, say)
    datasets = [_with_classes(foreseen(each, request, workspace) if foresee else each, request) for each in datasets]
    if not store.read_only:
        store.file_digests.save()
    tags = read_tags(Path(request.tags).expanduser()) if request.tags else {}
    layout = Layout(request, store, tags)
    layout.lay_out(models, datasets)
    warnings = [machine.warning] * bool(machine.warning) + [w for each in datasets for w in _warnings(each)]
    plan = Plan(run_id, tuple(layout.steps), (*warnings, *_assumptions(models), *layout.warnings))
    # The workers keep to the devices of the plan: asked later, `auto` would find them in use, by this run itself.
    jobs: dict[str, PlannedJob] = {
        step: replace(job, request=replace(job.request, device=devices.name_of(machines)))
        for step, job in with_frames(layout.steps, layout.jobs).items()
    }
    if len(machines) > 1:
        jobs = with_models_ahead(layout.steps, jobs, len(machines))
    return Prepared(plan, request, machine, jobs, tuple(models), tuple(datasets))


def _warnings(found: DatasetInput) -> tuple[str, ...]:
    return found.dataset.warnings if found.dataset else ()


def _assumptions(models: Iterable[ModelInput]) -> Iterator[str]:
    """Yield what the folders of the user's own models leave open."""
    for spec in (model.spec for model in models):
        if has_prefix(spec.id) and spec.assumption:
            yield f"{spec.id}: {spec.assumption}"


def _needs_no_model(request: RunRequest) -> bool:
    asked = [stage for stage in STAGES if stage.name in request.stages]
    return bool(asked) and not any(stage.needs_models for stage in asked) and CHECK in asked


def _with_classes(found: DatasetInput, request: RunRequest) -> DatasetInput:
    """Return the dataset, with the reason why it cannot be probed where a probe is asked for.

    Who asks for everything means what there is: nothing but the steps on classifiers is blocked then.
    """
    if found.dataset is None or "probe" not in request.stages or set(CELL_STAGES) <= set(request.stages):
        return found
    return replace(found, problem=too_few_classes(found.dataset))


def _refuse_if_nothing_can_run(models: Sequence[ModelInput], datasets: Sequence[DatasetInput]) -> None:
    _refuse([model.problem for model in models])
    _refuse([None if dataset.can_be_made else dataset.problem for dataset in datasets])


def _refuse(found: Sequence[MedvlmError | None]) -> None:
    """Raise one error that names the problems, unless something has none."""
    problems = [problem for problem in found if problem is not None]
    if not problems or len(problems) < len(found):
        return
    hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
    more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
    message = "; ".join(problem.message for problem in problems[:5])
    raise type(problems[0])(message + more, "\n".join(list(hints)[:5]))
