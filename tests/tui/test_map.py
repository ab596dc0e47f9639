"""The map by keys: walking, zooming, the grid, two models side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import ImageError
from medvlm_tui.stages.params.projection import MapOptions
from medvlm_tui.stages.records.projection import GridRecord, MapRecord
from medvlm_tui.stages.records.similarity import ReferencesRecord, SimilarityRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.map.data import cautions, reference_words
from medvlm_tui.tui.map.plot import MapPlot
from medvlm_tui.tui.map.screen import MapScreen
from tests.made.recorded import DATASET, KEYS, MODEL, changed, fill_store, survey
from tests.tui.conftest import SIZES, seen, until

OTHER = "resnet50"


class Pictures:
    """Stands for the process that decodes images."""

    async def picture(self, request, dataset, image, side_px=64):
        if image.endswith("007.png"):
            raise ImageError(f"{image} is torn", "get it again")
        return np.full((32, 64, 3), 200, np.uint8)

    async def stop(self) -> None: ...


def more_maps(workspace: Path) -> None:
    """A second cell of the first model, and one of another model that shows 40 of the images, mirrored."""
    with Store(workspace / "store") as store:
        first = store.read(KEYS["project"], MapRecord)
        table = store.tables.read(KEYS["extract"])
        record = replace(first.record, min_dist=0.5, scores={"trustworthiness": 0.91})
        store.put_result("map-2", {"xy": first.arrays["xy"] * 2, "rows": first.arrays["rows"]}, record)
        encoder = EncoderKey(OTHER, "w", "p", "pooled", "fp32", "1")
        rows = (table.ids[:40], table.labels[:40], table.groups[:40], np.array(table.matrix[:40]))
        store.seal("table-o", FeatureTable(encoder, "d", *rows, table.classes))
        mirrored = first.arrays["xy"][:40] * [-3.0, 3.0] + 7
        store.put_result("map-o", {"xy": mirrored.astype(np.float32), "rows": np.arange(40)}, first.record)
        xy = np.stack([first.arrays["xy"], first.arrays["xy"] + 1.0])
        example = GridRecord.example()
        cells = tuple(replace(example.cells[0], key=key) for key in (KEYS["project"], "map-2"))
        grid = replace(example, proposed=KEYS["project"], cells=cells)
        store.put_result("grid-1", {"xy": xy, "rows": first.arrays["rows"]}, grid)
        alike = SimilarityRecord.example()
        pair = replace(
            alike.pairs[0],
            a=OTHER,
            b=MODEL,
            cka=0.8123,
            cka_low=0.7512,
            cka_high=0.8734,
            mutual_knn=0.4,
            mutual_knn_low=None,
            mutual_knn_high=None,
            procrustes=None,
        )
        store.put_result("alike-1", {}, replace(alike, pairs=(pair,)))


def two_models():
    said = survey(done=True)
    cells = []
    for cell in said.cells:
        if cell.model == MODEL and cell.dataset == DATASET:
            cell = changed(cell, maps=[KEYS["project"], "map-2"], grid="grid-1", similarity="alike-1")
        elif cell.model == OTHER and cell.dataset == DATASET:
            cell = changed(cell, state="done", accuracy=0.8, table="table-o", project="map-o")
        cells.append(cell)
    return replace(said, cells=tuple(cells))


@pytest.fixture
def make_map(make_app, tmp_path: Path):
    fill_store(tmp_path)
    more_maps(tmp_path)

    def make() -> MedvlmApp:
        app, client = make_app(done=True)
        app.pictures = Pictures()
        client.say(two_models())
        return app

    return make


async def opened(app: MedvlmApp, pilot: Pilot[int]) -> MapScreen:
    await until(pilot, "Brain MR")
    client = app.client
    client.say(two_models())  # type: ignore[attr-defined]
    await pilot.pause(0.05)
    await pilot.press("f5")
    await until(pilot, "a none 20")
    assert isinstance(app.screen, MapScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_cursor_walks_to_images_and_tells_what_they_are(make_map, size) -> None:
    app = make_map()
    async with app.run_test(size=size) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        assert "✛" not in seen(app)
        await pilot.press("right")
        shown = await until(pilot, "neighbours")
        assert "✛" in shown
        assert "▀▀▀" in await until(pilot, "▀▀▀")
        at = plot.at
        x = plot.data.xy[at, 0]
        name = plot.data.names[plot.data.codes[at]]
        assert f"{'abc'[plot.data.codes[at]]} {name}" in seen(app)
        await pilot.press("right", "right")
        assert plot.data.xy[plot.at, 0] > x
        await pilot.press("left", "left", "left", "left")
        assert plot.data.xy[plot.at, 0] < x
        assert seen(app).count("✛") == 1


async def test_a_held_out_image_has_its_prediction_and_a_torn_one_its_reason(make_map) -> None:
    app = make_map()
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        plot.go(3)
        screen.show_image(3)
        await until(pilot, "folds agree")
        assert "image 4 of 60" in seen(app)
        plot.go(30)
        screen.show_image(30)
        await until(pilot, "no probe of it yet")
        torn = next(index for index, image in enumerate(plot.data.ids) if image.endswith("007.png"))
        plot.go(torn)
        screen.show_image(torn)
        await until(pilot, "is torn")


async def test_zoom_pan_and_names_change_the_view_and_come_back(make_map) -> None:
    app = make_map()
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        whole = seen(app)
        assert "none 100 %" in whole or "none" in whole
        await pilot.press("plus", "plus")
        assert seen(app) != whole
        await pilot.press("shift+right", "0")
        assert seen(app) == whole
        await pilot.press("t")
        assert " %" not in seen(app).replace("± 2.1 %", "")
        await pilot.press("t", "minus")
        assert seen(app) == whole
        await pilot.press("right_square_bracket")
        assert screen.query_one("#plot", MapPlot).focus_class == 0
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert screen.query_one("#plot", MapPlot).focus_class == 2


@pytest.mark.parametrize("size", SIZES)
async def test_the_grid_shows_every_map_and_opens_one(make_map, size) -> None:
    app = make_map()
    async with app.run_test(size=size) as pilot:
        screen = await opened(app, pilot)
        await pilot.press("n")
        shown = await until(pilot, "n 15 d 0.5")
        assert "n 15 d 0.1 ◆" in shown
        assert "◆ proposed" in shown
        await pilot.press("down")
        await until(pilot, "d 0.5 · trust 0.91")
        await pilot.press("enter")
        await until(pilot, "a none 20")
        assert app.screen is screen
        assert screen.points.key == "map-2"
        # The grid has turned it, and so it is shown.
        assert np.allclose(screen.points.xy, 1.0 + app.results._results[KEYS["project"]].arrays["xy"])
        await pilot.press("n", "escape")
        assert app.screen is screen


async def test_the_map_beside_has_the_settings_of_the_first_and_no_other_is_read(make_map, tmp_path: Path) -> None:
    app = make_map()
    with Store(tmp_path / "store") as store:
        last = store.read("map-o", MapRecord)
        for name, change in (("map-p", {"n_neighbors": 3}), ("map-q", {"min_dist": 0.7})):
            store.put_result(name, last.arrays, replace(last.record, **change))
        store.put_result("map-r", last.arrays, last.record)
    said = two_models()
    beside = {"project": "map-p", "maps": ["map-r", "map-q", "map-p"]}
    mine = [changed(c, **beside) if c.model == OTHER and c.dataset == DATASET else c for c in said.cells]
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        app.client.say(replace(said, cells=tuple(mine)))
        await pilot.pause(0.05)
        await pilot.press("b")
        await until(pilot, "Procrustes disparity")
        assert screen.plots[1].data.key == "map-r"
        assert {"map-r"} == {key for key in app.results._results if key in ("map-o", "map-p", "map-q", "map-r")}


async def test_two_models_share_the_image_and_an_orientation(make_map) -> None:
    app = make_map()
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        await pilot.press("right", "b")
        shown = await until(pilot, "Procrustes disparity of the maps 0.00")
        assert "features: CKA 0.81 [0.75, 0.87], mutual kNN 0.40   " in shown
        plots = screen.plots
        assert len(plots) == 2
        ids = [plot.data.ids for plot in plots]
        shared = ids[0].index(ids[1][5])
        plots[0].go(shared)
        screen._link(shared)
        assert plots[1].at == 5
        # The mirrored map was turned back onto the first.
        assert np.allclose(plots[1].data.xy[5], plots[0].data.xy[shared], atol=1e-3)
        plots[0].go(55)
        screen._link(55)
        assert plots[1].at == -1
        await pilot.press("b")
        await pilot.pause(0.05)
        assert len(screen.plots) == 1
        assert "Procrustes" not in seen(app)


def test_a_map_says_how_its_scores_are_to_be_read() -> None:
    said = cautions({"trustworthiness": 0.9, "knn_purity": 0.8})
    assert said == " · trust says how easily the features flatten · purity depends on the number of images"
    assert cautions({"silhouette": 0.1}) == ""


def test_a_model_is_shown_beside_its_references() -> None:
    example = ReferencesRecord.example()
    made = example.references[0]
    measured = (replace(made, reference="mirrored images", cka=0.974), replace(made, cka=0.1))
    shown = reference_words(replace(example, references=measured))
    assert shown == "CKA with mirrored images 0.97, random weights 0.10"
    assert reference_words(None) == ""


async def test_the_grid_asks_for_the_fifty_maps(make_map) -> None:
    app = make_map()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("n")
        screen = await until(pilot, "◆ proposed")
        assert "trust 0.96" in screen.splitlines()[-2]
        await pilot.press("r")
        assert "the grid of 50 maps" in await until(pilot, "enter run it")
        await pilot.press("enter")
        await pilot.pause(0.1)
    (run,) = [command["request"] for command in app.client.sent if command["cmd"] == "run"]
    asked = RunRequest.from_record(run)
    assert (len(asked.of(MapOptions).neighbors), len(asked.of(MapOptions).min_dist)) == (10, 5)
    assert (asked.models, asked.datasets, asked.stages) == ((MODEL,), (DATASET,), ("extract", "project", "report"))


async def test_a_grid_of_one_map_says_how_the_others_come(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "81.2")
        await pilot.press("f5")
        await until(pilot, "a none 20")
        await pilot.press("n")
        await until(pilot, "the only map here: r computes the 50, asking first")
