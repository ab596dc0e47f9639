"""The program by keys alone, over a recorded engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.workspace.past_runs import StepTime, Summing
from medvlm_tui.stages import EVERY_STAGE, STAGES
from medvlm_tui.stages.request import RunRequest
from tests.made.recorded import DATASET, MODEL, RecordedClient, fill_store
from tests.tui.conftest import SIZES, confirm, seen, until


def sent(client: RecordedClient, verb: str) -> list[dict]:
    return [command["request"] for command in client.sent if command["cmd"] == verb]


@pytest.mark.parametrize("size", SIZES)
async def test_choose_run_watch_read_cancel_quit(make_app, tmp_path: Path, size) -> None:
    app, client = make_app(request=RunRequest(data={"brain_mr": "/data/mr"}))
    fill_store(tmp_path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, "Brain MR")
        # Choose the second model and the second dataset in their panels.
        await pilot.press("shift+tab", "shift+tab", "down", "space")
        assert app.selection.models == {MODEL}
        await pilot.press("tab", "down", "space")
        assert app.selection.datasets == {DATASET}
        assert "r shows what running 1 cell costs, and asks" in seen(app)
        await pilot.press("r")
        await confirm(pilot)
        screen = await until(pilot, "finished in 12.3 s")
        assert app.screen.place == "run"
        assert "360 / 360" in screen or "report" in screen
        request = sent(client, "run")[0]
        assert (request["models"], request["datasets"]) == ((MODEL,), (DATASET,))
        assert request["stages"] == EVERY_STAGE
        assert (request["rise_masks"], request["bias_train"], request["bias_test"]) == (
            256,
            40,
            10,
        )  # of the phantom alone what --demo computes
        assert request["data"] == {"brain_mr": "/data/mr"}
        await pilot.press("f2")
        assert "81.2 ✓" in await until(pilot, "81.2")
        await pilot.press("f4")
        screen = await until(pilot, "true \\ predicted")
        assert "81.2 ± 2.1" in screen
        assert "80.5" in screen
        assert "t 1, grid saturated" in screen
        await pilot.press("f5")
        screen = await until(pilot, "trust 0.96")
        assert "a none 20" in screen
        assert "c spiculated 20" in screen
        assert "●" in screen
        await pilot.press("f6")
        screen = await until(pilot, "image 1 of 3")
        assert "▀▀▀▀" in screen
        assert "512 masks" in screen
        await pilot.press("right_square_bracket")
        assert "image 2 of 3" in await until(pilot, "smooth/000.png")
        # A second run, cancelled.
        client.hold = 8
        await pilot.press("f2")
        await until(pilot, "81.2")
        await app.start_request(RunRequest(models=(MODEL,), datasets=(DATASET,)))
        screen = await until(pilot, "180 / 360 images   31.5 images/s   ETA 0:00:06")
        assert "running" in screen
        await pilot.press("c")
        screen = await until(pilot, "cancelled in 1.0 s")
        assert {"cmd": "cancel"} in client.sent
        await pilot.press("q")
        await pilot.pause()
    assert client.left
    assert app.return_code == 0


@pytest.mark.parametrize("size", SIZES)
async def test_an_empty_workspace_offers_the_phantom(make_app, size) -> None:
    app, client = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await until(pilot, "try the phantom")
        assert "point to a data folder" in screen
        assert "what is missing" in screen
        await pilot.press("enter")
        assert "6 to do, 0 there already" in await until(pilot, "enter run it")
        assert sent(client, "run") == []
        await confirm(pilot)
        await until(pilot, "finished in 12.3 s")
    request = sent(client, "run")[0]
    assert (request["models"], request["datasets"]) == ((MODEL,), (DATASET,))


async def test_a_data_folder_is_asked_for_and_surveyed(make_app, tmp_path: Path) -> None:
    app, client = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("o")
        await until(pilot, "NAME=DIR")
        await pilot.press(*"brain_mr=/nowhere", "enter")
        await until(pilot, "there is nothing at /nowhere")
        app.screen.query_one("#data-input").value = f"brain_mr={tmp_path}"
        await pilot.press("enter")
        screen = await until(pilot, "600 images")
        assert "the catalog says 2,870" in screen
    assert sent(client, "survey")[-1]["data"] == {"brain_mr": str(tmp_path)}


async def test_what_is_missing_names_the_way_to_get_it(make_app) -> None:
    app, _ = make_app()
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("m")
        screen = await until(pilot, "Data: 2 of 3 missing")
        assert "Weights: 3 of 5 missing" in screen
        assert "get it: medsiglip" in screen
        assert "download it" in screen


async def test_a_missing_cell_is_explained_and_not_run(make_app) -> None:
    app, client = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("right", "enter")
        await until(pilot, "What is missing")
    assert sent(client, "run") == []


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_shows_its_plan_and_cost_before_it_starts(make_app, tmp_path: Path, size) -> None:
    app, client = make_app(done=True)
    directory = tmp_path / "runs" / "20260101-000000-aaaa"
    directory.mkdir(parents=True)
    # An earlier run of the same model: 0.5 s an image, 7 s of a probe.
    summing = Summing({}, "engine")
    summing.steps += [StepTime("extract", MODEL, "busi", 60.0, 120), StepTime("probe", MODEL, DATASET, 7.0)]
    (directory / "events.jsonl").touch()
    summing.write(directory, events.RunFinished(directory.name, 0, 2, 0, 0, 0, 67.0))
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("r")
        screen = await until(pilot, "6 to do, 0 there already")
        assert "360 images to encode" in screen
        said = app.screen.query_one("#dialog-text").content.plain
        assert "about 3 min and project, saliency, whose time no earlier run tells" in said  # 360 / 2 + 7 s
        assert f"about {360 * 1280 * 8 / 1e6 + 3 * 224**2 * 15 / 1e6:.1f} MB of disk" in said
        await pilot.press("escape")
        assert "Run?" not in await until(pilot, "81.2 ✓")
        await pilot.press("enter")
        assert app.screen.place == "scores", "enter opens and never starts work"
    assert sent(client, "run") == []


async def test_a_plan_that_cannot_be_made_says_why_in_its_dialog(make_app) -> None:
    app, client = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "81.2 ✓")
        client.answers_plans = False
        await pilot.press("r")
        await until(pilot, "planning ...")
        client.say(events.Log("error", "no weights of [/]x\nuse --weights"))
        await until(pilot, "no weights of [/]x")
        await pilot.press("enter")
        assert app.screen.is_modal
    assert sent(client, "run") == []


async def test_enter_on_a_done_cell_opens_its_scores(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, client = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "enter opens the scores of")
        await pilot.press("enter")
        await until(pilot, "true \\ predicted")
        assert app.screen.place == "scores"
        await pilot.press("escape")
        assert app.screen.place == "home"
    assert sent(client, "run") == []


async def test_the_filter_narrows_and_is_cleared(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("a", "slash", *"resnet", "enter")
        assert "CONCH" not in await until(pilot, "ResNet50")
        await pilot.press("escape")
        await until(pilot, "CONCH")


async def test_enter_runs_nothing_that_the_filter_hides(make_app) -> None:
    app, client = make_app(done=True)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("slash", *"zzz", "enter")
        screen = await until(pilot, "no model matches zzz: esc clears the filter")
        assert "enter opens" not in screen
        assert "shows what running" not in screen
        await pilot.press("enter", "r", "space")
        assert "marked" not in seen(app)
        assert app.screen.place == "home"
        await pilot.press("escape")
        await until(pilot, "enter opens the scores of")
        # One that hides the cell the cursor was on moves the cursor to what is shown.
        await pilot.press("slash", *"resnet", "enter")
        await until(pilot, "r shows what running ResNet50")
    assert sent(client, "run") == sent(client, "plan") == []


async def test_marks_span_models_and_datasets(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2 ✓")
        await pilot.press("space", "down", "space")
        screen = seen(app)
        assert "2 of 5 models, 1 of 3 datasets marked" in screen
        assert "●81.2 ✓" in screen
        assert "r shows what running 2 cells (1 done) costs" in screen
        await pilot.press("u")
        assert "marked" not in seen(app)


async def test_only_one_run_at_a_time(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        await pilot.press("f2", "r")
        await until(pilot, "enter queues this one behind it")
        await pilot.press("escape")
        await app.start_request(RunRequest(models=(MODEL,), datasets=(DATASET,)))
        await until(pilot, "a run is under way")
    assert len(sent(client, "run")) == 1


async def test_a_failed_step_shows_its_reason_and_is_retried(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        step = f"extract:{MODEL}:{DATASET}"
        client.say(events.StepFailed(step, 'class "x" has 3 members, 5 folds', "use --folds 3"))
        client.say(events.RunFinished("run-1", 1, 0, 0, 1, 5, 2.0, ""))
        screen = await until(pilot, "finished with failures")
        assert "! extract" in screen
        assert 'class "x" has 3 members' in screen
        client.hold = None
        await pilot.press("r")
        await confirm(pilot)
        await until(pilot, "finished in 12.3 s")
    assert len(sent(client, "run")) == 2


@pytest.mark.parametrize("size", SIZES)
async def test_an_extraction_says_how_it_is_fed_and_what_it_left_out(make_app, size) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=size) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        screen = await until(pilot, "180 / 360")
        assert "quarantined" not in screen, "an engine of an older release says nothing of it"
        step = f"extract:{MODEL}:{DATASET}"
        client.say(events.DeviceStatus("cuda:0", "NVIDIA H100 80GB HBM3", "bf16", 256, 31.0, 80.0, workers=4))
        client.say(events.StepProgress(step, 216, 360, 31.5, 4.6, waiting=0.0217, quarantined=3))
        screen = await until(pilot, "216 / 360")
        lines = [line.strip("│ ") for line in screen.splitlines()]
        fed = "decode 4 workers, waiting 2 % · 3 quarantined"
        device = "cuda:0 NVIDIA H100 80GB HBM3 · bf16 · batch 256 · 31.0 / 80 GB"
        found = [line for line in lines if "quarantined" in line]
        assert len(found) == 1
        assert found[0].endswith(fed)
        assert any(device in line for line in lines), "nothing is cut at the frame"
        assert any("rate" in line for line in lines)
        client.say(events.ResultReady(step, "extract", "k", MODEL, DATASET, {}))
        client.say(events.StepStarted(f"probe:{MODEL}:{DATASET}"))
        client.say(events.StepProgress(f"probe:{MODEL}:{DATASET}", 1, 5, unit="folds"))
        assert "quarantined" not in await until(pilot, "1 / 5 folds")


async def test_leaving_a_run_is_asked_about(make_app) -> None:
    app, client = make_app(hold=8)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "180 / 360")
        await pilot.press("q")
        screen = await until(pilot, "Leave?")
        assert "It goes on without this screen" in screen
        assert "attach" in screen
        # The place under the dialog goes on.
        client.say(events.StepProgress(f"extract:{MODEL}:{DATASET}", 216, 360, 31.5, 4.6))
        await until(pilot, "60 %")
        await pilot.press("escape")
        await until(pilot, "c cancel")
        assert not client.left
        await pilot.press("q", "q")
        await pilot.pause()
    assert client.left
    assert app.return_code == 0


async def test_places_are_reached_by_g_and_a_letter(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "81.2 ✓")
        for letter, place in (("r", "run"), ("s", "scores"), ("m", "map"), ("a", "saliency"), ("h", "home")):
            await pilot.press("g")
            await until(pilot, "go to")
            await pilot.press(letter)
            await pilot.pause()
            assert app.screen.place == place
        assert len(app.screen_stack) == 1


async def test_keys_of_each_place_are_listed(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "81.2 ✓")
        for key, words in (("f2", "data folder"), ("f4", "sort"), ("f5", "one class against grey")):
            await pilot.press(key, "question_mark")
            await until(pilot, "─ Keys ")
            assert words in app.screen.query_one("#dialog-text").content.plain
            await pilot.press("escape")
            await pilot.pause()


async def test_the_command_line_is_copied(make_app) -> None:
    app, _ = make_app(request=RunRequest(data={"brain_mr": "/a b"}, seed=3), done=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, "Brain MR")
        await pilot.press("y")
        await until(pilot, "command line  medvlm-tui")
        await pilot.press("y")
        await until(pilot, "sent to the terminal")
    assert "--batch" in app.clipboard
    assert "'brain_mr=/a b'" in app.clipboard
    assert "--seed 3" in app.clipboard


async def test_a_refused_plan_is_told(make_app) -> None:
    app, client = make_app(done=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, "81.2 ✓")
        client.say(events.Log("error", "the phantom is not made yet\nrun it once"))
        await until(pilot, "the phantom is not made yet")


async def test_a_run_that_cannot_start_says_so(make_app) -> None:
    app, client = make_app(hold=0)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "planning")
        client.say(events.RunRefused("run-1", "no weights", "use --weights", 3))
        screen = await until(pilot, "nothing ran: the log says why")
        assert "no weights" in screen
        assert "use --weights" in screen


@pytest.mark.parametrize("kind", [stage.kind for stage in STAGES if stage.screen])
async def test_enter_on_a_finished_step_of_any_kind_shows_its_result(make_app, tmp_path: Path, kind: str) -> None:
    places = {"project": "map", "grid": "map", "separability": "map", "similarity": "map", "references": "map"}
    places |= {
        "reading": "bias",
        "saliency": "saliency",
        "bias": "bias",
        "bias_groups": "bias",
        "check": "data",
        "verdict": "verdict",
    }
    fill_store(tmp_path)
    app, client = make_app(done=True, hold=0)
    gathers = kind in ("pairs", "ranking", "similarity", "bias_groups")
    step = Step(f"{kind}:x", kind, "" if gathers else MODEL, "" if kind == "ranking" else DATASET, key="k")
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2")
        app.selection.model, app.selection.dataset = MODEL, DATASET
        await app.start_request(RunRequest())
        client.say(events.PlanReady("run-1", Plan("run-1", (step,)).to_record()))
        client.say(events.ResultReady(step.id, kind, "k", step.model, step.dataset))
        await until(pilot, "enter result")
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.place == places.get(kind, "scores")
    assert (app.selection.model, app.selection.dataset) == (MODEL, DATASET)
