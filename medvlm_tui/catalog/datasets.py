"""The catalog of datasets: datasets.toml read strictly into `DatasetSpec`s."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.errors import MedvlmError

CATALOG_PATH = Path(__file__).with_name("datasets.toml")
_HINT = "compare it with the tables of the datasets.toml that the program was installed with"


@cache
def load_datasets(path: Path = CATALOG_PATH) -> dict[str, DatasetSpec]:
    """Return id -> spec in the file's order, with no root; raises MedvlmError naming table and key."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MedvlmError(f"{path} cannot be read: {error}", _HINT) from error
    return {name: _spec(name, table) for name, table in tables.items()}


def _spec(dataset_id: str, table: object) -> DatasetSpec:
    where = f"datasets.toml [{dataset_id}]"
    if not isinstance(table, dict):
        raise MedvlmError(f"{where} is not a table", _HINT)
    for key in table:
        if key not in _CHECKS:
            raise MedvlmError(f"{where}: unknown key {key!r}", _HINT)
    for key in ("name", "modality", "reader"):
        if not table.get(key):
            raise MedvlmError(f"{where}: {key} is missing", _HINT)
    values = {key: _CHECKS[key](f"{where} {key}", value) for key, value in table.items()}
    spec = DatasetSpec(id=dataset_id, **values)
    _check_agreement(where, spec)
    return spec


def _check_agreement(where: str, spec: DatasetSpec) -> None:
    """Refuse a table whose parts contradict each other."""
    named = (
        ("counts", spec.counts),
        *((f"part_counts.{part}", counts) for part, counts in spec.part_counts.items()),
        *((f"views.{view}", mapping) for view, mapping in spec.views.items()),
    )
    for name, names in named:
        if unknown := set(names) - set(spec.classes):
            raise MedvlmError(f"{where}: {name} names {sorted(unknown)}, which are no classes", _HINT)
    if spec.counts and sum(spec.counts.values()) != spec.published_n:
        raise MedvlmError(f"{where}: the counts sum to {sum(spec.counts.values())}, not {spec.published_n}", _HINT)
    if unknown := set(spec.part_counts) - set(spec.parts[1:]):
        raise MedvlmError(f"{where}: part_counts names {sorted(unknown)}, which are no other parts", _HINT)
    if len(set(spec.classes)) != len(spec.classes):
        raise MedvlmError(f"{where}: a class is named twice", _HINT)


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise MedvlmError(f"{where} is not a string", _HINT)
    return value.strip("\n")


def _whole(where: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MedvlmError(f"{where} is not a whole number", _HINT)
    return value


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise MedvlmError(f"{where} is not true or false", _HINT)
    return value


def _names(where: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise MedvlmError(f"{where} is not a list", _HINT)
    return tuple(_text(where, item) for item in value)


def _wholes(where: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise MedvlmError(f"{where} is not a list", _HINT)
    return tuple(_whole(where, item) for item in value)


def _counts(where: str, value: object) -> Mapping[str, int]:
    if not isinstance(value, dict):
        raise MedvlmError(f"{where} is not a table", _HINT)
    return {name: _whole(f"{where}.{name}", count) for name, count in value.items()}


def _part_counts(where: str, value: object) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(value, dict):
        raise MedvlmError(f"{where} is not a table of tables", _HINT)
    return {part: _counts(f"{where}.{part}", counts) for part, counts in value.items()}


def _views(where: str, value: object) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(view, dict) for view in value.values()):
        raise MedvlmError(f"{where} is not a table of tables", _HINT)
    return {name: {k: _text(f"{where}.{name}.{k}", v) for k, v in view.items()} for name, view in value.items()}


_CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "name": _text,
    "modality": _text,
    "reader": _text,
    "classes": _names,
    "counts": _counts,
    "part_counts": _part_counts,
    "views": _views,
    "parts": _names,
    "positive": _text,
    "group_key": _text,
    "published_classes": _whole,
    "published_n": _whole,
    "also_complete": _wholes,
    "licence": _text,
    "homepage": _text,
    "how_to_get": _text,
    "size": _text,
    "layout": _text,
    "synthetic": _flag,
}
