"""Any folder of class folders: `CLASS/**/image`, also inside `train/`, `val/`, `test/`.

Hidden files and files that are no images are passed over. `NAME_mask.png` beside an image `NAME.*` is its lesion
mask, not an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.layouts.finding import (
    child_folders,
    images_below,
    images_in,
    relative_id,
    without_masks,
)
from medvlm_tui.engine.datasets.opening import Reading, nothing_found
from medvlm_tui.errors import UsageError

_PART_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return all images, or those of the parts whose folder is called `part`; a class is its folder's name."""
    base = _base(root)
    if base is None:
        raise nothing_found(spec, root)
    parts = _parts(base)
    if part:
        parts = {name: folder for name, folder in parts.items() if name == part.lower()}
        if not parts:
            raise UsageError(f"{spec.id} has no folder for part {clean(part)!r}", "name a folder of class folders")
    samples = tuple(sample for name, folder in parts.items() for sample in _samples(base, folder, name))
    return Reading(samples, tuple(_empty_notes(spec, parts.values())))


def _base(root: Path) -> Path | None:
    """Return the folder whose subfolders are classes or parts: single nested folders are stepped through."""
    folder = root
    while folder.is_dir():
        filled = [path for path in child_folders(folder) if images_below(path)]
        if not filled:
            return None
        if len(filled) > 1 or images_in(filled[0]):
            return folder
        folder = filled[0]
    return None


def _parts(base: Path) -> dict[str, Path]:
    """Return part name -> folder of class folders; one nameless part when `base` holds the classes itself."""
    folders = [folder for folder in child_folders(base) if images_below(folder)]
    if all(folder.name.lower() in _PART_NAMES and not images_in(folder) for folder in folders):
        return {folder.name.lower(): folder for folder in folders}
    return {"": base}


def _empty_notes(spec: DatasetSpec, folders: Iterable[Path]) -> Iterator[str]:
    for folder in folders:
        for place in child_folders(folder):
            if not images_below(place):
                yield f"{spec.id}: folder {clean(place.name)} has no images and makes no class"


def _samples(base: Path, folder: Path, part: str) -> list[Sample]:
    found = []
    for class_folder in child_folders(folder):
        images, masks = without_masks(images_below(class_folder))
        found += [
            Sample(relative_id(path, base), path, class_folder.name, part=part, mask=masks.get(path)) for path in images
        ]
    return found
