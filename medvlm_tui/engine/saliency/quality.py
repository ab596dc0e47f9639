"""Quality of a saliency map: against the classifier (insertion, deletion) and against what is known of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoders import whole_image
from medvlm_tui.engine.images.geometry import View
from medvlm_tui.engine.images.lesion_masks import lesion_masks
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.saliency.masking import hidden_pixels
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.measures.calibration import Platt
from medvlm_tui.measures.intervals import mean_interval, share_interval
from medvlm_tui.stages.records.saliency import ExplainedImage, MapQuality, QualityRecord

if TYPE_CHECKING:
    from medvlm_tui.engine.saliency.masking import Masking

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Quality = dict[str, Any]
"""Measures of one map, by name; None where a measure is not defined."""
REGIONS = ("lesion", "text")
MEASURES = (
    "pointing", "mass_lesion", "area_lesion", "mass_over_area_lesion", "mass_text", "area_text",
    "mass_over_area_text", "insertion", "deletion", "stability",
)  # fmt: skip
# Those that may be below zero.
_DIFFERENCES = ("mass_over_area_lesion", "mass_over_area_text", "stability")
STEPS = 16
"""Steps of the insertion and deletion curves, which have one point more."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Known regions of an image, in the pixels that the model sees."""

    lesion: Mask
    """(H, W); empty where there is none."""
    text: Mask
    """(H, W) the burned-in words; calipers are not among them."""


def sample_regions(sample: Sample, view: Callable[[tuple[int, int]], View], window: str = FILE) -> Regions:
    """Return a sample's lesion and text as the model sees them; raises ImageError when a mask cannot be read."""
    seen = view(whole_image(sample, partial(read_sample, window=window)).size)
    lesion = np.zeros((seen.size_px, seen.size_px), dtype=bool)
    for mask in lesion_masks(sample):
        lesion |= seen.mask(mask)
    words = [box for name, box in sample.boxes.items() if not name.startswith("caliper")]
    return Regions(lesion, boxes_mask([seen.box(box) for box in words], seen.size_px))


def boxes_mask(boxes: Sequence[tuple[int, int, int, int]], size_px: int) -> Mask:
    """Return (size_px, size_px), True inside the boxes."""
    inside = np.zeros((size_px, size_px), dtype=bool)
    for left, top, right, bottom in boxes:
        inside[top:bottom, left:right] = True
    return inside


def is_flat(values: NDArray[np.floating]) -> bool:
    """Return whether a map has one value everywhere, up to rounding: such a map says nothing and counts as nothing."""
    return float(np.ptp(values)) <= 1e-12 * max(1.0, float(np.abs(values).max()))


def mass_inside(values: NDArray[np.floating], region: Mask) -> float | None:
    """Return the share of the map's positive mass (above its mean) inside a region; None for no region or a flat map.

    A map's zero means nothing (a constant may be added to the score), so that what rises above the mean counts.
    """
    if is_flat(values) or not region.any():
        return None
    positive = np.maximum(values - values.mean(), 0.0)
    return float(positive[region].sum()) / float(positive.sum())


def pointing_hit(values: NDArray[np.floating], region: Mask) -> bool | None:
    """Return whether the map's maximum lies in the region (Zhang et al. 2018); None for no region or a flat map."""
    if is_flat(values) or not region.any():
        return None
    return bool(region[np.unravel_index(int(values.argmax()), values.shape)])


def map_quality(values: NDArray[np.floating], regions: Regions) -> Quality:
    """Return pointing game, masses, and for each mass the region's share of the image: the mass of a uniform map.

    An area is None where the image has no such region, so that it is never averaged over other images than the mass.
    """
    found: Quality = {"pointing": pointing_hit(values, regions.lesion)}
    for name, region in (("lesion", regions.lesion), ("text", regions.text)):
        mass, area = mass_inside(values, region), float(region.mean())
        found[f"mass_{name}"] = mass
        found[f"area_{name}"] = area if region.any() else None
        found[f"mass_over_area_{name}"] = None if mass is None else mass - area
    return found


def perturbation_curves(
    masking: Masking, image: int, values: NDArray[np.floating], explained: int, scaling: Platt
) -> Quality:
    """Return insertion and deletion of one class (Petsiuk 2018): pixels come or go by falling map value.

    `insertion_curve` and `deletion_curve` hold the class's probability, from `scaling`, at STEPS + 1 even shares of
    the pixels: insertion from the blurred image to the image, deletion from the image to the fill. `insertion` and
    `deletion` are the areas under them, between 0 and 1. None of these for a flat map, which orders no pixels.
    """
    if is_flat(values):
        return {"insertion": None, "deletion": None}
    order = np.argsort(-values.ravel(), kind="stable")
    rank = np.empty(values.size, dtype=np.int64)
    rank[order] = np.arange(values.size)
    levels = np.linspace(0, values.size, STEPS + 1)
    pixels, hidden = masking.pixels[image], masking.hidden[image]
    shown = torch.from_numpy(rank.reshape(values.shape)[None] < levels[:, None, None])[:, None]
    blurred = hidden_pixels("blur", masking.encoder, pixels[None])[0]
    features: list[torch.Tensor] = []
    for inside, outside in ((pixels, blurred), (hidden, pixels)):

        def encode(part: Sequence[int], inside: torch.Tensor = inside, outside: torch.Tensor = outside) -> torch.Tensor:
            steps = shown[part[0] : part[-1] + 1].to(pixels.device)
            return masking.encoder.encode(torch.where(steps, inside, outside))

        parts, masking.batch_size = with_back_off(encode, range(STEPS + 1), masking.batch_size)
        features += parts
    # Scores of prompts may stand behind those of the classes: they have no probability.
    scores = masking.classifier.scores(torch.cat(features).numpy())[:, : len(scaling.slope)]
    probability = scaling.probabilities(scores)[:, explained]
    insertion, deletion = probability[: STEPS + 1], probability[STEPS + 1 :]
    return {
        "insertion": _area(insertion),
        "deletion": _area(deletion),
        "insertion_curve": insertion.tolist(),
        "deletion_curve": deletion.tolist(),
    }


def stability(maps: Sequence[NDArray[np.floating]]) -> float | None:
    """Return the mean correlation over pairs of maps of one image made with different masks; None below two."""
    if len(maps) < 2 or any(map(is_flat, maps)):
        return None
    table = np.corrcoef(np.stack([one.ravel() for one in maps]))
    return float(table[np.triu_indices(len(maps), 1)].mean())


def quality_table(items: Sequence[ExplainedImage]) -> dict[str, QualityRecord]:
    """Return measure -> its mean over images, with 95 % intervals.

    The interval of pointing is that of a share, of a difference and of stability Student's, of the other measures,
    which lie between 0 and 1, a score interval (measures/intervals.py). An area is averaged over the images that its
    mass is averaged over. `misclassified` and `mostly_noise` count, among the n images, those whose predicted class
    is wrong and those whose map carries the mark.
    """
    table = {}
    for name in MEASURES:
        known = [item for item in items if _counted(item.quality, name)]
        if known:
            values = np.array([float(getattr(item.quality, name)) for item in known])
            low, high = _interval(name, values) or (None, None)
            table[name] = QualityRecord(
                mean=float(values.mean()),
                low=low,
                high=high,
                n=len(known),
                misclassified=sum(item.label != item.predicted for item in known),
                mostly_noise=sum(item.mostly_noise for item in known),
            )
    return table


def _counted(quality: MapQuality, name: str) -> bool:
    """Return whether an image takes part in a measure's mean."""
    if name.startswith("area_") and getattr(quality, name.replace("area", "mass")) is None:
        return False
    return getattr(quality, name) is not None


def _interval(name: str, values: Floats) -> tuple[float, float] | None:
    if name == "pointing":
        return share_interval(float(values.sum()), len(values))
    return mean_interval(values, None if name in _DIFFERENCES else (0.0, 1.0))


def _area(curve: Floats) -> float:
    return float(np.trapezoid(curve) / (len(curve) - 1))
