"""`store import` takes in nothing that the program could not use, and `store verify` finds what is there already."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from safetensors.numpy import save

from medvlm_tui.commands.store_exchange import import_table
from medvlm_tui.core.digests import of_record
from medvlm_tui.core.store.contents import contents
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import verify
from medvlm_tui.errors import CorruptEntryError
from tests.made.store import ENCODER

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)
KEY = of_record(["table", 1, ENCODER.digest, "d"])


def record_of(data: bytes, **changes: Any) -> dict[str, Any]:
    """Return the manifest that another program could write for a tensor file, with some fields as it likes."""
    return {
        "key": KEY,
        "encoder": {
            "model": "m", "weights_digest": "w", "preprocess_digest": "p", "feature": "pooled", "precision": "fp32",
            "code_version": "1",
        },
        "dataset_digest": "d",
        "shape": [2, 3],
        "classes": ["a"],
        "failed": {},
        "provenance": {},
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "chunk_bytes": 8 << 20,
        "chunks": [xxhash.xxh3_128_hexdigest(data)],
        "ids": ["0.png", "1.png"],
        "labels": ["a", "a"],
        "groups": ["", ""],
        **changes,
    }  # fmt: skip


def write(folder: Path, data: bytes, record: Any) -> Path:
    """Write both files with every checksum right; returns the manifest's path."""
    folder.mkdir(exist_ok=True)
    body = json.dumps(record).encode()
    digest = xxhash.xxh3_128_hexdigest(body).encode()
    (folder / "t.safetensors").write_bytes(data)
    (folder / "t.json").write_bytes(b'{"xxh3_128":"' + digest + b'","record":' + body + b"}\n")
    return folder / "t.json"


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "store") as opened:
        yield opened


def test_a_table_of_another_program_is_taken_in(store: Store, tmp_path: Path) -> None:
    data = save({"features": MATRIX})
    assert import_table(store, write(tmp_path / "out", data, record_of(data))) == KEY
    found = store.tables.read(KEY)
    assert found is not None
    assert np.array_equal(found.matrix, MATRIX)
    assert list(verify(store)) == []


def tensor_header(header: str, body: bytes = MATRIX.tobytes()) -> bytes:
    return len(header).to_bytes(8, "little") + header.encode() + body


WRONG_TENSORS = {
    "another name": save({"other": MATRIX}),
    "two tensors": save({"features": MATRIX, "more": MATRIX}),
    "another dtype": save({"features": MATRIX.view(np.int32)}),
    "another shape": save({"features": MATRIX.reshape(3, 2)}),
    "half precision": save({"features": MATRIX.astype(np.float16)}),
    "no header": MATRIX.tobytes(),
    "a header that is no JSON": tensor_header("{" * 40),
    "a header that is a list": tensor_header('["features"]'),
    "brackets without end": tensor_header("[" * 200_000),
    "offsets beyond the file": tensor_header('{"features":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]}}'),
    "bytes behind the tensor": save({"features": MATRIX}) + b"more",
    "nothing": b"",
    "zeros": save({"features": np.zeros((2, 3), np.float32)}),
    "one row for all": save({"features": np.ones((2, 3), np.float32)}),
}


@pytest.mark.parametrize("kind", WRONG_TENSORS)
def test_a_tensor_that_cannot_be_used_is_refused_by_name_and_leaves_nothing(
    store: Store, tmp_path: Path, kind: str
) -> None:
    data = WRONG_TENSORS[kind]
    with pytest.raises(CorruptEntryError, match=r"t\.safetensors is not imported|t\.json is not imported"):
        import_table(store, write(tmp_path / "out", data, record_of(data)))
    assert store.tables.listed() == []
    assert store.tables.strays() == []
    assert list((tmp_path / "store" / "sealed").iterdir()) == []


WRONG_FIELDS: dict[str, Any] = {
    "key": ["x", 7, "../../x", "t" * 32],
    "encoder": [{}, [], "m", {"model": {"a": 1}}, None],
    "dataset_digest": [7, None, "another"],
    "shape": [[2], [3, 3], ["2", "3"], [2, -3], [2.0, 3.0], [True, 3], {}],
    "classes": ["a", [1], None],
    "failed": [[], {"x": 1}],
    "provenance": [[], None, "x"],
    "size_bytes": ["24", -1, None],
    "sha256": ["", "x" * 64, None],
    "chunk_bytes": [0, "8", 1 << 20],
    "chunks": [[], "x", [1], ["0" * 32, "0" * 32]],
    "ids": [["0.png"], [1, 2], "ab", ["0.png", "0.png"]],
    "labels": [["a"], [1, None], "aa", {}],
    "groups": [[""], None],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field in WRONG_FIELDS for value in WRONG_FIELDS[field]]
)
def test_a_manifest_of_another_shape_is_refused(store: Store, tmp_path: Path, field: str, value: Any) -> None:
    data = save({"features": MATRIX})
    with pytest.raises(CorruptEntryError, match=r"t\.(json|safetensors) is not imported"):
        import_table(store, write(tmp_path / "out", data, record_of(data, **{field: value})))
    assert store.tables.listed() == []
    assert list((tmp_path / "store" / "sealed").iterdir()) == []


@pytest.mark.parametrize("record", [None, [], "x", 7, {}])
def test_what_is_no_manifest_is_refused(store: Store, tmp_path: Path, record: Any) -> None:
    with pytest.raises(CorruptEntryError):
        import_table(store, write(tmp_path / "out", save({"features": MATRIX}), record))


@pytest.mark.parametrize("wrong", ["tensor", "encoder"])
def test_verify_finds_a_planted_table_that_the_program_cannot_use(store: Store, tmp_path: Path, wrong: str) -> None:
    data = WRONG_TENSORS["another name"] if wrong == "tensor" else save({"features": MATRIX})
    record = record_of(data, **({"encoder": {"model": {"a": 1}}} if wrong == "encoder" else {}))
    folder = tmp_path / "store" / "sealed"
    manifest = write(tmp_path / "out", data, record)
    manifest.rename(folder / f"{KEY}.json")
    manifest.with_suffix(".safetensors").rename(folder / f"{KEY}.safetensors")
    [damage] = verify(store)
    assert damage.key == KEY
    assert [item.origin.model for item in contents(store, tmp_path / "runs")] == (["m"] if wrong == "tensor" else [""])
    assert store.tables.read(KEY) is None
    assert KEY not in store.tables, "it is set aside, so that the next run seals its own"
