"""Figures: right size, parameters that decode back, equal bytes for equal input, hostile and large inputs drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.safe_text import slug
from medvlm_tui.report.figures.canvas import COLOURS, label, look_of
from medvlm_tui.report.maps.panel import Panel
from medvlm_tui.report.maps.scatter import draw_map
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.saliency.one_map import draw_saliency
from medvlm_tui.report.scores.figures.confusion import confusion_counts, draw_confusion
from medvlm_tui.report.write import write_report
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    return Gathered(filled(tmp_path_factory.mktemp("store")))


def opened(path: Path) -> tuple[Image.Image, Mapping[str, object]]:
    image = Image.open(path)
    image.load()
    return image, json.loads(image.text["parameters"])  # type: ignore[attr-defined]


def has_colour(image: Image.Image, colour: str) -> bool:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return bool((np.abs(np.asarray(image).astype(int) - wanted).max(axis=2) <= 2).any())


def test_a_map_names_its_parameters(gathered: Gathered, tmp_path: Path) -> None:
    shown = gathered.maps[0]
    result = gathered.source.store.result(shown.key)
    assert result is not None
    labels = tuple(sample.label for sample in shown.dataset.samples)
    panel = Panel(shown, result.arrays["xy"], labels)
    draw_map(tmp_path / "a.png", panel)
    draw_map(tmp_path / "b.png", panel)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    image, parameters = opened(tmp_path / "a.png")
    assert image.size == (1120, 920)
    assert parameters["n_neighbors"] == 15
    assert parameters["scores"] == {"trustworthiness": 0.953125, "knn_purity": 0.90625, "silhouette": None}
    assert (parameters["synthetic"], parameters["key"]) == (False, "project-biomedclip-brain_mr")
    # Legend markers are drawn without transparency.
    assert all(has_colour(image, colour) for colour in COLOURS[:3])
    assert not has_colour(image, COLOURS[3])


def test_many_classes_are_told_apart_and_drawn(gathered: Gathered, tmp_path: Path) -> None:
    assert len({look_of(index) for index in range(104)}) == 104
    first = [look_of(index) for index in range(8)]
    assert len({colour for colour, _ in first}) == len({marker for _, marker in first}) == 8
    names = tuple(f"class {number:02d} of the many" for number in range(29))
    shown = replace(gathered.maps[0], dataset=replace(gathered.maps[0].dataset, classes=names))
    xy = np.random.default_rng(0).normal(size=(2900, 2)).astype(np.float32)
    draw_map(tmp_path / "a.png", Panel(shown, xy, tuple(names[i % 29] for i in range(2900))), of=50)
    assert opened(tmp_path / "a.png")[0].width == 1120


def test_a_confusion_matrix_counts(gathered: Gathered, tmp_path: Path) -> None:
    counts = confusion_counts(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    draw_confusion(tmp_path / "a.png", gathered.cells[0], counts)
    image, parameters = opened(tmp_path / "a.png")
    assert parameters["counts"] == counts.tolist()
    assert parameters["classes"] == ["=glioma", "no_tumor", "pituitary $x_1$"]
    assert image.width >= 840


def test_a_saliency_figure_carries_how_it_was_made(gathered: Gathered, tmp_path: Path) -> None:
    explained = gathered.explained[-1]
    image, values = np.full((32, 32, 3), 90, np.uint8), np.linspace(0, 1, 1024, dtype=np.float32).reshape(32, 32)
    draw_saliency(tmp_path / "a.png", explained, explained.items[0], image, values)
    shown, parameters = opened(tmp_path / "a.png")
    assert shown.size == (1480, 590)
    assert {name: parameters[name] for name in ("masks", "cells", "probability", "baseline", "estimator")} == {
        "masks": 512, "cells": 7, "probability": 0.5, "baseline": "mean", "estimator": "plain",
    }  # fmt: skip
    assert (parameters["image"], parameters["explained"]) == ("none/none_00.png", "smooth")
    assert parameters["synthetic"] is True
    # The ends of the map and the grey of the image are on the page.
    assert has_colour(shown, "#fde725")
    assert has_colour(shown, "#440154")
    assert has_colour(shown, "#5a5a5a")


def test_a_flat_map_is_drawn(gathered: Gathered, tmp_path: Path) -> None:
    explained = gathered.explained[0]
    draw_saliency(
        tmp_path / "a.png", explained, explained.items[0], np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)
    )
    assert opened(tmp_path / "a.png")[0].width == 1480


@pytest.mark.parametrize("name", ["$\\frac{1}", "\\alpha$", "[/]", "\x1b[31m", "日本語", "a" * 300])
def test_outside_text_is_drawn_as_text(gathered: Gathered, tmp_path: Path, name: str) -> None:
    cell = replace(gathered.cells[0], classes=(name, "b", "c"))
    draw_confusion(tmp_path / "a.png", cell, np.eye(3, dtype=np.int64))
    assert opened(tmp_path / "a.png")[1]["classes"] == [name, "b", "c"]
    assert len(label(name)) <= 40
    assert "\x1b" not in label(name)


def test_a_report_has_every_figure_and_raw_map(gathered: Gathered, tmp_path: Path) -> None:
    source = gathered.source
    few = replace(source, plan=replace(source.plan, steps=tuple(s for s in source.plan.steps if s.model == "vgg16")))
    told = {Path(event.path).relative_to(tmp_path).as_posix() for event in write_report(few, tmp_path)}
    image = slug("=glioma/=glioma_00.png")
    assert {
        "figures/umap_vgg16_brain_mr.png",
        "figures/umap_vgg16_brain_mr.pdf",
        "figures/umap_vgg16_brain_mr.csv",
        "figures/umap_vgg16_brain_mr.svg",
        "figures/confusion_vgg16_brain_mr_paper.png",
        "figures/confusion_vgg16_brain_mr_paper.svg",
        "report.html",
        f"figures/rise_vgg16_brain_mr_{image}.png",
        f"saliency/rise_vgg16_brain_mr_{image}.npy",
        "manifest.json",
    } <= told
    raw = np.load(tmp_path / f"saliency/rise_vgg16_brain_mr_{image}.npy", allow_pickle=False)
    assert (raw.shape, raw.dtype) == ((32, 32), np.float32)
