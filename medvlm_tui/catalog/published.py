"""The scores that the study's authors printed, read from published.csv: what our tables are compared with."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from medvlm_tui.errors import MedvlmError

PAPER = "arXiv 2026"
POSTER = "IFMIA 2025 poster"
SOURCES = (PAPER, POSTER)
CATALOG_PATH = Path(__file__).with_name("published.csv")

Mark = Literal["", "dagger", "star", "unknown"]
_MARKS = ("", "dagger", "star", "unknown")
_HINT = "compare it with the published.csv that the program was installed with"
# The paper's F1 is macro; BreakHis's exceeds its accuracy for every model, as only the malignant class's F1 does.
_POSITIVE_F1_DATASETS = frozenset({"breakhis"})


@dataclass(frozen=True, slots=True)
class PublishedScore:
    """One printed cell."""

    source: str
    """One of SOURCES."""
    table: str
    group: str
    model: str
    """The model's id in the catalog."""
    printed_model: str
    dataset: str
    metric: Literal["accuracy", "f1"]
    """As printed; `metric_for` says which of ours compares with f1."""
    mean: float
    """A fraction; printed as percent, without decimals in the paper."""
    std: float
    """A fraction. The paper prints the same spread for accuracy and F1 in all of its 168 pairs."""
    mark: Mark
    """dagger: the modality was in the training data; star: the dataset itself; unknown: the authors are not certain."""
    note: str
    """`copy_error`: repeats another column; never to be compared with."""


@cache
def load_published(path: Path = CATALOG_PATH) -> tuple[PublishedScore, ...]:
    """Return every row in the file's order, copy errors too; raises MedvlmError naming the line."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise MedvlmError(f"{path} cannot be read: {error}", _HINT) from error
    return tuple(_score(path.name, line, row) for line, row in enumerate(rows, start=2))


def metric_for(dataset: str, printed: str) -> str:
    """Return the metric of ours that a printed one compares with: f1 is macro_f1, on BreakHis f1_positive."""
    if printed != "f1":
        return printed
    return "f1_positive" if dataset in _POSITIVE_F1_DATASETS else "macro_f1"


def published(dataset_id: str, model_id: str, metric: str, source: str = PAPER) -> PublishedScore | None:
    """Return the printed score that `metric` (our name) compares with, None where there is none to trust."""
    return _index(source).get((dataset_id, model_id, metric))


@cache
def _index(source: str) -> Mapping[tuple[str, str, str], PublishedScore]:
    return {
        (score.dataset, score.model, metric_for(score.dataset, score.metric)): score
        for score in load_published()
        if score.source == source and score.note != "copy_error"
    }


def _score(name: str, line: int, row: Mapping[str, str | None]) -> PublishedScore:
    try:
        source, metric, mark = row["source"], row["metric"], row["mark"]
        if source not in SOURCES or metric not in ("accuracy", "f1") or mark not in _MARKS:
            raise ValueError(f"source {source!r}, metric {metric!r} or mark {mark!r} is unknown")
        return PublishedScore(
            source=source,
            table=row["table"] or "",
            group=row["group"] or "",
            model=row["id"] or "",
            printed_model=row["model"] or "",
            dataset=row["dataset"] or "",
            metric=cast(Literal["accuracy", "f1"], metric),
            mean=_fraction(row["mean_percent"]),
            std=_fraction(row["std_percent"]),
            mark=cast(Mark, mark),
            note=row["note"] or "",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MedvlmError(f"{name} line {line}: {error}", _HINT) from error


def _fraction(percent: str | None) -> float:
    value = float(percent or "")
    if not 0 <= value <= 100:
        raise ValueError(f"{value} is no percentage")
    # Rounded: 91 / 100 and 0.91 are then one number.
    return round(value / 100, 6)
