"""Where a model's weights are on this machine. Loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["present", "missing", "gated", "wrong"]


@dataclass(frozen=True, slots=True)
class Weights:
    """The result of looking for a model's weights."""

    state: State
    path: Path | None = None
    """A checkpoint file, or a folder in the layout of the model's library."""
    files: tuple[Path, ...] = ()
    """The files whose bytes make the digest."""
    digest: str = ""
    """Of the files' bytes; empty while they are missing."""
    hint: str = ""
    """What to do when they are not there."""
