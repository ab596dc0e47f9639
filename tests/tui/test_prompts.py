"""Prompts edited in place: the list, the scores beside the stored ones, the file for a run."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.errors import ImageError
from medvlm_tui.stages.records.language import WordsRecord, ZeroShotRecord
from medvlm_tui.tui.scores.prompts import PromptsScreen
from medvlm_tui.tui.state.survey_rows import Cell
from tests.made.recorded import DATASET, MODEL
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_hostile import NAMES, RAW


class Scorer:
    """Stands for the process that scores: the accuracy is the number of prompts over ten."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []
        self.stopped = False

    async def ask(self, asked):
        self.asked.append(asked)
        if any("boom" in text for of in asked["prompts"] for text in of):
            raise ImageError("the text tower cannot be loaded", "m lists what is missing")
        value = sum(map(len, asked["prompts"])) / 10
        return {"scores": {"balanced_accuracy": [value, 0.1, 0.9], "accuracy": [value, 0.1, 0.9]}, "seconds": 0.25}

    async def stop(self) -> None:
        self.stopped = True


def record(first: str = "none") -> ZeroShotRecord:
    example = ZeroShotRecord.example()
    words = tuple(
        WordsRecord(class_name=name, prompt=f"{start} {name}", tokens=5, cut=False)
        for start in ("a drawing of", "a photo of")
        for name in (first, "smooth")
    )
    return replace(example, classes=(first, "smooth"), sets=(replace(example.sets[0], words=words),))


CELL = Cell(MODEL, DATASET, "done", keys={"zero_shot": "zero-1", "table": "table-1"})


@pytest.mark.parametrize("size", [*SIZES, (120, 40)])
async def test_an_edit_is_scored_beside_the_stored_prompts(make_app, tmp_path: Path, size) -> None:
    app, _ = make_app(done=True)
    scorer = Scorer()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, "81.2")
        screen = PromptsScreen(CELL, "A × B", record(), scorer)  # type: ignore[arg-type]
        app.push_screen(screen)
        shown = await until(pilot, "a photo of smooth")
        assert "balanced accuracy       75.0" in shown
        assert "optimistic" in shown
        await pilot.press("down", "enter", *" x", "enter")
        shown = await until(pilot, "scored in 0.25 s")
        assert scorer.asked[-1]["prompts"] == [
            ["a drawing of none", "a photo of none x"],
            ["a drawing of smooth", "a photo of smooth"],
        ]
        assert (scorer.asked[-1]["model"], scorer.asked[-1]["zero_shot"]) == (MODEL, "zero-1")
        assert "balanced accuracy       75.0      40.0     -35.0" in shown
        await pilot.press("a", *"new", "enter")
        await until(pilot, "50.0     -25.0")
        assert scorer.asked[-1]["prompts"][0] == ["a drawing of none", "a photo of none x", "new"]
        await pilot.press("delete", "delete", "delete")
        await pilot.pause(0.1)
        assert scorer.asked[-1]["prompts"][0] == ["a drawing of none"], "a class keeps one"
        assert tomllib.loads(screen.as_toml())["datasets"][DATASET]["classes"] == {
            "none": ["a drawing of none"],
            "smooth": ["a drawing of smooth", "a photo of smooth"],
        }
        await pilot.press("enter", *"boom", "enter")
        await until(pilot, "the text tower cannot be loaded")
        await pilot.press("u")
        assert "a photo of none" in await until(pilot, "a photo of none")
        await pilot.press("enter", "escape")
        assert app.screen is screen
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert app.screen is not screen
    assert scorer.stopped


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_hostile_classes_and_prompts_are_text(make_app, name: str) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2")
        app.push_screen(PromptsScreen(CELL, "A × B", record(name), Scorer()))  # type: ignore[arg-type]
        await until(pilot, "a photo of smooth")
        assert not RAW.search(seen(app))
        await pilot.press("a", "x", "enter")
        await until(pilot, "scored in")
        assert not RAW.search(seen(app))
