"""`medvlm-tui encode`: features of a few files, without a dataset or a store."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_features_names_and_pixels_are_written(medvlm, tmp_path: Path) -> None:
    images = [picture(tmp_path / f"{n}.png", n) for n in range(2)]
    out = tmp_path / "f.npz"
    done = medvlm("encode", "efficientnet_lite0", *images, "--out", out, "--pixels", "--precision", "fp32")
    assert done.code == 0, done.stderr
    with np.load(out) as arrays:
        assert arrays["features"].shape == (2, 1280)
        assert arrays["features"].dtype == np.float32
        assert arrays["names"].tolist() == [str(image) for image in images]
        assert arrays["pixels_0"].shape == arrays["pixels_1"].shape == (3, 224, 224)
        assert not np.allclose(arrays["features"][0], arrays["features"][1])


def test_what_is_wrong_is_named(medvlm_here, tmp_path: Path) -> None:
    image, out = picture(tmp_path / "a.png", 0), tmp_path / "f.npz"
    assert medvlm_here("encode", "no_such_model", image, "--out", out).code == 2
    missing = medvlm_here("encode", "efficientnet_lite0", tmp_path / "none.png", "--out", out)
    assert (missing.code, "none.png" in missing.stderr) == (3, True)
    weights = medvlm_here("encode", "clip_b16", image, "--out", out)
    assert weights.code == 3
    wrong = medvlm_here("encode", "clip_b16", image, "--out", out, "--weights", image)
    assert wrong.code != 0
    assert "Traceback" not in wrong.stderr
    assert not out.exists()
