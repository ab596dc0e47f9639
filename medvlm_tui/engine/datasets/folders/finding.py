"""Finding published layouts and image files in the folders that people end up with."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.images.file_kind import DICOM_SUFFIXES, RASTER_SUFFIXES, is_dicom
from medvlm_tui.errors import DatasetError

IMAGE_SUFFIXES = DICOM_SUFFIXES | RASTER_SUFFIXES
_MAX_DEPTH = 32
DICOM_DIRECTORY = "DICOMDIR"
_MASK_STEM = re.compile(r"(?P<image>.+)_mask(_\d+)?", re.DOTALL)


def is_image(path: Path) -> bool:
    """Return whether a file is an image of a supported format: by its suffix, or by the DICOM mark where that is none.

    Hidden files (`._x.jpg` too) are none, and neither is the directory of a DICOM medium.
    """
    if path.name.startswith(".") or path.name.upper() == DICOM_DIRECTORY:
        return False
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        return is_dicom(path)
    except OSError:
        return False


def folders_below(root: Path, max_depth: int = _MAX_DEPTH) -> Iterator[Path]:
    """Yield `root` and the folders below it, nearer ones first, then by name; hidden ones are left out.

    Each folder comes once, by device and inode, so that loops of symbolic links end.
    """
    level = [root]
    seen: set[tuple[int, int]] = set()
    for _ in range(max_depth + 1):
        following: list[Path] = []
        for folder in level:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            yield folder
            following += child_folders(folder)
        level = following


def find_folder(root: Path, fits: Callable[[Path], bool]) -> Path | None:
    """Return the folder nearest to `root` (itself included) that `fits`, the first by name among equals.

    None when there is none, or when `root` is a file.
    """
    return next((folder for folder in folders_below(root) if fits(folder)), None) if root.is_dir() else None


def child(folder: Path, name: str) -> Path | None:
    """Return the subfolder called `name`, in any capitals, the exact spelling first; None when there is none."""
    exact = folder / name
    if exact.is_dir():
        return exact
    return next((path for path in child_folders(folder) if path.name.casefold() == name.casefold()), None)


def files_in(folder: Path) -> list[Path]:
    """Return the regular files directly in `folder` that are not hidden, sorted by name."""
    entries = _entries(folder)
    return [folder / name for name in sorted(e.name for e in entries if not e.name.startswith(".") and _is_file(e))]


def images_in(folder: Path) -> list[Path]:
    """Return the image files directly in `folder`, sorted by name."""
    return [path for path in files_in(folder) if is_image(path)]


def images_below(folder: Path) -> list[Path]:
    """Return the image files in `folder` and below it."""
    return [path for place in folders_below(folder) for path in images_in(place)]


def without_masks(paths: list[Path]) -> tuple[list[Path], dict[Path, Path]]:
    """Split off the masks: files called `NAME_mask` or `NAME_mask_1` beside an image called `NAME`.

    Returns the images, and image -> its first mask.
    """
    images = {path.with_suffix(""): path for path in paths}
    kept: list[Path] = []
    masks: dict[Path, Path] = {}
    for path in sorted(paths):
        match = _MASK_STEM.fullmatch(path.stem)
        owner = images.get(path.parent / match["image"]) if match else None
        if owner is None:
            kept.append(path)
        else:
            masks.setdefault(owner, path)
    return kept, masks


def relative_id(path: Path, root: Path) -> str:
    """Return the sample id of `path`: its POSIX path below `root`."""
    return path.relative_to(root).as_posix()


def child_folders(folder: Path) -> list[Path]:
    """Return the subfolders that are not hidden, sorted by name.

    A link back to `folder` or above it is a loop and left out. Raises DatasetError for a folder that cannot be listed
    and for a link to anywhere else outside `folder`, which may lead to all of the disk.
    """
    entries = (entry for entry in _entries(folder) if not entry.name.startswith("."))
    found = (folder / entry.name for entry in entries if _is_dir(entry))
    return sorted(path for path in found if not path.is_symlink() or _stays_inside(path, folder.resolve()))


# DirEntry's own answer costs no stat, but raises for a link that leads to itself.
def _is_file(entry: os.DirEntry[str]) -> bool:
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file(follow_symlinks=False)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir(follow_symlinks=False)


def _stays_inside(link: Path, folder: Path) -> bool:
    target = link.resolve()
    if folder.is_relative_to(target):
        return False
    if target.is_relative_to(folder):
        return True
    raise DatasetError(
        f"{clean(str(link))} is a link that leads out of its folder",
        "put the files there instead, or give the folder that it leads to",
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(f"{clean(str(folder))} cannot be listed: {reason}", "check its permissions") from error
