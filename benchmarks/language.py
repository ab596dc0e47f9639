"""Zero-shot scores from stored features, and what loading a text tower reads of a checkpoint.

`rescore_s` are the seconds from the stored vectors of 5,000 images, 26 classes and 80 templates of 512 dimensions to
the scores of every template, of all of them together, and its intervals, as an edited prompt costs them; the median of
several rounds. `bytes_over_text` are the bytes that loading the text tower of `clip_b16` asks of a checkpoint with both
towers in bfloat16, its head included, over the bytes of the text tower in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.encoders.checkpoints import safetensors_files, tensor_files
from medvlm_tui.engine.encoders.text.encoder import Scale
from medvlm_tui.engine.encoders.text.loading import load_text_encoder, locate_text
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


def checkpoint(folder: Path) -> int:
    """Write a CLIP B/16 without its training; returns the bytes of its text tower, with the scale."""
    network = open_clip.create_model("ViT-B-16-quickgelu")
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    tensors = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in shapes.items()}
    save_file(tensors, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    return sum(t.numel() * t.element_size() for name, t in tensors.items() if not name.startswith("visual."))


def asked_bytes(folder: Path) -> int:
    """Return the bytes that loading the text tower asks of the checkpoint, and of its head."""
    asked = [0]
    read_exactly, read_header = tensor_files._read_exactly, safetensors_files.read_header

    def counting(descriptor: int, view: memoryview, offset: int, path: Path) -> None:
        asked[0] += len(view)
        read_exactly(descriptor, view, offset, path)

    def counting_header(path: Path) -> object:
        with path.open("rb") as file:
            asked[0] += 8 + int.from_bytes(file.read(8), "little")
        return read_header(path)

    tensor_files._read_exactly, tensor_files.read_header = counting, counting_header
    load_text_encoder(locate_text(load_models()["clip_b16"], str(folder), "", FileDigests()), "cpu", "fp32")
    tensor_files._read_exactly, tensor_files.read_header = read_exactly, read_header
    return asked[0]


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
    with tempfile.TemporaryDirectory() as name:
        wanted = checkpoint(Path(name))
        asked = asked_bytes(Path(name))
        print(f"text tower: {wanted / 1e6:.1f} MB in the file, {asked / 1e6:.1f} MB asked for")
    figures["bytes_over_text"] = {"value": round(asked / wanted, 4), "target": 1.05, "better": "lower"}
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "load": os.getloadavg()[0]}
    print(json.dumps({"benchmark": "language", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
