"""The bias screen by keys: pictures with and without a word, the ranking, the flipped images, other words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.tui.bias.ask_words import words_and_position
from tests.made.recorded import DATASET, MODEL, RecordedClient, fill_store, survey
from tests.tui.conftest import SIZES, confirm, seen, until
from tests.tui.test_map import Pictures

OTHER = "resnet50"


def measure(name: str, condition: str, value: float, chance: float | None = None) -> dict:
    return {
        "name": name, "condition": condition, "value": value, "low": value - 0.01, "high": value + 0.01, "n": 12,
        "chance": chance,
    }  # fmt: skip


def fill_lab(workspace: Path, key: str, shift: float) -> None:
    rng = np.random.default_rng(0)
    scores = np.zeros((3, 4, 3), np.float32)
    scores[:, np.arange(4), [0, 1, 2, 0]] = 1.0
    scores[1, 2] = [0.0, 2.0, 1.0]
    record = {
        "classes": ["none", "smooth", "spiculated"],
        "kinds": ["text", "box"],
        "images": ["a/0.png", "a/1.png", "b/[/]2.png", "b/3.png"],
        "flipped": {"text": [2], "box": []},
        "shown": [0, 2],
        "measures": [
            measure("shift", "text", shift), measure("shift", "box", shift / 2),
            measure("shift_over_control", "box", shift / 2, 0.0),
            {**measure("shift_over_control", "every control", shift / 2, 0.0), "low": None, "high": None},
            measure("flip_rate", "text", 0.25),
            measure("decodability", "BREAST/AXILLA", 0.875, 0.5),
            *(
                measure(f"accuracy_{words}", level, value)
                for level, values in {"0": (0.7, 0.6, 0.5), "1": (0.9, 0.4, 0.1)}.items()
                for words, value in zip(("random", "matching", "reversed"), values, strict=True)
            ),
            measure("mass_text", "0.5", 0.3, 0.02),
        ],
    }  # fmt: skip
    with Store(workspace / "store") as store:
        store.put_result(
            key,
            {
                "shifts": np.array([[0.1, 0.2, 0.3, 0.4], [0.01, 0.02, 0.03, 0.04]], np.float32),
                "scores": scores,
                "labels": np.array([0, 1, 2, 0], np.int16),
                "pictures": rng.integers(0, 255, (2, 3, 32, 32, 3), dtype=np.uint8),
                "boxes": np.array([[2, 20, 20, 28], [4, 4, 12, 9]], np.int32),
            },
            record,
        )


def fill_groups(workspace: Path) -> None:
    """Two comparisons: the larger one is to be shown, with its adjusted p-values but for the primary test."""
    test = {"trait": "medical", "difference": 0.031, "inside": 3, "outside": 5, "datasets": 1, "primary": False}
    groups = [
        {**test, "measure": "shift", "condition": "text", "p_value": 0.1, "holm": 0.4},
        {**test, "measure": "shift", "condition": "box", "p_value": 0.3, "holm": 0.9},
        {**test, "measure": "shift_over_control", "condition": "box", "p_value": 0.01, "holm": 0.05},
        {
            **test,
            "measure": "shift_over_control",
            "condition": "every control",
            "p_value": 0.2,
            "holm": 0.2,
            "datasets": 2,
            "primary": True,
        },
        {**test, "trait": "pmc_15m", "measure": "flip_rate", "condition": "text", "p_value": 0.2, "holm": 0.6},
    ]
    with Store(workspace / "store") as store:
        store.put_result("groups-1", {}, {"models": ["a", "b"], "groups": []})
        store.put_result("groups-2", {}, {"models": ["a", "b", "c"], "groups": groups})


def with_labs():
    said = survey(done=True)
    keys = {MODEL: "lab-1", OTHER: "lab-2"}
    compared = {MODEL: ["groups-2"], OTHER: ["groups-2", "groups-1"]}
    cells = [
        {**cell, "bias": keys[cell["model"]], "bias_groups": compared[cell["model"]]}
        if cell["dataset"] == DATASET and cell["model"] in keys
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
        assert "shift 0.100, same class" in screen
        await pilot.press("right_square_bracket")
        assert "the class flips" in await until(pilot, "image 2 of 2")
        await pilot.press("o")
        assert "shift 0.030, same class" in await until(pilot, "with box")
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
        assert "100 % bear their own      0.40 [0.39, 0.41]  0.90 [0.89, 0.91]  0.10 [0.09, 0.11]" in lines[head + 2]
        assert "50 %" in lines[head + 3]
        assert "chance 0.02" in lines[head + 3]


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


async def test_the_flipped_images_are_listed_and_shown(lab_app) -> None:
    app, client = lab_app
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        await pilot.press("enter")
        screen = await until(pilot, "ResNet50: flipped by text")
        assert "b/[/]2.png" in screen
        assert "true spiculated  spiculated → smooth" in screen
        await until(pilot, "▀▀▀")
        await pilot.press("escape")
        await until(pilot, "with text")
        await pilot.press("o", "enter")
        await until(pilot, "no image changes its class")


async def test_other_words_start_a_run(lab_app) -> None:
    app, client = lab_app
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, client)
        await until(pilot, "with text")
        await pilot.press("e")
        await until(pilot, "The lab's words")
        for key in ("home", "shift+end", "delete"):
            await pilot.press(key)
        await pilot.press(*"ONE", "enter")
        await until(pilot, "is no place")
        await pilot.press("home", "shift+end", "delete", *"ONE,TWO top", "enter")
        await confirm(pilot)
        await until(pilot, "run")
        await pilot.pause(0.1)
    (run,) = [command["request"] for command in client.sent if command["cmd"] == "run"]
    assert run["bias_words"] == ("ONE", "TWO")
    assert run["bias_position"] == "top"
    assert "bias" in run["stages"]
    assert run["models"] == (OTHER,)


async def test_without_a_lab_it_says_how_to_get_one(make_app, tmp_path: Path) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "Brain MR")
        await pilot.press("f7")
        await until(pilot, "the bias lab yet")


@pytest.mark.parametrize(
    ("typed", "problem"),
    [("A,B nowhere", "no place"), ("A top", "two different"), ("A,A top", "two different"), ("", "no place"),
     ("A," + "B" * 25 + " top", "at most"), ("A,B\x1b]52 top", "at most")],
)  # fmt: skip
def test_words_that_cannot_be_drawn_are_told(typed: str, problem: str) -> None:
    assert problem in words_and_position(typed)[2]
    assert words_and_position("LEFT, RIGHT top_left") == (("LEFT", "RIGHT"), "top_left", "")
