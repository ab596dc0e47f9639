"""ISIC 2019 training set: `ISIC_2019_Training_Input/ISIC_0000000.jpg`, one-hot GroundTruth and Metadata CSVs.

The ninth column, UNK, is empty in the training set and makes no class. The group is the lesion; 2,084 images have no
lesion id and are groups of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import find_folder, images_below
from medvlm_tui.engine.datasets.label_files.label_table import read_table
from medvlm_tui.engine.datasets.opening import Reading, missing_files, nothing_found
from medvlm_tui.errors import DatasetError

_LABELS = "ISIC_2019_Training_GroundTruth.csv"
_METADATA = "ISIC_2019_Training_Metadata.csv"
_INPUT = "ISIC_2019_Training_Input"
_UNKNOWN = "UNK"


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the labelled images that are there; the label file and the pixels may lie in different folders."""
    labels = find_folder(root, lambda folder: (folder / _LABELS).is_file())
    pixels = find_folder(root, lambda folder: folder.name == _INPUT)
    if labels is None or pixels is None:
        raise nothing_found(spec, root)
    present = {path.stem: path for path in images_below(pixels)}
    lesions = _lesions(spec, labels / _METADATA)
    samples: list[Sample] = []
    missing: list[str] = []
    table = read_table(spec.id, labels / _LABELS, ("image", *spec.classes, _UNKNOWN))
    for line, cells in table:
        image = cells["image"]
        label = _label(spec, line, cells)
        if path := present.get(image):
            samples.append(Sample(f"{_INPUT}/{path.name}", path, label, group=lesions.get(image, "")))
        else:
            missing.append(image)
    warnings = (*_row_note(spec, len(table)), *missing_files(spec, missing, len(samples)))
    return Reading(tuple(samples), warnings)


def _label(spec: DatasetSpec, line: int, cells: Mapping[str, str]) -> str:
    """Return the column that is 1; copies write `1` or `1.0`."""
    columns = (*spec.classes, _UNKNOWN)
    try:
        values = [float(cells[name]) for name in columns]
    except ValueError:
        values = []
    if sorted(values) != [0.0] * (len(columns) - 1) + [1.0]:
        raise DatasetError(
            f"{_LABELS} line {line}: {clean(cells['image'])} does not have exactly one class",
            "use the label file of the release",
        )
    return columns[values.index(1.0)]


def _lesions(spec: DatasetSpec, path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {cells["image"]: cells["lesion_id"] for _, cells in read_table(spec.id, path, ("image", "lesion_id"))}


def _row_note(spec: DatasetSpec, rows: int) -> tuple[str, ...]:
    """Augmented copies of the label file exist, with 103,000 rows."""
    if rows <= spec.published_n:
        return ()
    return (f"{spec.id}: the label file has {rows:,} rows, the release has {spec.published_n:,}",)
