"""The files of a finished run, read back: its manifest, its scores and its predictions."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MissingInputError, UsageError
from medvlm_tui.report.results.naming import file_stem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_HINT = "name the folder that a run wrote, its --out: it holds manifest.json and results.csv"
_SCORE = "score_"


@dataclass(frozen=True, slots=True, order=True)
class CellName:
    """The model, the dataset and the protocol of a score."""

    model: str
    dataset: str
    label_view: str
    protocol: str
    feature: str


@dataclass(frozen=True, slots=True)
class Score:
    """One row of results.csv."""

    mean: float
    low: float | None
    high: float | None
    n_test: int
    seeds: int = 1
    """Hold-outs over which it is the mean."""


@dataclass(frozen=True, slots=True)
class HoldOutScores:
    """The decision values of one cell's classifiers, one per fold, on the held-out images."""

    images: tuple[str, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    scores: Floats
    """(F, n, k) decision values, one row per image in the order of `images`."""
    groups: Ints | None = None
    """(n,) number of each image's group under `grouped`; None where the file names none."""

    def in_order(self, places: Sequence[int]) -> HoldOutScores:
        """Return the same with the images of these places, in their order."""
        return HoldOutScores(
            tuple(self.images[place] for place in places),
            tuple(self.labels[place] for place in places),
            self.classes,
            self.scores[:, list(places)],
            None if self.groups is None else self.groups[list(places)],
        )


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run's folder."""

    folder: Path
    manifest: Mapping[str, Any]
    scores: Mapping[CellName, Mapping[str, Score]]
    """Cell -> metric -> score; without the rows of the final classifiers."""

    @classmethod
    def read(cls, folder: Path) -> RunFiles:
        """Read manifest and scores; raises MissingInputError for no such run, UsageError for files that are damaged."""
        for name in ("manifest.json", "results.csv"):
            if not (folder / name).is_file():
                raise MissingInputError(f"{clean(str(folder))} has no {name}", _HINT)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            scores = _scores(folder / "results.csv")
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise UsageError(
                f"{clean(str(folder))} holds files that no run wrote: {clean(str(error))}", _HINT
            ) from error
        if not isinstance(manifest, dict):
            raise UsageError(f"{clean(str(folder))}: manifest.json is not a record", _HINT)
        return cls(folder, manifest, scores)

    def hold_out(self, cell: CellName) -> HoldOutScores | None:
        """Return the decision values of a cell; None where its file is not there or holds another label view.

        Raises UsageError for a file that no run wrote.
        """
        path = self.folder / "predictions" / f"{file_stem(cell.model, cell.dataset, cell.protocol)}.csv"
        if not path.is_file():
            return None
        try:
            return _hold_out(path, cell)
        except (ValueError, KeyError, csv.Error) as error:
            message = f"{clean(str(path))} cannot be read: {clean(str(error))}"
            raise UsageError(message, "write the run again, or compare without its folder predictions/") from error


def _scores(path: Path) -> dict[CellName, dict[str, Score]]:
    found: dict[CellName, dict[str, Score]] = defaultdict(dict)
    for row in _rows(path):
        if row["protocol"].endswith("/final"):
            continue
        cell = CellName(row["model"], row["dataset"], row["label_view"], row["protocol"], row["feature"])
        low, high = (float(row[name]) if row[name] else None for name in ("ci_low", "ci_high"))
        seeds = int(row.get("seeds") or 1)
        found[cell][row["metric"]] = Score(float(row["mean"]), low, high, int(row["n_test"]), seeds)
    return dict(found)


def _hold_out(path: Path, cell: CellName) -> HoldOutScores | None:
    """Return the rows of the folds' classifiers on the hold-out, or None where there are none of this cell."""
    folds: dict[str, dict[str, list[float]]] = defaultdict(dict)
    labels: dict[str, str] = {}
    groups: dict[str, int] = {}
    classes: tuple[str, ...] = ()
    for row in _rows(path):
        if row["part"] != "test" or row["fold"] == "final":
            continue
        if (row["label_view"], row["feature"]) != (cell.label_view, cell.feature):
            return None
        classes = classes or tuple(name.removeprefix(_SCORE) for name in row if name.startswith(_SCORE))
        label = row["label"]
        labels[row["image"]] = label if label in classes else label.removeprefix("'")  # the mark of csv_file.safe
        if row.get("group"):
            groups[row["image"]] = int(row["group"])
        folds[row["fold"]][row["image"]] = [float(row[_SCORE + name]) for name in classes]
    if not folds:
        return None
    images = tuple(labels)
    scores = np.array([[fold[image] for image in images] for _, fold in sorted(folds.items())])
    numbers = np.array([groups[image] for image in images], dtype=np.int64) if groups else None
    return HoldOutScores(images, tuple(labels.values()), classes, scores, numbers)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, strict=True)
