"""Feature tables out of a store and into another: `store export` and `store import`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medvlm_tui.core import checked_json
from medvlm_tui.core.atomic_files import TEMPORARY, fsync_directory
from medvlm_tui.core.safe_text import slug
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.contents import Item
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import CorruptEntryError, MissingInputError, StoreError, UsageError

Format = Literal["npz", "parquet", "safetensors"]
_RECOPY = "copy both files again from where they were exported; nothing was imported from it"


def export_table(store: Store, item: Item, folder: Path, form: Format) -> list[Path]:
    """Write one sealed table below `folder`; returns the files. Raises StoreError when damaged or not writable."""
    table, manifest = store.tables.read(item.key), store.tables.manifest(item.key)
    if table is None or manifest is None:
        raise StoreError(f"the sealed table {item.key} is damaged", "run the same study again, then export")
    names = (item.origin.model, item.origin.dataset, item.key[:8])
    path = folder / f"{'_'.join(slug(name) for name in names if name)}.{form}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if form == "safetensors":
            return _copy_sealed(store, item.key, path)
        temporary = path.with_name(path.name + TEMPORARY)
        _WRITERS[form](table, manifest, temporary)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}", "check --out and the space there"
        ) from error
    return [path]


def find_manifests(places: list[Path]) -> Iterator[Path]:
    """Yield the manifests among files and folders; raises MissingInputError for a place that does not exist."""
    for place in places:
        if place.is_dir():
            yield from sorted(place.glob("*.json"))
        elif place.suffix == ".safetensors" and place.with_suffix(".json").exists():
            yield place.with_suffix(".json")
        elif place.exists():
            yield place
        else:
            raise MissingInputError(f"{place} does not exist", "name exported .json files, or the folder they lie in")


def import_table(store: Store, manifest: Path) -> str:
    """Take one sealed table in; returns its key. A table that the store has whole stays.

    Raises CorruptEntryError unless every byte of manifest and tensor is as sealed.
    """
    try:
        record = checked_json.load(manifest.read_bytes(), manifest.name)
        _refuse_wrong_shape(record, manifest)
        tensor = manifest.with_suffix(".safetensors")
        with store.lock.shared():
            store.tables.adopt(tensor, record, keep=store.tables.intact(record["key"]))
    except CorruptEntryError as error:
        raise CorruptEntryError(error.message, _RECOPY) from error
    except OSError as error:
        raise StoreError(f"{error.filename or manifest}: {error.strerror or error}", _RECOPY) from error
    if store.tables.read(record["key"]) is None:
        raise CorruptEntryError(f"{tensor.name} does not hold the table that its manifest describes", _RECOPY)
    return str(record["key"])


def _refuse_wrong_shape(record: Any, manifest: Path) -> None:
    """Refuse a manifest whose rows do not agree, before anything is copied."""
    if not isinstance(record, Mapping) or not isinstance(record.get("key"), str):
        raise CorruptEntryError(f"{manifest.name} is no manifest of a sealed table")
    shape, rows = record.get("shape"), {len(record.get(name, "")) for name in ("ids", "labels", "groups")}
    if not isinstance(shape, list) or len(shape) != 2 or rows != {shape[0]}:
        raise CorruptEntryError(f"{manifest.name} names {sorted(rows)} rows for a table of shape {shape}")


def _copy_sealed(store: Store, key: str, path: Path) -> list[Path]:
    """Copy both files as they are, so that their checksums travel with them."""
    made = [path, path.with_suffix(".json")]
    for source, target in zip((store.tables.tensor_path(key), store.tables.manifest_path(key)), made, strict=True):
        temporary = target.with_name(target.name + TEMPORARY)
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    fsync_directory(path.parent)
    return made


def _write_npz(table: FeatureTable, manifest: dict[str, Any], path: Path) -> None:
    """Arrays `features`, `ids`, `labels`, `groups` (text, no objects) and the manifest as JSON."""
    with open(path, "wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            features=table.matrix,
            ids=np.array(table.ids, dtype=np.str_),
            labels=np.array(table.labels, dtype=np.str_),
            groups=np.array(table.groups, dtype=np.str_),
            manifest=np.array(_provenance(manifest)),
        )


def _write_parquet(table: FeatureTable, manifest: dict[str, Any], path: Path) -> None:
    """Columns id, label, group and features (a fixed-size list of float32), the manifest in the schema."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "parquet needs pyarrow, which is not installed", "pip install pyarrow, or --format npz"
        ) from error
    n, dim = table.matrix.shape
    flat = pyarrow.array(np.ascontiguousarray(table.matrix).reshape(n * dim))
    columns = {
        "id": pyarrow.array(table.ids, pyarrow.string()),
        "label": pyarrow.array(table.labels, pyarrow.string()),
        "group": pyarrow.array(table.groups, pyarrow.string()),
        "features": pyarrow.FixedSizeListArray.from_arrays(flat, dim),
    }
    made = pyarrow.table(columns).replace_schema_metadata({"manifest": _provenance(manifest)})
    parquet.write_table(made, path)


def _provenance(manifest: dict[str, Any]) -> str:
    left_out = {"ids", "labels", "groups", "chunks", "chunk_bytes", "size_bytes"}
    return json.dumps({name: value for name, value in manifest.items() if name not in left_out}, sort_keys=True)


_WRITERS = {"npz": _write_npz, "parquet": _write_parquet}
