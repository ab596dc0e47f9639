"""What each official implementation returns for two images, held to its own tolerances: about 12 minutes.

Every pack holds a published key layout; its weights are made in a temporary folder, one pack at a time, and
deleted. First the official pixels through our encoder, then our own preprocessing, then both together.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from made_models import encoder_of
from PIL import Image

from medvlm_tui.catalog.models import load_models
from medvlm_tui.engine.encoders.families import forget_encoder

ROOT = Path(os.environ.get("MEDVLM_CONFORMANCE") or Path(__file__).parents[2] / ".." / "shared" / "conformance")
PACKS = sorted(path.parent.name for path in ROOT.glob("*/images.npz"))
# (array of the pack, our feature) besides the default feature.
FURTHER = {
    "cxr_clip": ("features_pre_projection", "hidden"),
    "conch": ("features_proj_contrast", "projected"),
    "flair": ("features_projected", "projected"),
    "dermlip_panderm": ("features_prehead", "hidden"),
    "llava_med": ("features_projected", "projected"),
    "visionunite": ("eva_part", "eva"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PACKS, reason=f"no conformance packs in {ROOT}"),
    pytest.mark.timeout(900),
]


def fabricator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fabricate", ROOT / "fabricate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def worst(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max())


def cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / norms).min())


@pytest.fixture(params=PACKS)
def pack(request, tmp_path):
    folder = ROOT / request.param
    manifest = json.loads((folder / "manifest.json").read_text())
    fabricator().write_checkpoint(folder, tmp_path)
    # A catalog entry may wait for the folder's own file name, or for a file that the user names.
    file = manifest["checkpoint"]["file"]
    yield request.param, manifest, np.load(folder / "expected.npz"), np.load(folder / "images.npz"), tmp_path, file
    forget_encoder()
    shutil.rmtree(tmp_path, ignore_errors=True)


def load(name: str, folder: Path, file: str, feature: str = ""):
    spec = load_models()[name]
    return encoder_of(spec, folder if file in spec.files else folder / file, feature)


def test_the_official_vectors(pack):
    name, manifest, expected, images, folder, file = pack
    tolerance = manifest["tolerance"]
    encoder = load(name, folder, file)
    theirs = expected["features"]
    # A pack may hold more images than its official route accepts.
    ours = [encoder.preprocess(Image.fromarray(images[f"image_{i}"])) for i in range(len(theirs))]
    whole = [i for i in range(len(theirs)) if f"pixels_{i}" in expected]
    for i in whole:
        official = torch.from_numpy(expected[f"pixels_{i}"])[None]
        assert worst(encoder.encode(official).numpy(), theirs[i : i + 1]) <= tolerance["features_from_pixels_max_abs"]
        assert worst(ours[i].numpy(), expected[f"pixels_{i}"]) <= tolerance["pixels_max_abs"]
    if "pixels_0_sub" in expected:
        assert worst(ours[0][:, ::2, ::2].numpy(), expected["pixels_0_sub"]) <= tolerance["pixels_max_abs"]
    if "pixels_large_0" in expected:
        large = encoder.preprocess(Image.fromarray(images["large_0"])).numpy()
        step = large.shape[-1] // expected["pixels_large_0"].shape[-1]
        assert worst(large[:, ::step, ::step], expected["pixels_large_0"]) <= tolerance["pixels_max_abs"]
    features = torch.cat([encoder.encode(pixels[None]) for pixels in ours]).numpy()
    assert worst(features, theirs) <= tolerance["features_max_abs"]
    assert cosine(features, theirs) >= tolerance["features_cosine_min"]
    if name in FURTHER:
        array, feature = FURTHER[name]
        further = torch.cat([load(name, folder, file, feature).encode(pixels[None]) for pixels in ours]).numpy()
        assert worst(further, expected[array]) <= tolerance["features_max_abs"]
    if "features_crop" in expected:  # images that the official route refuses, cropped as we do
        rest = [encoder.preprocess(Image.fromarray(images[f"image_{i}"])) for i in (2, 3)]
        assert (
            worst(encoder.encode(torch.stack(rest)).numpy(), expected["features_crop"]) <= tolerance["features_max_abs"]
        )
