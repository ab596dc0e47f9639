"""Zero-shot scores from stored features: 5,000 images, 26 classes, 80 templates, 512 dimensions.

One figure: `rescore_s`, the seconds from the stored vectors to the scores of every template, of all of them together,
and its intervals, as an edited prompt costs them. The median of several rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time

import numpy as np

from medvlm_tui.engine.encoders.text.encoder import Scale
from medvlm_tui.engine.language.scores import Held, scored, template_predictions
from medvlm_tui.measures.classification import accuracy, confusion
from medvlm_tui.measures.language.zero_shot import class_vectors, unit

IMAGES, CLASSES, TEMPLATES, DIM = 5_000, 26, 80, 512


def rescore(images: np.ndarray, prompts: list[np.ndarray], held: Held, templates: int) -> float:
    """Return the seconds that scoring takes."""
    begun = time.perf_counter()
    cosines = images @ class_vectors(prompts).T
    scored(cosines, held, Scale(100.0, None), 0.95, False)
    for predicted in template_predictions(prompts, templates, images):
        accuracy(confusion(held.codes, predicted, len(prompts)))
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    rounds = 1 if parser.parse_args().quick else 5
    rng = np.random.default_rng(0)
    codes = rng.integers(0, CLASSES, IMAGES)
    centres = rng.normal(size=(CLASSES, DIM))
    images = unit(centres[codes] + 2 * rng.normal(size=(IMAGES, DIM)))
    prompts = [centre + 0.5 * rng.normal(size=(TEMPLATES, DIM)) for centre in centres]
    held = Held(np.arange(IMAGES), codes, None)
    print(f"{IMAGES} images, {CLASSES} classes, {TEMPLATES} templates, {DIM} dimensions, {rounds} rounds")
    seconds = statistics.median(rescore(images, prompts, held, TEMPLATES) for _ in range(rounds))
    figures = {"rescore_s": {"value": seconds, "target": 1.0, "better": "lower"}}
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]}
    print(json.dumps({"benchmark": "language", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
