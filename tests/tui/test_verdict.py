"""The verdict by keys: each dataset's set, the cards with what they rest on, the cell behind one, its files."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.verdict.document import document
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.verdict import VERDICT
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.theme import LOOKS
from tests.made import verdicts
from tests.made.recorded import RecordedClient, survey_of
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_hostile import RAW
from tests.tui.test_themes import faint


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, events.Survey]:
    folder = tmp_path_factory.mktemp("verdicts")
    verdicts.fill(folder)
    return folder, verdicts.survey(folder)


@pytest.fixture
def app(made: tuple[Path, events.Survey], tmp_path: Path) -> MedvlmApp:
    folder, survey = made
    shutil.copytree(folder, tmp_path / "w")
    return MedvlmApp(tmp_path / "w", client=RecordedClient(shown=survey), place="verdict")


@pytest.mark.parametrize("size", SIZES)
async def test_the_set_its_cards_and_the_cell(app: MedvlmApp, size) -> None:
    async with app.run_test(size=size) as pilot:
        await until(pilot, "The best of 3 models is among these 2")
        screen = await until(pilot, "Brain MR, paper protocol")
        assert "2 of 3" in screen
        assert "not enough evidence" in screen  # of the phantom, in the list
        await until(pilot, "not separated from the best: 2")
        await pilot.press("down")
        # Both have an open licence and the same speed: they share a place.
        await until(pilot, "Place 1 in the set: not known to be trained on it; MIT; 312")
        await pilot.press("up")
        screen = await until(pilot, "VGG16: what it rests on")
        if size == SIZES[0]:
            await pilot.press("tab")  # the card is longer than its pane
            assert app.focused.id == "card"
            await pilot.press("end")
            await pilot.pause()
            screen += seen(app)
        for words in ("zero-shot accuracy", "(zero_shot.csv)", "burned-in word", "(bias.csv)", "(cost.csv)"):
            assert words in " ".join(seen(app).split()) + screen, words
        await pilot.press("enter")
        assert "true \\ predicted" in await until(pilot, "true \\ predicted")
        await pilot.press("escape")
        assert app.screen.place == "verdict"


async def test_too_little_evidence_is_a_verdict(app: MedvlmApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "The best of 3 models is among these 2")
        await pilot.press("greater_than_sign")
        screen = " ".join((await until(pilot, "none of 3 models")).split())
        assert "Not enough evidence to choose by accuracy" in screen
        assert "behind the best: " not in screen
        assert app.selection.dataset == "phantom"


async def test_a_verdict_is_written_and_copied_as_the_report_writes_it(app: MedvlmApp) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, "not separated from the best: 2")
        await pilot.press("x")
        await until(pilot, "verdict.csv and verdict.md")
        (folder,) = (app.workspace / "exports").glob("verdict-*")
        with open(folder / "verdict.csv", newline="") as file:
            rows = {row["model"]: row for row in csv.DictReader(file)}
        assert {model: row["in_set"] for model, row in rows.items()} == {
            "vgg16": "true", "biomedclip": "true", "local:net": "false",
        }  # fmt: skip
        text = (folder / "verdict.md").read_text()
        assert text == document([app.screen.judged.verdict])
        await pilot.press("y")
        await until(pilot, "command line")
        await pilot.press("enter")
        assert (app.workspace / "clipboard.txt").read_text() == text


async def test_a_verdict_of_more_models_is_kept_beside_a_newer_one_of_fewer(tmp_path: Path) -> None:
    verdicts.fill(tmp_path)
    fewer = verdicts.record()
    with Store(tmp_path / "store") as store:
        store.put_result("verdict-two", {}, replace(fewer, candidates=fewer.candidates[:2]))
    ready = events.ResultReady("verdict:*:brain_mr:paper", "verdict", "verdict-two", "", "brain_mr")
    verdicts._journal(tmp_path, "20260103-000000-aaaa", [ready])
    rows = {row.id: row for row in verdicts.survey(tmp_path).datasets}
    assert rows["brain_mr"].verdicts == {"paper": "verdict-mr"}
    assert rows["phantom"].verdicts == {"paper": "verdict-phantom"}
    assert rows["breakhis"].verdicts == {}


async def test_without_a_verdict_the_place_says_how_to_get_one(make_app) -> None:
    app, _ = make_app(done=True, place="verdict")
    async with app.run_test(size=(80, 24)) as pilot:
        assert "makes one for each dataset" in await until(pilot, "No verdict yet")


async def test_the_run_under_way_has_a_verdict_before_it_ends(app: MedvlmApp) -> None:
    board = app.board
    step = Step("verdict:*:mine:paper", VERDICT.kind, "", "mine", {"protocol": "paper"})
    board.apply(events.PlanReady("r", Plan("r", (step,)).to_record()))
    assert board.verdict_keys() == {}
    board.apply(events.ResultReady("verdict:*:mine:paper", VERDICT.kind, "new", "", "mine"))
    assert board.verdict_keys() == {("mine", "paper"): "new"}


async def test_every_ink_is_read_in_each_theme(app: MedvlmApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "not separated from the best: 2")
        for name in LOOKS:
            app.theme = name
            await pilot.pause(0.1)
            assert not faint(app), name


async def test_names_from_outside_are_shown_as_text(tmp_path: Path) -> None:
    hostile = "x[/][@click=app.bell]\x1b]52;c;aGk=\x07\u202e\x9b31m"
    example = VerdictRecord.example()
    candidates = tuple(replace(one, model=f"local:{one.model}{hostile}") for one in example.candidates)
    with Store(tmp_path / "store") as store:
        store.put_result("verdict-1", {}, replace(example, candidates=candidates))
    rows = [{"id": one.model, "name": one.model, "group": hostile, "state": "ready"} for one in candidates]
    dataset = {"id": hostile, "name": hostile, "state": "ready", "verdicts": {"paper": "verdict-1"}}
    client = RecordedClient(shown=survey_of(rows, (dataset,), ()))
    app = MedvlmApp(tmp_path, client=client, place="verdict")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        assert "local:onex[/][@click=app.bell]\\x1b]52" in await until(pilot, "not separated from the best: 2")
        for key in ("down", "enter", "x", "y", "escape", "full_stop", "escape"):
            await pilot.press(key)
            await pilot.pause(0.05)
            assert not RAW.search(seen(app)), key
        assert "\x1b" not in next((tmp_path / "exports").glob("*/verdict.md")).read_text()
