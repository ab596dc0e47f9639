"""What somebody else wrote into the store's files is neither run, nor followed, nor believed."""

import pickle
import sqlite3
from pathlib import Path

import pytest

from medvlm_tui.core import digests
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import scrub, verify
from medvlm_tui.errors import CorruptEntryError, StoreError
from tests.made.store import pretend, table, value_files


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def on_nfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pretend(monkeypatch, "files")
    with Store(tmp_path / "store") as opened:
        yield opened


def database(store: Store) -> sqlite3.Connection:
    return sqlite3.connect(store.directory / "journal" / "cache.db")


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
        assert list(verify(again))
        scrub(again)
        again.put("another", b"2")
        again.discard("planted")
        assert again.get("good") == b"1"
    assert not trap.exists()


@pytest.mark.parametrize("name", ["../../victim", "/etc/passwd", "ab/cd/../../../victim.val"])
def test_a_planted_file_name_is_neither_read_nor_removed(store: Store, name: str) -> None:
    victim = store.directory / "victim"
    victim.write_bytes(b"precious")
    store.put("k", b"1")
    with database(store) as connection:
        connection.execute("UPDATE Cache SET filename = ? WHERE key = 'k'", (name,))
    with pytest.raises(CorruptEntryError):
        store.get("k")
    assert [damage.key for damage in verify(store)] == ["k"]
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
        assert len(list(verify(again))) == 1
        with pytest.raises(StoreError, match="never writes"):
            again.put("k2", b"2")


def test_a_value_file_whose_row_is_lost_is_indexed_again(store: Store) -> None:
    store.put("k", b"1")
    store.close()
    for path in (store.directory / "journal").glob("cache.db*"):
        path.unlink()
    with Store(store.directory) as again:
        assert again.keys() == []
        assert [damage.where for damage in verify(again)] == ["journal/cache.db"]
        assert scrub(again).adopted == 1
        assert again.get("k") == b"1"
        assert list(verify(again)) == []
        assert len(value_files(again)) == 1


def test_a_row_that_names_another_entrys_file_is_damage(store: Store) -> None:
    store.put("k", b"1")
    with database(store) as connection:
        connection.execute("UPDATE Cache SET key = 'other' WHERE key = 'k'")
    with pytest.raises(CorruptEntryError):
        store.get("other")
    assert [damage.key for damage in verify(store)] == ["other"]


@pytest.mark.parametrize("planted", [b"", b"\x80\x04.", pickle.dumps({"a": 1})])
def test_foreign_files_on_a_network_file_system_are_damage_not_values(on_nfs: Store, planted: bytes) -> None:
    on_nfs.put("k", b"1")
    [own] = value_files(on_nfs)
    (own.parent / f"{digests.of_record('other')}.val").write_bytes(planted)
    (own.parent / "../../journal/README").write_bytes(b"not ours")
    with Store(on_nfs.directory) as again:
        assert again.keys() == ["k"]
        with pytest.raises(CorruptEntryError):
            again.get("other")
        assert len(list(verify(again))) == 1
        again.put("other", b"2")
        assert again.get("other") == b"2"


def test_a_copied_entry_is_not_listed_under_its_copys_name(on_nfs: Store) -> None:
    on_nfs.put("k", b"1")
    [own] = value_files(on_nfs)
    (own.parent / f"{'0' * 32}.val").write_bytes(own.read_bytes())
    with Store(on_nfs.directory) as again:
        assert again.keys() == ["k"]
        [damage] = list(verify(again))
        assert "another key" in damage.reason


@pytest.mark.parametrize("key", ["../victim", "a/b", "/etc/passwd", "", "a\0b", "x" * 65])
def test_a_sealed_tables_key_cannot_name_a_path(store: Store, key: str) -> None:
    with pytest.raises(StoreError):
        store.seal(key, table())
    with pytest.raises(StoreError):
        store.tables.read(key)
