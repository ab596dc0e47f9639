"""Draw the README's pictures of the screens from the workspace that `make demo` makes.

.venv/bin/python docs/screenshots.py medvlm-demo/workspace
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from textual.pilot import Pilot

from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.app import MedvlmApp

ASSETS = Path(__file__).parents[1] / "assets"
PLACES = {"map": ("f5",), "saliency": ("f6",), "bias": ("f7",)}
SIZE = (120, 34)


async def shown(pilot: Pilot[int]) -> None:
    """Wait until the engine has said what exists and the screen has drawn it."""
    for _ in range(400):
        await pilot.pause(0.05)
        if pilot.app.board.surveyed:  # type: ignore[attr-defined]
            break
    await pilot.pause(1.5)


async def still(pilot: Pilot[int]) -> None:
    """Wait until the screen has been the same for two seconds."""
    before, same = "", 0
    while same < 10:
        await pilot.pause(0.2)
        strips = pilot.app.screen._compositor.render_strips()
        now = "".join(segment.text for strip in strips for segment in strip)
        before, same = now, same + 1 if now == before else 0


async def draw(workspace: Path) -> None:
    """Write one SVG for each place, in the colours of a terminal that has all."""
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    os.environ.pop("NO_COLOR", None)
    app = MedvlmApp(workspace, request=RunRequest(offline=True))
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot)
        for name, keys in PLACES.items():
            for key in keys:
                await pilot.press(key)
                await still(pilot)
            (ASSETS / f"{name}.svg").write_text(app.export_screenshot(title="medvlm-tui", simplify=True))


if __name__ == "__main__":
    ASSETS.mkdir(exist_ok=True)
    asyncio.run(draw(Path(sys.argv[1])))
