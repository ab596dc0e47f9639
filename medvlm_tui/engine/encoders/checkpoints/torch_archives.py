"""Which tensor lies where in a file of `torch.save` or `torch.jit.save`, without torch and without running its code."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlm_tui.engine.encoders.checkpoints.restricted_pickle import RestrictedUnpickler
from medvlm_tui.engine.encoders.checkpoints.stand_ins import Inert, refuse_hostile
from medvlm_tui.engine.encoders.checkpoints.state_dicts import StateDict, state_dict_in

# What Python's readers of zip files and pickles raise on bytes that are damaged or made up.
DAMAGE = (
    ValueError, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError,
    TypeError, pickle.UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_MAX_PICKLE_BYTES = 100_000_000
_MAX_TENSORS = 200_000
_MAX_DIMENSIONS = 32
_DEPTH = 64


class NotUnderstoodError(ValueError):
    """The file is whole, and holds tensors that only torch itself can read: sparse ones, or of rarer types."""


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
    return dict(read_state(path).tensors)


def read_state(path: Path) -> StateDict:
    """Return the state dict inside, its tensors as slots; raises ValueError when the file is no such archive, OSError.

    Of a TorchScript archive the tensors are the attributes of its modules, by the path that leads to them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            head = next((name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"), None)
            if head is None:
                raise ValueError("it is a zip archive, but none of torch")
            _refuse_other_byte_order(archive, head.removesuffix("data.pkl"))
            loaded = _Reader(io.BytesIO(_index(archive, head)), head.removesuffix("data.pkl")).load()
    except OSError:
        raise
    except ValueError:
        raise
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, RecursionError) as error:
        raise ValueError(f"no archive of torch: {error}") from error
    except DAMAGE as error:
        raise ValueError(f"a damaged archive of torch: {error}") from error  # what a pickle of nonsense raises
    return state_dict_in(dict(_attributes(loaded)) if isinstance(loaded, ScriptModule) else loaded, _is_slot)


def _index(archive: zipfile.ZipFile, head: str) -> bytes:
    """Return the pickle that names the tensors. torch never compresses it: a short file cannot hold a long one."""
    member = archive.getinfo(head)
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("its index is compressed, which torch does not do: save the state dict again")
    if member.file_size > _MAX_PICKLE_BYTES:
        raise ValueError("its index is too large")
    return archive.read(head)


def _refuse_other_byte_order(archive: zipfile.ZipFile, folder: str) -> None:
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder")[:8] != b"little":
        raise ValueError("it was written by a machine whose numbers begin with the high byte")


def _is_slot(value: Any) -> bool:
    return isinstance(value, Slot)


class ScriptModule:
    """A module of a TorchScript archive: its attributes, without its code."""

    __slots__ = ("attributes",)

    def __init__(self, *arguments: Any) -> None:
        self.attributes: Mapping[Any, Any] = {}


def _attributes(module: ScriptModule, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Slot]]:
    """Yield the tensors of a module and of the modules in it by name; raises ValueError for one without end."""
    if depth > _DEPTH:
        raise ValueError("its modules lie in each other without end")
    for key, value in module.attributes.items():
        if isinstance(value, Slot):
            yield f"{prefix}{key}", value
        elif isinstance(value, ScriptModule):
            for count, found in enumerate(_attributes(value, f"{prefix}{key}.", depth + 1)):
                if count > _MAX_TENSORS:
                    raise ValueError("its modules hold tensors without end")
                yield found


class _Reader(RestrictedUnpickler):
    """Makes slots of torch's tensors, modules of TorchScript's, and inert objects of everything else."""

    def __init__(self, file: io.BytesIO, folder: str) -> None:
        super().__init__(file)
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        refuse_hostile(module, name)
        known = _KNOWN.get((module, name))
        if known is not None:
            return known
        if name.startswith("_rebuild"):
            raise NotUnderstoodError(f"it holds a tensor made by {module}.{name}, which is not understood here")
        if module.partition(".")[0] == "__torch__":
            return ScriptModule
        return name if module == "torch" and name.endswith("Storage") else type(name, (Inert,), {})

    def call(self, function: Any, arguments: Any) -> Any:
        return ScriptModule() if function is ScriptModule else super().call(function, arguments)

    def fill(self, target: Any, state: Any) -> None:
        if not isinstance(target, ScriptModule):
            super().fill(target, state)
        elif isinstance(state, Mapping):
            target.attributes = state

    def persistent_load(self, pid: Any) -> Storage:
        _, kind, key, *_ = pid
        return Storage(f"{self._folder}data/{key}", str(kind))


def _slot(storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *rest: Any) -> Slot:
    numbers = (offset, *shape, *stride)
    if len(shape) > _MAX_DIMENSIONS or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"it holds a tensor of the shape {str(shape)[:80]}")
    return Slot(storage, offset, tuple(shape), tuple(stride))


def _first(slot: Any, *rest: Any) -> Any:
    return slot


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _slot,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("collections", "OrderedDict"): OrderedDict,
}
_Reader.makers = (_slot, _first)
