"""Calibration and learning curves: the numbers that are drawn, and the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.report.results.cells import Cell, Metric, Reading
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.figures.calibration import draw_calibration
from medvlm_tui.report.scores.figures.draw import calibration
from medvlm_tui.report.scores.figures.learning_curve import curve, draw_learning_curves
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    source = filled(tmp_path_factory.mktemp("store"))
    yield Gathered(source).cells[0]
    source.store.close()


def reading(shots: int | None, n_train: int, mean: float) -> Reading:
    return Reading("shots", shots, n_train, (Metric("accuracy", mean, 0.02, (mean,), ()),))


def parameters(path: Path) -> dict[str, object]:
    with Image.open(path) as image:
        assert min(image.size) > 400
        return json.loads(image.text["parameters"])  # type: ignore[attr-defined, no-any-return]


def test_calibration_is_of_the_class_that_the_scores_choose(cell: Cell, tmp_path: Path) -> None:
    arrays = {
        "labels": np.array([0, 1, 1, 0]),
        "hold_out": np.array([1, 2, 3]),
        "predicted_test": np.array([[1, 0, 0], [1, 1, 1]]),
        "probabilities_test": np.array([[[0.1, 0.9], [0.7, 0.3], [0.7, 0.3]], [[0.2, 0.8]] * 3]),
    }
    first, second = calibration(arrays)
    # The first fold says 0.9 and is right, twice 0.7 and is right once; the second 0.8 three times, right twice.
    assert first.error == pytest.approx((abs(1 - 0.9) + 2 * abs(0.5 - 0.7)) / 3)
    assert second.error == pytest.approx(abs(2 / 3 - 0.8))
    draw_calibration(tmp_path / "a.png", cell, [first, second])
    assert parameters(tmp_path / "a.png")["errors"] == pytest.approx([first.error, second.error])


def test_learning_curves_stand_by_training_images(cell: Cell, tmp_path: Path) -> None:
    few = replace(cell, protocol="few_shot", readings=(reading(None, 48, 0.9), reading(1, 3, 0.5), reading(4, 12, 0.7)))
    assert curve(few) == [(3, 0.5, 0.02), (12, 0.7, 0.02), (48, 0.9, 0.02)]
    other = replace(few, model=replace(few.model, id="x", name="\\alpha$ [/]"))
    draw_learning_curves(tmp_path / "a.png", [few, other])
    found = parameters(tmp_path / "a.png")
    assert found["curves"]["biomedclip"] == [[3, 0.5, 0.02], [12, 0.7, 0.02], [48, 0.9, 0.02]]  # type: ignore[index]
    assert found["dataset"] == "brain_mr"
