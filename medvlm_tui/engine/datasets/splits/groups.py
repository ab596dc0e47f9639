"""Which images a split by group keeps together: the release's own groups, or clusters of near duplicates."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.specs import Dataset, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.datasets.likeness.duplicates import clusters, exact_sets, near_pairs
from medvlm_tui.engine.datasets.likeness.fingerprints import Fingerprint, Found, fingerprints

Result = TypeVar("Result")
CLUSTER = "near-duplicate cluster"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SplitGroups:
    """A group for each image of a dataset."""

    names: tuple[str, ...]
    """One per sample, in the dataset's order; empty for an image that stands alone."""
    key: str
    """Kind of group: `patient`, `slide`, `lesion`, `group`, or CLUSTER."""
    ids: tuple[str, ...]
    """Of the samples, in the same order."""

    def of(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return the groups of some of the images, those of a feature table's rows for instance."""
        named = dict(zip(self.ids, self.names, strict=True))
        return tuple(named[i] for i in ids)


def split_groups(
    dataset: Dataset,
    store: Store | None = None,
    window: str = FILE,
    workers: int = 2,
    progress: Progress | None = None,
) -> SplitGroups:
    """Return the groups of a dataset for `grouping.split_by_group`.

    Where the release names any, they are its own; else images with equal or nearly equal pixels are one group, for
    which every image is read once (what was read is kept in `store`, block by block). `progress` is told (done, total)
    and may raise to stop.
    """
    ids = tuple(sample.id for sample in dataset.samples)
    if any(sample.group for sample in dataset.samples):
        return SplitGroups(tuple(sample.group for sample in dataset.samples), dataset.spec.group_key or "group", ids)
    total = len(dataset.samples)
    found = finished(
        fingerprints(dataset.samples, workers, window, store), lambda done: progress(done, total) if progress else None
    )
    return SplitGroups(cluster_groups(dataset.samples, found), CLUSTER, ids)


def cluster_groups(samples: Sequence[Sample], found: Sequence[Found]) -> tuple[str, ...]:
    """Return a group for each sample that joins its own group with those of its exact and near duplicates.

    A sample with neither group nor duplicate gets "".
    """
    readable = [f if isinstance(f, Fingerprint) else None for f in found]
    links = [(rows[0], other) for rows in exact_sets(readable) for other in rows[1:]]
    links += [(first, second) for first, second, _ in near_pairs(readable)]
    first_row: dict[str, int] = {}
    for row, sample in enumerate(samples):
        if sample.group:
            links.append((first_row.setdefault(sample.group, row), row))
    groups = [sample.group for sample in samples]
    for members in clusters(len(samples), links):
        name = next((samples[i].group for i in members if samples[i].group), f"same as {samples[members[0]].id}")
        for i in members:
            groups[i] = name
    return tuple(groups)


def finished(work: Generator[int, None, Result], told: Callable[[int], None]) -> Result:
    """Do all of the work, telling how much is done; `told` may raise to stop."""
    while True:
        try:
            done = next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        try:
            told(done)
        except BaseException:
            work.close()
            raise
