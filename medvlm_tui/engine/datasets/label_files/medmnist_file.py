"""The .npz files of MedMNIST: images and class numbers of the parts train, val and test."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.datasets.label_files.delimited import MAX_ROWS
from medvlm_tui.errors import DatasetError

PARTS = ("train", "val", "test")
_NAMES = (
    "pathmnist chestmnist dermamnist octmnist pneumoniamnist retinamnist breastmnist bloodmnist tissuemnist "
    "organamnist organcmnist organsmnist organmnist3d nodulemnist3d "
    "adrenalmnist3d fracturemnist3d vesselmnist3d synapsemnist3d"
)
_OFFICIAL = re.compile(rf"(?:^|[^a-z0-9])({'|'.join(_NAMES.split())})(?:[^a-z0-9]|$)", re.IGNORECASE)


def official_name(path: Path) -> str:
    """Return which file of the collection a name is of (`breastmnist` for `BreastMNIST_64.npz`), "" for none."""
    match = _OFFICIAL.search(path.stem.replace("_", " "))
    return match[1].lower() if match else ""


def class_numbers(dataset: str, path: Path) -> dict[str, NDArray[np.int64]]:
    """Return part -> class number of each row, of the parts that the file has.

    No image is unpacked, and arrays of objects, which would be pickles, are refused. Raises DatasetError for a file of
    another layout, of several labels for an image, and of volumes.
    """
    try:
        with ZipFile(path) as archive:
            members = {Path(name).stem for name in archive.namelist()}
            present = [part for part in PARTS if f"{part}_labels" in members and f"{part}_images" in members]
            return {part: _labels(archive, part) for part in present} or _none(members)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, RuntimeError, NotImplementedError, ZlibError) as error:
        message = f"{dataset}: {clean(str(path))} is not a MedMNIST file of single-label pictures: {clean(str(error))}"
        hint = "give a folder of class folders or a list of images instead, or download the file again"
        raise DatasetError(message, hint) from error


def _none(members: set[str]) -> dict[str, NDArray[np.int64]]:
    raise ValueError(f"it has no train_images and train_labels but {', '.join(sorted(members)[:6]) or 'nothing'}")


def _check_headers(archive: ZipFile, part: str) -> None:
    """Raise ValueError where a part's headers do not say: 8-bit pictures, one class number for each."""
    images, image_type = _header(archive, f"{part}_images.npy")
    labels, label_type = _header(archive, f"{part}_labels.npy")
    if image_type != np.dtype(np.uint8) or not (len(images) == 3 or (len(images) == 4 and images[3] == 3)):
        raise ValueError(f"its images are {image_type} of the shape {images}: no 8-bit pictures")
    if label_type.kind not in "ui" or not (len(labels) == 1 or labels[1:] == (1,)):
        raise ValueError(f"its labels have the shape {labels}: one class number for each image is needed")
    if labels[0] > MAX_ROWS:
        raise ValueError(f"it has {labels[0]:,} rows, more than the {MAX_ROWS:,} that a data set may have")


def _header(archive: ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    return tuple(shape), kind


def _labels(archive: ZipFile, part: str) -> NDArray[np.int64]:
    _check_headers(archive, part)
    with archive.open(f"{part}_labels.npy") as file:
        numbers = np.lib.format.read_array(file, allow_pickle=False)
    return np.asarray(numbers, dtype=np.int64).reshape(-1)
