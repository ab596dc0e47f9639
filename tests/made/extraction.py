"""A small network with real weights and real image files: an extraction as a run does it, in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, ModelSpec, PreprocessSpec, Sample
from medvlm_tui.engine.encoders.registry import encoder_key
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step.job import CellJob
from medvlm_tui.stages.request import RunRequest

SIZE = PreprocessSpec(32, 36, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SPEC = ModelSpec("tiny", "Tiny", "general", "timm", "test_efficientnet", "bring", SIZE, {"pooled": 256})


def make_weights(folder: Path) -> Weights:
    """Save a timm network of 99,000 parameters with seeded weights."""
    torch.manual_seed(0)
    network = timm.create_model(SPEC.architecture, pretrained=False, num_classes=0)
    path = folder / "tiny.safetensors"
    save_file(network.state_dict(), path)
    return Weights("present", path, (path,), of_file(path))


def make_images(folder: Path, count: int) -> Dataset:
    """Write small JPEG files, no two alike."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    samples = []
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        Image.fromarray(draw.integers(0, 256, (40, 44, 3), dtype=np.uint8)).save(path)
        samples.append(Sample(path.name, path, "ab"[number % 2], digest=of_file(path)))
    return Dataset(DatasetSpec("made", "Made", "none", "class_folders"), folder, "default", tuple(samples), ("a", "b"))


def job_of(dataset: Dataset, weights: Weights, **request: Any) -> CellJob:
    """Return the extraction of a dataset, in fp32 on the CPU unless the request says otherwise."""
    asked = RunRequest(**{"device": "cpu", "precision": "fp32", "batch_size": 8, **request})
    key = encoder_key(SPEC, weights, "", "fp32")
    step = Step("extract:tiny:made", "extract", "tiny", "made", {}, f"sealed-{key.digest[:8]}-{dataset.digest[:8]}")
    return CellJob(step, asked, dataset, SPEC, weights, key)


def moved(dataset: Dataset, folder: Path) -> Dataset:
    """Return the same images under other names in another folder."""
    folder.mkdir()
    samples = []
    for sample in dataset.samples:
        path = folder / f"renamed-{sample.path.name}"
        path.write_bytes(sample.path.read_bytes())
        samples.append(replace(sample, id=path.name, path=path))
    return replace(dataset, root=folder, samples=tuple(samples))
