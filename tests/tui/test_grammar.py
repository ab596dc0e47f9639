"""One grammar of keys: every action is found in `?`, the menu and the palette, and has one name in the settings."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.command import CommandPalette
from textual.pilot import Pilot

import medvlm_tui.tui
from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import UsageError
from medvlm_tui.settings import sources
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.keys.help import KeysScreen
from medvlm_tui.tui.keys.named_bindings import NamedBindings, action_name
from medvlm_tui.tui.keys.palette import commands, kinds, problems_of
from medvlm_tui.tui.keys.things import ThingsProvider
from medvlm_tui.tui.places import PLACES
from medvlm_tui.tui.shared.key_bar import KeyBar
from tests.made.recorded import DATASET, MODEL, fill_store
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_hostile import NAMES, RAW


def declared() -> list[tuple[type, Binding]]:
    """Return every binding that a class of the screens declares."""
    for module in pkgutil.walk_packages(medvlm_tui.tui.__path__, "medvlm_tui.tui."):
        importlib.import_module(module.name)
    found = [kind for kind in kinds(NamedBindings) if kind.__module__.startswith("medvlm_tui.")]
    return [(kind, one) for kind in dict.fromkeys(found) for one in kind.__dict__.get("BINDINGS", ())]


def test_every_binding_has_a_description_and_an_id_of_its_own() -> None:
    by_id: dict[str, set[tuple[type, str]]] = {}
    for kind, one in declared():
        assert one.description, (kind, one)
        assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", one.id), one.id
        by_id.setdefault(one.id, set()).add((kind, one.action))
    assert [name for name, owners in by_id.items() if len(owners) > 1] == []
    assert len(by_id) > 80
    assert {"saliency.save", "app.leave", "map.zoom_minus_1", "home.go", "walk.walk_1"} <= by_id.keys()


def test_an_action_with_its_arguments_is_one_word() -> None:
    assert action_name("pan(-1,0)") == "pan_minus_1_0"
    assert action_name("move(0, -1)") == "move_0_minus_1"
    assert action_name("app.go('map')") == "go_map"


@pytest.mark.parametrize("size", SIZES)
async def test_no_binding_is_outside_the_help_and_the_palette(make_app, tmp_path: Path, size) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=size) as pilot:
        await until(pilot, "81.2")
        for place in PLACES:
            await pilot.press(place.digit)
            await pilot.pause(0.05)
            assert app.screen.place == place.name
            active = [one for one in app.screen.active_bindings.values() if one.enabled and not one.binding.system]
            assert all(one.binding.description for one in active)
            offered = {command.title.lower() for command in commands(app, app.screen, app.action_go)}
            listed = KeysScreen(app.screen)._sections
            known = {(key, action.what) for _, actions in listed for action in actions for key in action.raw}
            for one in active:
                assert one.binding.description.lower() in offered, one
                assert any(one.binding.description == what for _, what in known), one
        await pilot.press("question_mark")
        await until(pilot, "type to search")
        await pilot.press(*"duplicates leaks")
        screen = await until(pilot, "counts, duplicates")
        assert "7 F8" in screen
        assert "what is missing" not in screen
        await pilot.press(*" zzz")
        await until(pilot, "no key does that here")
        await pilot.press("f4")  # places are reached from any dialog
        await pilot.pause()
        assert app.screen.place == "scores"


async def test_the_palette_knows_the_actions_of_every_place(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2")
        titles = [command.title for command in commands(app, app.screen, app.action_go)]
        for word in ("export", "sort", "zoom", "check", "cancel", "more masks", "quit"):
            assert any(word in title.lower() for title in titles), word
        assert {"Theme", "Screenshot", "Keys"} <= {one.title for one in app.get_system_commands(app.screen)}
        await pilot.press("colon")
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"map: whole map")
        await until(pilot, "on map")
        await pilot.press("enter")
        await until(pilot, "trust 0.96")
        assert app.screen.place == "map"


async def hits(app, query: str) -> dict[str, object]:
    provider = ThingsProvider(app.screen)
    return {str(hit.match_display): hit async for hit in provider.search(query)}


@pytest.mark.parametrize("name", ["", *NAMES], ids=ascii)
async def test_the_palette_finds_models_datasets_and_images_whatever_their_names(make_app, tmp_path, name) -> None:
    label = (name or "smooth").encode("utf-8", "replace").decode()
    fill_store(tmp_path, label=label)
    app, _ = make_app(done=True, name=name)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2")
        assert "ResNet50" in await hits(app, "resnet")
        assert "Brain MR" in await hits(app, "brain mr")
        assert await hits(app, "") == {}
        app.selection.model, app.selection.dataset = MODEL, DATASET
        found = await hits(app, "/004")
        assert list(found) == [clean(f"{label}/004.png")]
        assert not RAW.search(next(iter(found)))
        next(iter(found.values())).command()
        await pilot.pause(0.1)
        assert app.screen.place == "saliency"
        await pilot.press("ctrl+p", *"004")
        for _ in range(20):
            await pilot.pause(0.02)
        assert not RAW.search(seen(app))
        (await hits(app, "brain"))["Brain MR"].command()
        await pilot.pause(0.1)
    assert app.selection.dataset == "brain_mr"


async def test_the_menu_offers_what_is_under_the_cursor_and_does_it(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, client = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "81.2")
        await pilot.press("full_stop")
        screen = await until(pilot, "Actions")
        assert "data folder" in screen
        await pilot.press("enter")  # open: the first action of home
        await until(pilot, "true \\ predicted")
        await pilot.press("escape", "full_stop")
        await until(pilot, "Actions")
        await pilot.press("m")  # its own key does it too
        await until(pilot, "What is missing")
    assert [command["cmd"] for command in client.sent] == ["survey"]


async def test_esc_goes_back_along_the_trail(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)

    def here() -> str:
        return getattr(app.screen, "place", "") or type(app.screen).__name__

    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "81.2")
        await pilot.press("3", "enter")
        await until(pilot, "scroll")
        assert here() == "CellScreen"
        await pilot.press("f5", "5")
        await pilot.pause(0.1)
        assert here() == "saliency"
        for key, place in (("escape", "map"), ("backspace", "CellScreen"), ("ctrl+o", "scores"), ("escape", "home")):
            await pilot.press(key)
            await pilot.pause(0.05)
            assert here() == place
        # A place is on the trail once, however often one goes there, and home begins anew.
        await pilot.press(*"34345345")
        assert len(app.screen_stack) == 4
        await pilot.press("escape")
        await pilot.pause(0.05)
        assert here() == "map"
        await pilot.press("1")
        assert (here(), len(app.screen_stack)) == ("home", 1)


async def test_tabs_and_keys_are_pressed_by_the_mouse(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, "81.2")
        top = seen(app).splitlines()[0]
        assert " 1 home  2 run  3 scores  4 map  5 saliency  6 bias  7 data " in top
        await pilot.click(offset=(top.index("3 scores") + 3, 0))
        await until(pilot, "true \\ predicted")
        assert app.screen.place == "scores"
        bottom = seen(app).splitlines()[-1]
        view = app.screen.view
        await pilot.click(offset=(bottom.index("c columns") + 1, 29))
        await pilot.pause()
        assert app.screen.view != view
        await pilot.click(offset=(bottom.index("? keys"), 29))
        await until(pilot, "Everywhere")
    app, _ = make_app(done=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "81.2")
        assert "3 scores" not in seen(app).splitlines()[0]
        assert "1-9 places" in seen(app).splitlines()[-1]
        assert isinstance(app.screen.query_one(KeyBar), KeyBar)


async def test_the_settings_give_actions_other_keys(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(done=True)
    keymap = {"scores.sort": "Z", "scores.view": "x", "scores.srt": "q"}
    unknown, lost = problems_of(keymap)
    assert unknown.startswith("no action is called scores.srt; near: scores.sort")
    assert lost == "scores.export has no key any more: x was given to another action"
    app.take_keymap(keymap)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "no action is called scores.srt")
        await pilot.press("3")
        await until(pilot, "true \\ predicted")
        view = app.screen.view
        await pilot.press("x")
        assert app.screen.view != view
        await pilot.press("question_mark", *"scores.sort")
        assert re.search(r"Z +sort", await until(pilot, "scores.sort"))


def test_screens_that_nobody_opened_yet_have_keys_of_the_settings_too() -> None:
    program = (
        "from medvlm_tui.tui.keys.palette import problems_of\n"
        "print(list(problems_of({'doctor.look': 'L', 'map_grid.open': 'o', 'neighbours.open': 'o'})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_table_of_keys_is_read_and_checked(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "settings.toml"
    monkeypatch.setenv("MEDVLM_CONFIG", str(file))
    file.write_text('seed = 2\n[keys]\n"app.leave" = "q, ctrl+x"\nmap.grid = "G"\n')
    assert sources.load(str(tmp_path)).keys == {"app.leave": "q,ctrl+x", "map.grid": "G"}
    for wrong in ("keys = 3", "[keys]\nmap.grid = 3", '[keys]\nmap.grid = " "'):
        file.write_text(wrong)
        with pytest.raises(UsageError, match="keys"):
            sources.load(str(tmp_path))


async def test_what_is_copied_is_of_this_screen_and_lies_in_a_file(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, _ = make_app(request=RunRequest(data={"brain_mr": "/a b"}, seed=3), done=True)
    file = tmp_path / "clipboard.txt"
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "81.2")
        app.selection.model, app.selection.dataset = MODEL, DATASET
        for key, words in (("1", "--stages check,extract"), ("5", "--rise-masks 512"), ("7", "--stages check ")):
            await pilot.press(key)
            await pilot.pause(0.1)
            await pilot.press("y")
            await until(pilot, "command line  medvlm-tui")
            await pilot.press("y")
            await until(pilot, "sent to the terminal (OSC 52)")
            assert words in file.read_text() + " "
            assert file.read_text() == app.clipboard
            assert "'brain_mr=/a b'" in app.clipboard
            assert file.stat().st_mode & 0o777 == 0o600


async def test_ctrl_c_copies_what_the_mouse_selected_else_says_how_to_quit(make_app, tmp_path: Path) -> None:
    app, client = make_app(done=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, "ResNet50")
        await pilot.press("ctrl+c")
        await until(pilot, "q quits")
        assert not client.left
        lines = seen(app).splitlines()
        y = next(number for number, line in enumerate(lines) if "ResNet50" in line)
        x = lines[y].index("ResNet50")
        await drag(pilot, (x, y), (x + 7, y))
        assert app.screen.get_selected_text() == "ResNet50"
        await pilot.press("ctrl+c")
        await until(pilot, "the selection: sent to the terminal")
    assert (tmp_path / "clipboard.txt").read_text() == "ResNet50"


async def drag(pilot: Pilot[int], start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down(offset=start)
    await pilot.hover(offset=end)
    await pilot.mouse_up(offset=end)
    await pilot.pause()
