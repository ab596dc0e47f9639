"""Draw the README's pictures of the screens from the workspace that `make demo` makes.

.venv/bin/python docs/screenshots.py medvlm-demo/workspace
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from textual.pilot import Pilot

from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.app import MedvlmApp

ASSETS = Path(__file__).parents[1] / "assets"
PLACES = {"map": ("f5",), "saliency": ("f6",), "bias": ("f7", "z")}
SIZE = (120, 34)


async def shown(pilot: Pilot[int]) -> None:
    """Wait until the engine has said what exists and the screen has drawn it."""
    for _ in range(400):
        await pilot.pause(0.05)
        if pilot.app.board.surveyed:  # type: ignore[attr-defined]
            break
    await pilot.pause(1.5)


async def draw(workspace: Path) -> None:
    """Write one SVG a place."""
    app = MedvlmApp(workspace, request=RunRequest(offline=True))
    async with app.run_test(size=SIZE) as pilot:
        await shown(pilot)
        for name, keys in PLACES.items():
            for key in keys:
                await pilot.press(key)
                await pilot.pause(2.0)
            (ASSETS / f"{name}.svg").write_text(app.export_screenshot(title="medvlm-tui", simplify=True))


if __name__ == "__main__":
    ASSETS.mkdir(exist_ok=True)
    asyncio.run(draw(Path(sys.argv[1])))
