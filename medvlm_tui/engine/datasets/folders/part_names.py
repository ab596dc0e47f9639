"""Names of parts (train, val, test) and of folders that hold images or masks, in the spellings that people use."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PARTS = {
    "train": "train|training|trn|trainval|(?<=images)tr",
    "val": "val|valid|validation|validate|validating|dev|devel|development",
    "test": "test|testing|tst|holdout|(?<=images)ts",
    "eval": "eval|evaluation",
}
_FILLING = (
    "(?:sets?|data|datasets?|images?|imgs?|pictures?|splits?|subsets?|folders?|files?|samples?|cases?|parts?|phase|"
    "original|raw|final|official|public|private|stage|labell?ed|unlabell?ed|png|jpe?g|dicom|dcm)"
)
_PART_NAMES = {part: re.compile(f"{_FILLING}*(?:{words}){_FILLING}*") for part, words in _PARTS.items()}
_IMAGES = re.compile("(?:original|raw|all|source|input|the)*(?:images?|imgs?|pictures?|photos?|scans?|frames)(?:data)?")
_MASK_FILLING = "(?:binary|lesions?|lungs?|infection|tumou?r|roi|images?|imgs?|all|png)"
_MASKS = re.compile(
    f"{_MASK_FILLING}*(?:masks?|segmentations?|segs?|segmasks?|segmentationmasks?|annotations?|annots?|groundtruths?|gts?|"
    f"labels|labelmaps?|contours?){_MASK_FILLING}*"
)
_NO_CLASSES = re.compile(
    "(?:k?folds?|cv|crossval(?:idation)?|splits?|sites?|cent(?:er|re)s?|hospitals?|institutions?|scanners?|patients?|pat|"
    "subjects?|participants?|persons?|batch(?:es)?|sessions?|visits?)[a-h]?"
)
_MASK_ENDING = re.compile(
    r"(?P<image>.+?)[_\- .]+(?:mask|masks|seg|segmentation|gt|groundtruth|label|annotation)(?:[_\- ]?\d+)?",
    re.DOTALL | re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def part_of(name: str) -> str:
    """Return `train`, `val`, `test` or `eval` for a folder or a cell that names a part; "" for any other name.

    Capitals, digits, separators and words such as `set`, `data` or `images` make no difference: `01_Training-set`,
    `imagesTr` and `train2017` are `train`.
    """
    compact = _compact(name)
    return next((part for part, pattern in _PART_NAMES.items() if pattern.fullmatch(compact)), "")


def holds_images(name: str) -> bool:
    """Return whether a folder's name says that images lie in it and nothing of a class: `images`, `raw_images`."""
    return bool(_IMAGES.fullmatch(_compact(name)))


def holds_masks(name: str) -> bool:
    """Return whether a folder's name says that masks lie in it: `masks`, `lung_masks`, `GroundTruth`."""
    return bool(_MASKS.fullmatch(_compact(name)))


def tells_no_class(name: str) -> bool:
    """Return whether a name is that of a fold, a site, a person or a batch: `fold_1`, `site A`, `patient007`."""
    return bool(_NO_CLASSES.fullmatch(_compact(name)))


def stem_of_mask(stem: str) -> str:
    """Return the stem of the image that a mask file belongs to: `a` for `a`, `a_mask`, `a-seg_2`."""
    match = _MASK_ENDING.fullmatch(stem)
    return match["image"] if match else stem


def _compact(name: str) -> str:
    """Return the letters of a name without capitals; other alphabets keep theirs, so that they never match."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in text if letter.isalpha())
