"""Which column of a list is the path, the label, the group, the part and the mask, by the names that people use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_NAMES = {
    "path": (
        "path filepath file_path imagepath image_path img_path full_path relative_path rel_path relpath abs_path "
        "absolute_path path_to_image file filename file_name fname image_file image_filename image_file_name "
        "image_file_path img_file img_name img_filename image_name imagename image_index image img images picture "
        "photo dicom_path dicom_file dcm_path dicom jpg_path png_path image_id img_id imageid file_id fileid isic_id "
        "id_code slide_path tile_path id name"
    ),
    "label": (
        "label labels class classes class_name classname class_label image_label label_name target targets category "
        "categories diagnosis diagnoses dx finding findings finding_label finding_labels ground_truth groundtruth gt "
        "disease pathology condition annotation tumor_type tumour_type lesion_type class_id classid label_id "
        "label_index category_id diagnostic ground_truth_label true_label"
    ),
    "group": (
        "group groups patient patient_id patientid pid patient_no patient_number subject subject_id subjectid "
        "participant participant_id case case_id caseid slide slide_id slideid lesion lesion_id lesionid study_id "
        "group_id"
    ),
    "split": "split splits part subset partition data_split split_name dataset_split train_test set phase usage",
    "mask": "mask masks mask_path mask_file mask_filename mask_name segmentation segmentation_path seg seg_path",
}
_WEAK_LABELS = frozenset({"level", "drlevel", "grade", "severity", "stage", "type", "status", "result", "outcome", "y"})
"""The label only where no column has a surer name."""
_RANKS = {role: {name.replace("_", ""): i for i, name in enumerate(text.split())} for role, text in _NAMES.items()}
_IMAGE_ENDING = re.compile(r"\.(png|jpe?g|jfif|tiff?|bmp|gif|webp|dcm|dicom|p[gpn]m)$", re.IGNORECASE)


class AmbiguousColumnsError(ValueError):
    """One name stands twice in a head."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions of the columns in the head; -1 for one that is not there."""

    path: int = -1
    labels: tuple[int, ...] = ()
    """Every column that may be the label, the likeliest first; one where it is sure."""
    group: int = -1
    split: int = -1
    mask: int = -1

    @property
    def used(self) -> tuple[int, ...]:
        """The positions that are there."""
        return tuple(each for each in (self.path, *self.labels, self.group, self.split, self.mask) if each >= 0)


def find_columns(head: Sequence[str], label: str = "") -> Columns:
    """Return the columns of a list; `label` names the column that is the label, "" finds it.

    A column called by the role itself (`path`, `label`, ...) comes first, in any capitals, then the synonyms in their
    order. Raises AmbiguousColumnsError when the name of a column that is needed stands twice, KeyError when there is no
    column `label`.
    """
    plain = [_plain(name) for name in head]
    labels = (_named(label, plain, head),) if label else _labels(plain, head)
    others = {role: _position(role, plain, head) for role in _RANKS if role != "label"}
    free = {role: -1 if label and position in labels else position for role, position in others.items()}
    return Columns(labels=labels, **free)


def count_known(head: Sequence[str]) -> int:
    """Return how many names of a head are known: the more, the surer is the way that it was divided."""
    plain = [_plain(name) for name in head]
    return sum(any(name in ranks for name in plain) for ranks in _RANKS.values())


def looks_like_a_row(head: Sequence[str]) -> bool:
    """Return whether what should be the head names an image, so that the list has no head."""
    return any(_IMAGE_ENDING.search(name) for name in head)


def _plain(name: str) -> str:
    """Return a column's name without capitals, blanks and punctuation: `Finding Labels` is `findinglabels`."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _labels(plain: Sequence[str], head: Sequence[str]) -> tuple[int, ...]:
    ranks = _RANKS["label"]
    sure = sorted({name for name in plain if name in ranks}, key=ranks.__getitem__)
    names = sure[:1] if sure[:1] == ["label"] else sure or sorted(_WEAK_LABELS.intersection(plain))
    return tuple(_only(name, plain, head) for name in names)


def _position(role: str, plain: Sequence[str], head: Sequence[str]) -> int:
    ranks = _RANKS[role]
    best = min((name for name in plain if name in ranks), key=ranks.__getitem__, default=None)
    return -1 if best is None else _only(best, plain, head)


def _only(name: str, plain: Sequence[str], head: Sequence[str]) -> int:
    """Return the position of the one column with this plain name; of several, of the one spelled exactly so."""
    positions = [i for i, each in enumerate(plain) if each == name]
    exact = [i for i in positions if head[i] == name]
    if len(positions) > 1 and len(exact) != 1:
        raise AmbiguousColumnsError(f"two columns are called {' and '.join(head[i] for i in positions)}")
    return exact[0] if exact else positions[0]


def _named(label: str, plain: Sequence[str], head: Sequence[str]) -> int:
    exact = [i for i, name in enumerate(head) if name == label]
    if len(exact) == 1:
        return exact[0]
    if _plain(label) not in plain:
        raise KeyError(label)
    return _only(_plain(label), plain, head)
