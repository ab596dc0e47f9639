"""What other prompts cost: scores of stored image features anew, and the bytes that loading a text tower asks for.

`rescore_s`: from stored vectors of 5,000 images and of 26 classes x 80 templates, the class vectors, the cosines of the
whole set and of each template alone, and their balanced accuracies (median of three rounds, without the tower).
`text_bytes_over_tower`: a CLIP checkpoint with both towers is written by open_clip; what is read of it while the text
tower loads, the head included, over the bytes of the text tower's tensors in the file.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
from safetensors.torch import save_file

from medvlm_tui.catalog.models import load_models
from medvlm_tui.engine.encoders.checkpoints import tensor_files
from medvlm_tui.engine.encoders.text.loading import load_text_encoder, locate_text
from medvlm_tui.measures.classification import balanced_accuracy, confusion
from medvlm_tui.measures.language.zero_shot import class_vectors, unit

CLASSES, TEMPLATES, DIM = 26, 80, 512


def rescored(images: np.ndarray, codes: np.ndarray, prompts: list[np.ndarray]) -> list[float]:
    """Return the balanced accuracy of the whole set, then of each template alone."""
    units = unit(images)
    found = []
    for vectors in [prompts, *([each[t : t + 1] for each in prompts] for t in range(TEMPLATES))]:
        predicted = (units @ class_vectors(vectors).T).argmax(axis=1)
        found.append(float(balanced_accuracy(confusion(codes, predicted, CLASSES))))
    return found


def rescore_s(count: int) -> float:
    """Return the median seconds of three rounds."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, DIM)).astype(np.float32)
    codes = rng.integers(0, CLASSES, count)
    prompts = [rng.normal(size=(TEMPLATES, DIM)).astype(np.float32) for _ in range(CLASSES)]
    rounds = []
    for _ in range(3):
        begun = time.perf_counter()
        rescored(images, codes, prompts)
        rounds.append(time.perf_counter() - begun)
    return statistics.median(rounds)


def text_bytes_over_tower(folder: Path) -> float:
    """Return the bytes read over the bytes of the text tower's tensors."""
    model = open_clip.create_model("ViT-B-16-quickgelu", pretrained=None)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    path = folder / "open_clip_model.safetensors"
    save_file(state, path)
    own = sum(t.numel() * t.element_size() for name, t in state.items() if not name.startswith("visual."))
    read = [int.from_bytes(path.read_bytes()[:8], "little") + 8]
    exactly = tensor_files._read_exactly

    def counted(descriptor: int, view: memoryview, offset: int, file: Path) -> None:
        read.append(len(view))
        exactly(descriptor, view, offset, file)

    tensor_files._read_exactly = counted
    try:
        load_text_encoder(locate_text(load_models()["clip_b16"], str(folder), "", None), "cpu", "fp32")
    finally:
        tensor_files._read_exactly = exactly
    return sum(read) / own


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="1,000 images")
    quick = parser.parse_args().quick
    seconds = rescore_s(1000 if quick else 5000)
    print(f"{1000 if quick else 5000} images x {CLASSES} classes x {TEMPLATES} templates: {seconds:.3f} s")
    with tempfile.TemporaryDirectory() as folder:
        share = text_bytes_over_tower(Path(folder))
    print(f"bytes read over the text tower's: {share:.4f}")
    figures = {
        "rescore_s": {"value": seconds, "target": 1.0, "better": "lower"},
        "text_bytes_over_tower": {"value": share, "target": 1.05, "better": "lower"},
    }
    machine = {"cpu": platform.processor() or platform.machine(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "language", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
