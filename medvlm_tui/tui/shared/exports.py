"""The folders of the files that screens write."""

from __future__ import annotations

import time
from pathlib import Path


def export_folder(workspace: Path, what: str) -> Path:
    """Return the path of a new folder for a kind of files, named by the time: `exports/map-20260131-142500`."""
    return workspace / "exports" / f"{what}-{time.strftime('%Y%m%d-%H%M%S')}"
