"""The rows of a survey made safe to show, once, at the door; ids stay as they are, for asking the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.survey import Cell, DatasetRow, ModelRow, Reading

__all__ = [
    "GROUPS",
    "Cell",
    "DatasetRow",
    "ModelRow",
    "Reading",
    "cell",
    "dataset_row",
    "model_row",
    "number",
    "reading",
]
Record = Mapping[str, Any]
GROUPS = {"medical": "Medical", "modality_specific": "Modality-specific", "general": "General"}


def model_row(row: ModelRow) -> ModelRow:
    """Return a survey's model with safe texts and its group in words."""
    group = _line(row.group)
    return replace(
        row,
        name=_line(row.name or row.id),
        group=GROUPS.get(group, group or "Other"),
        licence=_line(row.licence),
        hint=_lines(row.hint),
    )


def dataset_row(row: DatasetRow) -> DatasetRow:
    """Return a survey's dataset with safe texts."""
    return replace(
        row,
        name=_line(row.name or row.id),
        modality=_line(row.modality),
        classes=tuple(map(clean, row.classes)),
        licence=_line(row.licence),
        hint=_lines(row.hint),
        warnings=tuple(map(clean, row.warnings)),
        how_to_get=_line(row.how_to_get),
        homepage=_line(row.homepage),
        size=_line(row.size),
        layout=_lines(row.layout),
        problem=_lines(row.problem),
        root=_line(row.root),
    )


def cell(row: Cell) -> Cell:
    """Return a survey's cell with safe texts."""
    return replace(row, differs=_line(row.differs))


def reading(key: str, numbers: Record) -> Reading:
    """Return the scores in a probe's summary."""
    accuracy, std, macro_f1, t = (number(numbers.get(name)) for name in ("accuracy", "std", "macro_f1", "t"))
    metrics: dict[str, tuple[float, float | None]] = {} if accuracy is None else {"accuracy": (accuracy, std)}
    if macro_f1 is not None:
        metrics["macro_f1"] = (macro_f1, None)
    return Reading(key, accuracy, std, macro_f1, t, bool(numbers.get("saturated")), metrics)


def number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def _line(text: str) -> str:
    """Return a text made safe, on one line."""
    return _lines(text).replace("\n", "; ")


def _lines(text: str) -> str:
    """Return a text made safe, its line breaks kept."""
    return "\n".join(clean(line) for line in text.split("\n"))
