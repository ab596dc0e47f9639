"""DeepDRiD: `regular_fundus_images/regular-fundus-training/Images/PATIENT/PATIENT_l1.jpg` and one CSV a part.

`image_path` of the CSV is wrong on disk and the side in a file's name is unreliable: the file is built from patient
and image id, and the grade comes from whichever eye's column is filled. Each patient has about four near-identical
views, so a random hold-out leaks; the group is the patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.core.text import clean
from medvlm_tui.engine.datasets.base import Reading, missing_files, nothing_found
from medvlm_tui.engine.datasets.csv_list import inside
from medvlm_tui.engine.datasets.label_table import read_table
from medvlm_tui.engine.datasets.layout import find_folder, relative_id
from medvlm_tui.errors import DatasetError

_FOLDERS = {
    "training": ("regular-fundus-training",),
    "validation": ("regular-fundus-validation",),
    "all": ("regular-fundus-training", "regular-fundus-validation"),
}
_EYES = ("left_eye_DR_Level", "right_eye_DR_Level")


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of the regular fundus training set (default), of the validation set, or of both."""
    folders = _FOLDERS[part or "training"]
    base = find_folder(root, lambda folder: _label_file(folder / folders[0]) is not None)
    if base is None:
        raise nothing_found(spec, root)
    samples: list[Sample] = []
    missing: list[str] = []
    for name in folders:
        table = _label_file(base / name)
        for line, cells in read_table(spec.id, table, ("patient_id", "image_id", *_EYES)) if table else []:
            sample = _sample(spec, base, name, f"{name}.csv line {line}", cells)
            if sample.path.is_file():
                samples.append(sample)
            else:
                missing.append(sample.id)
    return Reading(tuple(samples), missing_files(spec, missing, len(samples)))


def _label_file(folder: Path) -> Path | None:
    """Return the part's CSV: in its folder, or beside it as in some copies."""
    places = (folder / f"{folder.name}.csv", folder.with_name(f"{folder.name}.csv"))
    return next((path for path in places if path.is_file()), None) if folder.is_dir() else None


def _sample(spec: DatasetSpec, base: Path, folder: str, where: str, cells: Mapping[str, str]) -> Sample:
    patient, image = cells["patient_id"], cells["image_id"]
    path = inside(base, f"{folder}/Images/{patient}/{image}.jpg", where)
    part = folder.rsplit("-", 1)[1]
    return Sample(relative_id(path, base), path, _grade(spec, where, cells), group=patient, part=part)


def _grade(spec: DatasetSpec, where: str, cells: Mapping[str, str]) -> str:
    """Return the grade's name; exactly one eye's column holds a number from 0 to 4."""
    filled = [cells[eye] for eye in _EYES if cells[eye]]
    try:
        (grade,) = (float(text) for text in filled)
        if grade not in range(len(spec.classes)):
            raise ValueError
    except ValueError as error:
        shown = clean(", ".join(filled)) or "nothing"
        raise DatasetError(
            f"{where}: one grade from 0 to {len(spec.classes) - 1} is expected for one eye, found {shown}",
            "use the label file of the release",
        ) from error
    return spec.classes[int(grade)]
