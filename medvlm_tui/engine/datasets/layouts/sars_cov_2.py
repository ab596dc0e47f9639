"""SARS-CoV-2 CT (Soares): `COVID/Covid (k).png`, `non-COVID/Non-Covid (k).png`.

No label file, no parts, and several slices of one patient without a patient id.
"""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import child, find_folder, images_in, relative_id
from medvlm_tui.engine.datasets.opening import Reading, nothing_found


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images of the two folders, whichever capitals the folders have."""
    base = find_folder(root, lambda folder: all(child(folder, name) for name in spec.classes))
    if base is None:
        raise nothing_found(spec, root)
    places = [(name, child(base, name)) for name in spec.classes]
    return Reading(
        tuple(
            Sample(relative_id(path, base), path, name)
            for name, place in places
            if place is not None
            for path in images_in(place)
        )
    )
