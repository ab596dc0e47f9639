"""Division that a dataset would have: the counts that a reader checks before any model is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from medvlm_tui.core.specs import Dataset
from medvlm_tui.engine.datasets.splits.by_group import split_by_group
from medvlm_tui.engine.datasets.splits.stratified import Split, split
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.probe import SplitParams
from medvlm_tui.stages.records.check import SplitPlan, SplitRow, Unit


def split_plans(study: Dataset, clusters: Mapping[str, str], params: SplitParams) -> tuple[SplitPlan, ...]:
    """Return the split by image, and the one by group: the release's own, else near-duplicate clusters.

    `clusters` is sample id -> cluster. A list without labels has none.
    """
    labels = [sample.label for sample in study.samples]
    if not all(labels):
        return ()
    groups = [sample.group for sample in study.samples]
    if not any(groups):
        groups = [clusters[sample.id] for sample in study.samples]
    plans = [_plan("image", study.classes, labels, params, lambda: split(labels, params))]
    if any(groups):
        plans.append(_plan("group", study.classes, labels, params, lambda: split_by_group(labels, groups, params)))
    return tuple(plans)


def _plan(
    by: Unit, classes: Sequence[str], labels: Sequence[str], params: SplitParams, draw: Callable[[], Split]
) -> SplitPlan:
    asked = (params.hold_out, params.folds, params.seed)
    try:
        drawn = draw()
    except MedvlmError as error:
        return SplitPlan(by, *asked, problem=f"{error.message}: {error.hint}")
    return SplitPlan(by, *asked, rows=tuple(_row(name, labels, drawn, params.folds) for name in classes))


def _row(name: str, labels: Sequence[str], drawn: Split, folds: int) -> SplitRow:
    sides = [int(side) for side, label in zip(drawn.fold, labels, strict=True) if label == name]
    return SplitRow(name, sides.count(-1), tuple(sides.count(fold) for fold in range(folds)))
