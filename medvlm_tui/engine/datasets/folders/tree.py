"""A folder read once: its subfolders, the images in each, and the files that were passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medvlm_tui.engine.datasets.folders.finding import child_folders, files_in, folders_below, is_image

# What lies beside images and is none of them: of systems, viewers, notes, tables and code. Everything else is counted.
_OTHER_NAMES = frozenset(
    {"thumbs.db", "desktop.ini", "licence", "license", "readme", "dicomdir", "makefile", "sha256sums"}
)
_OTHERS = (
    ".txt .csv .tsv .json .jsonl .xml .md .rst .html .htm .pdf .doc .docx .xls .xlsx .ods .yaml .yml .toml .ini .cfg "
    ".db .py .ipynb .m .r .sh .log .tmp .bak .lnk .url .md5 .sha256 .sha1 .lock .part .crdownload .css .js .bib .tex "
    ".parquet .sqlite .dvc .torrent"
)
_OTHER_SUFFIXES = frozenset(_OTHERS.split())
LIST_SUFFIXES = frozenset({".csv", ".tsv", ".xlsx", ".parquet"})


@dataclass(eq=False)
class Folder:
    """A folder with everything below it."""

    path: Path
    folders: list[Folder] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    """Directly in it, by name."""
    passed_over: list[Path] = field(default_factory=list)
    """Files directly in it that are no images and not known to be something else."""
    lists: list[Path] = field(default_factory=list)
    """Files directly in it that may be lists of images."""

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @cached_property
    def n_images(self) -> int:
        """Images in it and below it."""
        return len(self.images) + sum(folder.n_images for folder in self.folders)

    @property
    def filled(self) -> list[Folder]:
        """The folders directly in it that have images."""
        return [folder for folder in self.folders if folder.n_images]

    def walk(self) -> Iterator[Folder]:
        """Yield the folder and those below it, nearer ones first."""
        level = [self]
        while level:
            yield from level
            level = [child for folder in level for child in folder.folders]

    def images_below(self) -> list[Path]:
        """Return the images in it and below it."""
        return [path for folder in self.walk() for path in folder.images]


def read_folder(root: Path) -> Folder:
    """Return the tree of a folder; hidden files and folders are left out, and each folder comes once, so that loops of
    links end. Raises DatasetError for a folder that cannot be listed and for a linked folder that leads out."""
    found: dict[Path, Folder] = {}
    for path in folders_below(root):
        found[path] = _read(path)
    for path, folder in found.items():
        folder.folders = [found[child] for child in child_folders(path) if child in found]
    return found[root]


def _read(path: Path) -> Folder:
    folder = Folder(path)
    for file in files_in(path):
        if file.suffix.lower() in LIST_SUFFIXES:
            folder.lists.append(file)
        elif _is_known(file):
            continue
        elif is_image(file):
            folder.images.append(file)
        else:
            folder.passed_over.append(file)
    return folder


def _is_known(file: Path) -> bool:
    stem = os.path.splitext(file.name.lower())[0]
    return file.name.lower() in _OTHER_NAMES or stem in _OTHER_NAMES or file.suffix.lower() in _OTHER_SUFFIXES
