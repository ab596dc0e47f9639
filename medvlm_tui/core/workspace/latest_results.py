"""Which results of a kind were made from a feature table, whatever their parameters.

A screen looks for a map or a saliency result under the parameters it would use itself; those that were made with
others (more masks, another n_neighbors) are found here, those of an older version of the analysis are not. A cache:
losing it loses no result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from medvlm_tui.core.atomic_files import write_cache

# A grid of the poster has 50 maps; more than four of them under one table are old.
KEPT = 200


class LatestResults:
    """A small JSON file: `kind@version:table key` -> result keys, the newest last; without `@version` for the first."""

    def __init__(self, path: Path, versions: Mapping[str, int]) -> None:
        """Read the file; `versions` are those of today by kind, and results of others are not found."""
        self._path, self._versions = path, versions
        self._keys: dict[str, list[str]] = _read(path)

    def note(self, kind: str, table: str, key: str) -> None:
        """Remember that `key` is the newest result of this kind made from this table."""
        name = self._name(kind, table)
        keys = self._keys.setdefault(name, [])
        if keys[-1:] != [key]:
            self._keys[name] = [*(known for known in keys if known != key), key][-KEPT:]
            write_cache(self._path, json.dumps(self._keys).encode())

    def of(self, kind: str, table: str) -> str | None:
        """Return the newest result's key, None when there is none."""
        return next(reversed(self.every(kind, table)), None)

    def every(self, kind: str, table: str) -> tuple[str, ...]:
        """Return the keys of all results, the newest last."""
        return tuple(self._keys.get(self._name(kind, table), ()))

    def _name(self, kind: str, table: str) -> str:
        version = self._versions.get(kind, 1)
        return f"{kind}:{table}" if version == 1 else f"{kind}@{version}:{table}"


def _read(path: Path) -> dict[str, list[str]]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {str(key): [str(one) for one in value] for key, value in table.items() if isinstance(value, list)}
