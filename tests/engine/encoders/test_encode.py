"""Features of a few files, as `medvlm-tui encode` writes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medvlm_tui.engine.new_images.encode import encode_files, save_encoded
from medvlm_tui.errors import ImageError, MissingInputError, UsageError
from tests.made.models import encoder_of, pixels_of


@pytest.fixture
def paths(tmp_path, images):
    made = []
    for number, image in enumerate(images):
        made.append(tmp_path / f"{number}.png")
        image.save(made[-1])
    return made


def test_features_names_and_pixels_in_one_file(tmp_path, paths, images, catalog):
    encoded = encode_files("efficientnet_lite0", paths, with_pixels=True, device="cpu")
    save_encoded(encoded, tmp_path / "F.npz")
    with np.load(tmp_path / "F.npz") as file:
        assert list(file["names"]) == [str(path) for path in paths]
        assert file["features"].shape == (4, 1280)
        assert file["features"].dtype == np.float32
        assert file["pixels_3"].shape == (3, 224, 224)
        encoder = encoder_of(catalog["efficientnet_lite0"])
        expected = encoder.encode(pixels_of(encoder, images))
        assert torch.equal(torch.from_numpy(file["features"]), expected)


def test_what_is_wrong_is_named(tmp_path, paths):
    with pytest.raises(MissingInputError, match=r"none\.png"):
        encode_files("efficientnet_lite0", [*paths, tmp_path / "none.png"], device="cpu")
    with pytest.raises(UsageError, match="no feature"):
        encode_files("efficientnet_lite0", paths, feature="cls")
    (tmp_path / "bad.png").write_bytes(b"no")
    with pytest.raises(ImageError, match=r"bad\.png"):
        encode_files("efficientnet_lite0", [tmp_path / "bad.png"], device="cpu")
    with pytest.raises(MissingInputError):
        encode_files("clip_dr", paths, device="cpu")
