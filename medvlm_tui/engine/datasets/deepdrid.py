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

_EVALUATION = "Online-Challenge1&2-Evaluation"
_FOLDERS = {
    "training": ("regular-fundus-training",),
    "validation": ("regular-fundus-validation",),
    "evaluation": (_EVALUATION,),
    "all": ("regular-fundus-training", "regular-fundus-validation", _EVALUATION),
}
_EVALUATION_LABELS = "Challenge1_labels.xlsx"
_EYES = ("left_eye_DR_Level", "right_eye_DR_Level")


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of the regular fundus training set (default), of validation, evaluation, or of all."""
    folders = _FOLDERS[part or "training"]
    base = find_folder(root, lambda folder: _label_file(folder / folders[0]) is not None)
    if base is None:
        raise nothing_found(spec, root)
    samples: list[Sample] = []
    missing: list[str] = []
    for name in folders:
        for sample in _samples(spec, base, name):
            if sample.path.is_file():
                samples.append(sample)
            else:
                missing.append(sample.id)
    return Reading(tuple(samples), missing_files(spec, missing, len(samples)))


def _label_file(folder: Path) -> Path | None:
    """Return the part's label file: in its folder, or beside it as in some copies."""
    name = _EVALUATION_LABELS if folder.name == _EVALUATION else f"{folder.name}.csv"
    places = (folder / name, folder.with_name(name))
    return next((path for path in places if path.is_file()), None) if folder.is_dir() else None


def _samples(spec: DatasetSpec, base: Path, folder: str) -> list[Sample]:
    table = _label_file(base / folder)
    if table is None:
        return []
    if folder == _EVALUATION:
        # The sheet of the challenge has no patient column: the image id begins with it.
        columns: tuple[str, ...] = ("DR_Levels",)
        rows = read_table(spec.id, table, ("image_id", *columns))
        patients = [cells["image_id"].split("_")[0] for _, cells in rows]
    else:
        columns = _EYES
        rows = read_table(spec.id, table, ("patient_id", "image_id", *columns))
        patients = [cells["patient_id"] for _, cells in rows]
    return [
        _sample(base, folder, patient, cells["image_id"], _grade(spec, f"{table.name} line {line}", cells, columns))
        for patient, (line, cells) in zip(patients, rows, strict=True)
    ]


def _sample(base: Path, folder: str, patient: str, image: str, grade: str) -> Sample:
    path = inside(base, f"{folder}/Images/{patient}/{image}.jpg", folder)
    return Sample(relative_id(path, base), path, grade, group=patient, part=folder.rsplit("-", 1)[1].lower())


def _grade(spec: DatasetSpec, where: str, cells: Mapping[str, str], columns: tuple[str, ...]) -> str:
    """Return the grade's name; exactly one of the columns (one an eye) holds a number from 0 to 4."""
    filled = [cells[column] for column in columns if cells[column]]
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
