"""A folder of DICOM files whose label is the value of a tag: the label view `tag:Modality`, `tag:BodyPartExamined`, ...

Patients become groups by number; their names and ids leave this module in no form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.errors import InvalidDicomError

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.layouts.finding import files_in, folders_below, relative_id
from medvlm_tui.engine.datasets.opening import TAG_VIEW, Reading
from medvlm_tui.engine.images.file_kind import is_dicom
from medvlm_tui.errors import UsageError

# Codes, short texts and numbers describe an image; names, ids, dates and free texts may describe a person.
_SAFE_VR = frozenset({"CS", "DS", "IS", "US", "SS", "UL", "SL", "FL", "FD"})
_SAFE_TEXT = frozenset({"Manufacturer", "ManufacturerModelName", "SeriesDescription", "ProtocolName"})


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the DICOM files below `root` whose tag has a value; several values are joined by a backslash.

    Files are known by their suffix, or by the DICOM mark where they have none. Raises UsageError for a tag that does
    not exist or may identify a person.
    """
    keyword = _checked(view.removeprefix(TAG_VIEW))
    if not root.is_dir():
        raise UsageError(f"{spec.id}: labels by tag need a folder of DICOM files", "give the folder, not a list")
    found: list[tuple[Path, str, str]] = []
    without = 0
    for path in (path for folder in folders_below(root) for path in files_in(folder)):
        header = _header(path, keyword)
        if header is None:
            continue
        label = _text(header.get(keyword))
        without += not label
        if label:
            found.append((path, label, _text(header.get("PatientID"))))
    samples = tuple(
        Sample(relative_id(path, root), path, label, group=group)
        for (path, label, _), group in zip(found, _patient_numbers([patient for *_, patient in found]), strict=True)
    )
    notes = (f"{spec.id}: {without:,} of {without + len(found):,} DICOM files have no {keyword}",) if without else ()
    return Reading(samples, notes)


def _checked(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    if not keyword or tag is None:
        raise UsageError(f"DICOM has no tag {clean(keyword)!r}", "name it as the standard does: tag:Modality")
    if dictionary_VR(tag) not in _SAFE_VR and keyword not in _SAFE_TEXT:
        raise UsageError(
            f"the tag {keyword} may identify a person and makes no label",
            "tags with codes or numbers do: Modality, BodyPartExamined, ViewPosition; others through a CSV",
        )
    return keyword


def _header(path: Path, keyword: str) -> pydicom.Dataset | None:
    """Return the wanted tags of a DICOM file, None for any other file."""
    try:
        if not is_dicom(path):
            return None
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[keyword, "PatientID"])
    except (InvalidDicomError, OSError, EOFError, ValueError, AttributeError, KeyError, NotImplementedError):
        return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    values = value if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]
    return "\\".join(str(item).strip() for item in values).strip("\\")


def _patient_numbers(patients: list[str]) -> list[str]:
    """Return `patient 1`, `patient 2`, ... in the order of their first file; no id, no group."""
    numbers: dict[str, str] = {}
    return [numbers.setdefault(p, f"patient {len(numbers) + 1}") if p else "" for p in patients]
