"""The figures of maps: every recipe with its PDF and its points, in one orientation, by classes and by tags."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.plan import Step
from medvlm_tui.report.formats.csv_file import write_csv
from medvlm_tui.report.maps.examples import draw_examples
from medvlm_tui.report.maps.figures import MICROBES, draw_maps
from medvlm_tui.report.maps.many_maps import draw_grid, draw_models, draw_study
from medvlm_tui.report.maps.panel import UNTAGGED, Panel, value_order
from medvlm_tui.report.maps.panels import MapPanels, PairMaps
from medvlm_tui.report.maps.rows import references, separability, similarity
from medvlm_tui.report.maps.scatter import draw_map
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.stages.records.projection import ExamplePoints, GridRecord, MapRecord
from medvlm_tui.stages.records.separability import SeparabilityRecord
from medvlm_tui.stages.records.similarity import ReferencesRecord, SimilarityRecord
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ReportInput:
    return filled(tmp_path_factory.mktemp("store"))


@pytest.fixture
def gathered(source: ReportInput) -> Gathered:
    return Gathered(source)


def parameters(path: Path) -> dict[str, Any]:
    image = Image.open(path)
    image.load()
    return json.loads(image.text["parameters"])  # type: ignore[attr-defined,no-any-return]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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
    across, down = np.flatnonzero(ink.sum(axis=1) > 200), np.flatnonzero(ink.sum(axis=0) > 200)
    return float(down.mean() / ink.shape[1]), float(across.mean() / ink.shape[0])


def test_the_grid_frames_the_proposed_map(gathered: Gathered, tmp_path: Path) -> None:
    panels = grid(gathered, (5, 15, 50), (0.1, 0.5))
    draw_grid(tmp_path / "first.png", panels, panels[0].shown)
    draw_grid(tmp_path / "last.png", panels, panels[-1].shown)
    said = parameters(tmp_path / "last.png")
    assert said["proposed"]["key"] == "50-0.5"
    assert len(said["maps"]) == 6
    (x0, y0), (x1, y1) = dark_frame(tmp_path / "first.png"), dark_frame(tmp_path / "last.png")
    assert x1 - x0 > 0.2
    assert y1 - y0 > 0.4


def test_a_grid_with_holes_is_drawn(gathered: Gathered, tmp_path: Path) -> None:
    panels = grid(gathered, (5, 15), (0.1, 0.5))[:3]
    draw_grid(tmp_path / "a.png", panels, panels[0].shown)
    assert Image.open(tmp_path / "a.png").size == (960, 720)


def test_the_posters_grid_fits_a_page_in_print(gathered: Gathered, tmp_path: Path) -> None:
    panels = grid(gathered, (3, 5, 10, 15, 25, 50, 100, 200, 500, 1000), (0.1, 0.25, 0.5, 0.75, 1.0))
    draw_grid(tmp_path / "a.png", panels, panels[7].shown)
    width, height = Image.open(tmp_path / "a.png").size
    assert width / 200 <= 7.3
    assert height / 200 <= 10.1
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    box = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+) ([0-9.]+)", pdf)
    assert box is not None
    assert [float(side) for side in box.groups()] == pytest.approx([72 * width / 200, 72 * height / 200], abs=1)


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
    assert {(m["model"], m["dataset"], m["synthetic"]) for m in parameters(tmp_path / "a.png")["maps"]} == {
        (panel.shown.model.id, panel.shown.dataset.spec.id, panel.shown.dataset.spec.synthetic) for panel in panels
    }


def test_seven_models_of_one_dataset_share_a_legend(gathered: Gathered, tmp_path: Path) -> None:
    shown = gathered.maps[0]
    dataset = replace(shown.dataset, classes=("Normal", *MICROBES))
    labels = tuple(MICROBES[i % 5] for i in range(50))
    panels = [
        Panel(
            replace(shown, dataset=dataset, model=replace(shown.model, id=f"m{i}", name=f"Model {i}")),
            np.random.default_rng(i).normal(size=(50, 2)).astype("f4"),
            labels,
            groups=MICROBES,
        )
        for i in range(7)
    ]
    draw_models(tmp_path / "a.png", panels, "microbe subclasses")
    assert [m["model"] for m in parameters(tmp_path / "a.png")["maps"]] == [f"m{i}" for i in range(7)]
    draw_models(tmp_path / "one.png", panels[:1], "microbe subclasses")


def test_thumbnails_are_drawn(gathered: Gathered, tmp_path: Path) -> None:
    shown = gathered.maps[0]
    labels = tuple(sample.label for sample in shown.dataset.samples)
    panel = Panel(shown, np.random.default_rng(3).normal(size=(60, 2)).astype("f4"), labels)
    magenta = np.zeros((96, 96, 3), np.uint8)
    magenta[..., [0, 2]] = 255
    draw_examples(tmp_path / "a.png", panel, {3: magenta, 40: np.full((20, 20), 128, np.uint8)}, "cluster")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == [255, 0, 255]).all(axis=1).sum() > 5000
    assert parameters(tmp_path / "a.png")["examples"] == [3, 40]
    assert parameters(tmp_path / "a.png")["chosen_by"] == "cluster"


def test_points_without_a_value_are_grey_and_counted(gathered: Gathered, tmp_path: Path) -> None:
    shown = gathered.maps[0]
    labels = ("axial",) * 20 + (UNTAGGED,) * 40
    xy = np.random.default_rng(3).normal(size=(60, 2)).astype("f4")
    draw_map(tmp_path / "a.png", Panel(shown, xy, labels, grouping="plane", groups=value_order(labels)))
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3)
    assert (np.abs(pixels.astype(int) - 0xC8).max(axis=1) <= 2).sum() > 40
    assert parameters(tmp_path / "a.png")["grouping"] == "plane"


def test_the_commonest_values_of_a_tag_have_colours() -> None:
    labels = [f"v{i:02d}" for i in range(40) for _ in range(i + 1)] + [UNTAGGED] * 100
    assert value_order(labels) == tuple(f"v{i:02d}" for i in range(14, 40))
    assert value_order([UNTAGGED]) == ()


def with_grid(source: ReportInput) -> ReportInput:
    """Return the run with a grid of two maps, one of them turned, with examples, and the separability of a tag."""
    store, pair = source.store, "biomedclip:brain_mr"
    first = store.read("project-biomedclip-brain_mr", MapRecord)
    assert first is not None
    xy = first.arrays["xy"]
    record = replace(first.record, min_dist=0.5, scores={"trustworthiness": 0.99, "continuity": 0.99})
    store.put_result("second", {"xy": xy[:, ::-1].copy(), "rows": first.arrays["rows"]}, record)
    pixels = np.full((2, 96, 96, 3), 77, np.uint8)
    example = GridRecord.example()
    cells = tuple(replace(example.cells[0], key=key) for key in ("project-biomedclip-brain_mr", "second"))
    points = ExamplePoints(density=(9,), cluster=(4, 9))
    store.put_result(
        "grid",
        {"xy": np.stack([xy, xy]), "rows": first.arrays["rows"], "examples": np.array([4, 9]), "thumbnails": pixels},
        replace(example, proposed="second", cells=cells, examples=points),
    )
    measures = {"silhouette": 0.125, "knn_purity": 0.75}
    measured = replace(SeparabilityRecord.example(), tag="plane", measures=measures)
    store.put_result("separability", {}, measured)
    ids = ("biomedclip", "brain_mr")
    more = (
        Step(f"project:{pair}:15:0.5", "project", *ids, {}, "second"),
        Step(f"grid:{pair}", "grid", *ids, {}, "grid"),
        Step(f"separability:{pair}:plane", "separability", *ids, {}, "separability"),
    )
    return replace(source, plan=replace(source.plan, steps=(*source.plan.steps, *more)))


def test_a_pair_with_a_grid_is_shown_in_one_orientation(source: ReportInput, tmp_path: Path) -> None:
    run = with_grid(source)
    pair = MapPanels(Gathered(run), run.store).pairs["biomedclip", "brain_mr"]
    assert [panel.shown.min_dist for panel in pair.panels] == [0.1, 0.5]
    assert pair.proposed.shown.key == "second"
    np.testing.assert_array_equal(pair.panels[0].xy, pair.panels[1].xy)
    assert list(pair.thumbnails("cluster")) == [4, 9]
    assert list(pair.thumbnails("density")) == [9]


def test_every_figure_has_its_pdf_and_its_points(source: ReportInput, tmp_path: Path) -> None:
    tags = tmp_path / "tags.csv"
    image = source.datasets["brain_mr"].samples[0].id
    tags.write_text(f"path,tag,value\n{image},plane,=axial\n", encoding="utf-8")
    run = with_grid(source)
    run = replace(run, request=replace(run.request, tags=str(tags)))
    kept = tuple(step for step in run.plan.steps if step.model != "local:net")
    gathered = Gathered(replace(run, plan=replace(run.plan, steps=kept)))
    told = [Path(event.path).name for event in draw_maps(gathered, run.store, tmp_path)]
    names = ["figure1", "figure2", "figure3", "umap_grid_biomedclip_brain_mr", "umap_biomedclip_brain_mr_by_plane"]
    for name in names:
        assert {f"{name}.png", f"{name}.pdf", f"{name}.csv"} <= set(told)
    assert not any(name.startswith("figure4") for name in told)
    points = rows(tmp_path / "figure1.csv")
    assert (len(points), {point["grouping"] for point in points}) == (60, {"plane"})
    assert [point["image"] for point in points if point["example"] == "true"] == [points[9]["image"]]
    assert {point["label"] for point in points} == {"'=axial", ""}
    assert len(rows(tmp_path / "umap_grid_biomedclip_brain_mr.csv")) == 120
    assert parameters(tmp_path / "figure1.png")["full_space"] == {"silhouette": 0.125, "knn_purity": 0.75}


def test_microbes_of_every_model_make_figure_four(source: ReportInput, tmp_path: Path) -> None:
    dataset = source.datasets["brain_mr"]
    renamed = replace(dataset, classes=("Normal", *MICROBES))
    shown = Gathered(source).maps[0]
    labels = tuple(("Normal", *MICROBES)[i % 6] for i in range(60))
    run = Gathered(source)
    panels = [
        Panel(replace(m, dataset=renamed), np.eye(60, 2, dtype="f4"), labels, tuple(f"i{i}" for i in range(60)))
        for m in (shown, replace(shown, model=replace(shown.model, id="other")))
    ]
    pairs = {(p.shown.model.id, "brain_mr"): PairMaps((p,), p, None) for p in panels}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MapPanels, "pairs", pairs)
        patch.setattr(MapPanels, "tags", lambda self, name: {})
        told = [Path(event.path).name for event in draw_maps(run, source.store, tmp_path)]
    assert "figure4.pdf" in told
    assert {point["label"] for point in rows(tmp_path / "figure4.csv")} == set(MICROBES)


def test_text_in_a_pdf_is_text(gathered: Gathered, tmp_path: Path) -> None:
    shown = replace(gathered.maps[0], note="$\\frac{1}")
    xy = np.random.default_rng(3).normal(size=(60, 2)).astype("f4")
    draw_map(tmp_path / "a.png", Panel(shown, xy, tuple(s.label for s in shown.dataset.samples)))
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/FontType 3" not in pdf


def test_separability_csv_says_which_measures_depend_on_the_number_of_images(
    source: ReportInput, tmp_path: Path
) -> None:
    measured = {"silhouette": 0.125, "knn_purity": 0.75, "rank_me": 8.0, "intrinsic_dimension": 3.0, "uniformity": -2.0}
    record = replace(SeparabilityRecord.example(), measures={**measured, "participation_ratio": 4.0})
    source.store.put_result("full-space", {}, record)
    step = Step("separability:biomedclip:brain_mr", "separability", "biomedclip", "brain_mr", {}, "full-space")
    run = replace(source, plan=replace(source.plan, steps=(*source.plan.steps, step)))
    write_csv(tmp_path / "separability.csv", separability(Gathered(run)))
    marked = {row["measure"]: row["depends_on_n"] for row in rows(tmp_path / "separability.csv")}
    assert {name for name, mark in marked.items() if mark.lower() == "true"} == {
        "knn_purity", "rank_me", "intrinsic_dimension", "participation_ratio",
    }  # fmt: skip
    assert {name for name, mark in marked.items() if mark.lower() == "false"} == {"silhouette", "uniformity"}


def test_similarity_csv_has_the_interval_beside_the_value(source: ReportInput, tmp_path: Path) -> None:
    alike = SimilarityRecord.example()
    pair = replace(alike.pairs[0], a="biomedclip", b="vgg16", mutual_knn=None)
    source.store.put_result("alike", {}, replace(alike, pairs=(pair,)))
    step = Step("similarity:*:brain_mr", "similarity", "", "brain_mr", {}, "alike")
    run = replace(source, plan=replace(source.plan, steps=(*source.plan.steps, step)))
    write_csv(tmp_path / "similarity.csv", similarity(Gathered(run)))
    found = {row["measure"]: (row["ci_low"], row["ci_high"], row["n"]) for row in rows(tmp_path / "similarity.csv")}
    assert found == {"cka": ("0.25", "0.75", "60"), "procrustes": ("", "", "60")}


def test_the_references_of_similarity_are_a_table_of_their_own(source: ReportInput, tmp_path: Path) -> None:
    source.store.put_result("beside-itself", {}, ReferencesRecord.example())
    step = Step("references:biomedclip:brain_mr", "references", "biomedclip", "brain_mr", {}, "beside-itself")
    run = replace(source, plan=replace(source.plan, steps=(*source.plan.steps, step)))
    write_csv(tmp_path / "references.csv", references(Gathered(run)))
    found = {row["measure"]: row for row in rows(tmp_path / "references.csv")}
    assert set(found) == {"cka", "mutual_knn"}
    assert (found["cka"]["reference"], found["cka"]["ci_low"], found["cka"]["ci_high"]) == (
        "random weights", "0.0625", "0.25",
    )  # fmt: skip
    assert (found["cka"]["by_chance"], found["mutual_knn"]["by_chance"]) == ("", "0.1")
