"""A thousand flipped bits in stored files: each is found before it can be computed with. About 1 minute."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import verify
from medvlm_tui.errors import StoreError
from tests.crash.writer import key_of, value_of
from tests.made.store import ENCODER, flip, table

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BITS = 1000
INDEX_BITS = 200


@pytest.fixture
def filled(store_path: Path, tmp_path: Path) -> Path:
    image = tmp_path / "image"
    image.write_bytes(b"pixels")
    with Store(store_path) as store:
        for number in range(6):
            store.put(key_of(number), value_of(number, 4))
        store.put_block(ENCODER, ["a", "b"], np.ones((2, 8), np.float32))
        store.put_result("r", {"x": np.arange(50)}, {"seed": 0})
        store.seal("t", table(60))
        store.file_digests.of(image)
    return store_path


def _found(path: Path) -> bool:
    try:
        with Store(path, read_only=True) as store:
            return bool(list(verify(store)))
    except StoreError:
        return True


def _all_right(path: Path) -> bool:
    """Say whether every entry comes back as it was written."""
    with Store(path, read_only=True) as store:
        return all(store.get(key_of(number)) == value_of(number, 4) for number in range(6)) and store.has_result("r")


def test_every_flipped_bit_of_values_tables_and_manifests_is_found(filled: Path, kind: str, report) -> None:
    files = [path for path in sorted(filled.rglob("*")) if path.is_file() and path.stat().st_size]
    files = [path for path in files if not path.name.startswith("cache.db")]
    assert {path.suffix for path in files} == {".val", ".json", ".safetensors"}
    assert not _found(filled)
    draw = random.Random(0)
    missed: list[str] = []
    for number in range(BITS):
        # One file in turn, so that small ones (manifest, format) are hit as often as large ones.
        path = files[number % len(files)]
        position, bit = draw.randrange(path.stat().st_size), draw.randrange(8)
        flip(path, position, bit)
        if not _found(filled):
            missed.append(f"{path.name} byte {position} bit {bit}")
        flip(path, position, bit)
    report(f"flipped bits, {kind}: {BITS} in {len(files)} files, {BITS - len(missed)} found by verify")
    assert missed == []
    assert not _found(filled)


def test_a_flipped_bit_of_the_index_is_found_or_harmless(filled: Path, kind: str, report) -> None:
    database = filled / "journal" / "cache.db"
    if kind == "files":
        assert not database.exists()
        return
    original = database.read_bytes()
    draw = random.Random(1)
    found = harmless = 0
    wrong: list[str] = []
    for _ in range(INDEX_BITS):
        position, bit = draw.randrange(len(original)), draw.randrange(8)
        for leftover in database.parent.glob("cache.db-*"):
            leftover.unlink()
        database.write_bytes(original)
        flip(database, position, bit)
        if _found(filled):
            found += 1
        elif _all_right(filled):
            harmless += 1
        else:
            wrong.append(f"byte {position} bit {bit}")
    report(f"flipped bits of the index: {INDEX_BITS}, {found} found, {harmless} in unused bytes (all entries right)")
    assert wrong == []
    assert found > 0
