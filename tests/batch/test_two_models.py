"""Two models on the microbes of a made HiCervix, through the command line: what compares them, figures 3 and 4."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.report.maps.figures import MICROBES
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages.records.bias import BiasGroupsRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.bias.data import group_gap

from .conftest import run_command

pytestmark = pytest.mark.slow
PER_CLASS = 8
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
    """Noisy discs of a colour and size of its own for each microbe, and normal images that the view leaves out."""
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
            "--data", f"hicervix={folder / 'hicervix'}", "--label", "microbe",
            "--stages", "project,similarity,bias,report", "--umap-neighbors", "5,10",
            "--bias-train", "4", "--bias-test", "2", "--bias-controls", "box", "--bias-masks", "0",
            "--workspace", folder / "ws", "--out", folder / "out",
        ],
        folder,
    )  # fmt: skip
    assert done.code == 0, done.stdout + done.stderr
    assert "leaked" not in done.stderr
    return folder / "out"


def test_similarity_csv_has_the_pair_once_a_measure(out: Path) -> None:
    found = {row["measure"]: row for row in rows(out / "similarity.csv")}
    assert set(found) == {"cka", "mutual_knn", "procrustes"}
    assert all(0 < float(row["p_against_shuffled_images"]) <= 1 for row in found.values())
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


def test_medical_and_general_models_are_compared_by_the_lab_and_the_screens_find_it(out: Path) -> None:
    medical = [row for row in rows(out / "bias_groups.csv") if row["trait"] == "medical"]
    [shift] = [row for row in medical if (row["measure"], row["condition"]) == ("shift", "text")]
    of_word = {
        row["model"]: float(row["value"])
        for row in rows(out / "bias.csv")
        if (row["measure"], row["condition"]) == ("shift", "text")
    }
    assert of_word.keys() == {"efficientnet_lite0", "small_net"}
    assert float(shift["difference"]) == pytest.approx(of_word["small_net"] - of_word["efficientnet_lite0"])
    assert (shift["inside"], shift["outside"], shift["p_value"]) == ("1", "1", "1.0")  # two models decide nothing
    engine = Engine(Workspace(out.parent / "ws"))
    try:
        data = {"hicervix": str(out.parent / "hicervix")}
        shown = engine.survey(RunRequest(data=data, label="microbe", device="cpu"))
        keys = {cell.model: cell.bias_groups for cell in shown.cells if cell.bias_groups}
        [key] = keys["efficientnet_lite0"]  # small_net is known to the run's own settings alone
        record = engine.store.read_record(key, BiasGroupsRecord)
    finally:
        engine.close()
    assert record is not None
    assert record.models == ("efficientnet_lite0", "small_net")
    assert group_gap(record, "shift").difference == pytest.approx(float(shift["difference"]))
