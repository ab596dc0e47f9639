"""Volumes: reading NIfTI, turning and resampling, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from medvlm_tui.cli import main
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.encoders.models import ct_clip, merlin
from medvlm_tui.engine.encoders.models.volumes import VolumeEncoder
from medvlm_tui.engine.images.volume import prepare
from medvlm_tui.engine.images.volume_file import read_volume
from medvlm_tui.engine.new_images.encode import encode_files
from medvlm_tui.engine.run.inputs import find_models
from medvlm_tui.errors import ImageError, UsageError
from medvlm_tui.stages.request import RunRequest

LPS = np.array([[-2.0, 0, 0, 30], [0, -3.0, 0, 20], [0, 0, 4.0, -10], [0, 0, 0, 1]])


@pytest.fixture
def scan(tmp_path):
    """A smooth volume whose value says where it is: HU grow to the right, and more slowly upwards."""
    i, j, k = np.meshgrid(np.arange(12), np.arange(10), np.arange(8), indexing="ij")
    voxels = (-50.0 * i + 20.0 * j + 30.0 * k).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, LPS), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def small(spec, size, spacing):
    return replace(spec.volume, size=size, spacing_mm=spacing)


def test_what_a_file_holds_comes_back_in_hounsfield_units(tmp_path):
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4, 1), np.eye(4))
    image.header.set_slope_inter(2.0, -1000.0)
    nibabel.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert volume.voxels.shape == (2, 3, 4)
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, nibabel.load(tmp_path / "a.nii").get_fdata()[..., 0])


def test_merlins_grid_is_linear_interpolation_from_the_first_voxel(scan, catalog):
    spec = small(catalog["merlin"], (10, 14, 6), (2.5, 2.0, 5.0))
    ours = prepare(read_volume(scan), spec)[0].numpy()
    canonical = nibabel.as_closest_canonical(nibabel.load(scan))
    counts = [round((n - 1) * old / new + 1) for n, old, new in zip((12, 10, 8), (2, 3, 4), (2.5, 2, 5), strict=True)]
    grid = np.meshgrid(
        *(np.arange(n) * new / old for n, old, new in zip(counts, (2, 3, 4), (2.5, 2, 5), strict=True)), indexing="ij"
    )
    theirs = np.clip((map_coordinates(canonical.get_fdata(), grid, order=1, mode="nearest") + 1000) / 2000, 0, 1)
    theirs = np.pad(
        theirs, [(max(s - n, 0) // 2, (max(s - n, 0) + 1) // 2) for s, n in zip((10, 14, 6), counts, strict=True)]
    )
    begins = [(n - s) // 2 for s, n in zip((10, 14, 6), theirs.shape, strict=True)]
    theirs = theirs[tuple(slice(b, b + s) for b, s in zip(begins, (10, 14, 6), strict=True))]
    assert np.abs(ours - theirs).max() < 1e-6


def test_ct_clips_grid_is_torchs_trilinear_resize(scan, catalog):
    spec = small(catalog["ct_clip"], (6, 12, 14), (6.0, 1.5, 2.5))
    ours = prepare(read_volume(scan), spec)[0].numpy()
    array = torch.from_numpy(np.clip(nibabel.load(scan).get_fdata(), -1000, 1000).transpose(2, 0, 1))[None, None]
    size = (int(8 * 4 / 6.0), int(12 * 2 / 1.5), int(10 * 3 / 2.5))
    theirs = torch.nn.functional.interpolate(array, size=size, mode="trilinear", align_corners=False)[0, 0] / 1000
    theirs = theirs[:, 2:14].numpy()
    theirs = np.pad(theirs, [(0, 1), (0, 0), (1, 1)], constant_values=-1)
    assert np.abs(ours - theirs).max() < 1e-6


def test_orientation_of_the_file_does_not_matter(scan, tmp_path, catalog):
    spec = small(catalog["merlin"], (10, 14, 6), (2.5, 2.0, 5.0))
    canonical = nibabel.as_closest_canonical(nibabel.load(scan))
    nibabel.save(canonical, tmp_path / "ras.nii")
    assert torch.allclose(prepare(read_volume(scan), spec), prepare(read_volume(tmp_path / "ras.nii"), spec))


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.nii", b"no"), ("a.nii.gz", b"\x1f\x8b broken"), ("a.nii", np.zeros((3, 3, 3, 2), np.int16)), ("a.txt", b"")],
)
def test_files_that_are_no_volume_are_refused(tmp_path, name, data):
    if isinstance(data, bytes):
        (tmp_path / name).write_bytes(data)
    else:
        nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / name)
    with pytest.raises(ImageError) as caught:
        read_volume(tmp_path / name)
    assert caught.value.hint


def test_images_and_volumes_do_not_mix(scan, tmp_path, catalog, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    assert main(["encode", "merlin", str(tmp_path / "a.png"), "--out", str(tmp_path / "F.npz"), "--offline"]) == 2
    said = capsys.readouterr().err
    assert "2D images are refused" in said
    assert "medvlm-tui encode merlin SCAN.nii.gz" in said
    with pytest.raises(UsageError, match="encodes images"):
        encode_files("efficientnet_lite0", [scan])
    found = find_models(RunRequest(models=("ct_clip",)), FileDigests(), lambda *rest: "fp32", fetch=None)
    assert "2D images are refused" in found[0].problem.message
    encoder = VolumeEncoder(catalog["merlin"], "pooled", torch.nn.Identity(), "cpu", "fp32")
    with pytest.raises(UsageError, match="2D images are refused"):
        encoder.preprocess(None)


def test_the_towers_have_the_published_number_of_tensors():
    with torch.device("meta"):
        backbone = merlin.AbdominalTower("resnet152", contrastive=False).backbone
        encoder = ct_clip.CTViT()
    assert len(backbone.state_dict()) == 930
    assert sum(p.numel() for p in backbone.parameters()) == 117_366_208
    # The published encoder's 157 less its decoder (4), the first frame's patches (6) and two counts.
    assert len(encoder.state_dict()) == 145


def test_merlins_network_sees_slices_first():
    torch.manual_seed(0)
    network = merlin.inflated(__import__("torchvision").models.resnet50(weights=None)).eval()
    assert network.conv1.stride == (1, 2, 2)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 8, 16, 16)).shape == (1, 2048)
