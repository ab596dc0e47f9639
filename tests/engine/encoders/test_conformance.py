"""What each official implementation returns for two images, held to its own tolerances: about 12 minutes.

Every pack holds a published key layout; its weights are made in a temporary folder, one pack at a time, and
deleted. First the official pixels through our encoder, then our own preprocessing, then both together.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from medvlm_tui.catalog.models import load_models
from medvlm_tui.cli import main
from medvlm_tui.engine.encoders.models import ct_clip
from tests.made.models import encoder_of
from tests.made.shared import CONFORMANCE as ROOT

PACKS = sorted(path.parent.name for path in ROOT.glob("*/images.npz"))
VOLUMES = sorted(path.parent.name for path in ROOT.glob("*/volume.npz"))
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
    yield from unpacked(request.param, "images.npz", tmp_path)


@pytest.fixture(params=VOLUMES)
def volume_pack(request, tmp_path):
    yield from unpacked(request.param, "volume.npz", tmp_path)


def unpacked(name, inputs, tmp_path):
    folder = ROOT / name
    manifest = json.loads((folder / "manifest.json").read_text())
    fabricator().write_checkpoint(folder, tmp_path)
    # A catalog entry may wait for the folder's own file name, or for a file that the user names.
    file = manifest["checkpoint"]["file"]
    yield name, manifest, np.load(folder / "expected.npz"), np.load(folder / inputs), tmp_path, file
    shutil.rmtree(tmp_path, ignore_errors=True)


def front_door(name, paths, weights, out):
    """Features and pixels as `medvlm-tui encode` writes them, in this process."""
    line = ["encode", name, *map(str, paths), "--weights", str(weights), "--out", str(out), "--pixels"]
    assert main([*line, "--device", "cpu", "--offline", "--workspace", str(out.parent / "workspace")]) == 0
    return np.load(out)


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
    paths = [folder / f"image_{i}.png" for i in range(len(theirs))]
    for i, path in enumerate(paths):
        Image.fromarray(images[f"image_{i}"]).save(path)
    features = front_door(name, paths, folder if file in load_models()[name].files else folder / file, folder / "F.npz")
    features = features["features"]
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


def test_the_official_vectors_of_a_volume(volume_pack, monkeypatch):
    import nibabel

    name, manifest, expected, volume, folder, file = volume_pack
    tolerance = manifest["tolerance"]
    scan = folder / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume["volume"], volume["affine"]), scan)
    codes = []
    numbers = ct_clip.CTViT.code_numbers
    monkeypatch.setattr(ct_clip.CTViT, "code_numbers", lambda self, x: codes.append(numbers(self, x)) or codes[-1])
    made = front_door(name, [scan], folder / file, folder / "F.npz")
    pixels = made["pixels_0"]
    sub = pixels[0, ::8, ::8, ::8]
    assert worst(sub, expected["pixels_sub"].reshape(sub.shape)) <= tolerance["pixels_max_abs"]
    found = [pixels.mean(dtype=float), pixels.std(dtype=float), pixels.min(), pixels.max()]
    assert np.abs(found - expected["pixels_stats"]).max() <= tolerance["pixels_max_abs"]
    if "codes" in expected:
        assert (codes[0][0].numpy() == expected["codes"]).mean() >= tolerance["codes_equal_min"]
    assert worst(made["features"], expected["features"]) <= tolerance["features_max_abs"]
    assert cosine(made["features"], expected["features"]) >= tolerance["features_cosine_min"]
    if "features_crop" in expected:
        crop = torch.from_numpy(pixels[None, :, 80:144, 80:144, 56:104])
        for feature, array in (("pooled", "features_crop"), ("contrastive", "contrastive_crop")):
            ours = load(name, folder, file, feature).encode(crop).numpy()
            assert worst(ours, expected[array]) <= tolerance["features_from_pixels_max_abs"]
