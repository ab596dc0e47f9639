"""Groupings that colour the points of a map: truth, prediction, errors, folds, parts, groups and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.map.data import MapData

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store.store import Stored

# Eight colours and letters are told apart; the values that follow share one.
MOST_VALUES = 25
OTHERS, NOTHING = "others", "no value"


@dataclass(frozen=True, slots=True)
class Colouring:
    """One grouping of a map's points; names are safe to show."""

    name: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    """(m,) index of each point in `names`."""

    def on(self, data: MapData) -> MapData:
        """Return the map with its points in these groups."""
        return replace(data, names=self.names, codes=self.codes)


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions for the points by classifiers that were not fitted on them."""

    names: tuple[str, ...]
    """The probe's classes, as they are."""
    codes: NDArray[np.int64]
    """(m,) predicted class, -1 where there is none."""
    margins: NDArray[np.float64]
    """(m,) highest wrong score less that of the true class; NaN where there are no scores."""


def predicted(probe: Stored[ProbeRecord], table: FeatureTable, rows: NDArray[np.int64]) -> Predicted:
    """Return what is predicted of a table's `rows` (m,): held-out images by the final classifier, others by a fold."""
    classes = probe.record.classes
    arrays, n = probe.arrays, len(table.ids)
    codes = np.full(n, -1, np.int64)
    scores = np.full((n, len(classes)), np.nan)
    if "predicted_validation" in arrays:
        codes[:] = arrays["predicted_validation"]
    if "scores_validation" in arrays:
        scores[:] = arrays["scores_validation"]
    held = arrays["hold_out"]
    if "final_predicted" in arrays:
        codes[held] = arrays["final_predicted"]
    if "final_scores" in arrays:
        scores[held] = arrays["final_scores"]
    position = {name: index for index, name in enumerate(classes)}
    truth = np.array([position.get(label, -1) for label in table.labels], np.int64)
    known = np.flatnonzero(truth >= 0)
    margins = np.full(n, np.nan)
    true_score = scores[known, truth[known]]
    wrong = scores[known].copy()
    wrong[np.arange(len(known)), truth[known]] = -np.inf
    margins[known] = wrong.max(axis=1) - true_score
    return Predicted(classes, codes[rows], margins[rows])


def errors(found: Predicted, labels: Sequence[str]) -> list[int]:
    """Return the points whose prediction is wrong, the widest margin first; `labels` (m,) are the true classes."""
    wrong = [
        at for at, (code, label) in enumerate(zip(found.codes.tolist(), labels, strict=True))
        if code >= 0 and found.names[code] != label
    ]  # fmt: skip
    return sorted(wrong, key=lambda at: -np.nan_to_num(found.margins[at], nan=-np.inf))


def colourings(
    data: MapData, table: FeatureTable, probe: Stored[ProbeRecord] | None, tags: Mapping[str, Mapping[str, str]]
) -> list[Colouring]:
    """Return every grouping that is known of a map's points, the classes first."""
    found = [Colouring("class", data.names, data.codes)]
    rows = data.rows
    if probe is not None:
        labels = [table.labels[row] for row in rows.tolist()]
        ours = predicted(probe, table, rows)
        said = [ours.names[code] if code >= 0 else "" for code in ours.codes.tolist()]
        pairs = zip(said, labels, strict=True)
        verdict = ["" if not one else "right" if one == label else "wrong" for one, label in pairs]
        held = set(probe.arrays["hold_out"].tolist())
        found += [
            by_values("prediction", said, tuple(table.classes)),
            by_values("error", verdict, ("right", "wrong")),
            by_values("part", ["hold-out" if row in held else "training" for row in rows.tolist()]),
        ]
        if "fold" in probe.arrays:
            folds = probe.arrays["fold"][rows].tolist()
            found.append(by_values("fold", [f"fold {fold + 1}" if fold >= 0 else "" for fold in folds]))
    groups = [str(table.groups[row]) for row in rows.tolist()]
    if 1 < len(set(groups)) < len(groups):
        found.append(by_values("group", groups))
    found += [by_values(f"tag {tag}", [values.get(image, "") for image in data.ids]) for tag, values in tags.items()]
    return [one for one in found if one.names]


def by_values(name: str, values: Sequence[str], order: Sequence[str] = ()) -> Colouring:
    """Return points grouped by their values: those of `order` first, then by number; the rest as others."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    listed = [value for value in order if value in counts]
    listed += sorted((value for value in counts if value and value not in listed), key=lambda value: -counts[value])
    kept = {value: index for index, value in enumerate(listed[:MOST_VALUES])}
    rest = dict.fromkeys(listed[MOST_VALUES:], OTHERS) | ({"": NOTHING} if "" in counts else {})
    names = [*kept, *dict.fromkeys(rest.values())]
    codes = [kept[value] if value in kept else names.index(rest[value]) for value in values]
    return Colouring(clean(name), tuple(map(clean, names)), np.array(codes, np.int64))
