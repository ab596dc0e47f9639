"""The data place: the stored check of a dataset, its duplicates as pictures, how to get what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.survey import DatasetRow
from medvlm_tui.stages.records.check import CheckRecord
from medvlm_tui.tui.data.report import SET, report_rows
from tests.made import recorded
from tests.tui.conftest import SIZES, confirm, seen, until

KEY = "check-1"


def check_record(name: str = "", many: int = 0) -> CheckRecord:
    """A stored check with one finding of each kind; `name` renames things with a hostile name."""
    example = CheckRecord.example().report
    more = tuple(replace(example.near[0], images=(f"a/{n}.png", f"a/{n}b.png")) for n in range(many))
    report = replace(example, near=(*example.near, *more))
    if name:
        exact = replace(example.exact[0], images=(name, "b/2.png"), labels=(name, "b"))
        split = example.splits[0]
        report = replace(
            report,
            root=f"/data/{name}",
            counts=(replace(example.counts[0], label=name), example.counts[1]),
            differences=(f"{example.differences[0]} {name}",),
            unreadable=(replace(example.unreadable[0], image=name),),
            exact=(exact,),
            group_leaks=(replace(example.group_leaks[0], group=name),),
            splits=(replace(split, rows=(replace(split.rows[0], label=name), split.rows[1])), example.splits[1]),
        )
    sets = (*report.exact, *report.near[:1], *report.similar, *report.near[1:])
    return CheckRecord(report=report, worst=sets, pictures=((0, sets[0].images[0]), (0, "b/2.png"), (1, "a/3.png")))


def fill(workspace: Path, record: CheckRecord) -> None:
    pixels = np.full((3, 64, 64, 3), 200, np.uint8)
    sizes = np.array([[64, 48], [64, 64], [30, 64]], np.int32)
    with Store(workspace / "store") as store:
        store.put_result(KEY, {"pictures": pixels, "sizes": sizes}, record)


def checked_survey(name: str = "") -> events.Survey:
    survey = recorded.survey(done=True, name=name)
    more = {"how_to_get": "unpack the archive", "homepage": "https://example.org", "layout": "Training/\n  a/"}
    rows = [replace(row, check=KEY if row.id == recorded.DATASET else "", **more) for row in survey.datasets]
    return replace(survey, datasets=tuple(rows))


async def surveyed(app, pilot) -> None:
    """Wait for the program's own survey, which would replace the test's."""
    for _ in range(100):
        if app.board.surveyed:
            return
        await pilot.pause(0.02)
    raise AssertionError("no survey came")


@pytest.mark.parametrize("size", SIZES)
async def test_a_check_is_shown_with_its_pairs(make_app, tmp_path: Path, size) -> None:
    app, client = make_app(done=True)
    fill(tmp_path, check_record())
    async with app.run_test(size=size) as pilot:
        await surveyed(app, pilot)
        client.say(checked_survey())
        await pilot.press("f8")
        screen = await until(pilot, "100 of 200")
        assert "24 of 24 ✓" in screen
        assert "Groups (patient)  31, largest 9 images, 2 alone" in screen
        await pilot.press("tab", "home", "down")
        if size[1] > 40:
            screen = seen(app)
            assert "t1" in screen
            assert "5" * 4 in screen
            assert "too few groups" in screen
            assert "a/broken.png: it cannot be decoded" in screen
            assert "p7: 5 images in test, train" in screen
        await pilot.press("end", "up", "up")
        screen = await until(pilot, "= classes a/1.png  b/2.png")
        assert "▀▀▀" in screen
        assert "set 1 of 3" in screen
        await pilot.press("down")
        screen = await until(pilot, "set 2 of 3")
        assert "≈ parts a/3.png  test/a/4.png" in screen
        await pilot.press("down")
        assert "near by features" in await until(pilot, "set 3 of 3")


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_missing_says_how_to_get_it(make_app, size) -> None:
    app, client = make_app()
    async with app.run_test(size=size) as pilot:
        await surveyed(app, pilot)
        client.say(checked_survey())
        await pilot.press("f8", "home")
        screen = await until(pilot, "not on this machine")
        assert "https://example.org" in screen
        assert "unpack the archive" in screen
        assert "Training/" in screen
        await pilot.press("r", "enter")
        assert not [command for command in client.sent if command["cmd"] == "run"]


async def test_a_check_is_asked_for_and_stays(make_app, tmp_path: Path) -> None:
    app, client = make_app()
    step = Step("check:phantom", "check", dataset="phantom", key=KEY)
    async with app.run_test(size=(160, 48)) as pilot:
        await surveyed(app, pilot)
        await pilot.press("f8", "end")
        await until(pilot, "not checked yet")
        client.hold = 0  # what follows is said here
        await pilot.press("enter")  # opens the report, no more
        assert app.screen.focused.id == "report"
        await pilot.press("r")
        await confirm(pilot)
        await pilot.pause()
        (request,) = [command["request"] for command in client.sent if command["cmd"] == "run"]
        assert (request["stages"], request["datasets"], request["models"]) == (("check",), ("phantom",), ())
        client.say(events.PlanReady("r", Plan("r", (step,)).to_record()))
        client.say(events.StepProgress("check:phantom", 64, 124))
        await until(pilot, "checking, 64 of 124 images")
        assert app.screen.place == "data"
        fill(tmp_path, check_record())
        client.say(events.ResultReady("check:phantom", "check", KEY, dataset="phantom"))
        client.say(events.RunFinished("r", 0, 1, 0, 0, 0, 1.0))
        await until(pilot, "124 images in /data")


async def test_names_are_shown_as_they_are_and_never_obeyed(make_app, tmp_path: Path) -> None:
    hostile = "[/][bold]x\x1b]52;c;aGk=\x07[@click=app.bell]\u202e"
    app, client = make_app(done=True)
    fill(tmp_path, check_record(hostile))
    async with app.run_test(size=(160, 48)) as pilot:
        await surveyed(app, pilot)
        client.say(checked_survey(hostile))
        await pilot.press("f8", "end", "tab")
        screen = await until(pilot, "[/][bold]x")
        assert not set(screen) & set("\x1b\x07\u202e")


def test_a_report_of_thousands_of_sets_is_drawn_lazily() -> None:
    rows = report_rows(check_record(many=5000), 100)
    assert sum(row.id.startswith(SET) for row in rows) == 5003
    split = next(row for row in rows if "ttt" in row.line(90).plain)
    bar = split.line(90).plain
    assert len(bar) == 90
    counts = [bar.count(mark) for mark in "t12345"]
    assert abs(counts[0] / sum(counts) - 0.2) < 0.03
    assert max(counts[1:]) - min(counts[1:]) <= 1


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 48)])
async def test_counts_are_read_at_every_width(make_app, tmp_path: Path, size) -> None:
    fill(tmp_path, check_record())
    app, client = make_app()
    async with app.run_test(size=size) as pilot:
        await surveyed(app, pilot)
        client.say(checked_survey())
        app.selection.dataset = "phantom"
        await pilot.press("f8")
        screen = await until(pilot, "124 images in")
        assert "100 of 200 ██████░░░░░░" in screen
        assert "24 of 24 ✓" in screen


async def test_why_a_folder_cannot_be_read_is_said(make_app) -> None:
    survey = recorded.survey()
    problem = "class b has 1 image; a class needs at least 2"
    row = replace(survey.datasets[0], root="/d/mine", problem=problem, hint="leave it out")
    app, _ = make_app(shown=replace(survey, datasets=(row, *survey.datasets[1:])), done=True)
    async with app.run_test(size=(100, 30)) as pilot:
        await surveyed(app, pilot)
        app.selection.dataset = "brain_mr"
        await pilot.press("f8")
        screen = await until(pilot, "class b has 1 image; a class needs at least 2")
        assert "/d/mine cannot be read" in screen
        assert "leave it out" in screen
        assert "not on this machine" not in screen
        assert "How to get it" in screen, "it has a licence"


async def test_data_of_ones_own_has_no_heading_with_nothing_below(make_app) -> None:
    own = DatasetRow("own", "own", state="ready", images=9, classes=("a", "b"), root="/d/own")
    app, _ = make_app(shown=events.Survey((), (own,), (), "cpu", 1))
    async with app.run_test(size=(100, 30)) as pilot:
        await surveyed(app, pilot)
        await pilot.press("f8")
        assert "How to get it" not in await until(pilot, "/d/own")
