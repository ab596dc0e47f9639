"""Which tensor lies where in a file of `torch.save`, without torch and without running anything in it."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlm_tui.engine.encoders.checkpoints.stand_ins import WRAPPERS, Inert, refuse_hostile

_MAX_PICKLE_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers: one member of the archive."""

    member: str
    kind: str
    """The class that wrote it: FloatStorage, BFloat16Storage, ..."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor as a view on a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_slots(path: Path) -> dict[str, Slot]:
    """Return the tensors of the state dict inside; raises ValueError when the file is no such archive, OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            head = next(name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl")
            if archive.getinfo(head).file_size > _MAX_PICKLE_BYTES:
                raise ValueError("its index is too large")
            loaded = _Reader(io.BytesIO(archive.read(head)), head.removesuffix("data.pkl")).load()
    except (zipfile.BadZipFile, StopIteration, pickle.UnpicklingError, EOFError, RecursionError) as error:
        raise ValueError(f"no archive of torch: {error}") from error
    except (AttributeError, IndexError, KeyError, TypeError, NotImplementedError, MemoryError) as error:
        raise ValueError(f"a damaged archive of torch: {error}") from error  # what a pickle of nonsense raises
    return {str(key): value for key, value in _innermost(loaded).items() if isinstance(value, Slot)}


def _innermost(loaded: Any) -> Mapping[Any, Any]:
    while isinstance(loaded, Mapping):
        inner = next((loaded[name] for name in WRAPPERS if isinstance(loaded.get(name), Mapping)), None)
        if inner is None:
            return loaded
        loaded = inner
    return {}


class _Reader(pickle.Unpickler):
    """Makes slots of torch's tensors, and inert objects of everything else."""

    def __init__(self, file: io.BytesIO, folder: str) -> None:
        super().__init__(file)
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        refuse_hostile(module, name)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _slot
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _first
        if name.startswith("_rebuild"):
            raise ValueError(f"it holds a tensor made by {module}.{name}, which is not understood here")
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return name if module == "torch" and name.endswith("Storage") else type(name, (Inert,), {})

    def persistent_load(self, pid: Any) -> Storage:
        _, kind, key, *_ = pid
        return Storage(f"{self._folder}data/{key}", str(kind))


def _slot(storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> Slot:
    return Slot(storage, offset, tuple(shape), tuple(stride))


def _first(slot: Any, *rest: Any) -> Any:
    return slot
