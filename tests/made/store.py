"""Stores for the tests: on a local disk, and as if on NFS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store import file_systems
from medvlm_tui.core.store.store import Store

ENCODER = EncoderKey("m", "w", "p", "pooled", "fp32", "1")
LOCAL, NFS = 0xEF53, 0x6969
FILE_SYSTEMS = {"sqlite": LOCAL, "files": NFS}
"""Kind of journal -> f_type of a file system on which it is chosen."""


def pretend(monkeypatch, kind: str) -> None:
    """Let statfs say that every path lies on a file system of this kind."""
    monkeypatch.setattr(file_systems, "type_of", lambda path: FILE_SYSTEMS[kind])


def table(rows: int = 5, encoder: EncoderKey = ENCODER) -> FeatureTable:
    """Return a small feature table with a failed image."""
    matrix = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    names = tuple(f"{i}.png" for i in range(rows))
    return FeatureTable(encoder, "d", names, ("a",) * rows, ("",) * rows, matrix, ("a",), {"x.png": "truncated"})


def value_files(store: Store) -> list[Path]:
    """Return the files of the journal's values."""
    return sorted((store.directory / "journal").rglob("*.val"))


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)
