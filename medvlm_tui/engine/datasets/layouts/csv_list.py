"""A list of images: CSV or Parquet with `path,label` and, where wanted, `group`, `split`, `mask`; or plain paths.

Paths are relative to the list's folder and must stay inside it: the list may come from anyone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.label_files.label_table import open_table
from medvlm_tui.engine.datasets.opening import Reading, missing_files
from medvlm_tui.errors import DatasetError, UsageError


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the list."""

    where: str
    path: str
    label: str
    group: str
    split: str
    mask: str


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the listed images that exist, of the rows whose `split` is `part` when one is given.

    `root` is the list: CSV, Parquet, or text with one path a line. Without labels the samples' label is empty: such
    a set can be encoded and projected, and nothing else. Raises DatasetError for a missing path column or label, for
    a path that leads out of the folder, and for two labels of one path.
    """
    samples: dict[str, Sample] = {}
    missing: list[str] = []
    for row in _rows(spec, root):
        if part and row.split != part:
            continue
        sample = _sample(row, root.parent)
        if not os.path.isfile(sample.path):
            missing.append(sample.id)
        elif samples.setdefault(sample.id, sample).label != sample.label:
            labels = f"{clean(samples[sample.id].label)} and {clean(sample.label)}"
            raise DatasetError(f"{row.where}: {clean(sample.id)} has two labels, {labels}", "keep one of the rows")
    if part and not samples and not missing:
        raise UsageError(f"{spec.id}: no line has the split {clean(part)!r}", "check the column split")
    notes = () if all(sample.label for sample in samples.values()) else (f"{spec.id}: the list has no labels",)
    return Reading(tuple(samples.values()), notes + missing_files(spec, missing, len(samples)))


def inside(folder: Path, name: str, where: str) -> Path:
    """Return `folder / name`; raises DatasetError when that leads out of `folder`, by `..`, from `/` or by a link."""
    path = folder / name
    if "\0" in name or ".." in PurePosixPath(name).parts or not _is_inside(folder, path):
        raise DatasetError(
            f"{where}: the path {clean(name)} leads out of {clean(str(folder))}",
            "paths are relative to the list's folder and stay inside it",
        )
    return path


def _is_inside(folder: Path, path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _sample(row: _Row, folder: Path) -> Sample:
    path = inside(folder, row.path, row.where)
    # A path given from the root of the disk can spell the folder differently than the user did.
    absolute = Path(row.path).is_absolute()
    name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder)) if absolute else row.path
    mask = inside(folder, row.mask, row.where) if row.mask else None
    return Sample(PurePosixPath(name).as_posix(), path, row.label, group=row.group, part=row.split, mask=mask)


def _rows(spec: DatasetSpec, path: Path) -> list[_Row]:
    if path.suffix.lower() == ".txt":
        return [_Row(f"{clean(path.name)} line {line}", name, "", "", "", "") for line, name in _lines(spec, path)]
    table = open_table(spec.id, path)
    if "path" not in table.columns:
        raise DatasetError(
            f"{clean(path.name)} has no column path; it has: {clean(', '.join(table.columns))}",
            "the first line names the columns: path,label[,group,split,mask]",
        )
    needed = ("path", "label") if "label" in table.columns else ("path",)
    return [_row(f"{clean(path.name)} line {line}", cells, needed) for line, cells in table.rows]


def _lines(spec: DatasetSpec, path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{spec.id}: {clean(str(path))} cannot be read: {error}"
        raise DatasetError(message, "save it as text in UTF-8, one path a line") from error
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def _row(where: str, cells: Mapping[str, str], needed: tuple[str, ...]) -> _Row:
    text = {name: cells.get(name, "") for name in ("path", "label", "group", "split", "mask")}
    for name in needed:
        if not text[name]:
            raise DatasetError(f"{where}: no {name}", f"every line needs {' and '.join(needed)}")
    return _Row(where, text["path"], text["label"], text["group"], text["split"], text["mask"])
