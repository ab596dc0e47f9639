"""Survey of what exists: the answer to a home screen's question, without loading a model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import added_models, load_models
from medvlm_tui.core.events import Survey
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.survey import Cell, DatasetRow, ModelRow
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.results_index import ResultsIndex
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.inputs import DatasetInput, ModelInput
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.engine.run.shown_scores import probe_scores
from medvlm_tui.engine.run.stored_results import Results, best_results, difference, is_there
from medvlm_tui.stages import CELL_STAGES, STAGES, is_current
from medvlm_tui.stages.comparison import STATISTICS
from medvlm_tui.stages.extract import EXTRACT
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.protocols import PROTOCOLS
from medvlm_tui.stages.references import REFERENCES
from medvlm_tui.stages.repeat import REPEAT
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.stage import Scope
from medvlm_tui.stages.verdict import VERDICT

# Results of a cell that a survey names by their kind; the feature table is called `table`.
_KINDS = tuple(
    stage.kind for stage in STAGES if stage.scope is Scope.CELL and stage not in (EXTRACT, PROBE, REPEAT, STATISTICS)
)


@dataclass(frozen=True, slots=True)
class Records:
    """Results that were computed, by key, by table and by run."""

    store: Store
    latest: LatestResults
    index: ResultsIndex


def survey(request: RunRequest, workspace: Workspace, records: Records) -> Survey:
    """Look at every result, then at every model of the catalog and every dataset that is known.

    A result is told whether or not its data, its weights and its settings are here today.
    """
    store = records.store
    datasets = dict.fromkeys((*load_datasets(), *request.data))
    everything = replace(
        request,
        models=_models(request),
        datasets=tuple(datasets),
        stages=(*CELL_STAGES, REFERENCES.kind),
        # The request's own first: results of other stages depend on it.
        protocols=tuple(dict.fromkeys((*request.protocols, *PROTOCOLS))),
    )
    prepared = lay_out(everything, workspace, store, "")
    steps: dict[tuple[str, str], list[Step]] = {}
    for step in prepared.plan.steps:
        steps.setdefault((step.model, step.dataset), []).append(step)
    model_rows = [_model_row(model) for model in prepared.found_models]
    dataset_rows = [_dataset_row(dataset, records) for dataset in prepared.found_datasets]
    model_rows += _absent_models(records, {row.id for row in model_rows})
    dataset_rows += _absent_datasets(records, {row.id for row in dataset_rows})
    machine = prepared.hardware
    return Survey(
        models=tuple(model_rows),
        datasets=tuple(dataset_rows),
        cells=tuple(
            _cell(model, dataset, steps.get((model.id, dataset.id), []), records, everything)
            for model in model_rows
            for dataset in dataset_rows
        ),
        device=machine.device if machine.name == "CPU" else f"{machine.device} {machine.name}",
        store_bytes=sum(file.stat().st_size for file in store.directory.rglob("*") if file.is_file()),
        read_only=store.read_only,
    )


def _models(request: RunRequest) -> tuple[str, ...]:
    """Return the catalog's models, those that the user added by prefix, and those that the request names so."""
    named = (model for model in request.models if ":" in model and not model.startswith("group:"))
    return tuple(dict.fromkeys((*load_models(), *added_models(), *named)))


def _model_row(found: ModelInput) -> ModelRow:
    spec = found.spec
    return ModelRow(
        id=spec.id,
        name=spec.name,
        group=spec.group,
        dim=spec.dim(),
        gated=spec.gated,
        licence=spec.licence,
        state="ready" if found.problem is None else "weights_missing",
        hint="" if found.problem is None else found.problem.hint,
    )


def _absent_models(records: Records, known: Collection[str]) -> list[ModelRow]:
    """Return rows for models with results that nothing else names today."""
    names = dict.fromkeys(model for model, _ in records.index.cells if model and model not in known)
    hint = "its results are in the store; name it again, or give its models.toml, to compute more"
    return [
        ModelRow(name, name, state="weights_missing", hint=hint) for name in names if _has_results(records, model=name)
    ]


def _absent_datasets(records: Records, known: Collection[str]) -> list[DatasetRow]:
    """Return rows for datasets with results whose folder is not given today."""
    names = dict.fromkeys(dataset for _, dataset in records.index.cells if dataset not in known)
    rows = []
    for name in names:
        if _has_results(records, dataset=name):
            folder = next((str(request["data"][name]) for request in records.index.requests(name)), "")
            rows.append(
                DatasetRow(
                    id=name,
                    name=name,
                    modality="unknown",
                    state="data_missing",
                    problem="its results are in the store, its folder is not given",
                    hint=f"o gives the folder; it was {folder}" if folder else "o gives the folder",
                    check=_check(records, name, ""),
                    verdicts=_verdicts(records, name),
                )
            )
    return rows


def _has_results(records: Records, model: str = "", dataset: str = "") -> bool:
    cells = [cell for cell in records.index.cells if model in ("", cell[0]) and dataset in ("", cell[1])]
    return any(is_there(records.store, made.kind, made.key) for cell in cells for made, _ in records.index.of(*cell))


def _dataset_row(found: DatasetInput, records: Records) -> DatasetRow:
    spec, dataset = found.spec, found.dataset
    ready = dataset is not None or found.can_be_made
    problem = None if ready else found.problem
    return DatasetRow(
        id=spec.id,
        name=spec.name,
        modality=spec.modality,
        images=len(dataset.samples) if dataset is not None else 0,
        published_n=spec.published_n,
        classes=tuple(dataset.classes if dataset is not None else spec.classes),
        licence=spec.licence,
        state="ready" if ready else "data_missing",
        hint=problem.hint if problem is not None else "",
        synthetic=spec.synthetic,
        warnings=tuple(dataset.warnings if dataset is not None else ()),
        how_to_get=spec.how_to_get,
        homepage=spec.homepage,
        size=spec.size,
        layout=spec.layout,
        check=_check(records, spec.id, dataset.digest if dataset is not None else ""),
        verdicts=_verdicts(records, spec.id),
        problem=problem.message if problem is not None else "",
        root=str(spec.root or ""),
    )


def _check(records: Records, dataset: str, digest: str) -> str:
    """Return the key of the newest check of these images, of the dataset's last one where they are not here."""
    made = (
        made.key
        for made, _ in records.index.of("", dataset)
        if made.kind == "check" and is_current(made.kind, made.version)
    )
    known = [records.latest.of("check", digest)] if digest else list(made)
    return next((key for key in known if key and records.store.has_result(key)), "")


def _verdicts(records: Records, dataset: str) -> dict[str, str]:
    """Return protocol -> key of a dataset's verdict: of those of the most models the newest."""
    found: dict[str, tuple[int, str]] = {}
    for made, _ in records.index.of("", dataset):
        known = made.kind == VERDICT.kind and is_current(made.kind, made.version)
        record = records.store.read_record(made.key, VERDICT.record) if known else None
        if record is not None and len(record.candidates) > found.get(record.protocol, (0, ""))[0]:
            found[record.protocol] = len(record.candidates), made.key
    return {protocol: key for protocol, (_, key) in found.items()}


def _cell(model: ModelRow, dataset: DatasetRow, steps: list[Step], records: Records, request: RunRequest) -> Cell:
    """Return a cell; its numbers are those of the request's first protocol, `probes` has every protocol's."""
    store, first = records.store, request.protocols[0]
    missing = [row.state for row in (dataset, model) if row.state != "ready"]
    here = missing[0] if missing else "ready"
    results = best_results((model.id, dataset.id), steps, records.index, store, first)
    if not results.shown(first):
        return Cell(model.id, dataset.id, here, here=here)
    every = records.latest.every
    maps = dict.fromkeys((*results.maps, *every("project", results.table)))
    differs = difference(results, first, request, _rows(store, results), 0 if missing else dataset.images)
    made = Cell(
        model=model.id,
        dataset=dataset.id,
        state=here,
        keys=_keys(results, records),
        probes={
            protocol: probe_scores(store, key, results.statistics.get(protocol, ""), results.further(protocol))
            for protocol, key in results.probes.items()
        },
        pairs=tuple(key for key in every("pairs", results.table) if store.has_result(key)),
        rankings=tuple(key for key in every("ranking", results.table) if store.has_result(key)),
        bias_groups=tuple(key for key in every("bias_groups", results.table) if store.has_result(key)),
        maps=tuple(key for key in maps if store.has_result(key)),
        here=here,
        differs=differs,
    )
    return _with_scores(made, first) if first in results.probes else made


def _with_scores(cell: Cell, protocol: str) -> Cell:
    """Return a cell with the numbers of the protocol that it shows."""
    shown = cell.probes[protocol]
    return replace(
        cell,
        state="stale" if cell.differs else "done",
        accuracy=shown.accuracy,
        std=shown.std,
        macro_f1=shown.macro_f1,
        t=shown.t,
        saturated=shown.saturated,
        keys={**cell.keys, "probe": shown.key},
    )


def _keys(results: Results, records: Records) -> dict[str, str]:
    """Return kind -> key of what is in the store for a cell; the feature table is called `table`."""
    found = {"table": results.table} if "extract" in results.keys else {}
    found |= {kind: results.keys[kind] for kind in _KINDS if kind in results.keys}
    for kind in (*_KINDS, "similarity"):
        key = records.latest.of(kind, results.table)
        # Of saliency the newest, even beside one with the request's own parameters: masks are added one run at a time.
        if (kind == "saliency" or kind not in found) and key is not None and records.store.has_result(key):
            found[kind] = key
    return found


def _rows(store: Store, results: Results) -> int:
    """Return how many images were encoded."""
    manifest = store.tables.read_record(results.table, EXTRACT.record)
    return 0 if manifest is None else manifest.shape[0]
