"""Figures of many maps, of examples, of classes and of calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.report.cells import Gathered
from medvlm_tui.report.drawing import draw_all
from medvlm_tui.report.figures.calibration import draw_calibration, reliability
from medvlm_tui.report.figures.examples import choose_examples, draw_examples
from medvlm_tui.report.figures.panels import Panel, draw_grid, draw_study
from medvlm_tui.report.figures.per_class import draw_per_class
from tests.unit.report_store import filled


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    return Gathered(filled(tmp_path_factory.mktemp("store")))


def parameters(path: Path) -> dict[str, object]:
    image = Image.open(path)
    image.load()
    return json.loads(image.text["parameters"])  # type: ignore[attr-defined,no-any-return]


def grid(gathered: Gathered, neighbors: tuple[int, ...], distances: tuple[float, ...]) -> list[Panel]:
    rng = np.random.default_rng(0)
    shown = gathered.maps[0]
    labels = tuple(sample.label for sample in shown.dataset.samples)
    return [
        Panel(
            replace(shown, n_neighbors=n, min_dist=d, key=f"{n}-{d}"), rng.normal(size=(60, 2)).astype("f4"), labels
        )
        for n in neighbors
        for d in distances
    ]  # fmt: skip


def dark_frame(path: Path) -> tuple[float, float]:
    """Return the middle (x, y), as shares of the figure, of the pixels in the frame's colour in long runs."""
    ink = (np.asarray(Image.open(path).convert("L")) < 60).astype(int)
    rows, columns = np.flatnonzero(ink.sum(axis=1) > 200), np.flatnonzero(ink.sum(axis=0) > 200)
    return float(columns.mean() / ink.shape[1]), float(rows.mean() / ink.shape[0])


def test_the_grid_frames_the_proposed_map(gathered: Gathered, tmp_path: Path) -> None:
    panels = grid(gathered, (5, 15, 50), (0.1, 0.5))
    draw_grid(tmp_path / "first.png", panels, panels[0].shown)
    draw_grid(tmp_path / "last.png", panels, panels[-1].shown)
    said = parameters(tmp_path / "last.png")
    assert said["proposed"]["key"] == "50-0.5"  # type: ignore[index]
    assert len(said["maps"]) == 6  # type: ignore[arg-type]
    (x0, y0), (x1, y1) = dark_frame(tmp_path / "first.png"), dark_frame(tmp_path / "last.png")
    assert x1 - x0 > 0.2
    assert y1 - y0 > 0.4


def test_a_grid_with_holes_is_drawn(gathered: Gathered, tmp_path: Path) -> None:
    panels = grid(gathered, (5, 15), (0.1, 0.5))[:3]
    draw_grid(tmp_path / "a.png", panels, panels[0].shown)
    assert Image.open(tmp_path / "a.png").size == (960, 720)


def test_the_study_has_a_row_a_model_and_a_column_a_dataset(gathered: Gathered, tmp_path: Path) -> None:
    panels = [
        Panel(
            shown,
            np.random.default_rng(1).normal(size=(60, 2)).astype("f4"),
            tuple(s.label for s in shown.dataset.samples),
        )
        for shown in gathered.maps[:-1]
    ]
    draw_study(tmp_path / "a.png", panels)
    assert {(m["model"], m["dataset"], m["synthetic"]) for m in parameters(tmp_path / "a.png")["maps"]} == {  # type: ignore[attr-defined]
        (panel.shown.model.id, panel.shown.dataset.spec.id, panel.shown.dataset.spec.synthetic) for panel in panels
    }


def test_examples_lie_apart_and_where_points_are() -> None:
    rng = np.random.default_rng(2)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    crowd = np.concatenate([rng.normal(scale=0.3, size=(50, 2)) + c for c in centres]).astype("f4")
    lonely = np.concatenate([crowd, [[5.0, 30.0]]]).astype("f4")
    chosen = choose_examples(crowd, 4)
    assert sorted(point // 50 for point in chosen) == [0, 1, 2, 3]
    assert choose_examples(crowd, 4) == chosen
    assert 200 not in choose_examples(lonely, 3)
    assert choose_examples(np.zeros((9, 2), "f4"), 4) == [0]
    assert choose_examples(np.zeros((0, 2), "f4"), 4) == []


def test_thumbnails_are_drawn(gathered: Gathered, tmp_path: Path) -> None:
    shown = gathered.maps[0]
    labels = [sample.label for sample in shown.dataset.samples]
    xy = np.random.default_rng(3).normal(size=(60, 2)).astype("f4")
    magenta = np.zeros((50, 70, 3), np.uint8)
    magenta[..., [0, 2]] = 255
    draw_examples(tmp_path / "a.png", shown, xy, labels, {3: magenta, 40: np.full((20, 20), 128, np.uint8)})
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == [255, 0, 255]).all(axis=1).sum() > 5000
    assert parameters(tmp_path / "a.png")["examples"] == [3, 40]


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


def test_several_maps_of_one_pair_make_a_grid(gathered: Gathered, tmp_path: Path) -> None:
    first = gathered.maps[0]
    gathered.source.store.put_result("second", *_stored(gathered, first.key))
    several = Gathered(gathered.source)
    several.__dict__.update(cells=(), explained=(), maps=(first, replace(first, key="second", min_dist=0.5)))
    told = [Path(event.path).name for event in draw_all(several, gathered.source.store, tmp_path, tmp_path)]
    assert told == ["umap_biomedclip_brain_mr.png", "umap_grid_biomedclip_brain_mr.png"]


def _stored(gathered: Gathered, key: str) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    result = gathered.source.store.result(key)
    assert result is not None
    return dict(result.arrays), dict(result.record)
