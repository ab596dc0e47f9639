"""Every offered theme: text is read on every ground, on every place, and sixteen colours are enough."""

from __future__ import annotations

from itertools import pairwise

import pytest
from rich._palettes import STANDARD_PALETTE
from rich.color import Color, ColorSystem
from rich.console import Console

from medvlm_tui.render.palette import class_colours
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.contrast import LETTER, TEXT, contrast, readable
from medvlm_tui.tui.states import GREEN, GREY, ORANGE, PINK, RED, SKY, YELLOW
from medvlm_tui.tui.theme import LOOKS, SIXTEEN_DARK, SIXTEEN_LIGHT, Look
from tests.made.recorded import RecordedClient, fill_store
from tests.made.whole_study import survey as whole_survey
from tests.tui.conftest import until

INKS = (GREY, SKY, ORANGE, GREEN, RED, PINK, YELLOW)
PLACES = ("f2", "f3", "f4", "d", "enter", "f5", "right", "f6", "f7", "f8", "question_mark")
# Cells of pictures and bars, not text.
DRAWN = set("▀▄█▌▐▏▎▍▋▊▉░▒▓─│╭╮╰╯├┤━╺╸┃▁▂▃▅▆▇ ") | {chr(0x2800 + bits) for bits in range(256)}


def rgb(colour: str, look: Look, foreground: bool = True) -> tuple[int, int, int]:
    """Return a name or a hex value as the theme shows it."""
    red, green, blue = Color.parse(colour).get_truecolor(look.names, foreground=foreground)
    return red, green, blue


def mixed(over: tuple[int, int, int], ground: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(b + (a - b) * share) for a, b in zip(over, ground, strict=True))
    return red, green, blue


@pytest.mark.parametrize("name", LOOKS)
def test_every_ink_is_read_on_every_ground(name: str) -> None:
    look = LOOKS[name]
    theme = look.theme
    foreground = rgb(theme.foreground or "", look)
    grounds = [rgb(ground or "", look) for ground in (theme.background, theme.surface, theme.panel)]
    for ground in grounds:
        for ink in (*(rgb(ink, look) for ink in INKS), foreground, rgb(theme.accent or "", look)):
            assert contrast(ink, ground) >= TEXT, (ink, ground)
        for letter in class_colours(8):
            assert contrast(rgb(letter, look), ground) >= LETTER, letter
        assert contrast(rgb("bright_black", look), ground) >= LETTER
    for ground in look.heat:
        assert contrast(foreground, rgb(ground, look)) >= TEXT, ground
        assert contrast(rgb(GREY, look), rgb(ground, look)) >= LETTER, ground
    assert len(look.heat) == 5
    # Five steps that differ, in one direction.
    light = [contrast(rgb(ground, look), grounds[0]) for ground in look.heat]
    assert all(later > earlier for earlier, later in pairwise(light))
    for share in (0.15, 0.4):
        cursor = mixed(rgb(theme.accent or "", look), grounds[0], share)
        for ink in (*INKS, *class_colours(8), theme.foreground or ""):
            assert contrast(readable(rgb(ink, look), cursor), cursor) >= TEXT, (ink, cursor)


@pytest.mark.parametrize("name", LOOKS)
def test_classes_have_colours_of_their_own(name: str) -> None:
    assert len({rgb(colour, LOOKS[name]) for colour in class_colours(8)}) == 8


def faint(app: MedvlmApp) -> list[tuple[float, str]]:
    """Return (contrast, text) of every piece of text on the screen that is below the threshold."""
    found = []
    strips = app.screen._compositor.render_strips()
    if app.screen.is_modal:
        # What lies under a dialog is dimmed on purpose.
        region = app.screen.query_one("#dialog").region
        strips = [strip.crop(region.x, region.right) for strip in strips[region.y : region.bottom]]
    for strip in strips:
        for segment in strip:
            style = segment.style
            if set(segment.text) <= DRAWN or style is None or style.color is None or style.bgcolor is None:
                continue
            ink, ground = (tuple(colour.get_truecolor(app.ansi_theme)) for colour in (style.color, style.bgcolor))
            if style.reverse:
                ink, ground = ground, ink
            least = LETTER if len(segment.text.strip()) == 1 else TEXT
            if contrast(ink, ground) < least:  # type: ignore[arg-type]
                found.append((round(contrast(ink, ground), 2), segment.text))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("name", LOOKS)
async def test_every_place_is_read(tmp_path, name: str) -> None:
    fill_store(tmp_path)
    app = MedvlmApp(tmp_path, client=RecordedClient(shown=whole_survey()))
    async with app.run_test(size=(160, 48)) as pilot:
        app.theme = name
        await until(pilot, "MedSigLIP")
        for key in PLACES:
            await pilot.press(key)
            await pilot.pause(0.1)
            assert not faint(app), (key, name)


@pytest.mark.parametrize("name", LOOKS)
async def test_frames_without_the_keys_are_seen(make_app, name: str) -> None:
    app, _ = make_app()
    async with app.run_test():
        app.theme = name
        frame = rgb(app.theme_variables["panel-lighten-2"], LOOKS[name])
        assert contrast(frame, rgb(LOOKS[name].theme.background or "", LOOKS[name])) > 1.3


async def test_only_themes_that_were_looked_at_are_offered(make_app) -> None:
    app, _ = make_app()
    async with app.run_test():
        assert set(app.available_themes) == set(LOOKS) == {"medvlm-dark", "medvlm-light", "medvlm-contrast"}


@pytest.mark.parametrize("theme", ["medvlm-dark", "medvlm-light"])
async def test_sixteen_colours_get_the_nearest_that_are_read_and_pictures_in_shades(tmp_path, theme: str) -> None:
    fill_store(tmp_path)
    app = MedvlmApp(tmp_path, client=RecordedClient(shown=whole_survey()))
    app.console = Console(color_system="standard", force_terminal=True, legacy_windows=False)
    app.theme = theme
    names = SIXTEEN_DARK if theme.endswith("dark") else SIXTEEN_LIGHT
    assert app.ansi_theme is names
    assert app.heat == ()
    # What is sent are colours that such a terminal has: reduced to it they stay what they were.
    for colour in (*INKS, *class_colours(8)):
        shown = Color.parse(colour).get_truecolor(names)
        number = Color.from_triplet(shown).downgrade(ColorSystem.STANDARD).number
        assert number is not None
        assert STANDARD_PALETTE[number] == shown
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f6")
        screen = await until(pilot, "░")
        assert "▀" not in screen
