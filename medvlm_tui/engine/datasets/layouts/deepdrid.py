"""DeepDRiD: `regular_fundus_images/regular-fundus-training/Images/PATIENT/PATIENT_l1.jpg` and one label file per part.

`image_path` of the CSVs is wrong on disk and the side in a file's name is unreliable: the file is built from patient
and image id, and the grade comes from whichever eye's column is filled. Each patient has about four near-identical
views, so a random hold-out leaks; the group is the patient. The ultra-widefield photographs lie beside, with one grade
column; four of them carry a grade 5 that the release does not explain, and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import find_folder, relative_id
from medvlm_tui.engine.datasets.label_files.label_table import read_table
from medvlm_tui.engine.datasets.label_files.listed_paths import inside
from medvlm_tui.engine.datasets.opening import Reading, missing_files, nothing_found
from medvlm_tui.errors import DatasetError


@dataclass(frozen=True, slots=True)
class _Part:
    """One folder of the release with its label file."""

    name: str
    folder: str
    labels: str
    columns: tuple[str, ...]
    """Of which exactly one holds the grade: one column, or one an eye."""
    patients: bool = True
    """The label file has a patient column; the sheets of the challenges have none, their image ids begin with it."""
    ungraded: str = ""
    """A value of the grade that makes no class."""


_EYES = ("left_eye_DR_Level", "right_eye_DR_Level")
_REGULAR = (
    _Part("training", "regular-fundus-training", "regular-fundus-training.csv", _EYES),
    _Part("validation", "regular-fundus-validation", "regular-fundus-validation.csv", _EYES),
    _Part("evaluation", "Online-Challenge1&2-Evaluation", "Challenge1_labels.xlsx", ("DR_Levels",), False),
)
_WIDE = (
    _Part("uwf-training", "ultra-widefield-training", "ultra-widefield-training.csv", ("DR_level",), True, "5"),
    _Part("uwf-validation", "ultra-widefield-validation", "ultra-widefield-validation.csv", ("DR_level",), True, "5"),
    _Part("uwf-evaluation", "Online-Challenge3-Evaluation", "Challenge3_labels.xlsx", ("DR_Levels",), False, "5"),
)
_PARTS = {part.name: (part,) for part in (*_REGULAR, *_WIDE)} | {"all": _REGULAR, "uwf-all": _WIDE}


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of the regular training set (default), of another part, or of all regular or wide ones."""
    parts = _PARTS[part or "training"]
    base = find_folder(root, lambda folder: _label_file(folder, parts[0]) is not None)
    if base is None:
        raise nothing_found(spec, root)
    samples: list[Sample] = []
    missing: list[str] = []
    ungraded = 0
    for one in parts:
        for sample in _samples(spec, base, one):
            if not sample.label:
                ungraded += 1
            elif sample.path.is_file():
                samples.append(sample)
            else:
                missing.append(sample.id)
    notes = (f"{spec.id}: {counted(ungraded, 'image')} with a grade that the release does not explain left out",)
    return Reading(tuple(samples), (*(notes if ungraded else ()), *missing_files(spec, missing, len(samples))))


def _label_file(base: Path, part: _Part) -> Path | None:
    """Return the part's label file: in its folder, or beside it as in some copies."""
    folder = base / part.folder
    places = (folder / part.labels, base / part.labels)
    return next((path for path in places if path.is_file()), None) if folder.is_dir() else None


def _samples(spec: DatasetSpec, base: Path, part: _Part) -> Iterator[Sample]:
    table = _label_file(base, part)
    if table is None:
        return
    required = ("image_id", *(("patient_id",) if part.patients else ()), *part.columns)
    for line, cells in read_table(spec.id, table, required):
        image = cells["image_id"]
        patient = cells["patient_id"] if part.patients else image.split("_")[0]
        path = inside(base, f"{part.folder}/Images/{patient}/{image}.jpg", part.folder)
        grade = _grade(spec, f"{table.name} line {line}", cells, part)
        yield Sample(relative_id(path, base), path, grade, group=patient, part=part.name)


def _grade(spec: DatasetSpec, where: str, cells: Mapping[str, str], part: _Part) -> str:
    """Return the grade's name, empty for one that makes no class; one column holds a number from 0 to 4."""
    filled = [cells[column] for column in part.columns if cells[column]]
    try:
        (grade,) = (float(text) for text in filled)
        if part.ungraded and grade == float(part.ungraded):
            return ""
        if grade not in range(len(spec.classes)):
            raise ValueError
    except ValueError as error:
        shown = clean(", ".join(filled)) or "nothing"
        raise DatasetError(
            f"{where}: one grade from 0 to {len(spec.classes) - 1} is expected for one eye, found {shown}",
            "use the label file of the release",
        ) from error
    return spec.classes[int(grade)]
