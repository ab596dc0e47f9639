"""`medvlm-tui models` and `medvlm-tui datasets`: the catalog, and what of it is on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import added_models, load_models
from medvlm_tui.commands.add_model import add_model
from medvlm_tui.core.counts import counted
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, ModelSpec
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.datasets.opening import open_dataset, view_classes
from medvlm_tui.engine.datasets.resolve import resolve_dataset
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.weights.location import examine
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import ExitCode, MedvlmError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of both commands."""
    parser.add_argument("id", nargs="?", metavar="ID", help="show everything known about this one")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    if parser.prog.endswith("models"):
        parser.add_argument(
            "--add", metavar="PREFIX:NAME", help="try a model on one image and keep it beside those of the catalog"
        )
        parser.add_argument(
            "--device",
            default="auto",
            help="where it is tried: auto, cpu, cuda, or GPUs by number: cuda:0,cuda:2 (auto)",
        )


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Print the models or the datasets, or everything about one, or add a model; returns the exit code."""
    if getattr(options, "add", None):
        print(add_model(options.add, replace(request, device=options.device)))
        return int(ExitCode.OK)
    digests = FileDigests(Workspace(configuration.workspace).store / "file_digests.json")
    show = _show_models if options.command == "models" else _show_datasets
    show(options, request, digests)
    return int(ExitCode.OK)


def _show_models(options: argparse.Namespace, request: RunRequest, digests: FileDigests) -> None:
    catalog = load_models()
    specs = [resolve_model(options.id, catalog)] if options.id else [*catalog.values(), *_added(catalog)]
    rows = [(spec, examine(spec, request.weights.get(spec.id, ""), True)) for spec in specs]
    if options.id or options.json:
        _print_records([_model_record(spec, weights) for spec, weights in rows], options)
    else:
        header = ("id", "name", "group", "dim", "input", "weights", "licence", "backbone")
        _print_table(header, (_model_row(spec, weights) for spec, weights in rows))


def _added(catalog: Mapping[str, ModelSpec]) -> Iterator[ModelSpec]:
    """Yield the records of the models that the user added by prefix; one that is gone is told on standard error."""
    for name in added_models():
        try:
            yield resolve_model(name, catalog)
        except MedvlmError as error:
            print(clean(f"{name}: {error.message}"), file=sys.stderr)


def _show_datasets(options: argparse.Namespace, request: RunRequest, digests: FileDigests) -> None:
    catalog = load_datasets()
    names = [options.id] if options.id else list(dict.fromkeys((*catalog, *request.data)))
    records = [_dataset_record(resolve_dataset(name, request.data, catalog), digests) for name in names]
    if options.json:
        _print_records(records, options)
    elif options.id:
        print("\n".join(clean(line) for line in _dataset_lines(records[0])))
    else:
        header = ("id", "name", "modality", "n", "classes", "found", "licence")
        _print_table(header, (_dataset_row(record) for record in records))


def _print_records(records: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Print all as a JSON list, or the one that was named as an object or as lines."""
    if options.json:
        print(json.dumps(records[0] if options.id else records, indent=2, ensure_ascii=True))
    else:
        _print_fields(records[0])


def _model_record(spec: ModelSpec, weights: Weights) -> dict[str, Any]:
    return {
        **asdict(spec),
        "weights": weights.state,
        "weights_path": "" if weights.path is None else str(weights.path),
        "hint": weights.hint,
    }


def _model_row(spec: ModelSpec, weights: Weights) -> tuple[str, ...]:
    return (spec.id, spec.name, spec.group, str(spec.dim()), spec.input, weights.state, spec.licence, spec.backbone)


def _dataset_record(spec: DatasetSpec, digests: FileDigests) -> dict[str, Any]:
    record: dict[str, Any] = {**asdict(spec), "root": "" if spec.root is None else str(spec.root)}
    record["classes"] = list(view_classes(spec))
    if spec.root is None:
        made = "made when a run needs it" if spec.synthetic else "no folder is known"
        return {**record, "found": None, "check": made}
    try:
        dataset = open_dataset(spec, Path(spec.root), view="", part="", limit=0, digests=digests, strict=False)
    except MedvlmError as error:
        return {**record, "found": 0, "check": f"{error.message}: {error.hint}"}
    fine = "as the catalog says" if spec.published_n else "as found, the catalog has none to compare with"
    check = "; ".join(dataset.warnings) or fine
    return {**record, "found": len(dataset.samples), "classes": list(dataset.classes), "check": check}


def _dataset_lines(record: dict[str, Any]) -> Iterator[str]:
    """Yield everything that is known of one dataset: what it is, whether it is here, how to get it."""
    yield f"{record['name']} ({record['id']}, {record['modality']})"
    if record["published_n"]:
        yield f"the study: {record['published_n']:,} images, part {record['parts'][0] if record['parts'] else 'all'}"
    yield f"found: {record['check'] if record['found'] is None else _found(record)}"
    for key in ("root", "homepage", "how_to_get", "licence", "size", "group_key"):
        if record[key]:
            yield f"{key.replace('_', ' ')}: {record[key]}"
    if record["counts"]:
        yield "images of the study by class as read:"
        yield from (f"  {name:<28} {n:>7,}" for name, n in record["counts"].items())
    for view, mapping in record["views"].items():
        yield f"label view {view}: {', '.join(dict.fromkeys(mapping.values()))}"
    if len(record["parts"]) > 1:
        yield f"parts: {', '.join(record['parts'])}"
    yield "expected layout, below a folder at any depth:"
    yield from (f"  {line}" for line in record["layout"].splitlines() or ["a folder of class folders, or a list"])


def _found(record: dict[str, Any]) -> str:
    return f"{counted(record['found'], 'image')}; {record['check']}"


def _dataset_row(record: dict[str, Any]) -> tuple[str, ...]:
    found = record["check"] if not record["found"] else f"{counted(record['found'], 'image')}"
    n = f"{record['published_n']:,}" if record["published_n"] else ""
    return (record["id"], record["name"], record["modality"], n, str(len(record["classes"])), found, record["licence"])


def _print_fields(record: dict[str, Any]) -> None:
    width = max(map(len, record))
    for name, value in record.items():
        if value in ("", None, [], (), {}):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        lines = text.splitlines() or [""]
        for number, line in enumerate(lines):
            print(f"{name if number == 0 else '':{width}}  {clean(line)}")


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [tuple(header), *(tuple(clean(cell) for cell in row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
