"""Pictures on the screens: shades of ink where there are few colours, on a dark and on a light ground."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from rich.console import Console
from textual.app import ComposeResult

from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from tests.tui.conftest import seen


class OnePicture(PlaceScreen):
    """A picture that is black at its left and white at its right."""

    def body(self) -> ComposeResult:
        yield Picture("", widget_id="one")

    def on_mount(self) -> None:
        pixels = np.zeros((20, 40), np.uint8)
        pixels[:, 20:] = 255
        self.query_one("#one", Picture).show_drawing(partial(thumbnail, pixels))


@pytest.mark.parametrize("few", [False, True])
async def test_white_is_white_on_a_light_ground_too(make_app, monkeypatch, few: bool) -> None:
    if not few:
        monkeypatch.setenv("NO_COLOR", "1")
    app, _ = make_app()
    if few:
        app.console = Console(color_system="standard", force_terminal=True, legacy_windows=False)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(OnePicture())
        await pilot.pause(0.05)
        for theme, black, white in (("medvlm-dark", " ", "█"), ("medvlm-light", "█", " "), ("medvlm-dark", " ", "█")):
            app.theme = theme
            await pilot.pause(0.05)
            line = seen(app).splitlines()[10]
            assert (line[20], line[60]) == (black, white), theme
