"""Data folders given in the screens: kept for the next start, taken out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp


def ask(app: MedvlmApp) -> None:
    """Ask for data folders; the cursor goes to the first that is taken."""
    from medvlm_tui.tui.home.picker import PickerScreen, Taken

    async def taken(folders: Taken | None) -> None:
        if folders:
            await give(app, dict(folders))

    app.push_screen(PickerScreen({row.id: row.name for row in app.board.datasets.values()}), taken)


async def give(app: MedvlmApp, folders: dict[str, str]) -> None:
    """Take folders, keep them for the next start, and ask what exists anew."""
    from medvlm_tui.core.workspace import data_folders

    app.request.data.update(folders)
    app.selection.dataset = next(iter(folders))
    try:
        data_folders.remember(app.workspace, folders)
    except MedvlmError as error:
        app.tell(f"not kept for the next start: {error.message}", "warning")
    await app.survey()


async def forget(app: MedvlmApp, dataset: str) -> None:
    """Take the folder of a dataset out; what was computed of it stays."""
    from medvlm_tui.core.workspace import data_folders

    folder = app.request.data.pop(dataset, "")
    if not folder:
        app.tell(f"no folder is given for {app.board.dataset_name(dataset)}")
        return
    try:
        kept = data_folders.forget(app.workspace, dataset)
    except MedvlmError as error:
        app.tell(error.message, "warning")
        return
    until = "" if kept else " until the next start: the settings file or the command line names it"
    app.tell(f"{clean(folder)} is taken out{until}; its results stay")
    await app.survey()
