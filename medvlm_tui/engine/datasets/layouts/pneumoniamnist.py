"""PneumoniaMNIST (MedMNIST v2): one .npz of 28, 64, 128 or 224 px images with the official parts."""

from __future__ import annotations

import hashlib
from functools import lru_cache, partial
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import find_folder
from medvlm_tui.engine.datasets.label_files.medmnist_file import PARTS, class_numbers, official_name
from medvlm_tui.engine.datasets.opening import Reading, nothing_found
from medvlm_tui.errors import DatasetError

# medmnist 3.0.2, info.py; largest first: the study does not say which it used, and 224 px is what encoders see.
_MD5_BY_NAME = {
    "pneumoniamnist_224.npz": "d6a3c71de1b945ea11211b03746c1fe1",
    "pneumoniamnist_128.npz": "05b46931834c231683c68f40c47b2971",
    "pneumoniamnist_64.npz": "8f4eceb4ccffa70c672198ea285246c6",
    "pneumoniamnist.npz": "28209eda62fecd6e6a2d98b1501bb15f",
}


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the rows of train (default), val, test or all, of the file `root` or of the largest one below it."""
    path = root if root.is_file() else _largest(root)
    if path is None:
        raise nothing_found(spec, root)
    labels = _labels(spec, path)
    samples = [
        Sample(f"{name}/{row:05d}", path, spec.classes[label], part=name, frame=f"{name}_images/{row}")
        for name in (PARTS if part == "all" else (part or "train",))
        for row, label in enumerate(labels[name])
    ]
    return Reading(tuple(samples), _checksum_note(spec, path))


def _largest(root: Path) -> Path | None:
    for name in _MD5_BY_NAME:
        if folder := find_folder(root, partial(_holds, name)):
            return folder / name
    return None


def _holds(name: str, folder: Path) -> bool:
    return (folder / name).is_file()


def _labels(spec: DatasetSpec, path: Path) -> dict[str, list[int]]:
    """Return part -> class numbers of all three parts."""
    if (name := official_name(path)) not in ("", "pneumoniamnist"):
        raise DatasetError(
            f"{spec.id}: {clean(path.name)} is not PneumoniaMNIST but {name}, another file of the collection",
            f"give it a name of its own: --data {name}={clean(str(path))}",
        )
    numbers = class_numbers(spec.id, path)
    labels = {part: [int(number) for number in numbers.get(part, ())] for part in PARTS}
    if not all(found and max(found) < len(spec.classes) for found in labels.values()):
        message = f"{spec.id}: {clean(str(path))} is not PneumoniaMNIST: its labels are not those of the three parts"
        raise DatasetError(message, "download it again")
    return labels


# A screen that surveys the datasets opens each again and again; size and time stand for the bytes meanwhile.
@lru_cache(maxsize=8)
def _md5(path: Path, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _checksum_note(spec: DatasetSpec, path: Path) -> tuple[str, ...]:
    status = path.stat()
    found = _md5(path, status.st_size, status.st_mtime_ns)
    expected = _MD5_BY_NAME.get(path.name)
    if found == expected:
        return ()
    known = f"the official file's is {expected}" if expected else "no official file has this name"
    return (f"{spec.id}: {clean(path.name)} has the MD5 {found}; {known}",)
