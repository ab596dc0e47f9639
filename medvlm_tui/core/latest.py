"""Which result of a kind was made last from a feature table, whatever its parameters.

A screen looks for a map or a saliency result under the parameters it would use itself; one that was made with
others (more masks, another n_neighbors) is found here. A cache: losing it loses no result.
"""

from __future__ import annotations

import json
from pathlib import Path

from medvlm_tui.core.files import write_atomic


class LatestResults:
    """A small JSON file: `kind:table key` -> result key."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, str] = _read(path)

    def note(self, kind: str, table: str, key: str) -> None:
        """Remember that `key` is the newest result of this kind made from this table."""
        if self._keys.get(f"{kind}:{table}") != key:
            self._keys[f"{kind}:{table}"] = key
            write_atomic(self._path, json.dumps(self._keys).encode())

    def of(self, kind: str, table: str) -> str | None:
        """Return the newest result's key, None when there is none."""
        return self._keys.get(f"{kind}:{table}")


def _read(path: Path) -> dict[str, str]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in table.items()} if isinstance(table, dict) else {}
