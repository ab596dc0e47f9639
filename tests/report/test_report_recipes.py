"""Figures of classes and of calibration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.figures.calibration import draw_calibration, reliability
from medvlm_tui.report.scores.figures.per_class import draw_per_class
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    return Gathered(filled(tmp_path_factory.mktemp("store")))


def parameters(path: Path) -> dict[str, object]:
    image = Image.open(path)
    image.load()
    return json.loads(image.text["parameters"])  # type: ignore[attr-defined,no-any-return]


def test_per_class_scores_are_drawn(gathered: Gathered, tmp_path: Path) -> None:
    values = {"precision": np.array([[0.5, 1.0, 0.0], [0.7, 1.0, 0.0]])}
    draw_per_class(tmp_path / "a.png", gathered.cells[0], np.array([4, 4, 4]), values)
    assert parameters(tmp_path / "a.png")["means"] == {"precision": [0.6, 1.0, 0.0]}


def test_reliability_counts_and_its_error() -> None:
    confidence = np.array([0.05, 0.95, 0.95, 1.0])
    bins = reliability(confidence, np.array([False, True, True, False]), bins=10)
    assert bins.count.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bins.accuracy[9] == pytest.approx(2 / 3)
    assert bins.error == pytest.approx((0.05 + 3 * abs(2 / 3 - 2.9 / 3)) / 4)


def test_calibration_is_drawn(gathered: Gathered, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    folds = [reliability(p := rng.random(300), rng.random(300) < p) for _ in range(5)]
    draw_calibration(tmp_path / "a.png", gathered.cells[0], folds)
    assert parameters(tmp_path / "a.png")["errors"] == [fold.error for fold in folds]
    assert max(fold.error for fold in folds) < 0.2
