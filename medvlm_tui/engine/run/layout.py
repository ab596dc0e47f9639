"""The steps of a plan, laid out by going through the stages in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from medvlm_tui.catalog.traits import traits_of
from medvlm_tui.core.digests import of_record
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, EncoderKey
from medvlm_tui.core.store.keys import step_key
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.tags import Tags, tags_of, unmatched
from medvlm_tui.engine.datasets.likeness.feature_pairs import fullest_encoder
from medvlm_tui.engine.datasets.opening import open_every_part
from medvlm_tui.engine.run.classes import too_few_classes
from medvlm_tui.engine.run.gathered_steps import gathered_key
from medvlm_tui.engine.run.inputs import DatasetInput, ModelInput
from medvlm_tui.engine.run.stored_results import is_there
from medvlm_tui.engine.run.text_inputs import words_of
from medvlm_tui.engine.step.job import CellJob, CheckJob, DatasetJob, PlannedJob, RunJob
from medvlm_tui.errors import MedvlmError, MissingInputError
from medvlm_tui.stages import EVERY_STAGE, STAGES, with_needs
from medvlm_tui.stages.check import CHECK
from medvlm_tui.stages.params.probe import SplitParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.stage import Draft, PlannedCell, Remark, Scope, Stage, View


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell that can be computed, with what its jobs work on."""

    planned: PlannedCell
    model: ModelInput
    encoder: EncoderKey


class Layout:
    """Steps in the order they run, with the jobs of those that can run."""

    def __init__(self, request: RunRequest, store: Store, tags: Tags) -> None:
        self.request = request
        self.store = store
        self.tags = tags
        self.warnings: list[str] = []
        self.steps: list[Step] = []
        self.jobs: dict[str, PlannedJob] = {}
        chosen = with_needs(request.stages)
        self._stages = [stage for stage in STAGES if stage.name in chosen]
        self._cells: list[_Cell] = []

    def lay_out(self, models: Sequence[ModelInput], datasets: Sequence[DatasetInput]) -> None:
        """Add every step of the run."""
        if any(stage is CHECK for stage in self._stages):
            for dataset in datasets:
                self._add_check(dataset)
        # One model after the other: each is loaded once for all of its datasets.
        for model in models:
            for dataset in datasets:
                self._add_cell(model, dataset)
        for dataset in datasets:
            self._compare_on(dataset)
        self._draft(Scope.RUN, self._cells)
        for stage in self._of(Scope.REPORT):
            self.steps.append(Step(stage.kind, stage.kind, needs=tuple(step.id for step in self.steps)))

    def _of(self, scope: Scope) -> Iterable[Stage[Any]]:
        return (stage for stage in self._stages if stage.scope is scope)

    def _add_check(self, found: DatasetInput) -> None:
        step_id, name = f"{CHECK.kind}:{found.spec.id}", found.spec.id
        try:
            if found.dataset is None:
                raise found.problem or MissingInputError(f"{name} is not there")
            everything = found.dataset if found.to_come else self._every_part(found.dataset)
        except MedvlmError as error:
            self.steps.append(Step(step_id, CHECK.kind, dataset=name, blocked=f"{error.message}\n{error.hint}"))
            return
        encoder = fullest_encoder(self.store, everything.samples)
        params = {
            "window": self.request.window,
            "split": asdict(self.request.of(SplitParams)),
            "features": "" if encoder is None else encoder.digest,
            # What is missing or left out changes nothing in the digests of what is read.
            "said": of_record(found.dataset.warnings),
        }
        key = step_key(CHECK.kind, CHECK.version, params, found.dataset.digest, everything.digest)
        have = self.store.has_result(key)
        images = 0 if have else len(everything.samples)
        step = Step(step_id, CHECK.kind, dataset=name, params=params, key=key, have=have, images=images)
        self.steps.append(step)
        self.jobs[step_id] = CheckJob(step, self.request, found.dataset, everything, encoder)

    def _every_part(self, dataset: Dataset) -> Dataset:
        return open_every_part(dataset.spec, dataset.root, self.store.file_digests)

    def _add_cell(self, model: ModelInput, dataset: DatasetInput) -> None:
        """Add every step of one model on one dataset."""
        problem = model.problem or dataset.problem
        if problem is not None or model.key is None or dataset.dataset is None:
            assert problem is not None
            stands_on_classes = dataset.dataset is not None and model.problem is None
            self._add_blocked(model.spec.id, dataset.spec.id, f"{problem.message}\n{problem.hint}", stands_on_classes)
            return
        reason = too_few_classes(dataset.dataset)
        prompts, no_text = words_of(model.spec, dataset.dataset, self.request, model.text)
        planned = PlannedCell(
            model=model.spec,
            dataset=dataset.dataset,
            encoder=model.key,
            tags=tags_of(dataset.dataset, self.tags),
            traits=traits_of(model.spec, dataset.dataset.spec),
            text=model.text.key,
            prompts=prompts,
            no_text=no_text,
            no_classifier=f"{reason.message}\n{reason.hint}" if reason else "",
        )
        self._cells.append(cell := _Cell(planned, model, model.key))
        self._draft(Scope.CELL, [cell])
        self._share_work(planned)

    def _add_blocked(self, model: str, dataset: str, reason: str, on_classes: bool) -> None:
        """Add the steps of a cell that cannot run: its extraction; with `on_classes` what needs a classifier too."""
        kinds = ["extract"]
        for stage in self._of(Scope.CELL) if on_classes else ():
            details = self.request.protocols if stage is PROBE else ("",)
            kinds += [f"{stage.kind}:{detail}" for detail in details] if stage.needs_classes else []
        for each in kinds:
            kind, _, detail = each.partition(":")
            step_id = ":".join(filter(None, (kind, model, dataset, detail)))
            self.steps.append(Step(step_id, kind, model, dataset, blocked=reason))

    def _share_work(self, cell: PlannedCell) -> None:
        """Tell each job of a stage that shares work of the steps after it: maps share one neighbour graph."""
        for stage in self._of(Scope.CELL):
            waiting = [step for step in cell.of(stage.kind) if not step.have] if stage.shares_work else []
            for position, step in enumerate(waiting):
                job = self.jobs[step.id]
                assert isinstance(job, CellJob)
                self.jobs[step.id] = replace(job, ahead=tuple(waiting[position + 1 :]))

    def _compare_on(self, found: DatasetInput) -> None:
        """Add what reads all models of a dataset together, and say which tags name none of its images."""
        name = found.spec.id
        if self.tags and found.dataset is not None and (strangers := unmatched(found.dataset, self.tags)):
            self.warnings.append(f"{name}: {strangers} paths of --tags are none of its images")
        self._draft(Scope.DATASET, [cell for cell in self._cells if cell.planned.dataset.spec.id == name], name)

    def _draft(self, scope: Scope, cells: Sequence[_Cell], dataset: str = "") -> None:
        view = View(self.request, [cell.planned for cell in cells], dataset)
        for stage in self._of(scope) if cells else ():
            for draft in stage.drafts(view):
                if isinstance(draft, Remark):
                    self._remark(stage, draft)
                else:
                    self._add(stage, draft, cells, dataset)

    def _remark(self, stage: Stage[Any], remark: Remark) -> None:
        # Who asks for everything means what there is.
        if not set(EVERY_STAGE) <= set(self.request.stages):
            self.warnings.append(remark.text)

    def _add(self, stage: Stage[Any], draft: Draft, cells: Sequence[_Cell], dataset: str) -> None:
        single = cells[0].planned if stage.scope is Scope.CELL else None
        middle = single.name if single else f"*:{dataset or '*'}"
        model, on = (single.model.id, single.dataset.spec.id) if single else ("", dataset)
        step_id = ":".join(filter(None, (stage.kind, middle, draft.detail)))
        if draft.blocked:
            self.steps.append(Step(step_id, stage.kind, model, on, blocked=draft.blocked))
            return
        key = draft.key or self._key(stage, draft)
        have = is_there(self.store, stage.kind, key)
        images = len(cells[0].planned.dataset.samples) if stage.kind == "extract" and not have else 0
        step = Step(step_id, stage.kind, model, on, draft.params, key, draft.reads, have, images)
        if single:
            single.steps.append(step)
        self.steps.append(step)
        self.jobs[step_id] = self._job(stage.scope, step, draft, cells[0])

    def _key(self, stage: Stage[Any], draft: Draft) -> str:
        if stage.gathers:
            return gathered_key(stage, draft.params)
        reads = [self._step(read).key for read in draft.reads]
        return step_key(stage.kind, stage.version, draft.params, reads)

    def _job(self, scope: Scope, step: Step, draft: Draft, first: _Cell) -> PlannedJob:
        """Return the job of a step; `first` is its cell, or the first of those that it compares."""
        if scope is Scope.RUN:
            return RunJob(step, self.request)
        if scope is Scope.DATASET:
            return DatasetJob(step, self.request, first.planned.dataset)
        read = [self._step(read) for read in draft.reads]
        return CellJob(
            step=step,
            request=self.request,
            dataset=first.planned.dataset,
            model=first.model.spec,
            weights=first.model.weights,
            encoder=first.encoder,
            inputs={"extract": first.planned.table, **{each.kind: each.key for each in read}},
            text=first.model.text.parts,
            text_key=first.model.text.key,
            groups=draft.groups,
        )

    def _step(self, step_id: str) -> Step:
        return self.jobs[step_id].step
