"""Which folders of a tree are classes, and which parts (train, val, test) they lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvlm_tui.core.counts import counted, verb
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.folders.part_names import (
    holds_images,
    holds_masks,
    part_of,
    stem_of_mask,
    tells_no_class,
)
from medvlm_tui.engine.datasets.folders.tree import LIST_SUFFIXES, Folder
from medvlm_tui.errors import DatasetError

_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"})


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of class folders."""

    part: str
    """`train`, `val`, `test`, `eval`, or "" where the classes are in no part."""
    root: Folder
    classes: tuple[Folder, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Reading of a tree of folders: its classes, and what is left out."""

    base: Folder
    """Ids of samples are paths below it."""
    places: tuple[Place, ...]
    warnings: tuple[str, ...]
    """Folders with images that are left out."""
    unlabelled: Folder | None = None
    """The folder of the images where no class folder holds any; there are no places then."""


def find_layout(spec: DatasetSpec, tree: Folder) -> Layout:
    """Return the class folders of a tree; single nested folders are stepped through.

    Images that no class folder holds have no labels. Raises DatasetError where there are no images, or where folders of
    parts hold them without class folders.
    """
    base, warnings = tree, list[str]()
    while True:
        kids, said = _image_folders(spec, base)
        warnings += said
        if len(kids) != 1 or kids[0].images:
            break
        warnings += _loose(spec, base)
        base = kids[0]
    if not kids and not base.images:
        raise _no_images(spec, tree)
    parts = [(part, kid) for kid in kids if (part := part_of(kid.name))]
    places, said = _part_places(spec, parts)
    classes = [kid for kid in kids if not part_of(kid.name) and not _tells_no_class(kid)]
    if not places:
        if not classes and parts:
            raise _no_class_folders(spec, tree, [kid for _, kid in parts])
        if not classes:
            return Layout(base, (), (_no_labels(spec, base),), base)
        said += _two_levels(spec, classes)
        places, classes = [Place("", base, tuple(classes))], []
    else:
        said += [_left_out(spec, base, kid, "is no part and lies beside some") for kid in classes]
    beside = [kid for kid in kids if not part_of(kid.name) and _tells_no_class(kid)]
    said += [_left_out(spec, base, kid, "has a name that tells no class") for kid in beside]
    loose = [sentence for place in places if place.root is not base for sentence in _loose(spec, place.root)]
    return Layout(base, tuple(places), (*warnings, *said, *_loose(spec, base), *loose))


def _two_levels(spec: DatasetSpec, folders: Sequence[Folder]) -> list[str]:
    """Return what to say where all folders hold the same folders, and the images: `site/benign`, `site/malignant`.

    Raises DatasetError where the outer ones are folds, sites or patients by their names, and so no classes.
    """
    inner = [frozenset(kid.name for kid in folder.filled) for folder in folders]
    named = any(part_of(name) or holds_images(name) or holds_masks(name) for name in inner[0])
    if len(folders) < 2 or len(inner[0]) < 2 or len(set(inner)) > 1 or named or any(each.images for each in folders):
        return []
    outer, within = (clean(", ".join(sorted(names)[:6])) for names in ({each.name for each in folders}, inner[0]))
    said = f"{spec.id}: each of the folders {outer} holds the folders {within}"
    if not all(tells_no_class(each.name) for each in folders):
        return [f"{said}: the outer ones are read as the classes"]
    raise DatasetError(
        f"{said}: the outer ones are no classes by their names",
        f"give a list with the columns path,label,group; or one of them: --data "
        f"{spec.id}={clean(str(folders[0].path))}",
    )


def _image_folders(spec: DatasetSpec, folder: Folder) -> tuple[list[Folder], list[str]]:
    """Return the subfolders that may be classes or parts, and what to say of the others that have images."""
    filled, kept, said = folder.filled, list[Folder](), list[str]()
    for kid in filled:
        siblings = [other for other in filled if other is not kid]
        if holds_masks(kid.name) and _are_masks(kid, siblings):
            said.append(_left_out(spec, folder, kid, "holds masks"))
        elif siblings and _repeats(kid, folder):
            said.append(_left_out(spec, folder, kid, "is a copy of the folder that it lies in"))
        else:
            kept.append(kid)
    return kept, said


def _are_masks(kid: Folder, siblings: Sequence[Folder]) -> bool:
    """Return whether a folder with a name of masks belongs to the images beside it."""
    if any(holds_images(other.name) for other in siblings):
        return True
    stems = {path.stem for other in siblings for path in other.images_below()}
    own = [stem_of_mask(path.stem) for path in kid.images_below()]
    return bool(stems) and 2 * sum(stem in stems for stem in own) >= len(own)


def _repeats(kid: Folder, folder: Folder) -> bool:
    """Return whether half of the files of a subfolder or more lie in the folder too, at the same place and as large."""
    if not {each.name for each in kid.filled} & {each.name for each in folder.filled}:
        return False
    paths = kid.images_below()
    twins = ((path, folder.path / path.relative_to(kid.path)) for path in paths)
    same = sum(twin.is_file() and twin.stat().st_size == path.stat().st_size for path, twin in twins)
    return 2 * same >= len(paths)


def _tells_no_class(folder: Folder) -> bool:
    return bool(folder.images) and holds_images(folder.name)


def _part_places(spec: DatasetSpec, parts: Iterable[tuple[str, Folder]]) -> tuple[list[Place], list[str]]:
    places, said = list[Place](), list[str]()
    for part, folder in parts:
        root, classes, warnings = _classes(spec, folder)
        if classes:
            places.append(Place(part, root, tuple(classes)))
            said += warnings
        else:
            said.append(
                f"{spec.id}: {clean(folder.name)} is a part without class folders: its "
                f"{counted(folder.n_images, 'image')} {_without(folder.n_images, 'labels')}"
            )
    return places, said


def _classes(spec: DatasetSpec, part: Folder) -> tuple[Folder, list[Folder], list[str]]:
    """Return the folder that holds a part's class folders (itself, or its `images/`), and these."""
    kids, said = _image_folders(spec, part)
    if len(kids) == 1 and holds_images(kids[0].name) and not kids[0].images:
        return _classes(spec, kids[0])
    return part, [kid for kid in kids if not _tells_no_class(kid)], said


def _left_out(spec: DatasetSpec, base: Folder, kid: Folder, why: str) -> str:
    name = clean(kid.path.relative_to(base.path.parent).as_posix())
    images = f"{counted(kid.n_images, 'image')} {verb(kid.n_images, 'is', 'are')}"
    return f"{spec.id}: folder {name} {why}: its {images} left out"


def _without(n: int, what: str) -> str:
    return f"{verb(n, 'has', 'have')} no {what} and {verb(n, 'is', 'are')} left out"


def _loose(spec: DatasetSpec, folder: Folder) -> list[str]:
    if not folder.images:
        return []
    first, n = clean(folder.images[0].name), len(folder.images)
    images = f"{counted(n, 'image')} {verb(n, 'lies', 'lie')} beside the class folders in {clean(folder.name)}"
    return [f"{spec.id}: {images}, {_without(n, 'class')}, the first is {first}"]


def _no_labels(spec: DatasetSpec, base: Folder) -> str:
    held = "; the folder holds a list, which may have them" if any(folder.lists for folder in base.walk()) else ""
    return f"{spec.id}: the images lie in no class folders, so that they have no labels{held}"


def _no_class_folders(spec: DatasetSpec, tree: Folder, parts: Sequence[Folder]) -> DatasetError:
    where = f"in folders of parts ({clean(', '.join(kid.name for kid in parts))}) without class folders"
    lists = list_hint(spec.id, [path for folder in tree.walk() for path in folder.lists])
    return DatasetError(
        f"{spec.id}: the {tree.n_images:,} images lie {where}, so that they have no labels",
        lists or "put the images of each class into a folder of its own, or give a list with the columns path,label",
    )


def list_hint(dataset: str, lists: Sequence[Path]) -> str:
    """Return what to do where a folder was given and lists lie in it; "" when there are none."""
    if not lists:
        return ""
    lists = sorted(lists, key=_order_of_lists)
    if lists[0].suffix.lower() == ".parquet":
        return (
            f"give a list by its name: --data {dataset}={clean(str(lists[0]))}; where Parquet holds the images "
            "themselves in several files, join them first (docs/datasets.md)"
        )
    more = f" (or one of {counted(len(lists) - 1, 'more list')})" if len(lists) > 1 else ""
    return f"the folder holds {clean(str(lists[0]))}: give --data {dataset}={clean(str(lists[0]))}{more}"


def _order_of_lists(path: Path) -> tuple[int, int, str]:
    """Order lists by what they are likely to hold: the whole, then the training part, then others."""
    parts = [part for name in (*path.parent.parts[-1:], path.stem) if (part := part_of(name))]
    return (0 if not parts else 1 if "train" in parts else 2, len(path.parts), str(path))


def _no_images(spec: DatasetSpec, tree: Folder) -> DatasetError:
    others = [path for folder in tree.walk() for path in folder.passed_over]
    lists = [path for folder in tree.walk() for path in folder.lists]
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in others)
    held = ", ".join(f"{n:,} of {clean(suffix)}" for suffix, n in suffixes.most_common(4))
    message = f"{spec.id}: no images of a format that is read in {clean(str(tree.path))}"
    if any(suffix in _ARCHIVES for suffix in suffixes):
        return DatasetError(f"{message}; it holds {held}", "unpack the archive and give the folder that comes out")
    if lists:
        kinds = sorted({path.suffix.lower() for path in lists} & LIST_SUFFIXES)
        return DatasetError(
            f"{message}; it holds {counted(len(lists), 'list')} ({', '.join(kinds)})", list_hint(spec.id, lists)
        )
    found = f"; it holds {counted(len(others), 'other file')} ({held})" if others else ""
    return DatasetError(
        message + found,
        "give a folder with a folder of JPEG, PNG, TIFF, BMP, GIF, WebP, PNM, JPEG 2000 or DICOM files per class",
    )
