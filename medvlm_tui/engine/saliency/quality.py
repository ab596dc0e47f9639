"""How good a saliency map is: against the classifier (insertion, deletion) and against what is known of the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.geometry import View
from medvlm_tui.engine.images.raster import read_image
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.step.device_memory import with_back_off

if TYPE_CHECKING:
    from medvlm_tui.engine.saliency.masking import Masking

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
MEASURES = (
    "pointing", "mass_lesion", "area_lesion", "mass_text", "area_text", "insertion", "deletion", "stability",
)  # fmt: skip
STEPS = 16
"""Steps of the insertion and deletion curves."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What is known of an image, in the pixels that the model sees."""

    lesion: Mask
    """(H, W); empty where there is none."""
    text: Mask
    """(H, W) the burned-in words; calipers are not among them."""


def sample_regions(sample: Sample, view: Callable[[tuple[int, int]], View], window: str = FILE) -> Regions:
    """Return a sample's lesion and text as the model sees them; raises ImageError when a mask cannot be read."""
    seen = view(read_sample(sample, window).size)
    lesion = np.zeros((seen.size_px, seen.size_px), dtype=bool)
    for path in (sample.mask, *sample.more_masks):
        if path is not None:
            lesion |= seen.mask(_read_mask(path))
    words = [box for name, box in sample.boxes.items() if not name.startswith("caliper")]
    return Regions(lesion, boxes_mask([seen.box(box) for box in words], seen.size_px))


def boxes_mask(boxes: Sequence[tuple[int, int, int, int]], size_px: int) -> Mask:
    """Return (size_px, size_px), True inside the boxes."""
    inside = np.zeros((size_px, size_px), dtype=bool)
    for left, top, right, bottom in boxes:
        inside[top:bottom, left:right] = True
    return inside


def mass_inside(values: NDArray[np.floating], region: Mask) -> float | None:
    """Return the share of the map's positive mass (above its mean) inside a region; None when there is none.

    A map's zero means nothing (a constant may be added to the score), so that what rises above the mean counts.
    """
    positive = np.maximum(values - values.mean(), 0.0)
    total = float(positive.sum())
    return None if total <= 0 or not region.any() else float(positive[region].sum()) / total


def pointing_hit(values: NDArray[np.floating], region: Mask) -> bool | None:
    """Say whether the map's largest value lies in the region (Zhang et al. 2018); None for no region or a flat map."""
    if not region.any() or float(np.ptp(values)) <= 0:
        return None
    return bool(region[np.unravel_index(int(values.argmax()), values.shape)])


def map_quality(values: NDArray[np.floating], regions: Regions) -> dict[str, Any]:
    """Return pointing game and masses, each mass beside the region's share of the image (chance)."""
    return {
        "pointing": pointing_hit(values, regions.lesion),
        "mass_lesion": mass_inside(values, regions.lesion),
        "area_lesion": float(regions.lesion.mean()),
        "mass_text": mass_inside(values, regions.text),
        "area_text": float(regions.text.mean()),
    }


def perturbation_curves(masking: Masking, image: int, values: NDArray[np.floating], explained: int) -> dict[str, Any]:
    """Return insertion and deletion AUC of one class (Petsiuk 2018): pixels come or go by falling map value.

    Scores are decision values, which have no fixed range; both areas are means over the curve of
    (score - score of the hidden image) / (score of the image - score of the hidden image) where that is defined,
    so that 0 is the hidden image and 1 the whole one. `insertion_raw` and `deletion_raw` are the plain means,
    `insertion_curve` and `deletion_curve` the scores at STEPS + 1 even shares of the pixels.
    """
    order = np.argsort(-values.ravel(), kind="stable")
    rank = np.empty(values.size, dtype=np.int64)
    rank[order] = np.arange(values.size)
    levels = np.linspace(0, values.size, STEPS + 1)
    shown = torch.from_numpy(rank.reshape(values.shape)[None] < levels[:, None, None])[:, None]
    pixels, hidden = masking.pixels[image], masking.hidden[image]
    features: list[torch.Tensor] = []
    for inside, outside in ((pixels, hidden), (hidden, pixels)):

        def encode(part: Sequence[int], inside: torch.Tensor = inside, outside: torch.Tensor = outside) -> torch.Tensor:
            steps = shown[part[0] : part[-1] + 1].to(pixels.device)
            return masking.encoder.encode(torch.where(steps, inside, outside))

        parts, masking.batch_size = with_back_off(encode, range(STEPS + 1), masking.batch_size)
        features += parts
    scores = masking.classifier.scores(torch.cat(features).numpy())[:, explained]
    insertion, deletion = scores[: STEPS + 1], scores[STEPS + 1 :]
    result: dict[str, Any] = {"insertion_raw": _area(insertion), "deletion_raw": _area(deletion)}
    result |= {"insertion_curve": insertion.tolist(), "deletion_curve": deletion.tolist()}
    span = float(insertion[-1] - insertion[0])
    if abs(span) > 1e-9:
        result["insertion"] = (_area(insertion) - float(insertion[0])) / span
        result["deletion"] = (_area(deletion) - float(insertion[0])) / span
    return result


def stability(maps: Sequence[NDArray[np.floating]]) -> float | None:
    """Return the mean correlation over pairs of maps of one image made with different masks; None below two."""
    if len(maps) < 2 or any(float(np.ptp(one)) <= 0 for one in maps):
        return None
    table = np.corrcoef(np.stack([one.ravel() for one in maps]))
    return float(table[np.triu_indices(len(maps), 1)].mean())


def quality_table(items: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, dict[str, float]]:
    """Return {measure: {mean, low, high, n}} over images, with 95 % bootstrap intervals (2,000 draws)."""
    table = {}
    for name in MEASURES:
        found = [item["quality"].get(name) for item in items]
        known = np.array([float(value) for value in found if value is not None])
        if len(known):
            table[name] = interval(known, seed)
    return table


def interval(values: Floats, seed: int = 0, draws: int = 2000) -> dict[str, float]:
    """Return mean, 95 % percentile bootstrap interval and n of values of independent images."""
    picks = np.random.default_rng(seed).integers(0, len(values), size=(draws, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "n": float(len(values))}


def _area(curve: Floats) -> float:
    return float(np.trapezoid(curve) / (len(curve) - 1))


def _read_mask(path: Path) -> Mask:
    image: Image.Image = read_image(path).convert("L")
    return np.asarray(image) > 127
