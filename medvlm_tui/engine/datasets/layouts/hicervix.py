"""HiCervix (Cai): `train.csv` with `train/UUID.jpg`, likewise val and test; labels in a hierarchy of three levels.

The class as read is `class_name` (26 of them); the levels above it are views of the catalog. No patient or slide id.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import child, find_folder, images_below
from medvlm_tui.engine.datasets.label_files.label_table import read_table
from medvlm_tui.engine.datasets.opening import Reading, missing_files, nothing_found
from medvlm_tui.errors import DatasetError

_HINT = "use the label file of the release"
_PARTS = ("train", "val", "test")


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of train (default), val, test or all that are listed and there."""
    parts = _PARTS if part == "all" else (part or "train",)
    base = find_folder(root, lambda folder: (folder / f"{parts[0]}.csv").is_file())
    if base is None:
        raise nothing_found(spec, root)
    samples: list[Sample] = []
    missing: list[str] = []
    for name in parts:
        found, absent = _part(spec, base, name)
        samples += found
        missing += absent
    return Reading(tuple(samples), missing_files(spec, missing, len(samples)))


def _part(spec: DatasetSpec, base: Path, part: str) -> tuple[list[Sample], list[str]]:
    folder = child(base, part)
    # One listing instead of 28,160 questions to the disk; archives differ in whether they nest the images.
    present = {path.name: path for path in images_below(folder)} if folder else {}
    samples, missing = [], []
    table = base / f"{part}.csv"
    for line, cells in read_table(spec.id, table, ("image_name", "class_name")):
        name = cells["image_name"]
        if PurePosixPath(name).name != name:
            raise DatasetError(f"{table.name} line {line}: {clean(name)} is no file name", _HINT)
        if path := present.get(name):
            samples.append(Sample(f"{part}/{name}", path, cells["class_name"], part=part))
        else:
            missing.append(f"{part}/{name}")
    return samples, missing
