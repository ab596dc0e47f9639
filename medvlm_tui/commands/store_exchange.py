"""Feature tables out of a store and into another: `store export` and `store import`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from medvlm_tui.core import checked_json
from medvlm_tui.core.atomic_files import EXPORTED_FILE, EXPORTED_FOLDER, make_directory, replacing
from medvlm_tui.core.safe_text import slug
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.contents import Item
from medvlm_tui.core.store.manifest_check import schema_fault
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
        make_directory(folder, EXPORTED_FOLDER)
        if form == "safetensors":
            return _copy_sealed(store, item.key, path)
        with replacing(path, EXPORTED_FILE) as file:
            _WRITERS[form](table, manifest, file)
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
        if fault := schema_fault(record):
            raise CorruptEntryError(f"{manifest.name} is not imported: {fault}")
        with store.lock.shared():
            store.tables.adopt(manifest.with_suffix(".safetensors"), record, store.tables.intact(record["key"]))
    except CorruptEntryError as error:
        raise CorruptEntryError(error.message, _RECOPY) from error
    except OSError as error:
        raise StoreError(f"{error.filename or manifest}: {error.strerror or error}", _RECOPY) from error
    return str(record["key"])


def _copy_sealed(store: Store, key: str, path: Path) -> list[Path]:
    """Copy both files as they are, so that their checksums travel with them."""
    made = [path, path.with_suffix(".json")]
    for source, target in zip((store.tables.tensor_path(key), store.tables.manifest_path(key)), made, strict=True):
        with open(source, "rb") as sealed, replacing(target, EXPORTED_FILE) as file:
            shutil.copyfileobj(sealed, file)
    return made


def _write_npz(table: FeatureTable, manifest: dict[str, Any], file: BinaryIO) -> None:
    """Arrays `features`, `ids`, `labels`, `groups` (text, no objects) and the manifest as JSON."""
    np.savez(
        file,
        allow_pickle=False,
        features=table.matrix,
        ids=np.array(table.ids, dtype=np.str_),
        labels=np.array(table.labels, dtype=np.str_),
        groups=np.array(table.groups, dtype=np.str_),
        manifest=np.array(_provenance(manifest)),
    )


def _write_parquet(table: FeatureTable, manifest: dict[str, Any], file: BinaryIO) -> None:
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
    parquet.write_table(made, file)


def _provenance(manifest: dict[str, Any]) -> str:
    left_out = {"ids", "labels", "groups", "chunks", "chunk_bytes", "size_bytes"}
    return json.dumps({name: value for name, value in manifest.items() if name not in left_out}, sort_keys=True)


_WRITERS = {"npz": _write_npz, "parquet": _write_parquet}
