"""Which results of a kind were made from a feature table, whatever their parameters.

A screen looks for a map or a saliency result under the parameters it would use itself; those that were made with
others (more masks, another n_neighbors) are found here. A cache: losing it loses no result.
"""

from __future__ import annotations

import json
from pathlib import Path

from medvlm_tui.core.atomic_files import write_cache

# A grid of the poster has 50 maps; more than four of them under one table are old.
KEPT = 200


class LatestResults:
    """A small JSON file: `kind:table key` -> result keys, the newest last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, list[str]] = _read(path)

    def note(self, kind: str, table: str, key: str) -> None:
        """Remember that `key` is the newest result of this kind made from this table."""
        keys = self._keys.setdefault(f"{kind}:{table}", [])
        if keys[-1:] != [key]:
            self._keys[f"{kind}:{table}"] = [*(known for known in keys if known != key), key][-KEPT:]
            write_cache(self._path, json.dumps(self._keys).encode())

    def of(self, kind: str, table: str) -> str | None:
        """Return the newest result's key, None when there is none."""
        return next(reversed(self.every(kind, table)), None)

    def every(self, kind: str, table: str) -> tuple[str, ...]:
        """Return the keys of all results, the newest last."""
        return tuple(self._keys.get(f"{kind}:{table}", ()))


def _read(path: Path) -> dict[str, list[str]]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {str(key): [str(one) for one in value] for key, value in table.items() if isinstance(value, list)}
