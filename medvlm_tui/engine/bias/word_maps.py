"""RISE in the bias lab: the mass inside the word's box, and what becomes of the map when the word is taken out."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.events import Event
from medvlm_tui.engine.bench.measures import About
from medvlm_tui.engine.bias.experiments import level_name
from medvlm_tui.engine.bias.lab import Box, Lab, drawn
from medvlm_tui.engine.bias.overlay import draw_overlay
from medvlm_tui.engine.bias.text_removal import UNTOUCHED, removals, word_border
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.probe.classifier import Classifier
from medvlm_tui.engine.saliency.masking import Masking, hidden_pixels
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency.quality import boxes_mask, is_flat, mass_inside
from medvlm_tui.engine.saliency.rise import Estimate, estimate, relative_error
from medvlm_tui.engine.step.device_memory import naming_shortage
from medvlm_tui.measures.map_noise import mostly_noise
from medvlm_tui.stages.records.bias import WordMapRecord
from medvlm_tui.stages.records.measure import Measure

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stack:
    """Several classifiers as one: their decision values side by side."""

    models: Sequence[Classifier]

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """Return (n, models x k)."""
        return np.concatenate([model.scores(features) for model in self.models], axis=1)


@dataclass(slots=True)
class WordMaps:
    """The maps of hold-out images that bear the word of their class."""

    levels: tuple[float, ...]
    """Of correlation in training: the one at which words tell nothing, and the highest."""
    items: list[WordMapRecord]
    images: list[NDArray[np.uint8]]
    boxes: list[Box]
    """The word, in the pixels that the model sees."""
    maps: list[Floats]
    """(levels, H, W) an image."""
    values: dict[tuple[str, str], list[tuple[float, float]]]
    """(measure, condition) -> for each image its number and the area of the word's box; a flat map has none."""

    def note(self, name: str, condition: str, value: float | None, area: float) -> None:
        """Add one image's number, None for a flat map."""
        if value is not None:
            self.values.setdefault((name, condition), []).append((value, area))

    def measures(self, words: tuple[str, ...]) -> list[Measure]:
        """Return the masses and changes with intervals over images; beside a mass its box's mean area over the same
        images, which is what a uniform map would give, and the paired difference of the two."""
        found = []
        for (name, condition), pairs in self.values.items():
            values, areas = np.array(pairs).T
            if "mass" not in name:
                found.append(About(name, condition, words=words).mean(values))
                continue
            found.append(About(name, condition, float(areas.mean()), words).mean(values, (0.0, 1.0)))
            difference = About(name.replace("mass", "mass_over_area"), condition, 0.0, words)
            found.append(difference.mean(values - areas))
        return found


def word_maps(lab: Lab, models: Sequence[Classifier], levels: tuple[float, ...]) -> Generator[Event, None, WordMaps]:
    """Explain images with the word of their class by each of `models`, and by the last one without the word.

    The models share each image's masked features.
    """
    found = WordMaps(levels, [], [], [], [], {})
    chosen, removed = _explained_rows(lab)
    for row in chosen:
        yield from _explain(lab, row, models, found, row in removed)
    return found


def images_to_encode(lab: Lab) -> int:
    """Return how many masked images `word_maps` takes."""
    chosen, removed = _explained_rows(lab)
    return (len(chosen) + len(removed) * len(removals(0))) * lab.params.rise_masks


def _explained_rows(lab: Lab) -> tuple[list[int], set[int]]:
    """Return the rows of the images to explain, and those of them that are explained again without the word."""
    p = lab.params
    chosen = drawn(lab.test, lab.codes, p.rise_images, p.seed).tolist()
    fewer = min(p.rise_images, p.rise_removed)
    return chosen, set(drawn(lab.test, lab.codes, fewer, p.seed).tolist())


def _explain(
    lab: Lab, row: int, models: Sequence[Classifier], found: WordMaps, remove: bool
) -> Generator[Event, None, None]:
    word = int(lab.codes[row]) % len(lab.params.words)
    overlaid = draw_overlay(lab.read(lab.samples[row]), lab.spec(word))
    view = view_of(lab.job.model.preprocess, overlaid.image.size)
    box = view.box(overlaid.box)
    region = boxes_mask([box], view.size_px)
    pixels = lab.encoder.preprocess(overlaid.image)
    made, predicted = yield from _maps(lab, f"map {row}", models, pixels)
    maps, area = made.maps, float(region.mean())
    found.images.append(lab.encoder.display(pixels))
    found.boxes.append(box)
    found.maps.append(maps)
    for level, one in zip(found.levels, maps, strict=True):
        found.note("mass_text", level_name(level), mass_inside(one, region), area)
    after: dict[str, Floats] = {}
    if remove:
        after = {UNTOUCHED: maps[-1]}
        after |= yield from _without(lab, row, models[-1], overlaid.image, overlaid.box)
    for name, one in after.items():
        found.note("removal_mass", name, mass_inside(one, region), area)
        if name != UNTOUCHED:
            found.note("removal_map_correlation", name, _correlation(maps[-1], one), area)
    errors = tuple(float(error) if np.isfinite(error) else None for error in relative_error(made))
    found.items.append(
        WordMapRecord(
            image=lab.samples[row].id,
            label=lab.classes[lab.codes[row]],
            word=lab.params.words[word],
            predicted=tuple(lab.classes[c] for c in predicted),
            relative_error=errors,
            mostly_noise=tuple(
                not is_flat(one) and mostly_noise(error) for one, error in zip(maps, errors, strict=True)
            ),
        )
    )


def _without(
    lab: Lab, row: int, model: Classifier, image: Image.Image, box: Box
) -> Generator[Event, None, dict[str, Floats]]:
    """Return the map of the model's predicted class after each way of taking the word out."""
    found = {}
    for name, remove in removals(word_border(lab)).items():
        pixels = lab.encoder.preprocess(remove(image, [box]))
        made, _ = yield from _maps(lab, f"map {row} {name}", [model], pixels)
        found[name] = made.maps[0]
    return found


def _maps(
    lab: Lab, name: str, models: Sequence[Classifier], pixels: torch.Tensor
) -> Generator[Event, None, tuple[Estimate, list[int]]]:
    """Return the reduced map of each model's predicted class (m, H, W), and these classes."""
    with naming_shortage("an image to explain", lab.encoder.device):
        moved = pixels[None].to(lab.encoder.device)
        hidden = hidden_pixels(lab.params.rise_fill, lab.encoder, moved)
    both = Stack(models)
    stream = MaskStream(7, 0.5, lab.params.seed, pixels.shape[-2], pixels.shape[-1], paired=True)
    masking = Masking(lab.encoder, both, stream, moved, hidden, lab.batch_size)
    scores = yield from _scores(lab, name, masking)
    whole, k = both.scores(lab.encoder.encode(moved).numpy())[0], len(lab.classes)
    predicted = [int(whole[m * k : (m + 1) * k].argmax()) for m in range(len(models))]
    chosen = [m * k + c for m, c in enumerate(predicted)]
    return estimate(stream, scores[:, chosen], "reduced"), predicted


def _scores(lab: Lab, name: str, masking: Masking) -> Generator[Event, None, Floats]:
    kept = lab.kept(name)
    if kept is not None and len(kept) == lab.params.rise_masks:
        yield lab.advanced(len(kept))
        return np.asarray(kept)
    parts: list[Floats] = []
    for chunk, begin in enumerate(range(0, lab.params.rise_masks, CHUNK)):
        for part in masking.scores(chunk, min(CHUNK, lab.params.rise_masks - begin), lab.context.check):
            parts.append(part)
            yield lab.advanced(len(part))
    return np.asarray(lab.keep(name, np.concatenate(parts)))


def _correlation(one: Floats, other: Floats) -> float | None:
    """Return Pearson's correlation over pixels; None where a map is flat."""
    if is_flat(one) or is_flat(other):
        return None
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
