"""A survey as typed rows: names made safe once, at the door; ids stay as they are, for asking the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medvlm_tui.core.safe_text import clean

Record = Mapping[str, Any]
GROUPS = {"medical": "Medical", "modality_specific": "Modality-specific", "general": "General"}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One encoder."""

    id: str
    name: str
    group: str
    dim: int
    gated: bool
    licence: str
    state: str
    hint: str
    """Hint on how to get what is missing; may have several lines."""


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset."""

    id: str
    name: str
    modality: str
    images: int
    """Found on this machine."""
    published_n: int
    """In the study, 0 when it has none."""
    classes: tuple[str, ...]
    licence: str
    state: str
    hint: str
    synthetic: bool
    warnings: tuple[str, ...]
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
    accuracy: float | None
    """A fraction."""
    std: float | None
    macro_f1: float | None
    t: float | None
    saturated: bool
    metrics: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    """Name -> (mean, spread over the folds), fractions."""
    tuned_t: float | None = None
    """The t that the tuned grid would choose where the paper's has no training error at any t."""
    n: int = 0
    """Images with features."""
    statistics: str = ""
    """Key of its intervals in the store, empty where there are none."""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Metric -> lower and upper end over the held-out images, fractions."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Survey row of one model on one dataset."""

    model: str
    dataset: str
    state: str
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
    """Progress of the running step."""
    note: str = ""
    """Why it failed or cannot run."""

    @property
    def has_scores(self) -> bool:
        """Return whether it has scores of any settings."""
        return self.state in ("done", "stale")


def model_row(record: Record) -> ModelRow:
    """Return a survey's model as a row."""
    group = _text(record, "group")
    return ModelRow(
        id=str(record.get("id", "")),
        name=_text(record, "name") or _text(record, "id"),
        group=GROUPS.get(group, group or "Other"),
        dim=int(record.get("dim") or 0),
        gated=bool(record.get("gated")),
        licence=_text(record, "licence"),
        state=str(record.get("state", "nothing")),
        hint=_lines(record, "hint"),
    )


def dataset_row(record: Record) -> DatasetRow:
    """Return a survey's dataset as a row."""
    classes = record.get("classes") or ()
    return DatasetRow(
        id=str(record.get("id", "")),
        name=_text(record, "name") or _text(record, "id"),
        modality=_text(record, "modality"),
        images=int(record.get("images") or 0),
        published_n=int(record.get("published_n") or 0),
        classes=tuple(clean(str(name)) for name in classes) if not isinstance(classes, int) else (),
        licence=_text(record, "licence"),
        state=str(record.get("state", "nothing")),
        hint=_lines(record, "hint"),
        synthetic=bool(record.get("synthetic")),
        warnings=tuple(clean(str(line)) for line in record.get("warnings") or ()),
        how_to_get=_text(record, "how_to_get"),
        homepage=_text(record, "homepage"),
        size=_text(record, "size"),
        layout=_lines(record, "layout"),
        check=str(record.get("check") or ""),
        verdicts={str(protocol): str(key) for protocol, key in (record.get("verdicts") or {}).items()},
        problem=_lines(record, "problem"),
        root=_text(record, "root"),
    )


def cell(record: Record) -> Cell:
    """Return a survey's cell."""
    kinds = (
        "table",
        "probe",
        "project",
        "saliency",
        "statistics",
        "grid",
        "separability",
        "references",
        "similarity",
        "bias",
    )
    return Cell(
        model=str(record.get("model", "")),
        dataset=str(record.get("dataset", "")),
        state=str(record.get("state", "nothing")),
        accuracy=number(record.get("accuracy")),
        std=number(record.get("std")),
        macro_f1=number(record.get("macro_f1")),
        t=number(record.get("t")),
        saturated=bool(record.get("saturated")),
        keys={kind: str(record[kind]) for kind in kinds if record.get(kind)},
        probes={str(name): reading(str(one.get("key", "")), one) for name, one in (record.get("probes") or {}).items()},
        pairs=tuple(map(str, record.get("pairs") or ())),
        rankings=tuple(map(str, record.get("rankings") or ())),
        bias_groups=tuple(map(str, record.get("bias_groups") or ())),
        maps=tuple(map(str, record.get("maps") or ())),
        here=_here(record),
        differs=_text(record, "differs"),
        note=_text(record, "hint"),
    )


def _here(record: Record) -> str:
    state = str(record.get("here") or record.get("state"))
    return state if state.endswith("_missing") else "ready"


def reading(key: str, numbers: Record) -> Reading:
    """Return the numbers of a survey's cell or of a result's summary."""
    accuracy, std, macro_f1, t = (number(numbers.get(name)) for name in ("accuracy", "std", "macro_f1", "t"))
    metrics = {} if accuracy is None else {"accuracy": (accuracy, std)}
    if macro_f1 is not None:
        metrics["macro_f1"] = (macro_f1, None)
    for name, (mean, spread) in (numbers.get("metrics") or {}).items():
        if (value := number(mean)) is not None:
            metrics[str(name)] = (value, number(spread))
    saturated, n = bool(numbers.get("saturated")), int(numbers.get("n") or 0)
    tuned_t, statistics = number(numbers.get("tuned_t")), str(numbers.get("statistics") or "")
    bounds = {str(name): (number(low), number(high)) for name, (low, high) in (numbers.get("intervals") or {}).items()}
    known = {name: (low, high) for name, (low, high) in bounds.items() if low is not None and high is not None}
    return Reading(key, accuracy, std, macro_f1, t, saturated, metrics, tuned_t, n, statistics, known)


def number(value: object) -> float | None:
    """Return a finite number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def _text(record: Record, name: str) -> str:
    """Return a text field made safe, on one line."""
    return _lines(record, name).replace("\n", "; ")


def _lines(record: Record, name: str) -> str:
    """Return a text field made safe, its line breaks kept."""
    return "\n".join(clean(line) for line in str(record.get(name) or "").split("\n"))
