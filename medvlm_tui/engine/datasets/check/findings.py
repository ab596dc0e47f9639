"""Questions of a reviewer about a dataset: counts, unreadable files, duplicates, leakage between parts, the split."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.datasets.likeness.duplicates import clusters, exact_sets, near_pairs
from medvlm_tui.engine.datasets.likeness.feature_pairs import FeaturePairs, fullest_encoder, pairs_by_features
from medvlm_tui.engine.datasets.likeness.fingerprints import Fingerprint, fingerprints
from medvlm_tui.engine.datasets.likeness.image_prints import HIDDEN
from medvlm_tui.engine.datasets.opening import ALL_PARTS, open_dataset, open_every_part, part_differences
from medvlm_tui.engine.datasets.splits.groups import CLUSTER, Progress, cluster_groups, finished
from medvlm_tui.engine.datasets.splits.plan import split_plans
from medvlm_tui.errors import ImageError
from medvlm_tui.stages.params.probe import SplitParams
from medvlm_tui.stages.records.check import (
    AuditReport,
    CountRow,
    DuplicateSet,
    GroupLeak,
    Groups,
    Kind,
    Unreadable,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Input of an audit: the study's part in the tables' labels, and every part by the classes as read."""

    study: Dataset
    everything: Dataset


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Settings that the result of an audit depends on besides the files."""

    window: str = FILE
    split: SplitParams = field(default_factory=SplitParams)
    workers: int = 2


def open_subject(spec: DatasetSpec, root: Path | None = None, digests: FileDigests | None = None) -> Subject:
    """Open a dataset for an audit; raises what `open_dataset` raises."""
    known = digests or FileDigests()
    return Subject(open_dataset(spec, root, digests=known), open_every_part(spec, root, known))


def audit(
    spec: DatasetSpec,
    root: Path | None = None,
    digests: FileDigests | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
    options: AuditOptions | None = None,
) -> AuditReport:
    """Read every image of every part once and return what is wrong with the dataset.

    `progress` is told (done, total) block by block and may raise to stop; `store` keeps what was read of the images,
    and its features are looked at where it has any. Raises what `open_dataset` raises.
    """
    subject = open_subject(spec, root, digests)
    total = len(subject.everything.samples)
    encoder = None if store is None else fullest_encoder(store, subject.everything.samples)
    work = audited(subject, options or AuditOptions(), store, encoder)
    return finished(work, lambda done: progress(done, total) if progress else None)


def audited(
    subject: Subject, options: AuditOptions, store: Store | None = None, encoder: EncoderKey | None = None
) -> Generator[int, None, AuditReport]:
    """Yield how many images were read; return the report. `encoder`: whose features in `store` are looked at."""
    started = time.monotonic()
    spec, samples = subject.study.spec, subject.everything.samples
    found = yield from fingerprints(samples, options.workers, options.window, store)
    flat = tuple(s.id for s, f in zip(samples, found, strict=True) if isinstance(f, Fingerprint) and f.level)
    readable = [f if isinstance(f, Fingerprint) and f.level != HIDDEN else None for f in found]
    near = near_pairs(readable)
    similar = pairs_by_features(samples, store, encoder, [(first, second) for first, second, _ in near])
    names = cluster_groups(samples, found)
    return AuditReport(
        dataset=spec.id,
        root=str(subject.everything.root),
        images=len(samples),
        counts=_counts(spec, samples),
        differences=(
            *(warning for warning in subject.study.warnings if warning not in subject.study.notes),
            *part_differences(spec, samples),
        ),
        notes=subject.study.notes,
        unreadable=tuple(
            Unreadable(s.id, f.message) for s, f in zip(samples, found, strict=True) if isinstance(f, ImageError)
        ),
        exact=tuple(_described("exact", samples, rows, 1.0) for rows in exact_sets(readable)),
        near=_near(samples, readable, near),
        # Where the study uses all parts they are no splits (magnifications), and a patient in several is right.
        group_leaks=() if spec.parts[:1] == (ALL_PARTS,) else _group_leaks(samples),
        seconds=time.monotonic() - started,
        window=options.window,
        flat=flat,
        similar=_similar(samples, similar),
        features_of=similar.model,
        groups=_groups(spec, samples, names),
        splits=split_plans(subject.study, {s.id: name for s, name in zip(samples, names, strict=True)}, options.split),
    )


def _counts(spec: DatasetSpec, samples: Sequence[Sample]) -> tuple[CountRow, ...]:
    """Return one row per class and part, also for those that the catalog expects and the folder lacks."""
    found = Counter((sample.part, sample.label) for sample in samples)
    present = {part for part, _ in found}
    expected = {
        (part, label): n
        for part, counts in expected_parts(spec).items()
        if part in present
        for label, n in counts.items()
    }
    rows = {*found, *expected}
    return tuple(CountRow(part, label, found[part, label], expected.get((part, label))) for part, label in sorted(rows))


def expected_parts(spec: DatasetSpec) -> dict[str, dict[str, int]]:
    """Return part as samples name it -> class as read -> images, for every part that the catalog counts."""
    study = spec.parts[0] if spec.parts else ""
    # A study that uses all parts has counts of them together, which no single part can be held against.
    own = {} if study == ALL_PARTS or not spec.counts else {study: dict(spec.counts)}
    return own | {part: dict(counts) for part, counts in spec.part_counts.items()}


def _near(
    samples: Sequence[Sample], found: Sequence[Fingerprint | None], pairs: Sequence[tuple[int, int, float]]
) -> tuple[DuplicateSet, ...]:
    correlation = {(first, second): value for first, second, value in pairs}
    sets = []
    for rows in clusters(len(samples), correlation):
        members = set(rows)
        least = min(value for (first, _), value in correlation.items() if first in members)
        if len({f.pixels for i in rows if (f := found[i]) is not None}) > 1:
            sets.append(_described("near", samples, rows, least))
    return tuple(sets)


def _similar(samples: Sequence[Sample], found: FeaturePairs) -> tuple[DuplicateSet, ...]:
    return tuple(_described("features", samples, (first, second), value) for first, second, value in found.pairs)


def _described(kind: Kind, samples: Sequence[Sample], rows: Sequence[int], correlation: float) -> DuplicateSet:
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


def _groups(spec: DatasetSpec, samples: Sequence[Sample], clusters_of: Sequence[str]) -> Groups:
    named = [sample.group for sample in samples]
    key = (spec.group_key or "group") if any(named) else CLUSTER
    sizes = Counter(named if any(named) else clusters_of)
    alone = sizes.pop("", 0)
    return Groups(key, len(sizes), alone, max(sizes.values(), default=0))
