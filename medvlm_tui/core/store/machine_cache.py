"""Cache of measurements on this machine: batch sizes that fit, and precisions that keep the features.

If it is lost, the measurements are repeated; nothing else is affected.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medvlm_tui.core import checked_json
from medvlm_tui.core.atomic_files import write_cache
from medvlm_tui.errors import CorruptEntryError


class Measured:
    """A small JSON file: subject (`batch_size`, `precision`) and key -> what was found."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only

    def of(self, subject: str, key: str) -> Any:
        """Return what was found, None when nothing was."""
        return self._read().get(f"{subject}:{key}")

    def note(self, subject: str, key: str, found: Any) -> None:
        """Remember `found` (JSON-able); of two processes that do so at once one may be forgotten."""
        known = self._read()
        if not self._read_only and known.get(f"{subject}:{key}") != found:
            write_cache(self._path, checked_json.dump({**known, f"{subject}:{key}": found}))

    def _read(self) -> dict[str, Any]:
        try:
            known = checked_json.load(self._path.read_bytes(), self._path.name)
        except (OSError, CorruptEntryError):
            return {}
        return dict(known) if isinstance(known, Mapping) else {}
