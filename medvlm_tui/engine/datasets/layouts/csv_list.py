"""A list of images: text with separators, Parquet or .xlsx with a path and, where wanted, label, group, split, mask; or
plain paths, one on each line.

Paths are relative to the list's folder and stay inside it: the list may come from anyone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medvlm_tui.core.counts import counted, verb
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.part_names import part_of
from medvlm_tui.engine.datasets.label_files import label_text
from medvlm_tui.engine.datasets.label_files.list_rows import ListRow, ListRows, read_rows
from medvlm_tui.engine.datasets.label_files.listed_paths import PathsOfList
from medvlm_tui.engine.datasets.opening import COLUMN_VIEW, Reading, counted_parts
from medvlm_tui.engine.images.parquet_images import frame_of
from medvlm_tui.errors import DatasetError, UsageError


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the listed images that exist, of the rows whose `split` is `part` when one is given.

    `root` is the list. The view `column:NAME` takes that column as the label. Without labels the samples' label is
    empty: such a set can be encoded and projected, and nothing else. Where only some rows have none, these are left
    out. Raises DatasetError for a list without paths, for a path that leads out of the folder, and for two labels,
    groups or parts of one image.
    """
    found = read_rows(spec.id, root, view.removeprefix(COLUMN_VIEW) if view.startswith(COLUMN_VIEW) else "")
    rows, notes = _merged(found.rows), [f"{spec.id}: {note}" for note in found.notes]
    chosen = [row for row in rows if not part or row.split == (part_of(part) or part)]
    if part and not chosen:
        raise UsageError(f"{spec.id}: no line has the split {clean(part)!r}", f"it has: {_parts(rows)}")
    labelled, left_out = _labelled(spec, chosen, found)
    if found.images:
        notes += _written_twice(spec, found.rows)
        samples = tuple(_inside(root, row, found.images) for row in labelled)
        return Reading(samples, (*found.warnings, *left_out), (*notes, *counted_parts(spec, samples, part)))
    located = PathsOfList(root).locate((row.line, row.path) for row in labelled)
    samples, repeated = _samples(root, labelled, located.ids)
    missing = [row for row in labelled if row.path not in located.ids]
    if missing and not samples:
        raise _nothing_there(spec, root, missing)
    warnings = [
        *found.warnings,
        *left_out,
        *_missing(spec, missing, len(labelled)),
        *_no_masks(spec, labelled, samples),
    ]
    notes += [f"{spec.id}: {note}" for note in located.notes]
    if repeated:
        notes.append(f"{spec.id}: {counted(repeated, 'line')} {verb(repeated, 'names', 'name')} an image again")
    notes += _written_twice(spec, found.rows)
    return Reading(samples, tuple(warnings), (*notes, *counted_parts(spec, samples, part)))


def _inside(root: Path, row: ListRow, column: str) -> Sample:
    """Return an image that lies inside the list itself, called by the number of its row."""
    return Sample(row.path, root, row.label, group=row.group, part=row.split, frame=frame_of(column, int(row.path)))


def _merged(rows: Sequence[ListRow]) -> list[ListRow]:
    """Return the rows with whole numbers written in one way."""
    same = label_text.whole_numbers(row.label for row in rows)
    return [replace(row, label=same[row.label]) if row.label in same else row for row in rows] if same else list(rows)


def _written_twice(spec: DatasetSpec, rows: Sequence[ListRow]) -> Iterator[str]:
    same = label_text.whole_numbers(row.label for row in rows)
    if same:
        pairs = ", ".join(f"{a} as {b}" for a, b in sorted(same.items()))
        yield f"{spec.id}: whole numbers are written in two ways and are one class each: {pairs}"


def _labelled(spec: DatasetSpec, rows: Sequence[ListRow], found: ListRows) -> tuple[list[ListRow], list[str]]:
    """Return the rows that count and what to say of the others: those without a label, where others have one."""
    without = [row for row in rows if label_text.is_none(row.label)]
    if len(without) == len(rows):
        return [replace(row, label="") for row in rows], [f"{spec.id}: the list has no labels{_no_labels(found)}"]
    doubtful = Counter(row.label for row in rows if label_text.is_doubtful(row.label))
    said = [
        f"{spec.id}: {counted(n, 'image')} of the class {clean(name)!r}: remove the lines if it means that there "
        "is no label"
        for name, n in sorted(doubtful.items())
    ]
    said += _several_findings(spec, rows)
    if without:
        first, n = without[0], _lines(without)
        shown = f"reads {clean(first.label)!r}" if first.label else "is empty"
        said.append(
            f"{spec.id}: {n:,} of {_lines(rows):,} lines {verb(n, 'has', 'have')} no label and "
            f"{verb(n, 'is', 'are')} left out, the first is line {first.line}, where it {shown}"
        )
    return [row for row in rows if not label_text.is_none(row.label)], said


def _several_findings(spec: DatasetSpec, rows: Iterable[ListRow]) -> Iterator[str]:
    labels = {row.label for row in rows}
    joined = sorted(label for label in labels if len(parts := label.split("|")) > 1 and labels.intersection(parts))
    if joined:
        yield (
            f"{spec.id}: {counted(len(joined), 'label')} {verb(len(joined), 'joins', 'join')} several findings by |, "
            f"such as {clean(joined[0])!r}: each combination counts as a class of its own"
        )


def _lines(rows: Iterable[ListRow]) -> int:
    return sum(row.times for row in rows)


def _no_labels(found: ListRows) -> str:
    if found.label:
        return f": its column {clean(found.label)} is empty"
    if len(found.head) < 2:
        return ""
    return f": none of its columns ({clean(', '.join(found.head))}) is called label; --label column:NAME takes one"


@dataclass(frozen=True, slots=True)
class _Seen:
    """The first row that names an image."""

    row: ListRow
    sample: Sample


def _samples(root: Path, rows: Iterable[ListRow], ids: Mapping[str, str]) -> tuple[tuple[Sample, ...], int]:
    """Return one sample for each image and how many rows repeat one."""
    masks = PathsOfList(root).locate((row.line, row.mask) for row in rows if row.mask).ids
    seen: dict[str, _Seen] = {}
    repeated = 0
    for row in (row for row in rows if row.path in ids):
        name = ids[row.path]
        mask = root.parent / masks[row.mask] if row.mask in masks else None
        if name in seen:
            _refuse_contradiction(root, seen[name].row, row, name)
            repeated += row.times
            continue
        repeated += row.times - 1
        sample = Sample(name, root.parent / name, row.label, group=row.group, part=row.split, mask=mask)
        seen[name] = _Seen(row, sample)
    return tuple(each.sample for each in seen.values()), repeated


def _refuse_contradiction(root: Path, first: ListRow, second: ListRow, name: str) -> None:
    for what, a, b in (
        ("labels", first.label, second.label),
        ("parts", first.split, second.split),
        ("groups", first.group, second.group),
    ):
        if a != b:
            raise DatasetError(
                f"{second.where(root)}: {clean(name)} has two {what}, {clean(a) or 'none'} (line {first.line}) and "
                f"{clean(b) or 'none'}",
                "keep one of the lines",
            )


def _parts(rows: Iterable[ListRow]) -> str:
    return clean(", ".join(dict.fromkeys(row.split for row in rows if row.split))) or "no column split"


def _no_masks(spec: DatasetSpec, rows: Iterable[ListRow], samples: Iterable[Sample]) -> Iterator[str]:
    listed, there = len({row.mask for row in rows if row.mask}), len({sample.mask for sample in samples if sample.mask})
    if there < listed:
        yield f"{spec.id}: {listed - there:,} of {listed:,} listed masks are not there or are further ones of an image"


def _missing(spec: DatasetSpec, missing: Sequence[ListRow], listed: int) -> Iterator[str]:
    if missing:
        first = f"the first is {clean(missing[0].path)} (line {missing[0].line})"
        where = ", looked for in the list's folder" if 2 * len(missing) > listed else ""
        yield f"{spec.id}: {len(missing):,} of {listed:,} listed images are not there, {first}{where}"


def _nothing_there(spec: DatasetSpec, root: Path, missing: Sequence[ListRow]) -> DatasetError:
    return DatasetError(
        f"{spec.id}: none of the {len(missing):,} listed images is there; {_looked_for(root, missing[0])}",
        "paths are relative to the list's folder: put the list into the folder that holds the images, or correct them",
    )


def _looked_for(root: Path, row: ListRow) -> str:
    place = root.parent / row.path
    broken = " (a link that leads to nothing: fetch the file)" if place.is_symlink() else ""
    return f"{row.where(root)} names {clean(row.path)}, looked for at {clean(str(place))}{broken}"
