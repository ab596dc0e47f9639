"""The line under the cursor: read in every colour, one bright cursor on a screen, a sign where there is no colour."""

from __future__ import annotations

import pytest
from rich.color import Color
from textual.strip import Strip

from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.contrast import LETTER, TEXT, contrast, readable
from medvlm_tui.tui.home.rows import MARK
from medvlm_tui.tui.shared.matrix import Matrix
from medvlm_tui.tui.shared.pane import CURSOR, CURSOR_BLURRED, Pane
from medvlm_tui.tui.shared.rows import Rows
from tests.made.recorded import RecordedClient
from tests.made.whole_study import survey as whole_survey
from tests.tui.conftest import seen, until


def test_contrast_is_that_of_the_published_examples() -> None:
    # W3C's own: #777 on white fails level AA by a hair, #767676 passes.
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((0x77,) * 3, (255,) * 3) == pytest.approx(4.48, abs=0.005)
    assert contrast((255,) * 3, (0x76,) * 3) == pytest.approx(4.54, abs=0.005)


def test_a_colour_is_changed_only_where_it_is_not_read() -> None:
    assert readable((215, 221, 229), (15, 19, 24)) == (215, 221, 229)
    lightened = readable((63, 191, 143), (86, 130, 180))
    assert contrast(lightened, (86, 130, 180)) >= TEXT or lightened == (255, 255, 255)
    dark = readable((200, 200, 90), (250, 250, 250), LETTER)
    assert contrast(dark, (250, 250, 250)) >= LETTER
    assert dark[0] > dark[2]


def contrasts(strip: Strip) -> list[float]:
    """Return the contrast of every piece of text of a drawn line."""
    found = []
    for segment in strip:
        if segment.text.strip() and segment.style is not None:
            ink, ground = segment.style.color or Color.parse("white"), segment.style.bgcolor or Color.parse("black")
            found.append(contrast(tuple(ink.get_truecolor()), tuple(ground.get_truecolor())))  # type: ignore[arg-type]
    return found


def cursor_line(pane: Pane) -> Strip:
    y = pane.row - pane.top + 2 if isinstance(pane, Matrix) else pane.cursor - pane.top + (pane.header is not None)
    return pane.render_line(y)


def shown_panes(app: MedvlmApp) -> list[Matrix | Rows]:
    return [pane for pane in app.screen.query(Pane) if isinstance(pane, Matrix | Rows) and pane.region.width]


async def test_every_state_is_read_under_the_cursor_with_and_without_focus(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2")
        checked = 0
        for place in ("f2", "f8", "f9"):
            await pilot.press(place)
            await pilot.pause(0.1)
            panes = shown_panes(app)
            assert panes
            for pane in panes:
                pane.focus()
                await pilot.pause()
                for key in ("home", *["down"] * 7):
                    await pilot.press(key)
                    for one in panes:
                        ratios = contrasts(cursor_line(one))
                        checked += len(ratios)
                        assert min(ratios) >= TEXT, one
        assert checked > 100


async def test_one_cursor_is_bright_and_marked(make_app) -> None:
    app, _ = make_app(done=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "81.2")
        await pilot.press("f8")
        screen = await until(pilot, "Brain MR")
        panes = shown_panes(app)
        assert len(panes) > 1
        assert screen.count(CURSOR) == 1
        grounds = {pane.has_focus: pane.cursor_style().bgcolor.get_truecolor() for pane in panes}
        ground = app.screen.styles.background.rgb
        assert contrast(tuple(grounds[True]), ground) > contrast(tuple(grounds[False]), ground)
        await pilot.press("tab")
        await pilot.pause()
        assert (seen(app).count(CURSOR), seen(app).count(CURSOR_BLURRED)) == (0, 1), "the report marks no row"
        assert MARK not in (CURSOR, CURSOR_BLURRED)


async def test_the_cursor_of_the_scores_is_seen_without_colour(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = MedvlmApp(tmp_path, client=RecordedClient(shown=whole_survey()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "paper protocol")
        await pilot.press("down", "right")
        await pilot.pause()
        [row] = [line for line in seen(app).splitlines() if CURSOR in line]
        assert "MedGemma" in row
