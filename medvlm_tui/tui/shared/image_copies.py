"""Texts of one image that can be copied: its id and, where its file is here, its path."""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.tui.shared.copying import Copyable
from medvlm_tui.tui.state.board import Board


def image_copies(board: Board, dataset: str, image: str) -> list[Copyable]:
    """Return the image's id, and the path of its file where that is below the dataset's folder."""
    found = [Copyable("image id", image)]
    root = board.datasets[dataset].root if dataset in board.datasets else ""
    path = Path(root) / image
    return [*found, Copyable("path of the image", str(path))] if root and path.is_file() else found
