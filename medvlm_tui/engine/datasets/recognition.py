"""Search below a folder: datasets of the catalog in their published layouts, class folders, lists of images.

Nothing is opened but folders and lists, and the search ends after some seconds.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import child_folders, files_in, folders_below, is_image
from medvlm_tui.engine.datasets.folders.part_names import part_of
from medvlm_tui.engine.datasets.layouts.phantom import MANIFEST_NAME
from medvlm_tui.engine.datasets.opening import ALL_PARTS, Reading, reader_of
from medvlm_tui.engine.datasets.resolve import LIST_READERS
from medvlm_tui.errors import MedvlmError

MOST_FOLDERS = 20_000
MOST_LISTS = 40
_DEPTH = 3
"""Depth below the given folder at which a folder of class folders may lie."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dataset that was found; what it says may hold anything a file name can."""

    dataset: str
    """Id of the catalog's dataset, empty for one of the user's own."""
    name: str
    """Proposed: the catalog's id, or made of the folder's name."""
    root: str
    images: int
    classes: int
    published_n: int = 0
    note: str = ""
    chosen: bool = True
    """Proposed to be taken."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search."""

    candidates: tuple[Candidate, ...] = ()
    others: tuple[str, ...] = ()
    """Names of folders directly below the given one in which nothing was found."""
    problem: str = ""
    """Why nothing was looked at, or not everything."""


class _Search:
    """One search below one folder."""

    def __init__(self, top: Path, seconds: float, stopped: Callable[[], bool]) -> None:
        self.top = top
        self._end, self._stopped = time.monotonic() + seconds, stopped
        self.known: list[Candidate] = []

    @property
    def is_over(self) -> bool:
        """Return whether somebody waits for something else, or the time is used up."""
        return self._stopped() or time.monotonic() > self._end

    def few_enough(self) -> bool:
        """Return whether the folders below are few enough to be read in time."""
        numbered = enumerate(folders_below(self.top))
        return all(number < MOST_FOLDERS and not self.is_over for number, _ in numbered)

    def published(self) -> Iterator[Candidate]:
        """Yield the datasets of the catalog, each at the folder of its layout."""
        for spec in load_datasets().values():
            if not spec.synthetic and not self.is_over and (reading := _read(spec, self.top)):
                yield _published(spec, reading, self.top)

    def own(self, folder: Path, depth: int) -> Iterator[Candidate]:
        """Yield folders of class folders, and folders of parts of them, which hold none of the known datasets."""
        if self.is_over or any(_is_below(folder, each.root) for each in self.known):
            return
        kids = child_folders(folder)
        holds_known = any(_is_below(Path(each.root), str(folder)) for each in self.known)
        if not holds_known and _has_classes(kids):
            yield from _class_folders(folder, kids)
            return
        for kid in kids if depth else ():
            yield from self.own(kid, depth - 1)


def look_below(path: Path, seconds: float, stopped: Callable[[], bool] = lambda: False) -> Found:
    """Return what was found at a folder or list and below it within `seconds`, or until `stopped` says so."""
    if path.is_file():
        found = tuple(_lists([path]))
        return Found(found, problem="" if found else f"{clean(path.name)} is no list of images that can be read")
    search = _Search(path, seconds, stopped)
    try:
        if (path / MANIFEST_NAME).is_file():
            return Found(tuple(_phantom(path)))
        if not search.few_enough():
            return Found(problem="there is too much below it: name a folder nearer to the images")
        search.known = list(search.published())
        own = [*search.own(path, _DEPTH), *_lists(_near_lists(path, search.known))]
    except (MedvlmError, OSError) as error:
        return Found(problem=error.message if isinstance(error, MedvlmError) else str(error))
    candidates = tuple(_named(_chosen(search.known, own)))
    problem = "not everything was looked at: the time was used up" if search.is_over else ""
    return Found(candidates, tuple(_others(path, candidates)), problem)


def _read(spec: DatasetSpec, root: Path) -> Reading | None:
    """Return what a layout's reader finds, in all parts; None where it finds nothing."""
    part = ALL_PARTS if ALL_PARTS in spec.parts else ""
    for each in dict.fromkeys((part, "")):
        try:
            reading = reader_of(spec).read(spec, root, "", each)
        except (MedvlmError, OSError, ValueError):
            continue
        if reading.samples:
            return reading
    return None


def _published(spec: DatasetSpec, reading: Reading, top: Path) -> Candidate:
    parts = Counter(sample.part for sample in reading.samples)
    study = spec.parts[0] if spec.parts else ""
    images = parts[study] if study in parts else len(reading.samples)
    apart = [f"{name} ({n:,}) kept apart" for name, n in sorted(parts.items()) if study in parts and name != study]
    fits = "the study's images" if images == spec.published_n else "layout fits"
    masks = ["masks found"] if any(sample.mask for sample in reading.samples) else []
    note = ", ".join([fits, *apart[:3], *masks])
    classes = len({sample.label for sample in reading.samples})
    root = str(_base(reading.samples[0], top))
    return Candidate(spec.id, spec.id, root, images, classes, spec.published_n, note)


def _base(sample: Sample, top: Path) -> Path:
    """Return the folder or file that a sample's id counts from."""
    if sample.path.as_posix().endswith(f"/{sample.id}"):
        base = sample.path.parents[sample.id.count("/")]
        return base if base.is_relative_to(top) else top
    return sample.path.parent if sample.path.parent.is_relative_to(top) else top


def _has_classes(kids: Collection[Path]) -> bool:
    """Return whether images lie in two folders or more directly, or in folders of parts."""
    named = [kid for kid in kids if _has_images(kid)]
    return len(named) > 1 or any(part_of(kid.name) and _has_classes(child_folders(kid)) for kid in kids)


def _has_images(folder: Path) -> bool:
    return any(is_image(path) for path in files_in(folder))


def _class_folders(folder: Path, kids: Collection[Path]) -> Iterator[Candidate]:
    """Yield a folder of class folders; of folders of parts each part for itself, then all of them together."""
    parts = [kid for kid in kids if part_of(kid.name) and _has_classes(child_folders(kid))]
    own = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")
    for number, part in enumerate(sorted(parts, key=lambda kid: part_of(kid.name) != "train")):
        if (reading := _read(own, part)) is not None:
            note = f"the part {clean(part.name)} alone"
            yield _own(part, reading, f"{folder.name}_{part_of(part.name)}", note, number == 0)
    if (reading := _read(own, folder)) is not None:
        note = "its parts pooled: images of one patient may stand on both sides" if parts else "a folder each class"
        yield _own(folder, reading, folder.name, note, not parts)


def _own(root: Path, reading: Reading, name: str, note: str, chosen: bool = True) -> Candidate:
    classes = len({sample.label for sample in reading.samples if sample.label})
    return Candidate("", name, str(root), len(reading.samples), classes, note=note, chosen=chosen and classes > 1)


def _near_lists(top: Path, known: Collection[Candidate]) -> list[Path]:
    """Return the lists directly in the given folder, unless they belong to a known dataset."""
    if any(_is_below(top, each.root) for each in known):
        return []
    lists = [path for path in files_in(top) if path.suffix.lower() in LIST_READERS]
    return [path for path in lists if path.suffix.lower() != ".txt"][:MOST_LISTS]


def _lists(paths: Collection[Path]) -> Iterator[Candidate]:
    for path in paths:
        reader = LIST_READERS.get(path.suffix.lower(), "")
        spec = DatasetSpec(id="own", name="own", modality="unknown", reader=reader)
        reading = _read(spec, path) if reader else None
        if reading is not None:
            yield _own(path, reading, path.stem, "a list of images and labels")


def _phantom(path: Path) -> Iterator[Candidate]:
    (spec,) = [spec for spec in load_datasets().values() if spec.synthetic]
    if (reading := _read(spec, path)) is not None:
        yield _own(path, reading, path.name, "SYNTHETIC")


def _chosen(known: list[Candidate], own: list[Candidate]) -> list[Candidate]:
    """Return all candidates; where there are published datasets, one's own are not taken unless they are asked for."""
    return [*known, *(replace(each, chosen=each.chosen and not known) for each in own)]


def _named(candidates: list[Candidate]) -> Iterator[Candidate]:
    """Yield them with names that differ, and none of one's own that is a dataset's of the catalog."""
    taken = set(load_datasets())
    for each in candidates:
        if each.dataset:
            yield each
            continue
        base = re.sub(r"[^a-z0-9_]+", "_", each.name.lower()).strip("_") or "data"
        name = next(name for name in _numbered(base) if name not in taken)
        taken.add(name)
        yield replace(each, name=name)


def _numbered(base: str) -> Iterator[str]:
    yield base
    yield from (f"{base}_{number}" for number in count(2))


def _others(top: Path, candidates: Collection[Candidate]) -> Iterator[str]:
    roots = [Path(each.root) for each in candidates]
    for kid in child_folders(top):
        if not any(root.is_relative_to(kid) or kid.is_relative_to(root) for root in roots):
            yield clean(kid.name)


def _is_below(path: Path, root: str) -> bool:
    return path.is_relative_to(root)
