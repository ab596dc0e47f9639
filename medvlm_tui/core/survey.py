"""The rows of a survey: every model, every dataset, and what is in the store for each cell.

The engine makes them, the event `Survey` carries them as JSON, and the screens draw them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import msgspec

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One encoder."""

    id: str
    name: str = ""
    group: str = ""
    dim: int = 0
    gated: bool = False
    licence: str = ""
    state: str = "nothing"
    """`ready` or `weights_missing`."""
    hint: str = ""
    """Hint on how to get what is missing; may have several lines."""


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset."""

    id: str
    name: str = ""
    modality: str = ""
    images: int = 0
    """Found on this machine."""
    published_n: int = 0
    """In the study, 0 when it has none."""
    classes: tuple[str, ...] = ()
    licence: str = ""
    state: str = "nothing"
    """`ready` or `data_missing`."""
    hint: str = ""
    """Hint on how to get what is missing; may have several lines."""
    synthetic: bool = False
    warnings: tuple[str, ...] = ()
    how_to_get: str = ""
    homepage: str = ""
    size: str = ""
    """Of the download, in words."""
    layout: str = ""
    """The expected folders as a tree, several lines."""
    check: str = ""
    """Key of its newest check in the store, empty when there is none."""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """Protocol -> key of its verdict in the store."""
    problem: str = ""
    """Why it cannot be read, empty where nothing is known that could be read."""
    root: str = ""
    """Its folder or list, empty where none is given."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Scores of one protocol for a model on a dataset."""

    key: str
    """Of the result in the store."""
    accuracy: float | None = None
    """A fraction."""
    std: float | None = None
    """Over the folds' classifiers."""
    macro_f1: float | None = None
    t: float | None = None
    saturated: bool = False
    metrics: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    """Name -> (mean, spread over the folds), fractions."""
    tuned_t: float | None = None
    """The t that the tuned grid would choose where the paper's has no training error at any t."""
    n: int = 0
    """Images with features."""
    statistics: str = ""
    """Key of its intervals in the store, empty where there are none."""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metric -> lower and upper end over the held-out images, or over the hold-outs, fractions."""
    seeds: int = 1
    """Hold-outs over which `metrics` are means."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Survey row of one model on one dataset."""

    model: str
    dataset: str
    state: str = "nothing"
    """One of STATES of core/events.py: `done` or `stale` where a result exists, else as `here`."""
    accuracy: float | None = None
    """A fraction."""
    std: float | None = None
    macro_f1: float | None = None
    t: float | None = None
    saturated: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    """Kind of result (table, probe, project, saliency, grid, ...) -> key in the store."""
    probes: Mapping[str, Reading] = field(default_factory=dict)
    """Protocol -> its scores."""
    pairs: tuple[str, ...] = ()
    """Keys of the comparisons with other models on this dataset, the newest last."""
    rankings: tuple[str, ...] = ()
    """Keys of the rankings over datasets in which this cell takes part, the newest last."""
    bias_groups: tuple[str, ...] = ()
    """Keys of the comparisons of groups of models by the bias lab, the newest last."""
    maps: tuple[str, ...] = ()
    """Keys of every map of this table, whatever its parameters."""
    here: str = "ready"
    """Readiness for a run: ready, data_missing or weights_missing."""
    differs: str = ""
    """Difference of its results' settings from today's, in words; empty where there is none."""
    percent: int | None = None
    """Progress of the running step; a screen fills it in."""
    note: str = ""
    """Why it failed or cannot run; a screen fills it in."""

    @property
    def has_scores(self) -> bool:
        """Return whether it has scores of any settings."""
        return self.state in ("done", "stale")


def row_of(record: Mapping[str, Any], cls: type[R]) -> R:
    """Return a row from its JSON object; names that the class lacks are passed over. Raises ValueError.

    Streams of the first releases have null where nothing is known, and in a cell the keys of results beside the other
    fields, without `here`.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"{cls.__name__}: no object")
    known = {name: value for name, value in record.items() if value is not None}
    if cls is Cell and "keys" not in known:
        own = {each.name for each in fields(Cell)}
        known["keys"] = {name: value for name, value in known.items() if name not in own and isinstance(value, str)}
    if cls is Cell and str(known.get("state", "")).endswith("_missing"):
        known.setdefault("here", known["state"])
    try:
        return msgspec.convert(known, cls)
    except msgspec.ValidationError as error:
        raise ValueError(f"{cls.__name__}: {error}") from error
