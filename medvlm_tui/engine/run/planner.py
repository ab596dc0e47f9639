"""From what the user asked to ordered steps with their keys, and which of them the store already has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.request import (
    CELL_STAGES,
    LINEAR_PROTOCOLS,
    STAGES,
    ProbeParams,
    ProjectionParams,
    RunRequest,
    SeparabilityParams,
    SimilarityParams,
    StatisticsParams,
)
from medvlm_tui.core.specs import Dataset, EncoderKey, ModelSpec, Precision
from medvlm_tui.core.store.manifest_check import table_key
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.tags import Tags, read_tags, tags_of, unmatched
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.datasets.likeness.feature_pairs import fullest_encoder
from medvlm_tui.engine.datasets.opening import open_every_part
from medvlm_tui.engine.encoders.resolve.names import has_prefix
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.engine.extract import precision
from medvlm_tui.engine.extract.precision import Measure
from medvlm_tui.engine.run.classes import too_few_classes
from medvlm_tui.engine.run.gathered_steps import bias_comparison, comparisons, gathered_key
from medvlm_tui.engine.run.inputs import DatasetInput, ModelInput, Say, find_datasets, find_models
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import STEP_VERSIONS, AnyJob, CheckJob, Job
from medvlm_tui.errors import MedvlmError, MissingInputError

# What a stage reads; asking for a stage asks for these too.
_PREREQUISITES: Mapping[str, tuple[str, ...]] = {
    "probe": ("extract",),
    "project": ("extract",),
    "separability": ("extract",),
    "similarity": ("extract",),
    "saliency": ("extract", "probe"),
    "bias": ("extract", "probe"),
    "statistics": ("extract", "probe"),
}
_WITHOUT_MODELS = {"check", "report"}

_NOT_LINEAR = (
    "saliency and bias look into a linear classifier, and none of the protocols asked for ends in one\n"
    f"ask for one of {', '.join(LINEAR_PROTOCOLS)} too"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with everything its steps work on."""

    plan: Plan
    request: RunRequest
    hardware: devices.Device
    jobs: Mapping[str, Job]
    checks: Mapping[str, CheckJob]
    found_models: tuple[ModelInput, ...]
    found_datasets: tuple[DatasetInput, ...]

    def job(self, step: str) -> AnyJob:
        """What a step works on; raises KeyError for the report."""
        return self.checks[step] if step in self.checks else self.jobs[step]

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
) -> Prepared:
    """Lay out a run; raises UsageError for names that do not exist, and the reason (MissingInputError,
    DatasetError) when nothing at all can run."""
    prepared = lay_out(request, workspace, store, run_id, say, measure)
    _refuse_if_nothing_can_run(prepared.found_models, prepared.found_datasets)
    return prepared


def lay_out(
    request: RunRequest,
    workspace: Workspace,
    store: Store,
    run_id: str,
    say: Say | None = None,
    measure: Measure | None = None,
) -> Prepared:
    """Resolve the request and lay out its steps; one that lacks its input says so in `Step.blocked`.

    `say` receives messages while weights are fetched and the phantom is made; without it (a dry run, a survey)
    neither happens and what is missing stays missing. `measure` finds out what `--precision auto` means for a model
    where bf16 or fp16 would be faster than fp32.
    """
    machine = devices.choose(request.device, request.precision)

    def precision_of(spec: ModelSpec, weights: Weights, feature: str) -> Precision:
        return precision.chosen(request, machine, store, (spec, weights, feature), measure)

    models = [] if _needs_no_model(request) else find_models(request, store.file_digests, precision_of, say)
    datasets = [_with_classes(found, request) for found in find_datasets(request, workspace, store.file_digests, say)]
    if not store.read_only:
        store.file_digests.save()
    tags = read_tags(Path(request.tags).expanduser()) if request.tags else {}
    layout = _Layout(request, store, tags)
    layout.add_checks(datasets)
    # One model after the other: each is loaded once for all of its datasets.
    for model in models:
        for dataset in datasets:
            layout.add_cell(model, dataset)
    for dataset in datasets:
        layout.add_comparison(dataset)
    if "statistics" in layout.stages:
        layout.add_comparisons()
    layout.add_bias_comparison()
    if "report" in request.stages:
        layout.add_report()
    warnings = [machine.warning] if machine.warning else []
    warnings += [warning for found in datasets if found.dataset for warning in found.dataset.warnings]
    plan = Plan(run_id, tuple(layout.steps), (*warnings, *_assumptions(models), *layout.warnings))
    return Prepared(plan, request, machine, layout.jobs, layout.checks, tuple(models), tuple(datasets))


def _assumptions(models: Iterable[ModelInput]) -> Iterator[str]:
    """Yield what the folders of the user's own models leave open."""
    for spec in (model.spec for model in models):
        if has_prefix(spec.id) and spec.assumption:
            yield f"{spec.id}: {spec.assumption}"


def _needs_no_model(request: RunRequest) -> bool:
    return "check" in request.stages and set(request.stages) <= _WITHOUT_MODELS


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


class _Layout:
    """Steps in the order they run, one cell (model on dataset) after the other."""

    def __init__(self, request: RunRequest, store: Store, tags: Tags) -> None:
        self.request = request
        self.store = store
        self.tags = tags
        self.warnings: list[str] = []
        self.stages = _with_prerequisites(request.stages)
        self.steps: list[Step] = []
        self.jobs: dict[str, Job] = {}
        self.checks: dict[str, CheckJob] = {}

    def add_checks(self, datasets: Iterable[DatasetInput]) -> None:
        """Add the check of every dataset, where checks are asked for."""
        for found in datasets if "check" in self.request.stages else ():
            self._add_check(found)

    def _add_check(self, found: DatasetInput) -> None:
        step_id, name = f"check:{found.spec.id}", found.spec.id
        try:
            if found.dataset is None:
                raise found.problem or MissingInputError(f"{name} is not there")
            everything = open_every_part(found.dataset.spec, found.dataset.root, self.store.file_digests)
        except MedvlmError as error:
            self.steps.append(Step(step_id, "check", dataset=name, blocked=f"{error.message}\n{error.hint}"))
            return
        encoder = fullest_encoder(self.store, everything.samples)
        params = {
            "window": self.request.window,
            "split": asdict(self.request.split()),
            "features": "" if encoder is None else encoder.digest,
            # What is missing or left out changes nothing in the digests of what is read.
            "said": of_record(found.dataset.warnings),
        }
        key = of_record(["check", STEP_VERSIONS["check"], params, found.dataset.digest, everything.digest])
        have = self.store.has_result(key)
        images = 0 if have else len(everything.samples)
        step = Step(step_id, "check", dataset=name, params=params, key=key, have=have, images=images)
        self.steps.append(step)
        self.checks[step_id] = CheckJob(step, self.request, found.dataset, everything, encoder)

    def add_cell(self, model: ModelInput, dataset: DatasetInput) -> None:
        """Add every step of one model on one dataset."""
        cell = f"{model.spec.id}:{dataset.spec.id}"
        problem = model.problem or dataset.problem
        if problem is not None or model.key is None or dataset.dataset is None:
            assert problem is not None
            blocked = f"{problem.message}\n{problem.hint}"
            ready = dataset.dataset is not None and model.problem is None
            steps = ("extract", *(self._steps_on_classes() if ready else ()))
            self._add_blocked(model.spec.id, dataset.spec.id, steps, blocked)
            return
        self._add_steps(cell, model, model.key, dataset.dataset)

    def _add_blocked(self, model: str, dataset: str, steps: Iterable[str], reason: str) -> None:
        """Add steps of a cell that cannot run. `steps`: kinds, with the protocol after a colon."""
        for step in steps:
            kind, _, protocol = step.partition(":")
            step_id = f"{kind}:{model}:{dataset}" + (f":{protocol}" if protocol else "")
            self.steps.append(Step(step_id, kind, model, dataset, blocked=reason))

    def _steps_on_classes(self) -> list[str]:
        """Return the steps of a cell that need a classifier, as `_add_blocked` takes them."""
        probes = [f"probe:{protocol}" for protocol in self.request.protocols if "probe" in self.stages]
        return [*probes, *(stage for stage in ("saliency", "bias") if stage in self.stages)]

    def _add_steps(self, cell: str, model: ModelInput, encoder: EncoderKey, dataset: Dataset) -> None:
        table = table_key(STEP_VERSIONS["extract"], encoder, dataset.digest)
        size = {"encoder": encoder.digest, "feature": encoder.feature, "precision": encoder.precision}
        inputs = {"extract": table}
        extract, split = f"extract:{cell}", self.request.split()

        def add(step_id: str, params: Mapping[str, Any], needs: tuple[str, ...], key: str = "") -> str:
            kind = step_id.split(":")[0]
            key = key or of_record([kind, STEP_VERSIONS[kind], dict(params), [inputs[n.split(":")[0]] for n in needs]])
            have = key in self.store.tables if kind == "extract" else self.store.has_result(key)
            images = len(dataset.samples) if kind == "extract" and not have else 0
            step = Step(step_id, kind, model.spec.id, dataset.spec.id, params, key, needs, have, images)
            self._add_job(Job(step, self.request, dataset, model.spec, model.weights, encoder, dict(inputs)))
            return key

        if "extract" in self.stages:
            add(extract, size, (), table)
        if problem := too_few_classes(dataset):
            self._add_distribution(cell, dataset, table, add)
            reason = f"{problem.message}\n{problem.hint}"
            self._add_blocked(model.spec.id, dataset.spec.id, self._steps_on_classes(), reason)
            return
        probes: dict[str, tuple[str, str]] = {}
        for protocol in self.request.protocols if "probe" in self.stages else ():
            probe = f"probe:{cell}:{protocol}"
            inputs["probe"] = add(probe, asdict(ProbeParams(protocol, split)), (extract,))
            probes[protocol] = (probe, inputs["probe"])
            if "statistics" in self.stages:
                params = asdict(StatisticsParams())
                add(f"statistics:{cell}:{protocol}", {**params, "protocol": protocol}, (probe,))
        self._add_distribution(cell, dataset, table, add)
        linear = next((probes[p] for p in self.request.protocols if p in LINEAR_PROTOCOLS and p in probes), None)
        for stage, chosen in (("saliency", self.request.saliency), ("bias", self.request.bias)):
            if stage in self.stages and linear is not None:
                inputs["probe"] = linear[1]
                add(f"{stage}:{cell}", asdict(chosen()), (extract, linear[0]))
            elif stage in self.stages:
                self.steps.append(Step(f"{stage}:{cell}", stage, model.spec.id, dataset.spec.id, blocked=_NOT_LINEAR))

    def _add_distribution(self, cell: str, dataset: Dataset, table: str, add: Callable[..., str]) -> None:
        """Add the maps, what is read off all of them, and the separability of the classes and of each tag."""
        needs = (f"extract:{cell}",)
        maps = {
            (step := f"project:{cell}:{each.n_neighbors}:{each.min_dist:g}"): add(step, asdict(each), needs)
            for each in self._projections()
        }
        if maps:
            params: dict[str, Any] = {"maps": list(maps.values()), "table": table}
            add(f"grid:{cell}", params, tuple(maps), gathered_key("grid", params))
        self._let_maps_work_ahead(cell)
        for tag, values in self._groupings(dataset):
            step = f"separability:{cell}" + (f":{tag}" if tag else "")
            measured = asdict(SeparabilityParams(tag, seed=self.request.seed))
            add(step, {**measured, "values": of_record(values)} if tag else measured, needs)
            self.jobs[step] = replace(self.jobs[step], groups=values)

    def _let_maps_work_ahead(self, cell: str) -> None:
        """Tell each map's job of the maps after it: a grid's cells share one neighbour graph and run side by side."""
        waiting = [s for s in self.steps if s.id.startswith(f"project:{cell}:") and not s.have]
        for position, step in enumerate(waiting):
            self.jobs[step.id] = replace(self.jobs[step.id], ahead=tuple(waiting[position + 1 :]))

    def _projections(self) -> list[ProjectionParams]:
        if "project" not in self.stages:
            return []
        request = self.request
        return [
            ProjectionParams(neighbors, min_dist, request.umap_max_points, request.seed)
            for neighbors in request.umap_neighbors
            for min_dist in request.umap_min_dist
        ]

    def add_comparisons(self) -> None:
        """Add the steps that read the probes of several models."""
        for job in list(comparisons(self.jobs.values(), self.store)):
            self._add_job(job)

    def add_bias_comparison(self) -> None:
        """Add the step that compares groups of models by the lab, where several models are in it."""
        labs = bias_comparison(self.jobs.values(), self.store)
        if labs is not None:
            self._add_job(labs)

    def _add_job(self, job: Job) -> None:
        self.steps.append(job.step)
        self.jobs[job.step.id] = job

    def _groupings(self, dataset: Dataset) -> list[tuple[str, Mapping[str, str]]]:
        """Return the tags whose separability is measured with their values; "" stands for the classes."""
        if "separability" not in self.stages:
            return []
        return [("", {}), *tags_of(dataset, self.tags).items()]

    def add_comparison(self, dataset: DatasetInput) -> None:
        """Add what reads all models of a dataset together, and say which tags name none of its images."""
        name = dataset.spec.id
        if self.tags and dataset.dataset is not None and (strangers := unmatched(dataset.dataset, self.tags)):
            self.warnings.append(f"{name}: {strangers} paths of --tags are none of its images")
        tables = [s for s in self.steps if s.kind == "extract" and s.dataset == name and not s.blocked]
        if "similarity" not in self.stages or not tables:
            return
        if len(tables) < 2:
            if not set(STAGES) <= set(self.request.stages):  # who asks for everything means what there is
                self.warnings.append(f"{name}: similarity compares models, and there is one")
            return
        compared = [{"model": step.model, "table": step.key} for step in tables]
        params = {**asdict(SimilarityParams(seed=self.request.seed)), "tables": compared}
        key, needs = gathered_key("similarity", params), tuple(step.id for step in tables)
        step = Step(f"similarity:*:{name}", "similarity", "", name, params, key, needs, self.store.has_result(key))
        self._add_job(replace(self.jobs[needs[0]], step=step, inputs={}))

    def add_report(self) -> None:
        """Add the last step: tables and figures of everything above."""
        self.steps.append(Step("report", "report", needs=tuple(step.id for step in self.steps)))


def _with_prerequisites(stages: Iterable[str]) -> set[str]:
    chosen = set(stages)
    for stage in stages:
        chosen.update(_PREREQUISITES.get(stage, ()))
    return chosen
