"""A table of scores as records: groups of models by datasets, with best, ties, marks and differences to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.report.formats.table import Printed


@dataclass(frozen=True, slots=True)
class Entry:
    """A model's part of one dataset's columns; scores in percent, values as fractions."""

    accuracy: Printed | None
    f1: Printed | None
    balanced: Printed | None = None
    differences: Mapping[str, Printed] = field(default_factory=dict)
    """Source (SOURCES) -> accuracy minus the printed one in points, signed; only where something comparable was
    printed."""


@dataclass(frozen=True, slots=True)
class DatasetColumns:
    """One dataset: accuracy, F1, balanced accuracy and, where anything was printed, the difference."""

    title: str
    f1_title: str
    entries: Mapping[str, Entry]
    """Model id -> entry."""
    sources: tuple[str, ...] = ()
    """Sources that printed something comparable: each has a column of differences."""


@dataclass(frozen=True, slots=True)
class Group:
    """Models under one heading."""

    title: str
    models: tuple[tuple[str, str], ...]
    """(id, title)."""


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """One protocol's table."""

    protocol: str
    groups: tuple[Group, ...]
    columns: tuple[DatasetColumns, ...]
    notes: tuple[str, ...]
