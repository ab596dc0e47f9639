"""From a dataset's name on the command line to its spec with a root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.layouts.phantom import MANIFEST_NAME
from medvlm_tui.errors import MissingInputError, UsageError

LIST_READERS = dict.fromkeys((".csv", ".tsv", ".tab", ".txt", ".xlsx", ".parquet"), "csv_list") | {".npz": "medmnist"}

_UNPACK = "unpack the archive and give the folder that comes out"
_AS_CSV = "write it as CSV with the columns path,label, one line per image"
_AS_FILES = "save its images as files in one folder per class, or list them as path,label"
_OTHER_FILES = dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".zst"), _UNPACK) | {
    ".xls": "save it as .xlsx or as CSV",
    ".ods": "save it as .xlsx or as CSV",
    ".json": _AS_CSV,
    ".jsonl": _AS_CSV,
    ".ndjson": _AS_CSV,
    ".npy": "save its images as PNG files in one folder per class, or as .npz with train_images and train_labels",
    ".h5": _AS_FILES,
    ".hdf5": _AS_FILES,
    ".arrow": "save it as Parquet: images inside Parquet are read (docs/datasets.md)",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def resolve_dataset(name: str, roots: Mapping[str, str], catalog: Mapping[str, DatasetSpec]) -> DatasetSpec:
    """Return the catalog's spec, or one made for the folder or list that `roots` names; its root is set where known.

    Raises UsageError for a name that is in neither, MissingInputError for a new name whose path does not exist.
    """
    given = Path(roots[name]).expanduser().absolute() if roots.get(name) else None
    if name in catalog:
        return replace(catalog[name], root=given)
    if given is None:
        raise _unknown(name, roots, catalog)
    if os.path.isfile(given / MANIFEST_NAME) and "phantom" in catalog:
        return replace(catalog["phantom"], id=name, name=f"{name} (SYNTHETIC)", root=given)
    return DatasetSpec(
        id=name, name=name, modality="unknown", reader=_reader(name, given), parts=(), root=given, how_to_get=""
    )


def _reader(name: str, path: Path) -> str:
    if os.path.isdir(path):
        return "class_folders"
    try:
        path.stat()
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        hint = f"check --data {clean(name)}=PATH"
        raise MissingInputError(f"{clean(name)}: {clean(str(path))} {what}", hint) from error
    if reader := LIST_READERS.get(path.suffix.lower()):
        return reader
    raise UsageError(
        f"{clean(name)}: {clean(str(path))} is neither a folder nor a list ({', '.join(LIST_READERS)})",
        _hint_for(path),
    )


def _hint_for(path: Path) -> str:
    """Return what to do with a file that is neither a folder nor a list."""
    suffix, inner = path.suffix.lower(), Path(path.stem).suffix.lower()
    if suffix in _COMPRESSED and inner in LIST_READERS:
        return f"a compressed list: unpack it into the folder of the images and give {clean(path.stem)}"
    return _OTHER_FILES.get(suffix, "give a folder of class folders, or a list with the columns path,label")


def _unknown(name: str, roots: Mapping[str, str], catalog: Mapping[str, DatasetSpec]) -> UsageError:
    known = [*catalog, *(root for root in roots if root not in catalog)]
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    suggestion = f"did you mean {', '.join(close)}? " if close else f"known: {', '.join(known)}. "
    return UsageError(
        f"there is no dataset {clean(name)!r}", f"{clean(suggestion)}Your own: --data {clean(name)}=FOLDER_OR_CSV"
    )
