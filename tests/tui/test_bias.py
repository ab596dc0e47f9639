"""The bias screen by keys: pictures with and without a word, the ranking, the flipped images, other words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import ImageError
from medvlm_tui.service.picture_client import BurnedIn
from medvlm_tui.stages.records.bias import BiasGroupsRecord, BiasRecord
from medvlm_tui.tui.bias import ranking
from medvlm_tui.tui.bias.ask_words import words_and_position
from tests.made.examples import bias_arrays
from tests.made.recorded import DATASET, MODEL, RecordedClient, changed, fill_store, survey
from tests.tui.conftest import SIZES, confirm, seen, until
from tests.tui.test_map import Pictures

OTHER = "resnet50"


class Burned(Pictures):
    """Remembers what was to be drawn into which image."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, BurnedIn]] = []

    async def picture(self, request, dataset, image, side_px=64, burned_in=None):
        self.asked.append((image, burned_in))
        return await super().picture(request, dataset, image, side_px)


def fill_lab(workspace: Path, key: str, shift: float) -> None:
    """Store the example of a lab with another shift, and a name that is no markup."""
    example = BiasRecord.example()
    measures = tuple(
        replace(one, value=shift) if (one.name, one.condition) == ("shift", "text") else one
        for one in example.measures
        if one.name != "removal_reversed"
    )
    record = replace(example, measures=measures, images=("a/0.png", "a/1.png", "b/[/]2.png", "b/3.png"))
    with Store(workspace / "store") as store:
        store.put_result(key, bias_arrays(record, np.random.default_rng(0)), record)


def fill_groups(workspace: Path) -> None:
    """Two comparisons: the larger one is to be shown, with its adjusted p-values but for the primary test."""
    example = BiasGroupsRecord.example()
    test = replace(example.groups[0], primary=False, inside=3, outside=5)
    groups = (
        replace(test, measure="shift", condition="text", p_value=0.1, holm=0.4),
        replace(test, measure="shift", condition="box", p_value=0.3, holm=0.9),
        replace(test, measure="shift_over_control", condition="box", p_value=0.01, holm=0.05),
        replace(test, primary=True, datasets=2),
        replace(test, trait="pmc_15m", measure="flip_rate", condition="text", p_value=0.2, holm=0.6),
    )
    with Store(workspace / "store") as store:
        store.put_result("groups-1", {}, replace(example, models=("a", "b"), groups=()))
        store.put_result("groups-2", {}, replace(example, models=("a", "b", "c"), groups=groups))


def with_labs():
    said = survey(done=True)
    keys = {MODEL: "lab-1", OTHER: "lab-2"}
    compared = {MODEL: ["groups-2"], OTHER: ["groups-2", "groups-1"]}
    cells = [
        changed(cell, bias=keys[cell.model], bias_groups=compared[cell.model])
        if cell.dataset == DATASET and cell.model in keys
        else cell
        for cell in said.cells
    ]
    return replace(said, cells=tuple(cells))


@pytest.fixture
def lab_app(make_app, tmp_path: Path):
    fill_store(tmp_path)
    fill_lab(tmp_path, "lab-1", 0.2)
    fill_lab(tmp_path, "lab-2", 0.4)
    fill_groups(tmp_path)
    app, client = make_app(done=True)
    app.pictures = Pictures()
    return app, client


async def opened(pilot, client: RecordedClient) -> None:
    await until(pilot, "Brain MR")
    client.say(with_labs())
    await pilot.pause(0.05)
    await pilot.press("f7")


@pytest.mark.parametrize("size", SIZES)
async def test_models_are_ranked_and_the_word_is_seen(lab_app, size) -> None:
    app, client = lab_app
    async with app.run_test(size=size) as pilot:
        await opened(pilot, client)
        screen = await until(pilot, "with text")
        assert "by shift" in screen
        assert screen.index("ResNet50") < screen.index("EfficientNet-Lite0")
        assert "0.400" in screen
        assert "0.88" in screen
        assert "▀▀▀" in screen
        assert ", stays " in screen
        assert "shift 0.100, " in screen
        await pilot.press("right_square_bracket")
        assert "spiculated → smooth" in await until(pilot, "image 2 of 2")
        await pilot.press("o")
        assert "shift 0.030, stays spiculated" in await until(pilot, "with box")
        assert app.screen.zoomed, "the overlay's place fills the pane"
        await pilot.press("z")
        assert not app.screen.zoomed
        await pilot.press("z", "s")
        assert "by over control" in seen(app)
        if size[0] < 100:  # the measures are shown instead of the rest
            assert "[0.865, 0.885]" not in screen
            await pilot.press("tab")
            screen = await until(pilot, "ResNet50: value")
            assert "with text" not in screen
        assert "[0.865, 0.885]  chance 0.5" in screen
        if size[0] < 100:
            await pilot.press("tab")
            await until(pilot, "by over control")


async def test_accuracy_by_correlation_is_a_table(lab_app) -> None:
    app, client = lab_app
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        lines = (await until(pilot, "with text")).splitlines()
        head = next(i for i, line in enumerate(lines) if "accuracy, trained on words" in line)
        assert lines[head].split()[-4:-1] == ["matching", "random", "reversed"]
        assert "0 % bear their own      0.60 [0.59, 0.61]  0.70 [0.69, 0.71]  0.50 [0.49, 0.51]" in lines[head + 1]
        assert "50 % bear their own      0.75 [0.74, 0.76]  0.65 [0.64, 0.66]  0.30 [0.29, 0.31]" in lines[head + 2]
        assert "100 % bear their own      0.90 [0.89, 0.91]  0.60 [0.59, 0.61]  0.10 [0.09, 0.11]" in lines[head + 3]
        (mass,) = [line for line in lines if "mass text" in line]
        assert "50 %" in mass
        assert "chance 0.02" in mass


async def test_a_measure_without_an_interval_says_why(lab_app) -> None:
    app, client = lab_app
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        lines = (await until(pilot, "with text")).splitlines()
        (line,) = [line for line in lines if "every control" in line and "medical" not in line]
        assert "too few images" in line


async def test_medical_and_general_models_are_compared_under_the_table(lab_app) -> None:
    app, client = lab_app
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        screen = await until(pilot, "shift text: medical 3 less general 5 +0.031")
        assert "permutation p 0.4, adjusted for all other tests" in screen
        await pilot.press("s")
        screen = await until(pilot, "shift over control every control: medical 3 less general 5 over 2 datasets +0.031")
        assert "permutation p 0.2, the test named in advance" in screen
        await pilot.press("s")
        assert "permutation" not in await until(pilot, "by flips")


@pytest.mark.parametrize("size", SIZES)
async def test_the_flipped_images_are_shown_before_and_after(lab_app, size) -> None:
    app, client = lab_app
    app.pictures = shown = Burned()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        await pilot.press("enter")
        screen = await until(pilot, "ResNet50: flipped by text")
        assert "b/[/]2.png" in screen
        assert "true spiculated  spiculated → smooth" in screen
        await until(pilot, "▀▀▀")
        assert "without: spiculated" in seen(app)
        assert "with BREAST: smooth" in seen(app)
        expected = BurnedIn("BREAST", "text", "bottom_left", 0.08, 1.0, 0)
        assert shown.asked == [("b/[/]2.png", replace(expected, drawn=drawn)) for drawn in (False, True)]
        await pilot.press("z")
        await pilot.pause(0.1)
        assert shown.asked[-1][1].closer
        await pilot.press("escape")
        await until(pilot, "with text")
        await pilot.press("o", "enter")
        await until(pilot, "no image changes its class")


class NoData(Pictures):
    async def picture(self, request, dataset, image, side_px=64, burned_in=None):
        raise ImageError("the picture needs the data folder", "o on home")


async def test_without_the_data_the_stored_pictures_are_shown(lab_app) -> None:
    app, client = lab_app
    app.pictures = NoData()
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        await pilot.press("enter")
        screen = await until(pilot, "▀▀▀")
        assert "needs the data folder" not in screen


async def test_two_models_stand_side_by_side(lab_app) -> None:
    app, client = lab_app
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        await pilot.press("b")
        screen = await until(pilot, "ResNet50 beside EfficientNet-Lite0")
        assert "ResNet50: a/0.png" in screen
        assert "EfficientNet-Lite0: a/0.png" in screen
        (line,) = [line for line in screen.splitlines() if " shift  " in line and "text" in line and "[" in line]
        assert line.index("0.400 [0.19, 0.21]") < line.index("0.200 [0.19, 0.21]")
        await pilot.press("b")
        assert "beside EfficientNet" not in await until(pilot, "with text: BREAST")


@pytest.mark.parametrize("width", [80, 120, 160])
async def test_no_word_of_a_column_is_cut(lab_app, width: int) -> None:
    app, client = lab_app
    with Store(app.workspace / "store") as store:
        lab = store.read("lab-2", BiasRecord)
        second = replace(lab.record.by_name["decodability", "BREAST/AXILLA"], condition="LEFT/RIGHT")
        store.discard("result/lab-2")
        store.put_result("lab-2", lab.arrays, replace(lab.record, measures=(*lab.record.measures, second)))
    async with app.run_test(size=(width, 40)) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        screen = seen(app)
        for head in ("shift", "over ctrl", "flips %", "BREAST/AXILLA", "LEFT/RIGHT"):
            assert head in screen
        assert "EfficientNet-Lite0" in screen


def test_long_words_give_way_evenly_and_with_a_sign() -> None:
    long = "A" * 24 + "/" + "B" * 24
    heads = ranking.header([long, "LEFT/RIGHT"], 72).plain
    assert len(heads) == 72
    assert "AAA…/BBB" in heads
    assert "LEFT/RIGHT" in heads or "LEFT/RIG…" in heads


async def test_other_words_start_a_run(lab_app) -> None:
    app, client = lab_app
    app.pictures = shown = Burned()
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        await pilot.press("e")
        await until(pilot, "The lab's words")
        await until(pilot, "drawn for the shift: BREAST, bottom_left; told apart: BREAST against AXILLA, LEFT against")
        await until(pilot, "BREAST, bottom_left ─")
        assert shown.asked[-1] == ("a/0.png", BurnedIn("BREAST", "text", "bottom_left", 0.08, 1.0, 0))
        for key in ("home", "shift+end", "delete"):
            await pilot.press(key)
        await pilot.press(*"ONE", "enter")
        await until(pilot, "give two different words")
        await pilot.press(*",TWO")
        await pilot.press("tab", "home", "shift+end", "delete", *"nowhere", "enter")
        await until(pilot, "nowhere is no place")
        await pilot.press("down", "down")
        await until(pilot, "ONE, top_right ─")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "run")
        await pilot.pause(0.1)
    (run,) = [command["request"] for command in client.sent if command["cmd"] == "run"]
    assert run["bias_words"] == ("ONE", "TWO")
    assert run["bias_position"] == "top_right"
    assert "bias" in run["stages"]
    assert run["models"] == (OTHER,)


async def test_without_a_lab_it_says_how_to_get_one(make_app, tmp_path: Path) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Brain MR")
        await pilot.press("f7")
        await until(pilot, "the bias lab yet")


@pytest.mark.parametrize(
    ("typed", "place", "problem"),
    [("A,B", "nowhere", "no place"), ("A", "top", "two different"), ("A,A", "top", "two different"),
     ("A,B", "", "no place"), ("A," + "B" * 25, "top", "at most"), ("A,B\x1b]52", "top", "at most")],
)  # fmt: skip
def test_words_that_cannot_be_drawn_are_told(typed: str, place: str, problem: str) -> None:
    assert problem in words_and_position(typed, place)[2]
    assert words_and_position("LEFT, RIGHT", " top_left ") == (("LEFT", "RIGHT"), "top_left", "")
