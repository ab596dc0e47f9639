"""Two models on the microbes of a made HiCervix, through the command line: similarity, figures 3 and 4."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from medvlm_tui.report.map_drawing import MICROBES

from .conftest import run_command

pytestmark = pytest.mark.slow
PER_CLASS = 6
OWN = """
[models.small_net]
name = "Small net"
group = "modality_specific"
family = "timm"
architecture = "resnet10t"
source = "local:{checkpoint}"
features = {{ pooled = 512 }}
preprocess = {{ size_px = 64, resize_px = 64, normalisation = "imagenet" }}
modalities = ["cytology"]
licence = "none"
"""


def make_hicervix(root: Path) -> None:
    """Six noisy discs a microbe, of a colour and size of its own, and six normal images that the view leaves out."""
    rng, lines = np.random.default_rng(0), ["image_name,class_name,class_id,level_1,level_2,level_3"]
    (root / "train").mkdir(parents=True)
    across, down = np.meshgrid(np.arange(48), np.arange(48))
    for number, name in enumerate((*MICROBES, "Normal")):
        for image in range(PER_CLASS):
            disc = np.hypot(across - 24, down - 24) < 6 + 3 * number
            pixels = rng.integers(0, 60, (48, 48, 3))
            pixels[disc, number % 3] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(root / "train" / f"{number}-{image}.jpg")
            level = "negative" if name == "Normal" else "microbe"
            lines.append(f"{number}-{image}.jpg,{name},{number},{level},{name},")
    (root / "train.csv").write_text("\n".join(lines) + "\n")


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the report of both models fills."""
    folder = tmp_path_factory.mktemp("microbes")
    make_hicervix(folder / "hicervix")
    checkpoint = folder / "small.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("resnet10t", num_classes=0).state_dict(), checkpoint)
    (folder / "models.toml").write_text(OWN.format(checkpoint=checkpoint))
    done = run_command(
        [
            "--batch", "--models", "efficientnet_lite0,small_net", "--datasets", "hicervix",
            "--data", f"hicervix={folder / 'hicervix'}", "--label", "microbe", "--stages", "project,similarity,report",
            "--umap-neighbors", "5,10", "--workspace", folder / "ws", "--out", folder / "out",
        ],
        folder,
    )  # fmt: skip
    assert done.code == 0, done.stdout + done.stderr
    assert "leaked" not in done.stderr
    return folder / "out"


def test_similarity_csv_has_the_pair_once_a_measure(out: Path) -> None:
    found = {row["measure"]: row for row in rows(out / "similarity.csv")}
    assert set(found) == {"cka", "mutual_knn", "procrustes"}
    for row in found.values():
        assert {row["model_a"], row["model_b"]} == {"efficientnet_lite0", "small_net"}
        assert (row["dataset"], row["label_view"], row["n"]) == ("hicervix", "microbe", str(5 * PER_CLASS))
        assert 0 <= float(row["value"]) <= 1


@pytest.mark.parametrize("figure", ["figure3", "figure4"])
def test_both_models_are_in_the_figure(out: Path, figure: str) -> None:
    with Image.open(out / "figures" / f"{figure}.png") as image:
        assert np.ptp(np.asarray(image.convert("L"))) > 100
    assert (out / "figures" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")
    points = rows(out / "figures" / f"{figure}.csv")
    assert {point["model"] for point in points} == {"efficientnet_lite0", "small_net"}
    assert {point["label"] for point in points} == set(MICROBES)
    assert len(points) == 2 * 5 * PER_CLASS
