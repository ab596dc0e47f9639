"""Saliency of several images and of two models: the page of all explained images, two maps side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from medvlm_tui.core.store.store import Store
from medvlm_tui.render.contact_sheet import Sheet, Tile
from medvlm_tui.stages.records.saliency import SaliencyRecord
from medvlm_tui.tui.saliency.gallery import GalleryScreen
from tests.made.recorded import DATASET, KEYS, MODEL, changed, fill_store, survey
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_hostile import NAMES, RAW

OTHER = "resnet50"


def two_models(workspace: Path) -> None:
    """A second model's maps of two of the images: the first one's upside down, and one half as large."""
    with Store(workspace / "store") as store:
        first = store.read(KEYS["saliency"], SaliencyRecord)
        maps = np.repeat(np.repeat(first.arrays["maps"][:2, ::2, ::2], 2, axis=1), 2, axis=2)
        maps[0] = -first.arrays["maps"][0]
        items = (first.record.items[0], replace(first.record.items[1], mostly_noise=True))
        arrays = {"images": first.arrays["images"][:2], "maps": maps}
        store.put_result("rise-o", arrays, replace(first.record, items=items))


def said_of_two():
    said = survey(done=True)
    cells = [
        changed(cell, state="done", accuracy=0.8, saliency="rise-o")
        if (cell.model, cell.dataset) == (OTHER, DATASET)
        else cell
        for cell in said.cells
    ]
    return replace(said, cells=tuple(cells))


@pytest.fixture
def app(make_app, tmp_path: Path):
    fill_store(tmp_path)
    two_models(tmp_path)
    app, _ = make_app(shown=said_of_two())
    return app


async def opened(app, pilot: Pilot[int]) -> None:
    await until(pilot, "81.2")
    app.selection.model, app.selection.dataset = MODEL, DATASET
    await pilot.press("f6")
    await until(pilot, "image 1 of 3")


@pytest.mark.parametrize("size", SIZES)
async def test_two_models_stand_side_by_side_with_the_correlation_of_their_maps(app, size) -> None:
    with Store(app.workspace / "store", read_only=True) as store:
        first, other = (store.read(key, SaliencyRecord).arrays["maps"] for key in (KEYS["saliency"], "rise-o"))
    second = np.corrcoef(first[1].ravel(), other[1].ravel())[0, 1]
    async with app.run_test(size=size, notifications=True) as pilot:
        await opened(app, pilot)
        await pilot.press("b")
        screen = await until(pilot, "correlation of the two maps")
        about = app.screen.query_one("#about").content.plain
        assert "correlation of the two maps -1.00 (n 4,096 pixels, of masks of 7 × 7 cells)" in about
        assert f"over 2 images: mean {(second - 1) / 2:+.2f}, -1.00 to {second:+.2f}" in about
        assert "ResNet50" in screen
        assert "EfficientNet-Lite0" in screen
        assert "noise lowers it" not in about
        await pilot.press("right")
        assert f"maps {second:+.2f} (n 4,096" in app.screen.query_one("#about").content.plain
        assert "noise lowers it" in app.screen.query_one("#about").content.plain
        await pilot.press("right")
        await until(pilot, "no map of this image")
        await pilot.press("b")
        await pilot.pause(0.05)
        assert "correlation" not in seen(app)
        assert app.screen.query_one("#heat").display


async def test_alone_it_says_that_nobody_stands_beside_it(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await opened(app, pilot)
        await pilot.press("b")
        await until(pilot, "no other model has saliency maps")


async def test_maps_are_larger_the_fewer_are_shown(app) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        widths = []
        for _ in range(4):
            await pilot.pause(0.05)
            overlay = app.screen.query_one("#overlay")
            widths.append(sum(overlay.render_line(15).text.count(cell) for cell in "▀"))
            await pilot.press("z")
        assert widths[0] < widths[1] < widths[2]
        assert widths[3] == widths[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 48)])
async def test_a_page_shows_every_explained_image_and_opens_one(app, size) -> None:
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot)
        await pilot.press("a")
        screen = await until(pilot, "3 explained, 2 predicted wrongly")
        await until(pilot, "▀▀▀▀")
        assert screen.count("┏") == 2, "those that are predicted wrongly have heavy frames"
        assert screen.count("╭ ✓") == 1
        assert "right" in screen.splitlines()[-2]
        await pilot.press("w")
        assert "smooth/000.png" in seen(app).splitlines()[-2]
        assert "wrong" in seen(app).splitlines()[-2]
        await pilot.press("o")
        await until(pilot, " map ─")
        await pilot.press("right", "right", "right", "enter")
        await until(pilot, "image 3 of 3")
        await pilot.press("a")
        await until(pilot, "3 explained, ")
        assert isinstance(app.screen, GalleryScreen)
        await pilot.press("left", "a")
        await until(pilot, "image 3 of 3")


async def test_moving_on_the_page_draws_no_picture_again(app, monkeypatch) -> None:
    drawn = []
    keep = GalleryScreen._picture
    monkeypatch.setattr(GalleryScreen, "_picture", lambda self, *a: (drawn.append(a), keep(self, *a))[1])
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        await pilot.press("a")
        await until(pilot, "▀▀▀▀")
        await pilot.pause(0.2)
        assert len(drawn) == 3
        await pilot.press("right", "right", "left")
        assert len(drawn) == 3


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_hostile_names_on_the_page_and_beside(make_app, tmp_path: Path, name: str) -> None:
    label = name.encode("utf-8", "replace").decode()
    fill_store(tmp_path, label=label)
    two_models(tmp_path)
    said = said_of_two()
    models = tuple(replace(row, name=name) if row.id == OTHER else row for row in said.models)
    app, _ = make_app(shown=replace(said, models=models))
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await opened(app, pilot)
        for key in ("b", "right", "a", "right", "enter"):
            await pilot.press(key)
            await pilot.pause(0.15)
            assert not RAW.search(seen(app))


def test_a_sheet_fits_all_pictures_or_scrolls_to_the_cursor() -> None:
    few = Sheet.fitting(4, 120, 40, 20, 0)
    assert (list(few.shown), few.where) == ([0, 1, 2, 3], "")
    assert few.columns * few.wide <= 120
    assert few.rows * few.tall <= 40
    # Fewer columns would make larger pictures, of which not all fit.
    assert -(-4 // (few.columns - 1)) * (120 // (few.columns - 1) // 2 + 1) > 40
    many = Sheet.fitting(100, 80, 20, 20, 77)
    assert 77 in many.shown
    assert many.where == f"{many.shown.start + 1}-{many.shown.stop} of 100"
    lines = many.text({at: Tile(f"[b]{at}", "red", few_text()) for at in many.shown}).plain.split("\n")
    assert {len(line) for line in lines} == {80}
    assert len(lines) <= 20


def few_text():
    from rich.text import Text

    return Text("xx\nyy")
