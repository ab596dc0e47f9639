"""Working on the map: search, marks, colours, errors by margin, neighbours, tags, export."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.tags import read_tags
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.map.colouring import Predicted, by_values, errors, predicted
from medvlm_tui.tui.map.neighbours import nearest
from medvlm_tui.tui.map.plot import MARKED, MapPlot
from tests.made.recorded import KEYS, fill_store
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_map import Pictures, opened


@pytest.fixture
def app(make_app, tmp_path: Path):
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    app.pictures = Pictures()
    return app


async def test_a_search_goes_to_images_and_to_classes(app) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        await pilot.press("slash", *"003", "enter")
        await until(pilot, "1 of 1 named 003")
        assert "003" in plot.data.ids[plot.at]
        await pilot.press("slash", *(["backspace"] * 3), *"smooth", "enter")
        await until(pilot, "of 20 named smooth")
        assert plot.data.names[plot.data.codes[plot.at]] == "smooth"
        before = plot.at
        await pilot.press("slash", "enter")
        await pilot.pause()
        assert plot.at != before
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, "no image and no class")


async def test_marks_have_a_sign_a_strip_and_become_the_tags_csv(app, tmp_path: Path) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        await pilot.press("e")
        await until(pilot, "mark images first")
        await pilot.press("right", "space", "right", "right", "space", "left")
        shown = await until(pilot, "2 marked")
        assert MARKED in shown
        assert screen.query_one("#marked").display
        marked = [plot.data.ids[at] for at in sorted(plot.marked)]
        await pilot.press("e", *"note=blurred", "enter")
        await until(pilot, "note=blurred, kept in")
        assert read_tags(tmp_path / "tags.csv") == {"note": dict.fromkeys(marked, "blurred")}
        assert app.request.tags == str(tmp_path / "tags.csv")
        # The tag is a colouring now.
        for _ in range(8):
            await pilot.press("c")
            await pilot.pause(0.1)
            if "coloured by tag note" in seen(app):
                break
        screen_text = await until(pilot, "coloured by tag note")
        assert "blurred 2" in screen_text
        await pilot.press("e", *"note=", "enter")
        await pilot.pause(0.1)
        assert read_tags(tmp_path / "tags.csv") == {}


async def test_a_rectangle_marks_what_lies_in_it(app) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        corners = [int(plot.data.xy[:, 0].argmin()), int(plot.data.xy[:, 0].argmax())]
        screen.visit(corners[0])
        await pilot.press("v")
        screen.visit(corners[1])
        await pilot.press("v")
        low, high = np.sort(plot.data.xy[corners], axis=0)
        inside = ((plot.data.xy >= low) & (plot.data.xy <= high)).all(axis=1)
        assert plot.marked == set(np.flatnonzero(inside).tolist())
        assert set(corners) <= plot.marked


async def test_marks_stay_on_their_points_when_the_view_changes(app) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        left, right = int(plot.data.xy[:, 0].argmin()), int(plot.data.xy[:, 0].argmax())
        for at in (left, right):
            screen.visit(at)
            await pilot.press("space")
        screen.visit(int(np.argsort(plot.data.xy[:, 0])[len(plot.data.xy) // 2]))
        await until(pilot, "2 marked")
        assert seen(app).count(MARKED) == 2
        await pilot.press(*["plus"] * 4)
        await pilot.pause(0.1)
        assert seen(app).count(MARKED) == 0, "both lie outside a sixteenth of the map around its middle point"
        await pilot.press("0")
        await pilot.pause(0.1)
        assert seen(app).count(MARKED) == 2
        await pilot.resize_terminal(120, 40)
        await pilot.pause(0.1)
        assert seen(app).count(MARKED) == 2


async def test_colours_errors_and_neighbours(app) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        await pilot.press("c")
        await until(pilot, "coloured by prediction")
        await pilot.press("c")
        assert "wrong" in await until(pilot, "coloured by error")
        await pilot.press("w")
        await until(pilot, "error 1 of")
        first = plot.at
        await pilot.press("w")
        await until(pilot, "error 2 of")
        await pilot.press("W")
        await until(pilot, "error 1 of")
        assert plot.at == first
        await pilot.press("N")
        await until(pilot, "nearest to")
        await pilot.press("down", "enter")
        await pilot.pause(0.1)
        assert app.screen is screen
        assert plot.at != first


async def test_export_writes_what_is_shown_without_a_run(app, tmp_path: Path) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(app, pilot)
        await pilot.press("right", "space", "x")
        await until(pilot, "Export what is shown")
        await pilot.press("down", "space", "enter")  # all but the vector graphics
        await until(pilot, "map.png, map.pdf, map.csv", tries=1500)
        assert not any(command["cmd"] == "run" for command in app.client.sent)
    [folder] = (tmp_path / "exports").iterdir()
    assert {path.name for path in folder.iterdir()} == {"map.png", "map.pdf", "map.csv"}
    rows = list(csv.DictReader((folder / "map.csv").open()))
    assert len(rows) == 60
    assert sum(row["marked"] == "yes" for row in rows) == 1
    assert {row["error"] for row in rows} >= {"right", "wrong"}
    assert (folder / "map.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("size", SIZES)
async def test_an_export_is_refused_where_it_would_replace_a_file(app, tmp_path: Path, size) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "map.csv").write_text("kept")
    async with app.run_test(size=size) as pilot:
        await opened(app, pilot)
        await pilot.press("x")
        await until(pilot, "Export what is shown")
        await pilot.press("space", "down", "space", "down", "space", "down", "space", "enter")
        await until(pilot, "choose a file")
        await pilot.press("space", "tab", "home", "shift+end", "delete", *"mine", "enter")
        await until(pilot, "give the whole path of a folder")
        app.screen.query_one("#export-folder").value = str(tmp_path / "mine")
        await pilot.press("enter")
        await until(pilot, "map.csv is in this folder already")
        app.screen.query_one("#export-folder").value = str(tmp_path / "other[/]")
        await pilot.press("enter")
        await until(pilot, "map.csv: ")
    assert [path.name for path in (tmp_path / "other[/]").iterdir()] == ["map.csv"]
    assert (tmp_path / "mine" / "map.csv").read_text() == "kept"


@pytest.mark.parametrize("size", SIZES)
async def test_marked_images_are_looked_at_large(app, size) -> None:
    async with app.run_test(size=size) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        await pilot.press("o")
        await until(pilot, "mark images first")
        await pilot.press("right", "space", "right", "right", "space", "o")
        await until(pilot, "2 marked ─")
        assert max(line.count("▀") for line in (await until(pilot, "▀▀▀▀▀▀▀▀")).splitlines()) > 40
        first = sorted(plot.marked)[0]
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert app.screen is screen
        assert plot.at == first


async def test_a_point_is_copied_as_id_and_as_line(app, tmp_path: Path) -> None:
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        await pilot.press("right", "space", "y")
        await until(pilot, "image id")
        await pilot.press("down", "enter")
        await until(pilot, "image id: sent")
        image = plot.data.ids[plot.at]
        assert (tmp_path / "clipboard.txt").read_text() == image
        await pilot.press("y", "down", "down", "enter")
        await until(pilot, "line of the table: sent")
        x, y = screen.points.xy[plot.at]
        assert (tmp_path / "clipboard.txt").read_text() == f"{image}\t{image.split('/')[0]}\t{x:.6g}\t{y:.6g}"


async def test_many_points_are_shaded_by_their_number(app) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(app, pilot)
        plot = screen.query_one("#plot", MapPlot)
        assert not plot.shades_density
        await pilot.press("d")
        shown = await until(pilot, "shaded by density: 60 points")
        assert "▓" in shown
        assert "●" not in shown
        await pilot.press("d")
        await pilot.pause(0.05)
        assert "●" in seen(app)
        points = np.random.default_rng(0).normal(size=(6000, 2))
        many = replace(plot.data, xy=points, codes=np.zeros(6000, np.int64), ids=("x",) * 6000)
        plot.density = None
        plot.show_map(many)
        assert plot.shades_density
        plot.zoom(8.0)
        assert not plot.shades_density, "those in view are few enough to be drawn"


def test_predictions_and_margins_are_those_of_the_probe(tmp_path: Path) -> None:
    fill_store(tmp_path)
    with Store(tmp_path / "store") as store:
        probe, table = store.read(KEYS["probe"], ProbeRecord), store.tables.read(KEYS["extract"])
    found = predicted(probe, table, np.arange(len(table.ids)))
    held = probe.arrays["hold_out"].tolist()
    for position, row in enumerate(held):
        scores = probe.arrays["final_scores"][position]
        truth = probe.record.classes.index(table.labels[row])
        assert found.codes[row] == probe.arrays["final_predicted"][position]
        assert found.margins[row] == pytest.approx(max(np.delete(scores, truth)) - scores[truth])


def test_errors_come_by_margin_and_many_values_share_one_colour() -> None:
    ours = Predicted(("a", "b"), np.array([0, 1, 0, -1, 1]), np.array([0.2, 0.9, -1.0, np.nan, np.nan]))
    assert errors(ours, ["b", "a", "a", "a", "a"]) == [1, 0, 4]
    many = by_values("group", [f"g{number}" for number in range(40)] + ["g39"])
    assert len(many.names) == 26
    assert many.names[-1] == "others"
    assert many.names[0] == "g39"
    assert by_values("tag x", ["", "k"]).names == ("k", "no value")


def test_neighbours_have_their_cosine_distance(tmp_path: Path) -> None:
    fill_store(tmp_path)
    with Store(tmp_path / "store") as store:
        table = store.tables.read(KEYS["extract"])
        matrix = np.array(table.matrix, np.float64)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    expected = np.sort(np.delete(1 - unit @ unit[5], 5))[:30]
    assert [one.distance for one in nearest(table, 5)] == pytest.approx(expected, abs=1e-5)
