"""BreakHis (Spanhol): `breast/{benign,malignant}/SOB/SUBTYPE/SLIDE/40X/SOB_B_A-14-22549AB-40-001.png`.

Class, subtype, patient and magnification are read from the file name, by the release's own grammar; the folders serve
to find the files.
"""

from __future__ import annotations

import re
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import child, find_folder, images_below, relative_id
from medvlm_tui.engine.datasets.opening import Reading, nothing_found

_NAME = re.compile(
    r"SOB_(?P<kind>[BM])_(?P<subtype>[A-Z]+)-(?P<year>\d\d)-(?P<slide>[0-9]+[A-Z]*)"
    r"-(?P<magnification>40|100|200|400)-(?P<number>\d+)\.png"
)
_SUBTYPES = {
    ("B", "A"): "adenosis",
    ("B", "F"): "fibroadenoma",
    ("B", "PT"): "phyllodes_tumor",
    ("B", "TA"): "tubular_adenoma",
    ("M", "DC"): "ductal_carcinoma",
    ("M", "LC"): "lobular_carcinoma",
    ("M", "MC"): "mucinous_carcinoma",
    ("M", "PC"): "papillary_carcinoma",
}


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of one magnification or of all; the class as read is the subtype, the group the patient.

    The group is year and slide number with its letters: `22549AB` and `22549CD` are different ids of the release.
    """
    base = find_folder(root, _has_slides)
    if base is None:
        raise nothing_found(spec, root)
    samples: list[Sample] = []
    strangers: list[str] = []
    for name in ("benign", "malignant"):
        for path in images_below(base / name):
            sample = _sample(path, base)
            if sample is None:
                strangers.append(relative_id(path, base))
            elif part in ("", "all", sample.part):
                samples.append(sample)
    return Reading(tuple(samples), _stranger_note(spec, strangers))


def _has_slides(folder: Path) -> bool:
    return all((place := child(folder, name)) and child(place, "SOB") for name in ("benign", "malignant"))


def _sample(path: Path, base: Path) -> Sample | None:
    match = _NAME.fullmatch(path.name)
    subtype = _SUBTYPES.get((match["kind"], match["subtype"])) if match else None
    if match is None or subtype is None:
        return None
    return Sample(
        id=relative_id(path, base),
        path=path,
        label=subtype,
        group=f"{match['year']}-{match['slide']}",
        part=f"{match['magnification']}X",
    )


def _stranger_note(spec: DatasetSpec, names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"{spec.id}: {len(names):,} files are not named as in the release, the first is {clean(min(names))}",)
