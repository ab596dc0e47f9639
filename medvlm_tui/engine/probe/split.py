"""Hold-out and folds of a probe; under `grouped` with a group, or a cluster of look-alikes, on one side."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.events import Event, StepProgress
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, FeatureTable, Sample
from medvlm_tui.engine.datasets.likeness.fingerprints import fingerprints
from medvlm_tui.engine.datasets.splits.by_group import split_by_group
from medvlm_tui.engine.datasets.splits.groups import cluster_groups
from medvlm_tui.engine.datasets.splits.stratified import Split, split
from medvlm_tui.engine.step.cores import cores
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.probe import ProbeParams
from medvlm_tui.stages.records.probe import GroupingRecord

_CLUSTERS_VERSION = 2


@dataclass(frozen=True, slots=True)
class Division:
    """The split of one probe."""

    rows: Split
    groups: NDArray[np.int32] | None = None
    """(n,) number of each row's group, one of its own where it has none; None under a split by image."""
    kind: str = ""
    """Kind of groups: `dataset` (its group ids) or `near_duplicates`."""

    def record(self) -> GroupingRecord | None:
        """Return what the probe's record says of the groups."""
        if self.groups is None:
            return None
        sizes = np.bincount(self.groups)
        shared = int((sizes > 1).sum())
        return GroupingRecord(kind=self.kind, groups=len(sizes), shared=shared, largest=int(sizes.max()))


def divide(
    table: FeatureTable, params: ProbeParams, job: CellJob, context: StepContext
) -> Generator[Event, None, Division]:
    """Yield progress; return the split of the protocol.

    `grouped` keeps the dataset's groups (patient, slide, lesion) together; where it names none, images that show the
    same picture. Raises MedvlmError where neither is possible, and what `split` and `split_by_group` raise.
    """
    if params.protocol != "grouped":
        return Division(split(table.labels, params.split))
    names, kind = list(table.groups), "dataset"
    if not any(names):
        of_sample = yield from look_alikes(job.dataset, job, context)
        names, kind = [of_sample.get(image, "") for image in table.ids], "near_duplicates"
        if not any(names):
            raise MedvlmError(
                f"{job.step.dataset} names no groups, and no two of its images show the same picture",
                "there is nothing to keep on one side: use the protocol paper, or give a CSV with a group column",
            )
    return Division(split_by_group(table.labels, names, params.split), group_numbers(names), kind)


def short_folds(division: Split, codes: NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    """Return a sentence for each fold that some class is not validated on."""
    notes = []
    for fold in range(int(division.fold.max()) + 1):
        missing = np.setdiff1d(np.arange(len(classes)), codes[division.validation(fold)])
        if len(missing):
            named = ", ".join(clean(classes[c]) for c in missing)
            notes.append(f"fold {fold} is validated without {named}: its validation scores are over the other classes")
    return notes


def look_alikes(dataset: Dataset, job: CellJob, context: StepContext) -> Generator[Event, None, dict[str, str]]:
    """Yield progress; return {sample id: name of its cluster} of the images that others show too.

    Kept in the store under the dataset's digest: every model asks the same.
    """
    key = of_record(["look_alikes", _CLUSTERS_VERSION, job.request.window, dataset.digest])
    known = context.store.result(key)
    if known is None:
        number = yield from _cluster_numbers(dataset.samples, job, context)
        context.store.put_result(key, {"cluster": number}, {"images": len(number), "clusters": int(number.max()) + 1})
    else:
        number = known.arrays["cluster"]
    return {
        sample.id: f"picture {cluster}"
        for sample, cluster in zip(dataset.samples, number.tolist(), strict=True)
        if cluster >= 0
    }


def _cluster_numbers(
    samples: Sequence[Sample], job: CellJob, context: StepContext
) -> Generator[Event, None, NDArray[np.int32]]:
    """Yield progress; return (n,) the number of each sample's cluster, -1 for one that stands alone."""
    workers = job.request.workers or cores()
    work = fingerprints(samples, workers, job.request.window, context.store)
    while True:
        context.check()
        try:
            done = next(work)
        except StopIteration as end:
            names = cluster_groups(samples, end.value)
            break
        yield StepProgress(job.step.id, done, len(samples), unit="images compared")
    position = {name: number for number, name in enumerate(dict.fromkeys(filter(None, names)))}
    return np.array([position.get(name, -1) for name in names], dtype=np.int32)


def group_numbers(names: Sequence[str]) -> NDArray[np.int32]:
    """Return the number (n,) of each row's group; an empty name is a group of its own."""
    alone = [name or f"\0{row}" for row, name in enumerate(names)]
    return np.unique(np.array(alone), return_inverse=True)[1].astype(np.int32)
