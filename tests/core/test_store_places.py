"""Where a store lies: local disk, network file system, read-only disk; and what a killed writer leaves."""

import ctypes
import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.atomic_files import fsync_directory
from medvlm_tui.core.store import file_systems
from medvlm_tui.core.store import verify as store_check
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import StoreError
from tests.made.store import ENCODER, pretend, table, value_files


def test_the_file_system_of_a_path_that_does_not_exist_yet_is_its_parents(tmp_path: Path) -> None:
    # The same number as the C library's own structure holds, read by its definition.
    class Statfs(ctypes.Structure):
        _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_char * 504))

    found = Statfs()
    assert ctypes.CDLL(None).statfs(bytes(tmp_path), ctypes.byref(found)) == 0
    assert file_systems.type_of(tmp_path / "a" / "b") == found.f_type & 0xFFFFFFFF != 0
    assert file_systems.type_of(Path("/proc")) == 0x9FA0


@pytest.mark.parametrize("magic", file_systems.NETWORK)
def test_every_network_file_system_gets_a_journal_of_files(
    magic: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "type_of", lambda path: magic)
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
        assert file_systems.NETWORK[magic] in store.notice
        assert json.loads((store.directory / "format.json").read_bytes()) == {"format": 1, "journal": "files"}
        assert not list(store.directory.rglob("cache.db"))
    # Found on a local disk later: read the way it was written.
    pretend(monkeypatch, "sqlite")
    with Store(tmp_path / "store") as store:
        assert (store.kind, store.get("k")) == ("files", b"1")
        store.put("k2", b"2")
        assert not list(store.directory.rglob("cache.db"))


def test_a_local_store_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "sqlite")
    with Store(tmp_path / "store") as store:
        assert store.notice == ""


def test_a_database_that_was_moved_to_a_network_file_system_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
        pretend(monkeypatch, "files")
        with pytest.raises(StoreError, match="lies on NFS"):
            Store(store.directory)
        with Store(store.directory, read_only=True) as reader:
            assert reader.get("k") == b"1"  # from the log: the writer has not closed the database


def test_a_share_with_fixed_modes_is_accepted_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loose = tmp_path / "store"
    loose.mkdir(mode=0o777)
    loose.chmod(0o777)
    monkeypatch.setattr(file_systems, "type_of", lambda path: 0xFF534D42)
    with Store(loose) as store:
        assert "writable by others" in store.notice


def test_a_directory_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int):
        def fsync(descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("medvlm_tui.core.atomic_files.os.fsync", fsync)

    refuse(22)
    fsync_directory(tmp_path)
    refuse(5)
    with pytest.raises(OSError, match="Input/output"):
        fsync_directory(tmp_path)


@pytest.mark.parametrize("log", [False, True])
def test_a_read_only_disk_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bool) -> None:
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
        store.seal("t", table())
        if log:  # as a killed writer leaves it: the last rows lie in the log alone
            shutil.copytree(store.directory, tmp_path / "copy")
    if not log:
        shutil.copytree(tmp_path / "store", tmp_path / "copy")
    assert (tmp_path / "copy" / "journal" / "cache.db-wal").exists() == log
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    before = sorted(path.name for path in (tmp_path / "copy").rglob("*"))
    with Store(tmp_path / "copy", read_only=True) as reader:
        assert reader.get("k") == b"1"
        assert np.array_equal(reader.tables.read("t").matrix, table().matrix)
        assert list(store_check.verify(reader)) == []
        assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == before


def test_an_index_whose_writer_died_while_making_it_is_made_again(tmp_path: Path) -> None:
    Store(tmp_path / "store").close()
    folder = tmp_path / "store" / "journal"
    (folder / "cache.db").touch()
    with Store(tmp_path / "store") as store:
        assert store.get("k") is None
        store.put("k", b"1")
    for path in folder.glob("cache.db*"):
        path.unlink()
    connection = sqlite3.connect(folder / "cache.db")
    connection.execute("CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)")
    connection.close()
    with Store(tmp_path / "store") as store:
        assert store.keys() == []
        store.put("k", b"1")
        assert store.get("k") == b"1"


def test_a_broken_index_is_an_error_with_its_way_out(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
    database = tmp_path / "store" / "journal" / "cache.db"
    database.write_bytes(b"\0" * 4096)
    with Store(tmp_path / "store") as store, pytest.raises(StoreError, match="cannot be read") as caught:
        store.get("k")
    assert "store scrub" in caught.value.hint
    database.unlink()
    with Store(tmp_path / "store") as store:
        store_check.scrub(store)
        assert store.get("k") == b"1"


def test_a_failed_write_leaves_the_writer_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
        insert = "diskcache.core.Cache._row_insert"

        def fail(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(insert, fail)
        with pytest.raises(StoreError, match="is full"):
            store.put("k2", b"2")
        monkeypatch.undo()
        store.put("k2", b"2")
        assert store.get("k2") == b"2"
        assert store_check.scrub(store).removed
        assert store.keys() == ["k", "k2"]


def leftovers(store: Store) -> list[Path]:
    """What a killed writer leaves: half a value, half a table, half a list of digests, a tensor without manifest.

    safetensors has temporary files of its own.
    """
    folder = value_files(store)[0].parent
    made = [folder / ".x.val.abc.tmp", store.directory / "sealed" / "tmpx.tmp", store.directory / ".file.json.a.tmp"]
    made += [store.directory / "sealed" / "u.safetensors", store.directory / "sealed" / ".tmpOaWKOX"]
    for path in made:
        path.write_bytes(b"half")
    return made


def test_a_scrub_removes_leftovers_and_nothing_else(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
        store.seal("t", table())
        made = leftovers(store)
        done = store_check.scrub(store)
        assert sorted(done.removed) == sorted(made)
        assert done.freed_bytes == 20
        assert store.get("k") == b"1"
        assert store.tables.read("t") is not None
        assert list(store_check.verify(store)) == []


def test_without_locks_a_scrub_spares_what_may_be_somebodys_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, "files")
    with Store(tmp_path / "store") as store:
        store.put("k", b"1")
        store.put_block(ENCODER, ["a"], np.ones((1, 3), np.float32))
        made = leftovers(store)
        assert store_check.scrub(store).removed == []
        old = time.time() - 2 * store_check.NETWORK_MIN_AGE_S
        for path in (*made, *value_files(store)):
            os.utime(path, (old, old))
        assert sorted(store_check.scrub(store).removed) == sorted(made)
        assert len(store.keys()) == 2


def test_a_scrub_waits_for_a_write_under_way(tmp_path: Path) -> None:
    import threading

    with Store(tmp_path / "store") as store, Store(tmp_path / "store") as other:
        store.put("k", b"1")
        done = threading.Event()
        with other.lock.shared():

            def scrub() -> None:
                with Store(tmp_path / "store") as third, third.lock.alone():
                    done.set()

            thread = threading.Thread(target=scrub)
            thread.start()
            assert not done.wait(0.2)
        assert done.wait(5)
        thread.join()
