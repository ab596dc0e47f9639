"""manifest.json: what was asked, with what it was computed, under which keys it lies, what failed. No secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import write_export
from medvlm_tui.core.digests import of_file
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.run_results import Compared, Explained, Gathered, Map, ReportInput
from medvlm_tui.settings.options import all_values


def manifest_record(source: ReportInput, gathered: Gathered) -> dict[str, Any]:
    """Return the manifest of a run without the digests of its files."""
    record: dict[str, Any] = _without_home(_record(source, gathered))
    record["settings"]["data"] = {name: redact(root) for name, root in source.request.data.items()}
    return record


def write_manifest(path: Path, manifest: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Write the manifest of a run and of the report's `files`, which lie below the manifest's folder."""
    digests = {file.relative_to(path.parent).as_posix(): of_file(file) for file in files}
    record = {**manifest, "files": digests}
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False, default=str)
    write_export(path, text.encode() + b"\n")


def _record(source: ReportInput, gathered: Gathered) -> dict[str, Any]:
    return {
        "run_id": source.run_id,
        "versions": dict(source.versions),
        "device": source.device,
        "seeds": {"split": source.request.seed, "umap": source.request.seed, "rise": source.request.seed},
        "settings": all_values(source.request),
        "plan": source.plan.to_record(),
        "models": {name: _model(model) for name, model in source.models.items()},
        "datasets": {name: _dataset(dataset) for name, dataset in source.datasets.items()},
        "results": _results(gathered),
        "timings_s": dict(source.timings),
        "failures": [{"step": step, "error": error, "hint": hint} for step, error, hint in source.failures],
    }


def _model(model: ModelSpec) -> dict[str, Any]:
    record = asdict(model)
    return {**record, "preprocess_digest": model.preprocess.digest}


def _dataset(dataset: Dataset) -> dict[str, Any]:
    counts: dict[str, int] = dict.fromkeys(dataset.classes, 0)
    for sample in dataset.samples:
        counts[sample.label] = counts.get(sample.label, 0) + 1
    return {
        "name": dataset.spec.name,
        "label_view": dataset.view,
        "digest": dataset.digest,
        "images": len(dataset.samples),
        "counts": counts,
        "published_n": dataset.spec.published_n,
        "synthetic": dataset.spec.synthetic,
        "licence": dataset.spec.licence,
        "warnings": list(dataset.warnings),
    }


def _results(gathered: Gathered) -> dict[str, Any]:
    store = gathered.source.store.tables
    tables = {
        step.key: {
            "model": step.model,
            "dataset": step.dataset,
            **{k: v for k, v in (store.record(step.key) or {}).items() if k != "classes"},
        }
        for step, _ in gathered.tables
    }
    known = {
        "extract": tables,
        "probe": _keys(gathered.cells),
        "statistics": _statistics(gathered),
        "pairs": _comparisons(gathered.pairs),
        "ranking": _comparisons(gathered.rankings),
        "project": _keys(gathered.maps),
        "saliency": _keys(gathered.explained),
    }
    others = {step.kind for step in gathered.source.plan.steps if step.key} - set(known)
    return {**known, **{kind: _stored(gathered.source, kind) for kind in sorted(others)}}


def _keys(results: Sequence[Cell] | Sequence[Map] | Sequence[Explained]) -> dict[str, Any]:
    """Return key of the result -> what it belongs to."""
    record = {}
    for result in results:
        key = result.probe_key if isinstance(result, Cell) else result.key
        record[key] = {"model": result.model.id, "dataset": result.dataset.spec.id}
        if isinstance(result, Cell):
            record[key]["protocol"] = result.protocol
    return record


def _stored(source: ReportInput, kind: str) -> dict[str, Any]:
    """Return key of the result -> the step that made it, for any kind of step."""
    steps = [step for step in source.plan.steps if step.kind == kind and step.key]
    return {step.key: {"step": step.id} for step in steps if source.store.has_result(step.key)}


def _statistics(gathered: Gathered) -> dict[str, Any]:
    return {
        cell.statistics_key: {"model": cell.model.id, "dataset": cell.dataset.spec.id, "protocol": cell.protocol}
        for cell in gathered.cells
        if cell.statistics_key
    }


def _comparisons(found: Sequence[Compared[Any]]) -> dict[str, Any]:
    return {
        each.key: {"dataset": each.dataset, "protocol": each.protocol} if each.dataset else {"protocol": each.protocol}
        for each in found
    }


def _without_home(value: Any) -> Any:
    """Return `value` with the user's home directory as ~ and secrets blotted out, in every string of it."""
    if isinstance(value, str):
        return redact(value.replace(str(Path.home()), "~") if str(Path.home()) != "/" else value)
    if isinstance(value, Mapping):
        return {_without_home(key): _without_home(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_home(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
