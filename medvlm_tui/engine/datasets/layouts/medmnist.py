"""A file of the user's own in the layout of MedMNIST: classes are its numbers, parts its train, val and test."""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.part_names import part_of
from medvlm_tui.engine.datasets.label_files.medmnist_file import class_numbers
from medvlm_tui.engine.datasets.opening import Reading, counted_parts
from medvlm_tui.errors import UsageError


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the rows of all parts, or of one. Raises DatasetError for a file of another layout."""
    numbers = class_numbers(spec.id, root)
    chosen = part_of(part) or part
    if part and chosen not in numbers:
        raise UsageError(f"{spec.id} has no part {clean(part)!r}", f"it has: {', '.join(numbers)}")
    samples = [
        Sample(f"{name}/{row:06d}", root, str(label), part=name, frame=f"{name}_images/{row}")
        for name, labels in numbers.items()
        if not part or name == chosen
        for row, label in enumerate(labels.tolist())
    ]
    return Reading(tuple(samples), (), counted_parts(spec, samples, part))
