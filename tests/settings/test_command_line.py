"""The line that a screen copies asks for what was run, whatever was asked and whatever its names hold."""

from __future__ import annotations

import shlex
from pathlib import Path

from medvlm_tui import cli
from medvlm_tui.settings import sources as settings
from medvlm_tui.settings.command_line import batch_options, command_line
from medvlm_tui.settings.flags import values_of
from medvlm_tui.settings.options import OPTIONS, all_values
from medvlm_tui.stages.request import RunRequest

ODD = RunRequest(
    models=("a", "local:/x,y"), datasets=("x y",), data={"x y": "/p 'q'"}, weights={"a": "/w=1"}, stages=("extract",),
    protocols=("paper", "knn"), seed=5, seeds=2, label="view", part="train", tags="t.csv", device="cpu",
    precision="fp32", batch_size=4, workers=1, limit=6, window="lung", feature="cls", out="o ut", strict=True,
    offline=True, demo=False, phantom_per_class=40,
    prompts="/my prompts.toml", tokenizers={"a": "/vocabularies of a"},
    options={
        "folds": 3, "hold_out": 0.3, "umap_neighbors": (5, 15), "umap_min_dist": (0.1, 0.5), "umap_max_points": 70,
        "rise_masks": 9, "rise_cells": 8, "rise_images": '"a,b.png",c', "rise_estimator": "reduced",
        "rise_explain": ("*",), "rise_fill": "blur", "rise_stop_error": 0.25, "bias_words": ("L,5", "R"),
        "bias_position": "top", "bias_size": 0.1, "bias_contrast": 0.5, "bias_controls": (), "bias_train": 3,
        "bias_test": 2, "bias_masks": 0, "bias_images": 1, "bias_removed": 0,
        "prep_variants": ("jpeg:10", "invert"), "prep_train": 4, "prep_test": 5,
    },
)  # fmt: skip


def parsed(words: list[str]) -> RunRequest:
    options = cli.batch_parser().parse_args(words)
    return settings.request(settings.Settings(Path(), Path()), {}, values_of(options))


def test_every_field_comes_back_from_the_line(tmp_path: Path) -> None:
    left = {name for name, value in all_values(ODD).items() if value == OPTIONS[name].default}
    assert left == {"demo"}  # what --demo stands for is in the other fields
    program, *words = shlex.split(command_line(ODD, tmp_path))
    assert program == "medvlm-tui"
    assert parsed(words) == ODD


def test_defaults_are_left_out(tmp_path: Path) -> None:
    words = batch_options(RunRequest(models=("a",), datasets=("b",), stages=()), tmp_path)
    assert words == ["--batch", "--workspace", str(tmp_path), "--models", "a", "--datasets", "b"]
