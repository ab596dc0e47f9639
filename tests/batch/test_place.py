"""`medvlm-tui place`: new images on the map that a run left, through the front door."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def pictures(folder: Path, kind: str, level: int, count: int) -> None:
    (folder / kind).mkdir(parents=True)
    for number in range(count):
        noise = np.random.default_rng([level, number]).integers(0, 40, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise + np.uint8(level)).save(folder / kind / f"{number}.png")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_image_of_the_map_lies_on_itself(medvlm, tmp_path: Path) -> None:
    images = tmp_path / "images"
    pictures(images, "dark", 0, 8)
    pictures(images, "light", 200, 8)
    shared = ["--workspace", tmp_path / "ws", "--data", f"mine={images}", "--offline"]
    image, out = images / "dark" / "3.png", tmp_path / "places.csv"
    early = medvlm("place", "efficientnet_lite0", "mine", image, "--out", out, *shared)
    assert (early.code, "there is no store" in early.stderr) == (4, True), early.stderr
    run = ["--batch", "--models", "efficientnet_lite0", "--datasets", "mine", "--umap-neighbors", "5", *shared]
    assert medvlm(*run, "--stages", "extract").code == 0
    early = medvlm("place", "efficientnet_lite0", "mine", image, "--out", out, *shared)
    assert (early.code, "no map of mine" in early.stderr) == (3, True), early.stderr
    made = medvlm(*run, "--stages", "project")
    assert made.code == 0, made.stderr
    done = medvlm("place", "efficientnet_lite0", "mine", image, "--out", out, *shared)
    assert done.code == 0, done.stderr
    assert "n_neighbors 5" in done.stderr
    with open(out, encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["image"], row["nearest"], row["nearest_label"]) == (str(image), "dark/3.png", "dark")
    assert float(row["cosine_distance"]) == pytest.approx(0.0, abs=1e-4)
