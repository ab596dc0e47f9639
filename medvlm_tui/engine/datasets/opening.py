"""Opening a dataset: its layout found, labels viewed, files digested, counts compared with the catalog."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from medvlm_tui.core.digests import FileDigests, of_bytes
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, DatasetSpec, Sample
from medvlm_tui.engine.datasets.label_files.label_text import alike
from medvlm_tui.engine.images.reading_version import reading_version
from medvlm_tui.errors import DatasetError, MissingInputError, UsageError

DEFAULT_VIEW = "default"
ALL_PARTS = "all"
COLUMN_VIEW = "column:"
"""Label views of the user's own lists: `column:NAME` takes that column as the label."""
TAG_VIEW = "tag:"
"""Label views of the user's own DICOM folders: `tag:Modality` labels each file by that tag."""
_NAMED_DIFFERENCES = 6
_FILES_A_TASK = 64
_UNREADABLE = "unreadable-"


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples that a reader found."""

    samples: tuple[Sample, ...]
    """Labels are the classes as read; digests are empty."""
    warnings: tuple[str, ...] = ()
    """Faults of the dataset, for every table made from it: listed files that are missing, for instance."""
    notes: tuple[str, ...] = ()
    """Notes for a table that name no fault: how parts are used, or what had to be guessed."""


class Reader(Protocol):
    """A module of this folder: it knows one published layout."""

    def read(self, spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
        """Return the samples of a part (empty: the study's), their files not opened; raises DatasetError."""


def open_dataset(
    spec: DatasetSpec,
    root: Path | None = None,
    view: str = "",
    part: str = "",
    limit: int = 0,
    digests: FileDigests | None = None,
    strict: bool = False,
    workers: int = 4,
) -> Dataset:
    """Return the dataset below `root` (default: `spec.root`) in one label view and part, samples sorted by id.

    `limit` takes that many images per class, the same ones each time, 0 all; `workers` threads hash files that
    `digests` does not know yet. Raises MissingInputError (no root), UsageError (unknown view or part) and
    DatasetError (nothing to read, a class with fewer than two images; with `strict`, any difference from the catalog).
    """
    root = _existing_root(spec, root or spec.root)
    by_tag = view.startswith(TAG_VIEW) and not spec.layout
    by_column = view.startswith(COLUMN_VIEW) and spec.reader == "csv_list"
    if not by_tag and not by_column:
        _check_choice(spec, "label view", view, [DEFAULT_VIEW, *spec.views])
    if spec.parts:
        _check_choice(spec, "part", part, spec.parts)
    reading = _read(replace(spec, reader="dicom_tags") if by_tag else spec, root, view, part)
    differences = (*_count_differences(spec, part, reading.samples), *reading.warnings, *_alike(spec, reading.samples))
    if strict and differences:
        raise DatasetError(differences[0], "complete the dataset, or run without --strict")
    samples = _viewed(spec, view, reading.samples)
    _check_enough(spec, root, samples)
    notes = (f"{spec.id}: limited to {limit} images per class",) if limit else ()
    kept = _with_digests(_limited(samples, limit), digests or FileDigests(), workers)
    return Dataset(
        spec=replace(spec, root=root),
        root=root,
        view="" if view == DEFAULT_VIEW else view,
        samples=tuple(sorted(kept, key=lambda sample: sample.id)),
        classes=_classes(spec, view, kept),
        warnings=(*differences, *reading.notes, *notes, *_unreadable(spec, kept)),
        notes=reading.notes,
    )


def _read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    try:
        return reader_of(spec).read(spec, root, view, part)
    except OSError as error:
        raise _unreachable(spec, error, root) from error


def _unreachable(spec: DatasetSpec, error: OSError, root: Path) -> DatasetError:
    where = clean(str(error.filename or root))
    return DatasetError(
        f"{spec.id}: {where} cannot be read: {error.strerror or error}", "check its permissions and the disk"
    )


def open_every_part(spec: DatasetSpec, root: Path | None = None, digests: FileDigests | None = None) -> Dataset:
    """Return all parts together by the classes as read, for an audit; raises what `open_dataset` raises."""
    part = ALL_PARTS if ALL_PARTS in spec.parts else ""
    return open_dataset(replace(spec, views={}), root, part=part, digests=digests)


def reader_of(spec: DatasetSpec) -> Reader:
    """Return the module that reads the layout; raises DatasetError when a library that it needs is missing."""
    try:
        return cast(Reader, import_module(f"medvlm_tui.engine.datasets.layouts.{spec.reader}"))
    except ModuleNotFoundError as error:
        raise DatasetError(f"{spec.id}: reading it needs {error.name}", f"pip install {error.name}") from error


def view_classes(spec: DatasetSpec, view: str = "") -> tuple[str, ...]:
    """Return the classes that the catalog expects in a view, in the order of tables and figures."""
    mapping = spec.views.get(view or DEFAULT_VIEW, {name: name for name in spec.classes})
    return tuple(dict.fromkeys(mapping[name] for name in spec.classes if name in mapping))


def how_to_give(spec: DatasetSpec) -> str:
    """Return the hint that tells how to get the dataset and where to name its folder."""
    where = f"then --data {spec.id}=DIR, or root in [datasets.{spec.id}] of the settings"
    lines = [spec.how_to_get, spec.homepage, where]
    return "; ".join(line for line in lines if line)


def nothing_found(spec: DatasetSpec, root: Path) -> DatasetError:
    """Return the error of a folder that does not have the dataset's layout."""
    layout = f"; expected below it:\n{spec.layout}" if spec.layout else ""
    return DatasetError(
        f"{spec.id}: no images of the expected layout in {clean(str(root))}",
        f"check that the folder is the right one and unpacked ({spec.homepage or 'see the documentation'}){layout}",
    )


def missing_files(spec: DatasetSpec, missing: Collection[str], found: int) -> tuple[str, ...]:
    """Return one sentence for all the images that a label file lists and the folder lacks."""
    if not missing:
        return ()
    share = f"{len(missing):,} of {found + len(missing):,}"
    return (f"{spec.id}: {share} listed images are not there, the first is {clean(min(missing))}",)


def counted_parts(spec: DatasetSpec, samples: Collection[Sample], part: str) -> tuple[str, ...]:
    """Return one sentence that names the parts of a dataset of the user's own, where they are used together."""
    counts = Counter(sample.part for sample in samples)
    if part or len(counts) < 2:
        return ()
    named = ", ".join(f"{clean(name) or 'no part'} ({n:,})" for name, n in sorted(counts.items()))
    return (
        f"{spec.id}: its parts {named} are pooled; hold-out and folds are drawn anew from all of them, and --part "
        "takes one alone",
    )


def _alike(spec: DatasetSpec, samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return one sentence for each set of classes that look alike by name; a catalog's classes are known to differ."""
    if spec.classes:
        return ()
    counts = Counter(sample.label for sample in samples if sample.label)
    return tuple(
        f"{spec.id}: the classes {' and '.join(f'{clean(name)} ({counts[name]:,})' for name in names)} differ only in "
        f"{difference}: give them one name if they are one class"
        for names, difference in alike(counts)
    )


def _existing_root(spec: DatasetSpec, root: Path | None) -> Path:
    if root is None:
        raise MissingInputError(f"{spec.id}: no folder is known for {spec.name}", how_to_give(spec))
    root = root.expanduser()
    try:
        there = root.exists()
    except OSError as error:  # a folder above it that this user cannot enter
        raise _unreachable(spec, error, root) from error
    if not there:
        raise MissingInputError(f"{spec.id}: {clean(str(root))} does not exist", how_to_give(spec))
    return root


def _check_choice(spec: DatasetSpec, what: str, chosen: str, known: Iterable[str]) -> None:
    if chosen and chosen not in (names := tuple(known)):
        offered = ", ".join(clean(name) for name in names) or "no other than the default"
        raise UsageError(f"{spec.id} has no {what} {clean(chosen)!r}", f"it has: {offered}")


def _count_differences(spec: DatasetSpec, part: str, samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return one sentence when the study's part does not have the catalog's counts."""
    if not spec.published_n or (part and part != spec.parts[0]):
        return ()
    found = Counter(sample.label for sample in samples)
    if found.total() in spec.also_complete:
        return ()
    return _differences(f"{spec.id}:", found, spec.counts, spec.published_n)


def part_differences(spec: DatasetSpec, samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return one sentence for each other part that is there and does not have the catalog's counts."""
    found: dict[str, Counter[str]] = {}
    for sample in samples:
        found.setdefault(sample.part, Counter())[sample.label] += 1
    return tuple(
        sentence
        for part, counts in spec.part_counts.items()
        if part in found
        for sentence in _differences(f"{spec.id} {part}:", found[part], counts, sum(counts.values()))
    )


def _differences(what: str, found: Counter[str], counts: Mapping[str, int], total: int) -> tuple[str, ...]:
    wrong = [f"{name} {found[name]:,} of {n:,}" for name, n in counts.items() if found[name] != n]
    strangers = sorted(set(found) - set(counts)) if counts else []
    wrong += [f"{clean(name)} {found[name]:,} of 0" for name in strangers]
    if found.total() == total and not wrong:
        return ()
    shown = [*wrong[:_NAMED_DIFFERENCES], *(["..."] if len(wrong) > _NAMED_DIFFERENCES else [])]
    detail = f" ({', '.join(shown)})" if shown else ""
    return (f"{what} {found.total():,} images found, the catalog says {total:,}{detail}",)


def _viewed(spec: DatasetSpec, view: str, samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples with the view's labels, without those whose class the view does not name."""
    mapping = spec.views.get(view or DEFAULT_VIEW)
    if mapping is None:
        return list(samples)
    return [replace(sample, label=mapping[sample.label]) for sample in samples if sample.label in mapping]


# Where more labels than this share of the images stand alone, the column is something else than a class.
_MOST_ALONE = 0.5
_FEWEST_FOR_A_MEASUREMENT = 8


def _check_enough(spec: DatasetSpec, root: Path, samples: list[Sample]) -> None:
    if not samples:
        raise nothing_found(spec, root)
    if not any(sample.label for sample in samples):
        return  # a list without labels
    counts = Counter(sample.label for sample in samples)
    alone = sum(n == 1 for n in counts.values())
    if alone > _MOST_ALONE * len(samples) and len(samples) > _FEWEST_FOR_A_MEASUREMENT:
        raise DatasetError(
            f"{spec.id}: {len(samples):,} images have {len(counts):,} different labels, {alone:,} of them on one image",
            "a measurement or an id is no class: `--label column:NAME` takes another column",
        )
    label, n = min(counts.items(), key=lambda item: (item[1], item[0]))
    if n < 2:
        raise DatasetError(
            f"{spec.id}: class {clean(label)} has {n} image; a class needs at least 2",
            "add images of the class, or leave the class out",
        )


def _limited(samples: list[Sample], limit: int) -> list[Sample]:
    """Return up to `limit` samples a class by the order of their ids' digests: spread over the set, and stable."""
    if not limit:
        return samples
    taken: Counter[str] = Counter()
    kept = []
    for sample in sorted(samples, key=lambda s: (of_bytes(os.fsencode(s.id)), s.id)):
        taken[sample.label] += 1
        if taken[sample.label] <= limit:
            kept.append(sample)
    return kept


def _with_digests(samples: list[Sample], known: FileDigests, workers: int) -> list[Sample]:
    # xxh3 releases the interpreter lock, and on a network disk the waiting overlaps too. A task of one file costs more
    # than looking up an unchanged one (0.2 ms against 0.03 ms).
    chunks = [samples[i : i + _FILES_A_TASK] for i in range(0, len(samples), _FILES_A_TASK)]
    with ThreadPoolExecutor(max(1, workers)) as pool:
        done = pool.map(lambda chunk: [_digested(sample, known) for sample in chunk], chunks)
        return [sample for chunk in done for sample in chunk]


def _digested(sample: Sample, known: FileDigests) -> Sample:
    try:
        digest = known.of(sample.path)
        reading = known.remembered(sample.path, "reading", reading_version)
    except OSError:
        # Its own digest each, so that extraction tries each, and each fails for itself.
        return replace(sample, digest=_UNREADABLE + of_bytes(os.fsencode(sample.id)))
    # Of a file that the first release read in the same way the digest is the first release's.
    parts = [digest, *([sample.frame] if sample.frame else []), *([f"reading {reading}"] if reading else [])]
    return replace(sample, digest=of_bytes("/".join(parts).encode()) if len(parts) > 1 else digest)


def _classes(spec: DatasetSpec, view: str, samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the classes that occur: in the catalog's order, then others by name."""
    present = {sample.label for sample in samples if sample.label}
    known = view_classes(spec, view)
    return (*(name for name in known if name in present), *sorted(present - set(known)))


def _unreadable(spec: DatasetSpec, samples: list[Sample]) -> tuple[str, ...]:
    names = sorted(sample.id for sample in samples if sample.digest.startswith(_UNREADABLE))
    if not names:
        return ()
    return (f"{spec.id}: {len(names):,} of {len(samples):,} files cannot be read, the first is {clean(names[0])}",)
