"""Any folder of class folders: `CLASS/**/image`, also inside folders of parts (`train/`, `val/`, `test/`).

A class is its folder's name. What is no image of a class never becomes one by accident: folders of masks, copies of the
folder inside itself, parts without class folders and files that are not read are left out, counted and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from medvlm_tui.core.counts import counted, verb
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.class_images import images_of_class
from medvlm_tui.engine.datasets.folders.finding import relative_id
from medvlm_tui.engine.datasets.folders.part_names import part_of
from medvlm_tui.engine.datasets.folders.parts import Layout, Place, find_layout
from medvlm_tui.engine.datasets.folders.tree import read_folder
from medvlm_tui.engine.datasets.label_files import label_text
from medvlm_tui.engine.datasets.opening import Reading, counted_parts, nothing_found
from medvlm_tui.errors import UsageError


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return all images, or those of the part `part` in whichever spelling. Raises DatasetError for a folder without
    class folders."""
    if not root.is_dir():
        raise nothing_found(spec, root)
    layout = find_layout(spec, read_folder(root))
    classes = {label_text.skeleton(each.name): each.name for place in layout.places for each in place.classes}
    samples: list[Sample] = []
    warnings = list(layout.warnings)
    for place in layout.places:
        for folder in place.classes:
            found = images_of_class(spec, layout.base.path, folder, place.part, classes)
            samples += found.samples
            warnings += found.warnings
    if layout.unlabelled is not None:
        found = images_of_class(spec, layout.base.path, layout.unlabelled, "", {})
        samples += [replace(sample, label="", part="") for sample in found.samples]
        warnings += found.warnings
    if part:
        samples = _of_part(spec, samples, part)
    warnings += [*_empty_notes(spec, layout.places), *_passed_over(spec, layout)]
    return Reading(tuple(samples), tuple(warnings), counted_parts(spec, samples, part))


def _of_part(spec: DatasetSpec, samples: list[Sample], part: str) -> list[Sample]:
    chosen = [sample for sample in samples if sample.part == (part_of(part) or part)]
    if not chosen:
        known = ", ".join(sorted({sample.part for sample in samples} - {""})) or "no parts"
        raise UsageError(f"{spec.id} has no folder for part {clean(part)!r}", f"it has: {known}")
    return chosen


def _empty_notes(spec: DatasetSpec, places: tuple[Place, ...]) -> Iterator[str]:
    for place in places:
        for folder in place.root.folders:
            if not folder.n_images:
                yield f"{spec.id}: folder {clean(folder.name)} has no images and makes no class"


def _passed_over(spec: DatasetSpec, layout: Layout) -> Iterator[str]:
    """Yield a sentence on the files in formats that are not read; lists, notes and system files do not count."""
    files = [path for folder in layout.base.walk() for path in folder.passed_over]
    if files:
        first = clean(relative_id(files[0], layout.base.path))
        count = f"{counted(len(files), 'file')} {verb(len(files), 'was', 'were')}"
        yield f"{spec.id}: {count} passed over, the first is {first}"
