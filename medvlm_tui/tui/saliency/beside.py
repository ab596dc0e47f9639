"""Another model's map of the same image, and how alike the two maps are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.render.half_blocks import resized
from medvlm_tui.stages.records.saliency import ExplainedImage, SaliencyRecord
from medvlm_tui.tui.states import GREY, YELLOW

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored

_SAME_VIEW = 0.9
"""Correlation of the two images as their models see them, below which the models see different parts."""
_VIEW_PX = 32


@dataclass(frozen=True, slots=True)
class MapOfImage:
    """One model's map of one image and one class."""

    item: ExplainedImage
    explained: str
    image: NDArray[np.uint8]
    """As the model sees it."""
    values: NDArray[np.floating]
    """(H, W)"""
    region: NDArray[np.floating] | None
    """The lesion, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Correlation of two maps over the pixels of the coarser one."""

    value: float | None
    """None where a map is flat."""
    pixels: int
    same_class: bool
    same_view: bool
    """Both models see the same part of the image."""


@dataclass(frozen=True, slots=True)
class BesideModel:
    """Another model's result on the same dataset."""

    name: str
    """Safe to show."""
    found: Stored[SaliencyRecord]
    likenesses: Mapping[str, Likeness]
    """By image that both have explained, of the maps of the first result's first class."""


def map_of(found: Stored[SaliencyRecord], image: str, explained: str = "") -> MapOfImage | None:
    """Return the map of an image that explains a class, of the first explained class where that one has none; None
    where the image was not explained."""
    index = next((at for at, item in enumerate(found.record.items) if item.image == image), None)
    if index is None:
        return None
    item, arrays = found.record.items[index], found.arrays
    classes = item.explained_classes or (item.explained,)
    which = classes.index(explained) if explained in classes and "class_maps" in arrays else 0
    values = arrays["class_maps"][index, which] if which else arrays["maps"][index]
    region = arrays["lesions"][index] if "lesions" in arrays else None
    return MapOfImage(item, classes[which], arrays["images"][index], values, region)


def likeness(first: MapOfImage, second: MapOfImage) -> Likeness:
    """Return how alike two maps of one image are."""
    rows, columns = (min(sizes) for sizes in zip(first.values.shape, second.values.shape, strict=True))
    ours, theirs = (resized(one.values, columns, rows) for one in (first, second))
    views = [resized(one.image.reshape(*one.image.shape[:2], -1).mean(axis=2), _VIEW_PX, _VIEW_PX)
             for one in (first, second)]  # fmt: skip
    seen = _correlation(*views)
    same_class = first.explained == second.explained
    return Likeness(_correlation(ours, theirs), rows * columns, same_class, seen is None or seen >= _SAME_VIEW)


def beside(name: str, found: Stored[SaliencyRecord], first: Stored[SaliencyRecord]) -> BesideModel:
    """Return another result with the likeness of every image that both have explained."""
    measured = {}
    for item in first.record.items:
        ours, theirs = map_of(first, item.image), map_of(found, item.image, item.explained)
        if ours is not None and theirs is not None:
            measured[item.image] = likeness(ours, theirs)
    return BesideModel(name, found, measured)


def words(other: BesideModel, first: MapOfImage, cells: int) -> Text:
    """Return the correlation of the two maps with its n, and that of all images that both have explained."""
    theirs = map_of(other.found, first.item.image, first.explained)
    if theirs is None:
        return Text(f"{other.name} has no map of this image", style=GREY)
    one = likeness(first, theirs)
    shown = "undefined, a map is flat" if one.value is None else f"{one.value:+.2f}"
    line = Text.assemble(
        "correlation of the two maps ", (shown, "bold"),
        (f" (n {one.pixels:,} pixels, of masks of {cells} × {cells} cells)", GREY),
    )  # fmt: skip
    known = [each.value for each in other.likenesses.values() if each.value is not None and each.same_class]
    if known:
        line.append(f"   over {len(known)} {'image' if len(known) == 1 else 'images'}: mean {np.mean(known):+.2f}")
        line.append(f", {min(known):+.2f} to {max(known):+.2f}" if len(known) > 1 else "")
    for caution in _cautions(one, first, theirs):
        line.append(f"   {caution}", YELLOW)
    return line


def _cautions(one: Likeness, first: MapOfImage, second: MapOfImage) -> list[str]:
    said = [] if one.same_class else [f"theirs explains {clean(second.explained)}"]
    said += [] if one.same_view else ["the models see different parts of the image"]
    return said + (["noise lowers it"] if first.item.mostly_noise or second.item.mostly_noise else [])


def _correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float | None:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
