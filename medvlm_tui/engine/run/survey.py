"""What exists: the answer to a home screen's question, without loading a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.events import Survey
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.latest_results import LatestResults
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.inputs import DatasetInput, ModelInput
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.stages import CELL_STAGES
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.protocols import PROTOCOLS
from medvlm_tui.stages.request import RunRequest

# A result's kind -> the name of its key in a cell of `Survey`; probes and statistics are told by their protocol.
_KEY_NAMES: Mapping[str, str] = {
    "extract": "table",
    "project": "project",
    "grid": "grid",
    "separability": "separability",
    "saliency": "saliency",
    "bias": "bias",
}


def survey(request: RunRequest, workspace: Workspace, store: Store, latest: LatestResults) -> Survey:
    """Look at every model of the catalog and every dataset that is known, and at what the store has of each."""
    models = (*load_models(), *(model for model in request.models if ":" in model and not model.startswith("group:")))
    datasets = dict.fromkeys((*load_datasets(), *request.data))
    everything = replace(
        request,
        models=tuple(dict.fromkeys(models)),
        datasets=tuple(datasets),
        stages=CELL_STAGES,
        # The request's own first: results of other stages depend on it.
        protocols=tuple(dict.fromkeys((*request.protocols, *PROTOCOLS))),
    )
    prepared = lay_out(everything, workspace, store, "")
    steps: dict[tuple[str, str], list[Step]] = {}
    for step in prepared.plan.steps:
        steps.setdefault((step.model, step.dataset), []).append(step)
    cells = tuple(
        _cell(model, dataset, steps.get((model.spec.id, dataset.spec.id), []), store, latest, everything.protocols[0])
        for model in prepared.found_models
        for dataset in prepared.found_datasets
    )
    machine = prepared.hardware
    return Survey(
        models=tuple(_model_row(model) for model in prepared.found_models),
        datasets=tuple(_dataset_row(dataset, store, latest) for dataset in prepared.found_datasets),
        cells=cells,
        device=machine.device if machine.name == "CPU" else f"{machine.device} {machine.name}",
        store_bytes=sum(file.stat().st_size for file in store.directory.rglob("*") if file.is_file()),
    )


def _model_row(found: ModelInput) -> dict[str, Any]:
    spec = found.spec
    return {
        "id": spec.id,
        "name": spec.name,
        "group": spec.group,
        "backbone": spec.backbone,
        "dim": spec.dim(),
        "gated": spec.gated,
        "licence": spec.licence,
        "state": "ready" if found.problem is None else "weights_missing",
        "hint": "" if found.problem is None else found.problem.hint,
    }


def _dataset_row(found: DatasetInput, store: Store, latest: LatestResults) -> dict[str, Any]:
    spec, dataset = found.spec, found.dataset
    check = latest.of("check", dataset.digest) if dataset is not None else None
    ready = dataset is not None or found.can_be_made
    return {
        "id": spec.id,
        "name": spec.name,
        "modality": spec.modality,
        "images": len(dataset.samples) if dataset is not None else 0,
        "published_n": spec.published_n,
        "classes": list(dataset.classes if dataset is not None else spec.classes),
        "licence": spec.licence,
        "state": "ready" if ready else "data_missing",
        "hint": found.problem.hint if found.problem is not None and not ready else "",
        "problem": found.problem.message if found.problem is not None and not ready else "",
        "synthetic": spec.synthetic,
        "how_to_get": spec.how_to_get,
        "homepage": spec.homepage,
        "size": spec.size,
        "layout": spec.layout,
        "check": check if check is not None and store.has_result(check) else "",
        "warnings": list(dataset.warnings if dataset is not None else ()),
    }


def _cell(
    model: ModelInput, dataset: DatasetInput, steps: list[Step], store: Store, latest: LatestResults, first: str
) -> dict[str, Any]:
    """Return a cell; its numbers are those of the protocol `first`, `probes` has every protocol's."""
    cell: dict[str, Any] = {"model": model.spec.id, "dataset": dataset.spec.id, "state": "ready"}
    if dataset.dataset is None and not dataset.can_be_made:
        return {**cell, "state": "data_missing"}
    if model.problem is not None:
        return {**cell, "state": "weights_missing"}
    made = [step for step in steps if step.have]
    probes, intervals = _by_protocol(made, "probe"), _by_protocol(made, "statistics")
    for step in made:
        if step.kind in _KEY_NAMES:
            cell.setdefault(_KEY_NAMES[step.kind], step.key)
    for kind in ("project", "grid", "similarity", "saliency", "bias"):
        key = latest.of(kind, cell.get("table", ""))
        if kind not in cell and key is not None and store.has_result(key):
            cell[kind] = key
    maps = [key for key in latest.every("project", cell.get("table", "")) if store.has_result(key)]
    if maps:
        cell["maps"] = maps
    cell |= _comparisons(store, latest, cell.get("table", ""))
    cell["probes"] = {
        protocol: {
            **_probe_scores(store, key),
            "statistics": intervals.get(protocol, ""),
            "intervals": _intervals(store, intervals.get(protocol, "")),
        }
        for protocol, key in probes.items()
    }
    if first in probes:
        numbers = cell["probes"][first]
        cell |= {"state": "done", "probe": probes[first]}
        cell |= {name: numbers.get(name) for name in ("accuracy", "macro_f1", "std", "t", "saturated")}
    return cell


def _by_protocol(steps: Iterable[Step], kind: str) -> dict[str, str]:
    return {str(step.params["protocol"]): step.key for step in steps if step.kind == kind}


def _comparisons(store: Store, latest: LatestResults, table: str) -> dict[str, Any]:
    """Return the keys of the comparisons of models in which a table took part, the newest last."""
    kinds = {"pairs": "pairs", "rankings": "ranking", "bias_groups": "bias_groups"}
    found = {name: [key for key in latest.every(kind, table) if store.has_result(key)] for name, kind in kinds.items()}
    return {name: keys for name, keys in found.items() if keys}


def _probe_scores(store: Store, key: str) -> dict[str, Any]:
    """Return every mean and spread of a stored probe, with its t, for a table of scores."""
    result = store.result(key)
    if result is None:
        return {"key": key}
    record = result.record
    shown = PROBE.summary(record)
    means = {name: (values["mean"], values["std"]) for name, values in record["metrics"].items()}
    return {
        "key": key,
        **{name: shown.get(name) for name in ("accuracy", "macro_f1", "std", "t", "saturated")},
        "metrics": {name: [mean, std] for name, (mean, std) in means.items() if mean is not None},
        "tuned_t": (record.get("tuned") or {}).get("t"),
        "n": record["n_train"] + record["n_test"],
    }


def _intervals(store: Store, key: str) -> dict[str, Any]:
    """Return metric -> [low, high] of a stored `statistics` result; empty when there is none."""
    result = store.result(key) if key else None
    return {} if result is None else dict(result.record["intervals"])
