"""The bias lab through the command line, with the packaged encoder's real weights."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from medvlm_tui.core import events

from .conftest import QUICK, run_command

pytestmark = pytest.mark.slow
LAB = (
    "--bias-words", "BREAST,AXILLA,LEFT", "--bias-controls", "box", "--bias-train", "40", "--bias-test", "12",
    "--bias-masks", "64", "--bias-images", "1", "--phantom-per-class", "60", "--bias-size", "0.16",
)  # fmt: skip


def test_the_lab_measures_real_weights_and_a_second_run_computes_nothing(tmp_path: Path) -> None:
    line = [
        "--batch",
        *QUICK,
        "--stages",
        "bias,report",
        "--workspace",
        tmp_path / "ws",
        "--out",
        tmp_path / "out",
        *LAB,
    ]
    first = run_command([*line, "--json"], tmp_path)
    assert first.code == 0, first.stderr
    with open(tmp_path / "out" / "bias.csv", newline="", encoding="utf-8") as file:
        found = {(row["measure"], row["condition"]): row for row in csv.DictReader(file)}
    value = {key: float(row["value"]) for key, row in found.items()}
    assert value["shift", "text"] > value["shift", "box"] > 0
    # The phantom study in small: the classifier reads the words, and fails where they are reversed.
    assert float(found["decodability", "BREAST/AXILLA"]["ci_low"]) > 0.5
    assert value["accuracy_matching", "1"] - value["accuracy_reversed", "1"] >= 0.3
    # Three words: trained with a third of the images bearing their own, words tell nothing.
    assert abs(value["accuracy_matching", "0.333"] - value["accuracy_reversed", "0.333"]) < 0.15
    for row in found.values():
        if row["ci_low"]:
            assert float(row["ci_low"]) <= float(row["value"]) <= float(row["ci_high"])
            assert float(row["ci_low"]) < float(row["ci_high"])
    assert {"mass_text", "removal_mass", "removal_reversed", "removal_accuracy"} <= {name for name, _ in found}
    for stem in ("bias", "bias_images", "bias_maps"):
        with Image.open(tmp_path / "out" / "figures" / f"{stem}_efficientnet_lite0_phantom.png") as image:
            assert min(image.size) > 300
    again = run_command([*line, "--json"], tmp_path)
    [finished] = again.of(events.RunFinished)
    assert (finished.exit_code, finished.done) == (0, 1)  # the report alone
