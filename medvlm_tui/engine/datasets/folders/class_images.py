"""The images of one class folder: those in folders of masks become the masks of the images beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medvlm_tui.core.counts import counted, verb
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import relative_id, without_masks
from medvlm_tui.engine.datasets.folders.part_names import holds_images, holds_masks, part_of, stem_of_mask
from medvlm_tui.engine.datasets.folders.tree import Folder
from medvlm_tui.engine.datasets.label_files import label_text


@dataclass(frozen=True, slots=True)
class ClassImages:
    """Content of one class folder."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The files below a folder."""

    images: list[Path]
    masks: list[tuple[Path, Path]]
    """(folder of masks, file)"""
    warnings: list[str]


def images_of_class(
    spec: DatasetSpec, base: Path, folder: Folder, part: str, classes: Mapping[str, str]
) -> ClassImages:
    """Return the samples of a class folder, their ids below `base`. Folders of parts in it (`CLASS/train/`) name the
    part. `classes`: skeleton of a class's name -> the name, to find folders of one class inside of another."""
    if not part and not folder.images and folder.filled and all(part_of(kid.name) for kid in folder.filled):
        found = [(part_of(kid.name), _sorted(spec, base, kid, classes, folder)) for kid in folder.filled]
    else:
        found = [(part, _sorted(spec, base, folder, classes, folder))]
    samples, warnings = list[Sample](), list[str]()
    for name, files in found:
        label = label_text.tidy(folder.name) or folder.name
        images, masks, strays = _with_masks(files)
        warnings += files.warnings
        warnings += _stray_note(spec, base, strays)
        samples += [
            Sample(relative_id(path, base), path, label, part=name, mask=own[0] if own else None, more_masks=own[1:])
            for path in images
            for own in [tuple(masks.get(path, ()))]
        ]
    return ClassImages(tuple(samples), tuple(warnings))


def _sorted(spec: DatasetSpec, base: Path, top: Folder, classes: Mapping[str, str], owner: Folder) -> _Sorted:
    files = _Sorted(list(top.images), [], [])
    level = [top]
    while level:
        following: list[Folder] = []
        for folder in level:
            for kid in folder.filled:
                if holds_masks(kid.name):
                    files.masks.extend((kid.path, path) for path in kid.images_below())
                elif _mirrors(kid, folder):
                    files.warnings.append(
                        f"{spec.id}: folder {_shown(kid, base)} repeats the file names of the images beside it: its "
                        f"{counted(kid.n_images, 'image')} {verb(kid.n_images, 'is', 'are')} left out"
                    )
                else:
                    files.warnings.extend(_other_class(spec, base, kid, classes, owner))
                    files.images.extend(kid.images)
                    following.append(kid)
        level = following
    return files


def _mirrors(kid: Folder, folder: Folder) -> bool:
    """Return whether a folder beside `images/` has the same file names: maps or masks of these images."""
    if holds_images(kid.name):
        return False
    stems = {path.stem for other in folder.filled if holds_images(other.name) for path in other.images_below()}
    own = [stem_of_mask(path.stem) for path in kid.images_below()]
    return bool(stems) and 2 * sum(stem in stems for stem in own) >= len(own)


def _other_class(spec: DatasetSpec, base: Path, kid: Folder, classes: Mapping[str, str], owner: Folder) -> list[str]:
    other = classes.get(label_text.skeleton(kid.name))
    if other is None or label_text.skeleton(owner.name) == label_text.skeleton(kid.name):
        return []
    images = f"{counted(kid.n_images, 'image')} {verb(kid.n_images, 'counts', 'count')}"
    return [
        f"{spec.id}: folder {_shown(kid, base)} is called as the class {clean(other)}, and its {images} as "
        f"{clean(owner.name)}: move it if that is wrong"
    ]


def _with_masks(files: _Sorted) -> tuple[list[Path], dict[Path, list[Path]], list[Path]]:
    """Return the images, image -> its masks, and masks that belong to no image."""
    images, beside = without_masks(files.images)
    masks: defaultdict[Path, list[Path]] = defaultdict(list)
    for image, mask in beside.items():
        masks[image].append(mask)
    by_stem: defaultdict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_stem[path.stem].append(path)
    strays = []
    for folder, path in sorted(files.masks):
        fitting = by_stem.get(path.stem) or by_stem.get(stem_of_mask(path.stem), [])
        # Of several images with this name the one below the folder that holds the masks, and as deep as its mask.
        beside_it = [image for image in fitting if image.is_relative_to(folder.parent)]
        below = path.relative_to(folder).parent.parts
        as_deep = [image for image in beside_it if image.parent.parts[len(image.parent.parts) - len(below) :] == below]
        owner = next((only[0] for only in (fitting, beside_it, as_deep) if len(only) == 1), None)
        if owner is None:
            strays.append(path)
        else:
            masks[owner].append(path)
    return images, masks, strays


def _stray_note(spec: DatasetSpec, base: Path, strays: list[Path]) -> list[str]:
    if not strays:
        return []
    first = clean(relative_id(strays[0], base))
    count = f"{counted(len(strays), 'mask')} of no image {verb(len(strays), 'is', 'are')}"
    return [f"{spec.id}: {count} left out, the first is {first}"]


def _shown(folder: Folder, base: Path) -> str:
    return clean(folder.path.relative_to(base).as_posix())
