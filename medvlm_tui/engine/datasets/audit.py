"""What a careful reviewer asks of a dataset: counts, unreadable files, duplicates, leakage between parts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.base import open_dataset
from medvlm_tui.engine.datasets.duplicates import clusters, exact_sets, near_pairs
from medvlm_tui.engine.datasets.fingerprints import Fingerprint, fingerprints
from medvlm_tui.errors import ImageError

Progress = Callable[[int, int], None]
ALL_PARTS = "all"


@dataclass(frozen=True, slots=True)
class CountRow:
    """Images of one class in one part."""

    part: str
    label: str
    images: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that gives no image."""

    image: str
    reason: str


@dataclass(frozen=True, slots=True)
class DuplicateSet:
    """Images that show the same picture."""

    kind: Literal["exact", "near"]
    images: tuple[str, ...]
    labels: tuple[str, ...]
    """The different labels among them: more than one is a label conflict."""
    parts: tuple[str, ...]
    """The different parts: more than one leaks from training to test."""
    groups: tuple[str, ...]
    """The different groups: more than one means that a split by group leaks too."""
    correlation: float
    """Of the least alike linked pair's thumbnails; 1 for exact ones."""


@dataclass(frozen=True, slots=True)
class GroupLeak:
    """A patient, slide or lesion with images in more than one part."""

    group: str
    parts: tuple[str, ...]
    images: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything that was found; duplicates are of all parts together, by the classes as read."""

    dataset: str
    root: str
    images: int
    counts: tuple[CountRow, ...]
    differences: tuple[str, ...]
    """From the catalog, in sentences; empty when the study's part is as it says."""
    unreadable: tuple[Unreadable, ...]
    exact: tuple[DuplicateSet, ...]
    near: tuple[DuplicateSet, ...]
    """Sets with at least one pair that is not exact."""
    group_leaks: tuple[GroupLeak, ...]
    seconds: float

    @property
    def matches(self) -> bool:
        """Whether counts are the catalog's and every file can be read."""
        return not self.differences and not self.unreadable

    @property
    def conflicts(self) -> tuple[DuplicateSet, ...]:
        """Sets whose images carry different labels, exact ones first."""
        return tuple(found for found in (*self.exact, *self.near) if len(found.labels) > 1)

    @property
    def crossing(self) -> tuple[DuplicateSet, ...]:
        """Sets with images in more than one part, exact ones first."""
        return tuple(found for found in (*self.exact, *self.near) if len(found.parts) > 1)

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict, with `matches`."""
        return {**asdict(self), "matches": self.matches}


def audit(
    spec: DatasetSpec,
    root: Path | None = None,
    digests: FileDigests | None = None,
    workers: int = 2,
    progress: Progress | None = None,
) -> AuditReport:
    """Read every image of every part once and return what is wrong with the dataset.

    `progress` is told (done, total) every 64 images and may raise to stop. Raises what `open_dataset` raises.
    """
    started = time.monotonic()
    known = digests or FileDigests()
    differences = open_dataset(spec, root, digests=known).warnings
    part = ALL_PARTS if ALL_PARTS in spec.parts else ""
    everything = open_dataset(replace(spec, views={}), root, part=part, digests=known)
    samples = everything.samples
    total = len(samples)
    found = fingerprints(samples, workers, lambda done: progress(done, total) if progress else None)
    readable = [f if isinstance(f, Fingerprint) else None for f in found]
    return AuditReport(
        dataset=spec.id,
        root=str(everything.root),
        images=total,
        counts=_counts(samples),
        differences=differences,
        unreadable=tuple(
            Unreadable(s.id, f.message) for s, f in zip(samples, found, strict=True) if isinstance(f, ImageError)
        ),
        exact=tuple(_described("exact", samples, rows, 1.0) for rows in exact_sets(readable)),
        near=_near(samples, readable),
        # Where the study uses all parts they are no splits (magnifications), and a patient in several is right.
        group_leaks=() if spec.parts[:1] == (ALL_PARTS,) else _group_leaks(samples),
        seconds=time.monotonic() - started,
    )


def duplicate_groups(samples: Sequence[Sample], report: AuditReport) -> tuple[str, ...]:
    """Return a group for each sample that joins its own group with those of its exact and near duplicates.

    For splits that must not have the same picture on both sides. A sample with neither group nor duplicate gets "".
    """
    row = {sample.id: i for i, sample in enumerate(samples)}
    links = [link for found in (*report.exact, *report.near) for link in _links(found, row)]
    first: dict[str, int] = {}
    for i, sample in enumerate(samples):
        if sample.group:
            links.append((first.setdefault(sample.group, i), i))
    groups = [sample.group for sample in samples]
    for members in clusters(len(samples), links):
        name = next((samples[i].group for i in members if samples[i].group), f"same as {samples[members[0]].id}")
        for i in members:
            groups[i] = name
    return tuple(groups)


def _links(found: DuplicateSet, row: dict[str, int]) -> list[tuple[int, int]]:
    members = [row[image] for image in found.images if image in row]
    return [(members[0], other) for other in members[1:]]


def _counts(samples: Sequence[Sample]) -> tuple[CountRow, ...]:
    found = Counter((sample.part, sample.label) for sample in samples)
    return tuple(CountRow(part, label, n) for (part, label), n in sorted(found.items()))


def _near(samples: Sequence[Sample], found: Sequence[Fingerprint | None]) -> tuple[DuplicateSet, ...]:
    pairs = near_pairs(found)
    correlation = {(first, second): value for first, second, value in pairs}
    sets = []
    for rows in clusters(len(samples), correlation):
        members = set(rows)
        least = min(value for (first, _), value in correlation.items() if first in members)
        if len({f.pixels for i in rows if (f := found[i]) is not None}) > 1:
            sets.append(_described("near", samples, rows, least))
    return tuple(sets)


def _described(
    kind: Literal["exact", "near"], samples: Sequence[Sample], rows: Sequence[int], correlation: float
) -> DuplicateSet:
    members = [samples[i] for i in rows]
    return DuplicateSet(
        kind=kind,
        images=tuple(sample.id for sample in members),
        labels=tuple(sorted({sample.label for sample in members})),
        parts=tuple(sorted({sample.part for sample in members})),
        groups=tuple(sorted({sample.group for sample in members})),
        correlation=correlation,
    )


def _group_leaks(samples: Sequence[Sample]) -> tuple[GroupLeak, ...]:
    parts: dict[str, set[str]] = {}
    for sample in samples:
        if sample.group:
            parts.setdefault(sample.group, set()).add(sample.part)
    images = Counter(sample.group for sample in samples)
    return tuple(GroupLeak(g, tuple(sorted(p)), images[g]) for g, p in sorted(parts.items()) if len(p) > 1)
