"""Lesions and words on the phantom, real weights, five seeds: `python benchmarks/bias_study.py FOLDER [--study NAME]`.

Without correlation between words and classes: does the map's mass lie inside the lesion? With words that follow the
class in training: does the mass move into the word's box, and does accuracy collapse when the words are reversed?
What is made, and what counts as yes, stands in this file and was fixed before the first run; docs/bias.md has what
came out. The large study came after the small one, whose maps were too noisy to tell whether the mass moves: more
images, more masks, larger words, and the same thresholds, fixed before its first run too. The blurred study came
after the large one, whose classifiers read the words while its maps did not show it: the large study once more, with
the image itself, blurred, in place of the mean under a mask, on five seeds that nothing was tried on; of the large
one's seeds 0 and 1 such maps had been seen before. Everything is an ordinary run below FOLDER: a stopped study goes
on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from runs import run

from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.core.typed_lists import join_list
from medvlm_tui.engine.saliency.quality import boxes_mask, mass_inside
from medvlm_tui.measures.intervals import mean_interval
from medvlm_tui.stages.request import RunRequest

LESION_CLASSES = ("smooth", "spiculated")
SMALL = RunRequest(
    ("efficientnet_lite0",), ("phantom",), stages=("extract", "probe"), phantom_per_class=40, device="cpu",
    options={
        "rise_masks": 128, "rise_estimator": "reduced", "bias_words": ("BREAST", "AXILLA", "LEFT"), "bias_controls": (),
        "bias_train": 20, "bias_test": 8, "bias_masks": 128, "bias_images": 1,
    },
)  # fmt: skip
LARGE = SMALL.changed({
    "phantom_per_class": 90, "rise_masks": 512, "bias_size": 0.12, "bias_train": 60, "bias_test": 18, "bias_masks": 512,
    "bias_images": 2,
})  # fmt: skip
STUDIES = {"small": SMALL, "large": LARGE, "blurred": LARGE.changed({"rise_fill": "blur"})}
SEEDS = {"small": (0, 1, 2, 3, 4), "large": (0, 1, 2, 3, 4), "blurred": (5, 6, 7, 8, 9)}
# Correctly classified hold-out images of each class with a lesion, the first by name.
LESION_IMAGES = {"small": 2, "large": 4, "blurred": 4}
# What counts as yes. Gains are differences an image; their 95 % interval is over the images of all seeds.
LESION_SEEDS_ABOVE_CHANCE = 4  # of five: seeds whose mean mass inside the lesion exceeds the lesion's area
COLLAPSE = 0.30  # accuracy lost from matching to reversed words at full correlation, in every seed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One seed's numbers."""

    seed: int
    probe_accuracy: float
    lesions: list[tuple[float, float]]
    """(mass inside the lesion, its area) of each image."""
    words: list[tuple[float, float, float]]
    """(mass inside the word where words tell nothing in training, with full correlation, area) of each image."""
    accuracy: Mapping[str, float]
    """matching, random, reversed at full correlation; random0: random words where they told nothing in training; by
    way of removal, reversed."""
    removal_mass: Mapping[str, float]


def chosen_images(probe: StoredResult, most: int) -> list[str]:
    """Return the lesion images to explain: correctly classified, the first `most` of each class by name."""
    classes, arrays = probe.record["classes"], probe.arrays
    rows = arrays["hold_out"]
    right = rows[arrays["final_predicted"] == arrays["labels"][rows]]
    chosen: list[str] = []
    for name in LESION_CLASSES:
        of_class = sorted(probe.record["ids"][row] for row in right if classes[arrays["labels"][row]] == name)
        chosen += of_class[:most]
    return chosen


def study(folder: Path, name: str, seeds: Sequence[int]) -> Iterator[Outcome]:
    """Yield each seed's outcome."""
    for seed in seeds:
        request = replace(STUDIES[name], seed=seed)
        images = chosen_images(run(folder, request)["probe"], LESION_IMAGES[name])
        request = request.changed({"stages": (*request.stages, "saliency", "bias"), "rise_images": join_list(images)})
        yield outcome(seed, run(folder, request))


def outcome(seed: int, found: Mapping[str, StoredResult]) -> Outcome:
    """Read one seed's numbers from its results."""
    probe, saliency, bias = (found[kind] for kind in ("probe", "saliency", "bias"))
    quality = [item["quality"] for item in saliency.record["items"]]
    lesions = [(q["mass_lesion"], q["area_lesion"]) for q in quality if q["mass_lesion"] is not None]
    words = []
    for maps, box in zip(bias.arrays["maps"], bias.arrays["map_boxes"], strict=True):
        region = boxes_mask([tuple(int(edge) for edge in box)], maps.shape[-1])
        without, full = mass_inside(maps[0], region), mass_inside(maps[1], region)
        if without is not None and full is not None:
            words.append((without, full, float(region.mean())))
    values = {(m["name"], m["condition"]): m["value"] for m in bias.record["measures"]}
    accuracy = {name: values[f"accuracy_{name}", "1"] for name in ("matching", "random", "reversed")}
    accuracy["random0"] = values["accuracy_random", f"{bias.record['even_level']:.3g}"]
    accuracy |= {f"reversed, {way}": v for (name, way), v in values.items() if name == "removal_reversed"}
    removed = {way: v for (name, way), v in values.items() if name == "removal_mass"}
    return Outcome(seed, probe.record["metrics"]["accuracy"]["mean"], lesions, words, accuracy, removed)


def gain(differences: NDArray[np.float64]) -> dict[str, float]:
    """Return mean, 95 % interval and n; no interval counts as one that reaches down without end."""
    low, high = mean_interval(differences) or (-np.inf, np.inf)
    return {"mean": float(differences.mean()), "low": low, "high": high, "n": len(differences)}


def verdict(found: Sequence[Outcome]) -> dict[str, Any]:
    """Return the gains with their intervals, and whether each threshold was met."""
    lesion = np.array([mass - area for one in found for mass, area in one.lesions])
    above = sum(float(np.mean([mass - area for mass, area in one.lesions])) > 0 for one in found)
    moved = np.array([full - none for one in found for none, full, _ in one.words])
    over_chance = np.array([full - area for one in found for _, full, area in one.words])
    lost = [one.accuracy["matching"] - one.accuracy["reversed"] for one in found]
    gains = {"lesion": gain(lesion), "moved_into_word": gain(moved), "word_over_chance": gain(over_chance)}
    return {
        "gains": gains,
        "seeds_with_lesion_above_chance": above,
        "accuracy_lost": lost,
        "lesion_above_chance": gains["lesion"]["low"] > 0 and above >= LESION_SEEDS_ABOVE_CHANCE,
        "mass_moves_into_the_word": gains["moved_into_word"]["low"] > 0 and gains["word_over_chance"]["low"] > 0,
        "accuracy_collapses": min(lost) >= COLLAPSE,
    }


def main() -> None:
    """Run the seeds and print what came out as JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path)
    options.add_argument("--study", choices=STUDIES, default="small")
    options.add_argument("--seeds", help="those of the study")
    chosen = options.parse_args()
    seeds = SEEDS[chosen.study] if chosen.seeds is None else [int(seed) for seed in chosen.seeds.split(",")]
    found = []
    for one in study(chosen.folder.absolute(), chosen.study, seeds):
        found.append(one)
        print(one, flush=True)
    print(json.dumps(verdict(found)))


if __name__ == "__main__":
    main()
