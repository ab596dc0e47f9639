"""Breast Ultrasound (BUSI, Al-Dhabyani): `{benign,malignant,normal}/benign (1).png` with `benign (1)_mask.png`.

Images are told from masks by their base name alone. Seventeen images have more than one mask. The release names no
patients.
"""

from __future__ import annotations

import re
from pathlib import Path

from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import child, find_folder, images_in, relative_id
from medvlm_tui.engine.datasets.opening import Reading, nothing_found

_IMAGE = re.compile(r"(benign|malignant|normal) \(\d+\)")
_MASK = re.compile(r"(?P<image>(benign|malignant|normal) \(\d+\))_mask(_(?P<number>\d+))?")


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images with their masks, the one without a number first."""
    base = find_folder(root, lambda folder: all(child(folder, name) for name in spec.classes))
    if base is None:
        raise nothing_found(spec, root)
    samples: list[Sample] = []
    for name in spec.classes:
        folder = child(base, name)
        files = [path for path in images_in(folder) if path.suffix.lower() == ".png"] if folder else []
        masks = _masks(files)
        for path in files:
            if _IMAGE.fullmatch(path.stem):
                own = masks.get(path.stem, [])
                first = own[0] if own else None
                samples.append(Sample(relative_id(path, base), path, name, mask=first, more_masks=tuple(own[1:])))
    return Reading(tuple(samples))


def _masks(files: list[Path]) -> dict[str, list[Path]]:
    """Return stem of the image -> its masks in the order of their numbers."""
    numbered: dict[str, list[tuple[int, Path]]] = {}
    for path in files:
        if match := _MASK.fullmatch(path.stem):
            numbered.setdefault(match["image"], []).append((int(match["number"] or 0), path))
    return {stem: [path for _, path in sorted(masks)] for stem, masks in numbered.items()}
