"""The store: what was put comes back byte for byte, or not at all."""

import os
import pickle
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store import Store
from medvlm_tui.errors import CorruptEntryError, StoreError

ENCODER = EncoderKey("m", "w", "p", "pooled", "fp32", "1")


def table(rows: int = 5) -> FeatureTable:
    matrix = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    names = tuple(f"{i}.png" for i in range(rows))
    return FeatureTable(ENCODER, "d", names, ("a",) * rows, ("",) * rows, matrix, ("a",), {"x.png": "truncated"})


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store") as opened:
        yield opened


def value_files(store: Store) -> list[Path]:
    return sorted((store.directory / "journal").rglob("*.val"))


def database(store: Store) -> sqlite3.Connection:
    return sqlite3.connect(store.directory / "journal" / "cache.db")


def test_a_value_comes_back_in_this_and_in_the_next_process(store: Store) -> None:
    store.put("k", b"body")
    assert store.get("k") == b"body"
    with Store(store.directory) as again:
        assert again.get("k") == b"body"
        assert again.keys() == ["k"]
    assert store.get("other") is None


def test_a_key_is_written_once(store: Store) -> None:
    store.put("k", b"first")
    store.put("k", b"second")
    assert store.get("k") == b"first"
    assert len(value_files(store)) == 1


def test_a_result_keeps_arrays_and_record(store: Store) -> None:
    arrays = {"xy": np.random.default_rng(0).normal(size=(4, 2)), "rows": np.arange(4)}
    store.put_result("r", arrays, {"seed": 0, "name": "Grüße [/]"})
    found = store.result("r")
    assert found is not None
    assert found.record == {"seed": 0, "name": "Grüße [/]"}
    assert all(np.array_equal(found.arrays[name], arrays[name]) for name in arrays)
    assert found.arrays["xy"].dtype == np.float64
    assert store.has_result("r")
    assert not store.has_result("r2")


def test_blocks_of_one_encoder_are_listed_apart_from_another(store: Store) -> None:
    other = EncoderKey("m2", "w", "p", "pooled", "fp32", "1")
    store.put_block(ENCODER, ["a", "b"], np.ones((2, 3), np.float32))
    store.put_block(other, ["a"], np.zeros((1, 3), np.float32))
    [(digests, rows)] = list(store.blocks(ENCODER))
    assert digests == ["a", "b"]
    assert rows.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("position", [0, 5, 20, 27, 30, -1])
def test_a_flipped_bit_is_found_and_the_entry_forgotten(store: Store, position: int) -> None:
    store.put_result("r", {"a": np.arange(10)}, {})
    [file] = value_files(store)
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptEntryError):
        store.get("result/r")
    assert store.result("r") is None
    store.put_result("r", {"a": np.arange(10)}, {})
    assert store.result("r") is not None


def test_a_truncated_or_missing_value_is_never_returned(store: Store) -> None:
    store.put("k", b"x" * 1000)
    [file] = value_files(store)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CorruptEntryError):
        store.get("k")
    file.unlink()
    with pytest.raises(CorruptEntryError):
        store.get("k")


class Payload:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(("raw", "mode"), [(1, 4), (1, 1), (1, 3), (0, 2), (0, 4)])
def test_a_planted_pickle_is_not_read(store: Store, tmp_path: Path, raw: int, mode: int) -> None:
    store.put("good", b"1")
    trap = tmp_path / "trap"
    body = pickle.dumps(Payload(trap))
    with database(store) as connection:
        key = "planted" if raw else body
        connection.execute(
            "INSERT INTO Cache (key, raw, store_time, mode, value, size) VALUES (?, ?, 0, ?, ?, 1)",
            (key, raw, mode, body),
        )
    with Store(store.directory) as again:
        again.keys()
        if raw:
            with pytest.raises(CorruptEntryError):
                again.get("planted")
        again.put("another", b"2")
        again.discard("planted")
        assert again.get("good") == b"1"
    assert not trap.exists()


@pytest.mark.parametrize("name", ["../../victim", "/etc/passwd", "ab/cd/../../../victim.val"])
def test_a_planted_file_name_is_neither_read_nor_removed(store: Store, tmp_path: Path, name: str) -> None:
    victim = store.directory / "victim"
    victim.write_bytes(b"precious")
    store.put("k", b"1")
    with database(store) as connection:
        connection.execute("UPDATE Cache SET filename = ? WHERE key = 'k'", (name,))
    with pytest.raises(CorruptEntryError):
        store.get("k")
    store.discard("k")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("key", "value"),
    [("sqlite_synchronous", 0), ("eviction_policy", "least-recently-used"), ("sqlite_x; DROP TABLE Cache", 1)],
)
def test_foreign_settings_rows_are_refused_before_they_act(store: Store, key: str, value: object) -> None:
    store.put("k", b"1")
    with database(store) as connection:
        connection.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", (key, value))
    with Store(store.directory) as again:
        assert again.get("k") == b"1"
        with pytest.raises(StoreError, match="never writes"):
            again.put("k2", b"2")


def test_values_are_bytes_and_keys_are_text(store: Store) -> None:
    with pytest.raises(StoreError):
        store.put("k", "text")  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.put(("a", 1), b"x")  # type: ignore[arg-type]


def test_the_store_syncs_and_never_evicts(store: Store) -> None:
    store.put("k", b"1")
    settings = dict(database(store).execute("SELECT key, value FROM Settings"))
    assert settings["sqlite_synchronous"] == 2
    assert settings["eviction_policy"] == "none"
    assert settings["cull_limit"] == 0


def test_a_sealed_table_is_mapped_and_equal(store: Store) -> None:
    store.seal("t", table())
    found = store.tables.read("t")
    assert found is not None
    assert isinstance(found.matrix, np.memmap)
    assert np.array_equal(found.matrix, table().matrix)
    assert (found.ids, found.failed, found.encoder) == (table().ids, {"x.png": "truncated"}, ENCODER)


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
def test_a_damaged_sealed_table_counts_as_absent(store: Store, suffix: str) -> None:
    store.seal("t", table())
    file = store.directory / "sealed" / f"t.{suffix}"
    data = bytearray(file.read_bytes())
    data[-2 if suffix == "safetensors" else 0] ^= 1
    file.write_bytes(data)
    with Store(store.directory) as again:
        assert again.tables.read("t") is None


def test_a_read_only_store_reads_and_refuses_to_write(store: Store) -> None:
    store.put("k", b"1")
    with Store(store.directory, read_only=True) as reader:
        assert reader.get("k") == b"1"
        with pytest.raises(StoreError, match="reading only"):
            reader.put("k2", b"2")
        with pytest.raises(StoreError, match="reading only"):
            reader.seal("t", table())


def test_foreign_or_loose_directories_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    with pytest.raises(StoreError, match="written by others"):
        Store(loose)
    full = tmp_path / "full"
    full.mkdir(mode=0o700)
    (full / "thesis.doc").touch()
    with pytest.raises(StoreError, match="not empty"):
        Store(full)
    mine = tmp_path / "mine"
    Store(mine).close()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StoreError, match="another user"):
        Store(mine)


def test_another_format_is_refused_and_left_alone(store: Store) -> None:
    marker = store.directory / "format.json"
    marker.write_text('{"format": 99}')
    with pytest.raises(StoreError, match="format 99"):
        Store(store.directory)
    assert marker.read_text() == '{"format": 99}'


def test_a_full_disk_is_one_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("k", b"1")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medvlm_tui.core.files.os.fsync", no_space)
    with pytest.raises(StoreError, match="is full"):
        store.put("k2", b"2")
    with pytest.raises(StoreError, match="is full"):
        store.seal("t", table())
    monkeypatch.undo()
    assert store.get("k") == b"1"
    assert store.get("k2") is None
    store.put("k2", b"2")
    assert store.get("k2") == b"2"
