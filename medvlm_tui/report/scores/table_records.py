"""A table of scores as records: groups of models by datasets, with best, ties, marks and differences to print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medvlm_tui.report.scores.published_difference import Mark


@dataclass(frozen=True, slots=True)
class Score:
    """A metric as a table prints it, in percent."""

    mean: str
    std: str
    best: bool
    tied: bool
    """Not the best, and not told apart from it by the stored comparison of the two."""
    too_few: bool = False
    """Compared with the best on so few images that no difference could have shown."""
    interval: str = ""
    """`[low, high]` over the held-out images, where it was computed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model's part of one dataset's columns."""

    accuracy: Score | None
    f1: Score | None
    mark: Mark
    differences: Mapping[str, str]
    """Source (SOURCES) -> accuracy minus the printed one in points, signed; only where something comparable was
    printed."""
    marks: Mapping[str, str]
    """Source -> letters of what differs beside the model: n (images), c (classes), p (protocol)."""
    balanced: str = ""
    """Balanced accuracy in percent; empty where it is not known."""
    precision: str = ""
    """Of the features, where the table has several precisions and this one is not fp32."""


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset: accuracy, F1, balanced accuracy and, where anything was printed, the difference."""

    title: str
    f1_title: str
    entries: Mapping[str, Entry]
    """Model id -> entry."""
    sources: tuple[str, ...] = ()
    """Where something comparable was printed: each has a column of differences."""


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
    columns: tuple[Column, ...]
    notes: tuple[str, ...]
