"""From the paths that a list names to files below the list's folder, however another system wrote them.

The list may come from anyone: no path leads out of the folder by `..`, from the root of the disk or through a linked
folder. A link to a file is followed, as it is in class folders: a list cannot place links.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.datasets.folders.finding import IMAGE_SUFFIXES
from medvlm_tui.engine.datasets.folders.part_names import holds_masks
from medvlm_tui.errors import DatasetError

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]+)://", re.IGNORECASE)
_WINDOWS_ROOT = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_MAX_INDEXED = 500_000


@dataclass(frozen=True, slots=True)
class Located:
    """Files that were found for the paths of a list."""

    ids: Mapping[str, str]
    """Path as listed -> POSIX path below the folder, of those whose file is there."""
    notes: tuple[str, ...] = ()
    """Sentences on how paths had to be read so that their files were found."""


def inside(folder: Path, name: str, where: str) -> Path:
    """Return `folder / name`; raises DatasetError when that leads out of `folder`: by `..`, from `/`, or by a linked
    folder."""
    path = folder / name
    if "\0" in name or ".." in PurePosixPath(name).parts or not _is_inside(folder, path):
        raise _leads_out(folder, name, where)
    return path


def _is_inside(folder: Path, path: Path) -> bool:
    real = os.path.realpath(folder)
    if Path(os.path.realpath(path)).is_relative_to(real):
        return True
    # A link in the place of a file is the user's own arrangement; one in the place of a folder opens a whole disk.
    return path.is_symlink() and not path.is_dir() and Path(os.path.realpath(path.parent)).is_relative_to(real)


def _leads_out(folder: Path, name: str, where: str) -> DatasetError:
    return DatasetError(
        f"{where}: the path {clean(name)} leads out of {clean(str(folder))}",
        "paths are relative to the list's folder and stay inside it: put the list into the folder of the images",
    )


class _Outside(Exception):  # noqa: N818 - tells the caller, who knows the line
    """A path leads out of the list's folder."""


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of what lies in one folder."""

    exact: frozenset[str]
    alike: Mapping[str, list[str]]
    """Name without capitals, composed -> the names that are so."""
    stems: Mapping[str, list[str]]
    """The same of images without their suffix."""


class PathsOfList:
    """Finds the files that one list names. What was seen of the disk is kept, so it serves one reading."""

    def __init__(self, root: Path) -> None:
        """`root`: the list."""
        self._list = clean(root.name)
        self._folder = root.parent
        self._real = Path(os.path.realpath(root.parent))
        self._folders: dict[str, str | None] = {}
        self._names: dict[str, _Names] = {}

    def locate(self, names: Iterable[tuple[int, str]]) -> Located:
        """Return where the files lie. `names`: (line, path) pairs.

        A path is taken as it is, else with the capitals, Unicode form or suffix of the one file that fits. Where
        no path of the list is found so, they were written for another folder: the beginning that all of them share with
        another machine's path is left out, or each is looked for by its end. Raises DatasetError for a path that leads
        out of the folder, or that is an address of the web.
        """
        wanted = {name: line for line, name in reversed(list(names))}
        plain, foreign, found = dict[str, str](), list[str](), dict[str, str]()
        for name, line in wanted.items():
            plain[name] = self._plain(name, line)
            if plain[name].startswith("/"):
                foreign.append(name)
        beginning = self._beginning([plain[name] for name in foreign])
        for name in foreign:
            if beginning is None or not PurePosixPath(plain[name]).is_relative_to(beginning):
                raise self._leads_out(name, wanted[name])
            plain[name] = PurePosixPath(plain[name]).relative_to(beginning).as_posix()
        for name, text in plain.items():
            try:
                if place := self._at(text):
                    found[name] = place
            except _Outside:
                raise self._leads_out(name, wanted[name]) from None
        notes = [f"{clean(str(beginning))} of its paths is taken as the list's folder"] if foreign else []
        if not found and plain:
            found = self._by_their_ends(plain)
            notes += [_example(found)] if found else []
        return Located(found, tuple(notes))

    def _leads_out(self, name: str, line: int) -> DatasetError:
        return _leads_out(self._folder, name, f"{self._list} line {line}")

    def _plain(self, name: str, line: int) -> str:
        """Return a path with slashes: relative to the folder where it lies there, absolute where it is foreign."""
        if "\0" in name:
            raise self._leads_out(name, line)
        text = _local(name, f"{self._list} line {line}") if "://" in name else name
        if _WINDOWS_ROOT.match(text):
            return "/" + text.replace("\\", "/").lstrip("/")
        if "\\" in text and not os.path.lexists(self._folder / text):
            text = text.replace("\\", "/")
        if text.startswith("/"):
            # A path from the root of the disk can spell the folder differently than the user did.
            real = PurePosixPath(os.path.realpath(os.path.dirname(text))) / os.path.basename(text)
            if real.is_relative_to(self._real.as_posix()):
                return real.relative_to(self._real.as_posix()).as_posix()
        return text

    def _beginning(self, paths: Sequence[str]) -> PurePosixPath | None:
        """Return the beginning of foreign paths that stands for the folder: the shortest one without which a file is
        there."""
        for text in paths[:100]:
            path = PurePosixPath(text)
            for parent in reversed(path.parents):
                rest = path.relative_to(parent).as_posix()
                if ".." not in PurePosixPath(rest).parts and os.path.isfile(self._folder / rest):
                    return parent
        return None

    def _at(self, text: str) -> str:
        """Return the path of the file below the folder, "" when there is none; raises _Outside."""
        if "//" in text or "./" in text or text.endswith("/"):
            text = PurePosixPath(text).as_posix()
        head, _, tail = text.rpartition("/")
        folder = None if tail in ("", ".", "..") else self._real_folder(head)
        if tail == "..":
            raise _Outside
        if folder is None:
            return ""
        here = self._read(folder)
        names = [tail] if tail in here.exact else here.alike.get(_key(tail)) or here.stems.get(_key(tail), [])
        if len(names) != 1:
            return ""
        place = f"{folder}/{names[0]}" if folder else names[0]
        return place if os.path.isfile(self._folder / place) else ""

    def _real_folder(self, text: str) -> str | None:
        """Return the one folder whose parts differ from `text` in capitals and Unicode form alone; None without it."""
        if text in self._folders:
            return self._folders[text]
        head, _, tail = text.rpartition("/")
        if tail == "..":
            raise _Outside
        place: str | None = ""
        if text:
            above = self._real_folder(head)
            here = None if above is None else self._read(above)
            names = [] if here is None else [tail] if tail in here.exact else here.alike.get(_key(tail), [])
            place = (f"{above}/{names[0]}" if above else names[0]) if len(names) == 1 else None
        if place is not None and not os.path.isdir(self._folder / place):
            place = None
        if place and not Path(os.path.realpath(self._folder / place)).is_relative_to(self._real):
            raise _Outside
        self._folders[text] = place
        return place

    def _read(self, folder: str) -> _Names:
        if folder not in self._names:
            names = _listed(self._folder / folder)
            images = ((os.path.splitext(name)[0], name) for name in names if _has_image_suffix(name))
            self._names[folder] = _Names(frozenset(names), _grouped((name, name) for name in names), _grouped(images))
        return self._names[folder]

    def _by_their_ends(self, plain: Mapping[str, str]) -> dict[str, str]:
        """Return the files below the folder whose path ends as the listed one; several that do are none."""
        by_name: defaultdict[str, list[PurePosixPath]] = defaultdict(list)
        for path in self._files_below():
            by_name[_key(path.name)].append(path)
            by_name[_key(path.stem)].append(path)
        found = {}
        for name, text in plain.items():
            if _key(text.rpartition("/")[2]) not in by_name:
                continue
            end = tuple(_key(part) for part in PurePosixPath(text).parts)
            fitting = {path for path in by_name.get(end[-1], ()) if _ends_so(path, end)} if end else set()
            if len(fitting) == 1 and os.path.isfile(self._folder / next(iter(fitting))):
                found[name] = fitting.pop().as_posix()
        return found

    def _files_below(self) -> list[PurePosixPath]:
        """Return the images below the folder, masks left out; nothing when there are more than a list would need."""
        found: list[PurePosixPath] = []
        seen = 0
        for place, folders, names in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and not holds_masks(name))
            relative = PurePosixPath(os.path.relpath(place, self._folder))
            found += [relative / name for name in names if _has_image_suffix(name)]
            seen += len(names) + len(folders)
            if seen > _MAX_INDEXED:
                return []
        return found


def _local(name: str, where: str) -> str:
    """Return the path of a `file://` address; any other text as it is. Raises DatasetError for addresses of the web."""
    match = _ADDRESS.match(name)
    if match is None:
        return name
    if match["scheme"].lower() != "file":
        raise DatasetError(
            f"{where}: {clean(name)} is an address, not a file", "download the images and list where they lie"
        )
    path = unquote(urlsplit(name).path)
    return path[1:] if _WINDOWS_ROOT.match(path[1:]) else path


def _has_image_suffix(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        groups[_key(name)].append(value)
    return groups


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _ends_so(path: PurePosixPath, end: tuple[str, ...]) -> bool:
    parts = tuple(_key(part) for part in path.parts)
    return parts[-len(end) :] == end or (*parts[:-1], _key(path.stem))[-len(end) :] == end


def _example(found: Mapping[str, str]) -> str:
    name, place = next(iter(found.items()))
    return f"its paths are of another folder and were found by their ends: {clean(name)} is {clean(place)}"
