"""Brain MR's real images through the front door. About 3 minutes.

Reads MEDVLM_TEST_DATA, or `shared/data` beside the checkout; skips where neither is there.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core import events
from medvlm_tui.core.typed_lists import join_list
from tests.made import shared

from .conftest import run_command

DATA = shared.DATA / "brain_mri"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real images in {DATA}"),
]


def test_brain_mr_ends_where_the_reference_did(tmp_path: Path) -> None:
    places = ["--workspace", tmp_path / "ws", "--out", tmp_path / "out", "--data", f"brain_mr={DATA}"]
    study = ["--batch", "--models", "efficientnet_lite0", "--datasets", "brain_mr", *places, "--json"]
    stages = "extract,probe,project,statistics,verdict,report,saliency"
    more = ["--stages", stages, "--rise-images", join_list(chosen()), "--rise-masks", "64"]
    first = run_command([*study, *more], tmp_path)
    assert first.code == 0, first.stderr
    with open(tmp_path / "out" / "results.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] == "paper"]
    [accuracy] = [float(row["mean"]) for row in rows if row["metric"] == "accuracy"]
    assert 0.70 < accuracy < 0.90
    assert any("600 images found, the catalog says 2,870" in event.message for event in first.of(events.Log))
    figures = tmp_path / "out" / "figures"
    assert len(list(figures.glob("rise_efficientnet_lite0_*.png"))) == 2
    assert (figures / "rise_images_efficientnet_lite0_brain_mr.png").is_file()
    again = run_command(study, tmp_path)
    assert again.code == 0
    assert not again.of(events.BlockStored)
    assert all(event.cached for event in again.of(events.ResultReady) if event.kind != "report")


def chosen() -> list[str]:
    """Two images that the split of seed 0 holds out: the first two whose explanation is not refused."""
    from medvlm_tui.catalog.datasets import load_datasets
    from medvlm_tui.engine.datasets.opening import open_dataset
    from medvlm_tui.engine.datasets.splits.stratified import split
    from medvlm_tui.stages.params.probe import SplitParams

    dataset = open_dataset(load_datasets()["brain_mr"], DATA)
    held_out = split([sample.label for sample in dataset.samples], SplitParams()).hold_out
    names = [dataset.samples[row].id for row in np.asarray(held_out)]
    assert all(Image.open(DATA / name).format == "JPEG" for name in names[:2])
    return names[:2]
