"""The store: what was put comes back byte for byte, or not at all. Every test runs for both kinds of journal."""

import os
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.specs import EncoderKey
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import verify
from medvlm_tui.errors import CorruptEntryError, StoreError
from tests.made.store import ENCODER, flip, pretend, table, value_files


@pytest.fixture(params=["sqlite", "files"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    pretend(monkeypatch, request.param)
    return request.param


@pytest.fixture
def store(tmp_path: Path, kind: str):
    with Store(tmp_path / "store") as opened:
        assert opened.kind == kind
        yield opened


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


def test_keys_are_listed_by_prefix(store: Store) -> None:
    names = ["block/e/1", "block/e/2", "block/f/1", "plain", "result/a", "rise/a/000001"]
    for name in reversed(names):
        store.put(name, name.encode())
    assert store.keys() == names
    assert store.keys("block/e/") == names[:2]
    assert store.keys("block/") == names[:3]
    assert store.keys("re") == ["result/a"]
    assert store.keys("nothing/") == []
    store.discard("block/e/1")
    assert store.keys("block/e/") == ["block/e/2"]
    assert "block/e/1" not in store
    assert "block/e/2" in store


def test_blocks_of_one_encoder_are_listed_apart_from_another(store: Store) -> None:
    other = EncoderKey("m2", "w", "p", "pooled", "fp32", "1")
    store.put_block(ENCODER, ["a", "b"], np.ones((2, 3), np.float32))
    store.put_block(other, ["a"], np.zeros((1, 3), np.float32))
    [(digests, rows)] = list(store.blocks(ENCODER))
    assert digests == ["a", "b"]
    assert rows.tolist() == [[1.0] * 3] * 2


def test_only_the_blocks_that_hold_a_wanted_image_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        store.put_block(ENCODER, [f"{number}a", f"{number}b"], np.full((2, 3), number, np.float32))
    read: list[str] = []
    value = store.journal.value
    monkeypatch.setattr(store.journal, "value", lambda key: read.append(key) or value(key))
    [(digests, rows)] = list(store.blocks(ENCODER, {"2b", "elsewhere"}))
    assert digests == ["2a", "2b"]
    assert rows[0, 0] == 2
    assert len(read) == 1
    assert sorted(name for listed in store.block_digests(ENCODER) for name in listed) == sorted(
        f"{number}{letter}" for number in range(4) for letter in "ab"
    )
    assert len(read) == 1


def test_a_header_that_lies_about_its_images_is_not_believed(store: Store) -> None:
    store.put_block(ENCODER, ["aa", "bb"], np.ones((2, 3), np.float32))
    [file] = value_files(store)
    data = file.read_bytes()
    file.write_bytes(data.replace(b'\\"bb\\"', b'\\"bc\\"'))
    assert list(store.block_digests(ENCODER)) == []
    assert list(store.blocks(ENCODER, {"bb"})) == []
    assert store.keys() == []


@pytest.mark.parametrize("position", [0, 5, 20, 27, 30, 34, -1])
def test_a_flipped_bit_is_found_and_the_entry_forgotten(store: Store, position: int) -> None:
    store.put_result("r", {"a": np.arange(10)}, {})
    [file] = value_files(store)
    flip(file, position)
    with pytest.raises(CorruptEntryError):
        store.get("result/r")
    assert next(iter(verify(store))).key in ("result/r", "")
    assert store.result("r") is None
    store.put_result("r", {"a": np.arange(10)}, {})
    assert store.result("r") is not None


def test_putting_over_a_damaged_value_replaces_it(store: Store) -> None:
    store.put("k", b"body")
    flip(value_files(store)[0], -1)
    store.put("k", b"body")
    assert store.get("k") == b"body"


def test_a_truncated_value_is_never_returned(store: Store) -> None:
    store.put("k", b"x" * 1000)
    [file] = value_files(store)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CorruptEntryError):
        store.get("k")
    assert len(list(verify(store))) == 1


def test_a_value_in_the_place_of_another_key_is_never_returned(store: Store) -> None:
    store.put("k/one", b"1")
    store.put("k/two", b"2")
    one, two = (file.read_bytes() for file in value_files(store))
    for file, data in zip(value_files(store), (two, one), strict=True):
        file.write_bytes(data)
    for key in ("k/one", "k/two"):
        with pytest.raises(CorruptEntryError):
            store.get(key)
    assert len(list(verify(store))) == 2


def test_a_link_in_the_place_of_a_value_is_not_followed(store: Store, tmp_path: Path) -> None:
    store.put("k", b"1")
    [file] = value_files(store)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptEntryError):
        store.get("k")
    store.discard("k")
    assert (tmp_path / "elsewhere").exists()


def test_values_are_bytes_and_keys_are_text(store: Store) -> None:
    with pytest.raises(StoreError):
        store.put("k", "text")  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.put(("a", 1), b"x")  # type: ignore[arg-type]


def test_a_sealed_table_is_mapped_and_equal(store: Store) -> None:
    store.seal("t", table())
    found = store.tables.read("t")
    assert found is not None
    assert isinstance(found.matrix, np.memmap)
    assert np.array_equal(found.matrix, table().matrix)
    assert (found.ids, found.failed, found.encoder) == (table().ids, {"x.png": "truncated"}, ENCODER)
    assert store.tables.intact("t")
    assert store.tables.listed() == ["t"]


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize("position", [0, 40, 100, -2, -1])
def test_a_damaged_sealed_table_counts_as_absent(store: Store, suffix: str, position: int) -> None:
    store.seal("t", table())
    flip(store.directory / "sealed" / f"t.{suffix}", position)
    assert len(list(verify(store))) == 1
    with Store(store.directory, read_only=True) as reader:
        assert reader.tables.read("t") is None
        assert "t" in reader.tables
    with Store(store.directory) as again:
        assert again.tables.read("t") is None
        assert "t" not in again.tables
        again.seal("t", table())
        assert again.tables.read("t") is not None


def test_a_sealed_table_is_verified_once_in_a_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.seal("t", table())
    files: list[Path] = []
    monkeypatch.setattr("medvlm_tui.core.store.sealed_manifest.checksums", _counting(files))
    assert store.tables.read("t") is not None
    assert store.tables.read("t") is not None
    assert len(files) == 1
    path = store.directory / "sealed" / "t.safetensors"
    path.write_bytes(path.read_bytes() + b"\0")
    assert store.tables.read("t") is None
    assert len(files) == 2


def _counting(files: list[Path]):
    from medvlm_tui.core.store.sealed_manifest import checksums

    def counted(path: Path, sha256: bool = True):
        files.append(path)
        return checksums(path, sha256)

    return counted


def test_a_table_under_another_tables_name_is_not_read(store: Store) -> None:
    store.seal("t", table())
    for suffix in ("json", "safetensors"):
        (store.directory / "sealed" / f"t.{suffix}").rename(store.directory / "sealed" / f"u.{suffix}")
    assert store.tables.read("u") is None


def test_a_read_only_store_reads_and_refuses_to_write(store: Store) -> None:
    store.put("k", b"1")
    with Store(store.directory, read_only=True) as reader:
        assert reader.get("k") == b"1"
        with pytest.raises(StoreError, match="reading only"):
            reader.put("k2", b"2")
        with pytest.raises(StoreError, match="reading only"):
            reader.seal("t", table())
        with pytest.raises(StoreError, match="reading only"):
            reader.discard("k")
    with pytest.raises(StoreError, match="no store"):
        Store(store.directory.parent / "absent", read_only=True)


def test_foreign_or_loose_directories_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert mine.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StoreError, match="another user"):
        Store(mine)


@pytest.mark.parametrize(
    "marker", ['{"format": 99}', '{"format": 0, "journal": "sqlite"}', '{"format": 1, "journal": "x"}', "{", "[]"]
)
def test_another_format_is_refused_and_left_alone(store: Store, marker: str) -> None:
    store.put("k", b"1")
    before = {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()}
    (store.directory / "format.json").write_text(marker)
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"format|journal|cannot be read"):
            Store(store.directory, read_only=read_only)
    after = {path: path.read_bytes() for path in store.directory.rglob("*") if path.is_file()}
    assert after.pop(store.directory / "format.json") == marker.encode()
    before.pop(store.directory / "format.json")
    assert after == before


def test_a_full_disk_is_one_clear_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("k", b"1")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medvlm_tui.core.atomic_files.os.fsync", no_space)
    with pytest.raises(StoreError, match="is full"):
        store.put("k2", b"2")
    with pytest.raises(StoreError, match="is full"):
        store.seal("t", table())
    monkeypatch.undo()
    assert store.get("k") == b"1"
    assert store.get("k2") is None
    store.put("k2", b"2")
    assert store.get("k2") == b"2"


def test_file_digests_that_were_damaged_are_forgotten(store: Store, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"1")
    digest = store.file_digests.of(image)
    store.file_digests.save()
    remembered = store.directory / "file_digests.json"
    remembered.write_bytes(remembered.read_bytes().replace(digest.encode(), (digest[:-1] + "x").encode()))
    assert len(list(verify(store))) == 1
    with Store(store.directory) as again:
        assert again.file_digests.of(image) == digest


def test_an_intact_store_has_no_damage(store: Store) -> None:
    for number in range(5):
        store.put_block(ENCODER, [str(number)], np.ones((1, 3), np.float32))
    store.put_result("r", {"a": np.arange(3)}, {})
    store.seal("t", table())
    store.discard("result/r")
    assert list(verify(store)) == []
