"""A folder of DICOM files whose label is the value of a tag: the label view `tag:Modality`, `tag:BodyPartExamined`, ...

Headers are read in decoding processes. Patients become groups by number; their names and ids leave this module in no
form.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import DICOM_DIRECTORY, files_in, folders_below, relative_id
from medvlm_tui.engine.datasets.opening import TAG_VIEW, Reading
from medvlm_tui.engine.images.decoders import decoded
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.engine.images.dicom.tags import read_tags
from medvlm_tui.engine.images.file_kind import is_dicom
from medvlm_tui.errors import UsageError

# Codes, short texts and numbers describe an image; names, ids, dates and free texts may describe a person.
_SAFE_VR = frozenset({"CS", "DS", "IS", "US", "SS", "UL", "SL", "FL", "FD"})
_SAFE_TEXT = frozenset({"Manufacturer", "ManufacturerModelName", "SeriesDescription", "ProtocolName"})


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the DICOM files below `root` whose tag has a value; several values are joined by a backslash.

    A file whose header cannot be read is left out and counted. Raises UsageError for a tag that does
    not exist or may identify a person.
    """
    keyword = _checked(view.removeprefix(TAG_VIEW))
    if not root.is_dir():
        raise UsageError(f"{spec.id}: labels by tag need a folder of DICOM files", "give the folder, not a list")
    found: list[tuple[Path, str, str]] = []
    without = 0
    paths = [path for folder in folders_below(root) for path in files_in(folder) if _is_dicom(path)]
    headers = decoded([Sample(path.name, path, "") for path in paths], partial(read_tags, keyword=keyword), keep=False)
    broken = 0
    for path, header in zip(paths, headers, strict=True):
        if not isinstance(header, Reduced):
            broken += 1
            continue
        label = header.texts["label"]
        without += not label
        if label:
            found.append((path, label, header.texts["patient"]))
    samples = tuple(
        Sample(relative_id(path, root), path, label, group=group)
        for (path, label, _), group in zip(found, _patient_numbers([patient for *_, patient in found]), strict=True)
    )
    return Reading(samples, tuple(_notes(spec, keyword, without, broken, len(found))))


def _notes(spec: DatasetSpec, keyword: str, without: int, broken: int, found: int) -> Iterator[str]:
    total = without + broken + found
    if without:
        yield f"{spec.id}: {without:,} of {total:,} DICOM files have no {keyword}"
    if broken:
        yield f"{spec.id}: {broken:,} of {total:,} DICOM files have a header that cannot be read and are left out"


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


def _is_dicom(path: Path) -> bool:
    try:
        return path.name.upper() != DICOM_DIRECTORY and is_dicom(path)
    except OSError:
        return False


def _patient_numbers(patients: list[str]) -> list[str]:
    """Return `patient 1`, `patient 2`, ... in the order of their first file; no id, no group."""
    numbers: dict[str, str] = {}
    return [numbers.setdefault(p, f"patient {len(numbers) + 1}") if p else "" for p in patients]
