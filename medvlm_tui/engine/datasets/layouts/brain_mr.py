"""Brain MR (Bhuvaji): `{Training,Testing}/{glioma,meningioma,no,pituitary}_tumor/*.jpg`.

The study's n is `Training/` alone. The same file names occur in every class folder, and the release names no
patients.
"""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import child, find_folder, images_below, relative_id
from medvlm_tui.engine.datasets.opening import Reading, nothing_found

_FOLDERS = {"training": ("Training",), "testing": ("Testing",), "all": ("Training", "Testing")}


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of Training (default), Testing, or both; the part's name is the folder's, lower case."""
    folders = _FOLDERS[part or "training"]
    base = find_folder(root, lambda folder: _has_classes(child(folder, folders[0]), spec.classes))
    if base is None:
        raise nothing_found(spec, root)
    return Reading(tuple(sample for folder in folders for sample in _samples(spec, base, folder)))


def _has_classes(folder: Path | None, classes: tuple[str, ...]) -> bool:
    return folder is not None and any(child(folder, name) for name in classes)


def _samples(spec: DatasetSpec, base: Path, folder_name: str) -> list[Sample]:
    folder = child(base, folder_name)
    places = [(name, child(folder, name)) for name in spec.classes] if folder else []
    return [
        Sample(id=relative_id(path, base), path=path, label=name, part=folder_name.lower())
        for name, place in places
        if place is not None
        for path in images_below(place)
    ]
