"""Values of DICOM tags: of those that decide how pixels are shown, and of those that label a file.

Messages name the tag and never its value, which may identify a patient.
"""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import numpy as np
import pydicom

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.errors import ImageError

_AGAIN = "correct the tag, or convert the image to PNG yourself"
_LEAVE_OUT = "leave the file out"
_LONGEST = 64
"""Characters of the longest texts that may label an image (LO)."""

# pydicom tells standard error about every oddity of a file, tag values included; what matters is an ImageError here.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="pydicom")


def number(source: pydicom.Dataset, name: str) -> float | None:
    """Return the first value of a numeric tag, None when it is absent or empty; raises ImageError for no number."""
    found = numbers(source, name)
    return found[0] if found else None


def numbers(source: pydicom.Dataset, name: str) -> list[float]:
    """Return the values of a numeric tag, none when it is absent or empty; raises ImageError for one that is none."""
    try:
        value = source.get(name)
        several = [value] if isinstance(value, (int, float, str)) or value is None else list(value)
        found = [float(item) for item in several if item is not None and item != ""]
    except Exception as error:  # pydicom converts at access, and raises almost anything
        raise ImageError(f"has a {name} that is no number", _AGAIN) from error
    if not all(math.isfinite(item) for item in found):
        raise ImageError(f"has a {name} that is no finite number", _AGAIN)
    return found


def count(source: pydicom.Dataset, name: str) -> int | None:
    """Return the first value of a tag that holds whole numbers, None when it is absent or empty."""
    found = number(source, name)
    if found is not None and found != int(found):
        raise ImageError(f"has a {name} that is no whole number", _AGAIN)
    return None if found is None else int(found)


def code(source: pydicom.Dataset, name: str) -> str:
    """Return the first value of a tag that holds code words, in upper case; empty when it is absent or no text."""
    value: Any = source.get(name)
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        value = value[0] if value else ""
    return value.strip().upper() if isinstance(value, str) else ""


def frame_group(dataset: pydicom.Dataset, index: int, name: str) -> pydicom.Dataset | None:
    """Return a functional group of an enhanced multi-frame file: the frame's own, else the shared one."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for place in ([per_frame[index]] if index < len(per_frame) else []) + list(shared[:1]):
        if place.get(name):
            group: pydicom.Dataset = place[name][0]
            return group
    return None


def read_tags(sample: Sample, keyword: str) -> Reduced:
    """Return the texts `label`, the values of a tag joined by backslashes, and `patient`; empty where there are none.

    Raises ImageError for a header that cannot be read: parsers raise almost anything on hostile bytes.
    """
    try:
        header = pydicom.dcmread(sample.path, stop_before_pixels=True, specific_tags=[keyword, "PatientID"])
        texts = {"label": _text(header.get(keyword)), "patient": _text(header.get("PatientID"))}
    except Exception as error:
        raise ImageError(f"has a header that cannot be read: {type(error).__name__}", _LEAVE_OUT) from None
    if any(len(value) > _LONGEST or not value.isprintable() for value in texts["label"].split("\\")):
        # A damaged length takes in the tags that follow, the patient's among them.
        raise ImageError(f"has a {keyword} that no device writes", _LEAVE_OUT)
    return Reduced(np.zeros(0, np.uint8), texts)


def _text(value: Any) -> str:
    if value is None:
        return ""
    values = value if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]
    return "\\".join(str(item).strip() for item in values).strip("\\")
