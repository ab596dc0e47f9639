"""Differences of two runs, cell by cell, and whether they are more than chance on the images that both held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from medvlm_tui.measures.classification import evaluate
from medvlm_tui.measures.exchange import Images, Outputs, exchange_p_values
from medvlm_tui.measures.influence import influences, variance
from medvlm_tui.measures.paired_scores import draws_p_value, score_difference
from medvlm_tui.measures.paired_tests import holm
from medvlm_tui.measures.score_intervals import draws_variance
from medvlm_tui.report.two_runs.run_files import CellName, Floats, HoldOutScores, Ints, RunFiles, Score

Finding = Literal["equal", "not told apart", "differs", "not tested"]
ROUNDING = 1e-9
ALPHA = 0.05
DRAWS = 9_999
_SETTINGS = ("versions", "device", "seeds", "settings")
_PLACES = frozenset({"out", "data", "weights", "workspace"})


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of one cell in both runs."""

    cell: CellName
    metric: str
    before: Score
    after: Score
    finding: Finding
    low: float | None = None
    """The interval of after less before, on the same held-out images."""
    high: float | None = None
    p_value: float | None = None
    """Adjusted by Holm over the cells of this metric."""
    reason: str = ""
    """Why nothing was tested."""

    @property
    def difference(self) -> float:
        """The score after less the score before."""
        return self.after.mean - self.before.mean


@dataclass(frozen=True, slots=True)
class Differences:
    """Everything that differs."""

    settings: Mapping[str, tuple[Any, Any]]
    """Path of the setting in manifest.json -> its value in either run."""
    datasets: tuple[str, ...]
    """Datasets whose images or labels are not the same."""
    only_before: tuple[CellName, ...]
    only_after: tuple[CellName, ...]
    changes: tuple[Change, ...]


def compare_runs(before: RunFiles, after: RunFiles) -> Differences:
    """Return what differs between two runs; raises UsageError for files that no run wrote."""
    shared = sorted(set(before.scores) & set(after.scores))
    changes = [change for cell in shared for change in _changes(cell, before, after)]
    return Differences(
        settings=dict(_settings(before.manifest, after.manifest)),
        datasets=tuple(_other_datasets(before.manifest, after.manifest)),
        only_before=tuple(sorted(set(before.scores) - set(after.scores))),
        only_after=tuple(sorted(set(after.scores) - set(before.scores))),
        changes=tuple(_adjusted(changes)),
    )


def _changes(cell: CellName, before: RunFiles, after: RunFiles) -> Iterator[Change]:
    first, second = before.scores[cell], after.scores[cell]
    moved = [name for name in first if name in second and abs(first[name].mean - second[name].mean) > ROUNDING]
    tested, reason = _tests(cell, before, after) if moved else ({}, "")
    for name in first:
        if name not in second:
            continue
        if name not in moved:
            yield Change(cell, name, first[name], second[name], "equal")
        elif name in tested:
            low, high, p_value = tested[name]
            yield Change(cell, name, first[name], second[name], "not told apart", low, high, p_value)
        else:
            why = reason or "this metric has no paired test"
            yield Change(cell, name, first[name], second[name], "not tested", reason=why)


def _tests(cell: CellName, before: RunFiles, after: RunFiles) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Return metric -> interval and p-value of after less before, or why there are none."""
    seeds = {score.seeds for run in (before, after) for score in run.scores[cell].values()}
    if seeds != {1}:
        return {}, "scores are means over several hold-outs, and predictions/ holds the first one alone"
    first, second = before.hold_out(cell), after.hold_out(cell)
    if first is None or second is None:
        return {}, "a run has no predictions/ of this cell"
    if dict(zip(first.images, first.labels, strict=True)) != dict(zip(second.images, second.labels, strict=True)):
        return {}, "other images were held out, or their labels differ"
    if first.classes != second.classes:
        return {}, "the classes differ"
    place = {image: number for number, image in enumerate(second.images)}
    again = second.in_order([place[image] for image in first.images])
    if cell.protocol == "grouped":
        if first.groups is None or again.groups is None:
            return {}, "predictions/ of a run names no groups: an earlier release wrote it"
        if not _same_groups(first.groups, again.groups):
            return {}, "the images are grouped in another way"
    if cell.protocol == "few_shot":
        if len(first.scores) != len(again.scores):
            return {}, "the runs drew training images another number of times"
        return _paired(first, again, draws=True), ""
    return _paired(first, again, draws=False), ""


def _same_groups(first: Ints, second: Ints) -> bool:
    """Return whether two numberings of the images' groups keep the same images together."""
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    return len(pairs) == len(set(first.tolist())) == len(set(second.tolist()))


def _paired(first: HoldOutScores, second: HoldOutScores, draws: bool) -> dict[str, tuple[float, float, float]]:
    """Return metric -> interval and p-value of second less first on the same images in one order.

    With `draws` the classifiers are of draws of training images, whose spread counts too.
    """
    codes = np.array([first.classes.index(label) for label in first.labels], dtype=np.int64)
    images = Images(codes, len(first.classes), 1 if len(first.classes) == 2 else None, first.groups)
    p_values = exchange_p_values(images, Outputs.of(second.scores), Outputs.of(first.scores), DRAWS, 0)
    old, new = (influences(codes, each.scores, images.positive) for each in (first, second))
    found = {}
    for name, p_value in p_values.items():
        if name == "f1_positive":  # the files do not say which class is the positive one
            continue
        spread = 0.0
        if draws:
            gains = _of_draws(codes, second.scores, name) - _of_draws(codes, first.scores, name)
            spread = draws_variance(gains.tolist())
            by_images = variance(new[name].per_image - old[name].per_image, codes, first.groups)
            p_value = max(p_value, draws_p_value(float(gains.mean()), by_images, gains, images.units))
        gap = score_difference(new[name], old[name], codes, first.groups, draws_variance=spread)
        found[name] = (gap.low, gap.high, p_value)
    return found


def _of_draws(codes: Ints, scores: Floats, metric: str) -> Floats:
    """Return the score (F,) of each classifier alone; defined wherever the mean over them is."""
    return np.array([evaluate(codes, one, None)[metric] for one in scores], dtype=np.float64)


def _adjusted(changes: list[Change]) -> Iterator[Change]:
    """Yield the changes with the p-values of each metric adjusted over its cells, and what follows from them."""
    by_metric: dict[str, list[float]] = {}
    for change in changes:
        if change.p_value is not None:
            by_metric.setdefault(change.metric, []).append(change.p_value)
    adjusted = {metric: iter(holm(values)) for metric, values in by_metric.items()}
    for change in changes:
        if change.p_value is None:
            yield change
        else:
            p_value = next(adjusted[change.metric])
            yield replace(change, p_value=p_value, finding="differs" if p_value < ALPHA else "not told apart")


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for part in _SETTINGS:
        first, second = dict(_flat(part, before.get(part))), dict(_flat(part, after.get(part)))
        for name in sorted(set(first) | set(second)):
            if first.get(name) != second.get(name):
                yield name, (first.get(name), second.get(name))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a record by their dotted names, without the places of files."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _PLACES:
                yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def _other_datasets(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    first, second = (run.get("datasets") or {} for run in (before, after))
    for name in sorted(set(first) & set(second)):
        if first[name].get("digest") != second[name].get("digest"):
            yield name
