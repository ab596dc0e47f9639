"""Checkpoint files, read tensor by tensor where the format allows it. Nothing in them is ever executed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.checkpoints import unpickling
from medvlm_tui.engine.encoders.checkpoints.file_kinds import Kind, kind_of, not_a_checkpoint
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.state_dicts import NoStateDictError, StateDict, state_dict_in
from medvlm_tui.engine.encoders.checkpoints.torch_archives import DAMAGE, Slot, read_state
from medvlm_tui.engine.encoders.config_fields import Fields, read_fields
from medvlm_tui.errors import WeightsError

# The names of safetensors; torch has no type for F6_E2M3 and F6_E3M2, and computes nothing with F4.
_DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz, "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8,
    "BOOL": torch.bool, "C64": torch.complex64,
}  # fmt: skip
_STORAGES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
_DAMAGED = "download the file again"
_OWN_PAGE = "get the weights from the page that `medvlm-tui models ID` names"


class TensorFile(Protocol):
    """Tensors by name."""

    path: Path
    note: str
    """Sentence for the user on a choice between tables of tensors in it."""

    def names(self) -> Iterable[str]:
        """Return the names of all tensors."""

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor on the CPU, in the precision it is stored in."""

    def outline(self, name: str) -> torch.Tensor:
        """Return a tensor of the same shape and type on the device `meta`: nothing of it is read."""

    def stored(self, name: str) -> tuple[Hashable, int]:
        """Return which run of the file's bytes holds a tensor, and how long that run is."""


class SafetensorsFile:
    """One .safetensors file: its header, and then exactly the bytes of the tensors that are asked for."""

    note = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._header = read_header(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        except DAMAGE as error:
            raise WeightsError(f"{path} is damaged: {_said(error)}", _DAMAGED) from error

    def names(self) -> Iterable[str]:
        return self._header.keys()

    def read(self, name: str) -> torch.Tensor:
        place = self._header[name]
        dtype = self._dtype(name)
        buffer = bytearray(place.end - place.begin)
        if buffer:
            with open(self.path, "rb", buffering=0) as file:
                _read_exactly(file.fileno(), memoryview(buffer), place.begin, self.path)
            return torch.frombuffer(buffer, dtype=dtype).reshape(place.shape)
        return torch.empty(place.shape, dtype=dtype)

    def outline(self, name: str) -> torch.Tensor:
        return torch.empty(self._header[name].shape, dtype=self._dtype(name), device="meta")

    def stored(self, name: str) -> tuple[Hashable, int]:
        place = self._header[name]
        return name, place.end - place.begin

    def _dtype(self, name: str) -> torch.dtype:
        stored = self._header[name].dtype
        if stored not in _DTYPES:
            raise WeightsError(
                f"{self.path}: {clean(name)} is of type {stored}, which torch does not compute with",
                "take the weights in bfloat16 or float32",
            )
        return _DTYPES[stored]


def _read_exactly(descriptor: int, view: memoryview, offset: int, path: Path) -> None:
    while view:
        count = os.preadv(descriptor, [view], offset)
        if count == 0:
            raise WeightsError(f"{path} ended while it was read", _DAMAGED)
        view, offset = view[count:], offset + count


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"{path} cannot be read: {error.strerror or _said(error)}", "check the path")


def _said(error: BaseException) -> str:
    return clean(str(error) or type(error).__name__)[:200]


class PickleFile:
    """A .bin, .pt, .pth or .tar file of torch: plain tensors only, read whole through a memory map."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = _state_dict(path, lambda: state_dict_in(_load_plain(path), _is_tensor))
        self._tensors, self.note = found.tensors, found.note

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def read(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._tensors[name]
        return tensor

    def outline(self, name: str) -> torch.Tensor:
        tensor = self.read(name)
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    def stored(self, name: str) -> tuple[Hashable, int]:
        tensor = self.read(name)
        if tensor.layout != torch.strided:
            return name, tensor.numel() * tensor.element_size()
        storage = tensor.untyped_storage()
        return storage.data_ptr(), storage.nbytes()


class ScriptFile:
    """A TorchScript archive: the tensors of its modules, whose code is not looked at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        found = _state_dict(path, lambda: _script_state(path))
        self._slots: Mapping[str, Slot] = found.tensors
        self.note = found.note
        with zipfile.ZipFile(path) as archive:
            self._sizes = {member.filename: member.file_size for member in archive.infolist()}

    def names(self) -> Iterable[str]:
        return self._slots.keys()

    def read(self, name: str) -> torch.Tensor:
        slot = self._slots[name]
        try:
            with zipfile.ZipFile(self.path) as archive:
                buffer = bytearray(archive.read(slot.storage.member))
            if not buffer:
                return torch.empty(slot.shape, dtype=self._dtype(name))
            whole = torch.frombuffer(buffer, dtype=self._dtype(name))
            return whole.as_strided(slot.shape, slot.stride, slot.offset)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        except DAMAGE as error:
            raise WeightsError(f"{self.path} is damaged: {clean(name)}: {_said(error)}", _DAMAGED) from error

    def outline(self, name: str) -> torch.Tensor:
        return torch.empty(self._slots[name].shape, dtype=self._dtype(name), device="meta")

    def stored(self, name: str) -> tuple[Hashable, int]:
        member = self._slots[name].storage.member
        return member, self._sizes.get(member, 0)

    def _dtype(self, name: str) -> torch.dtype:
        kind = self._slots[name].storage.kind
        if kind not in _STORAGES:
            raise WeightsError(f"{self.path}: {clean(name)} is a {clean(kind)}, which is not read", _OWN_PAGE)
        return _STORAGES[kind]


def _script_state(path: Path) -> StateDict:
    try:
        return read_state(path)
    except NoStateDictError as error:
        message = f"{path} is a TorchScript archive, whose code is not run, and it names no tensors"
        raise WeightsError(message, f"{_OWN_PAGE}, or save its state_dict()") from error
    except ValueError as error:
        message = f"{path} is a TorchScript archive, whose code is not run, and its tensors cannot be read"
        raise WeightsError(f"{message}: {_said(error)}", f"{_OWN_PAGE}, or save its state_dict()") from error


def _state_dict(path: Path, find: Callable[[], StateDict]) -> StateDict:
    """Return the tensors of a checkpoint; raises WeightsError that says what the file holds instead."""
    try:
        return find()
    except NoStateDictError as error:
        hint = "this file is not a checkpoint of the model; save its state_dict()"
        raise WeightsError(f"{path} {error}", hint) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _load_plain(path: Path) -> Any:
    """Load through torch's own restricted reader; where the file also holds foreign objects, without them."""
    try:
        try:
            return _torch_load(path, weights_only=True)
        except UnpicklingError:
            return _torch_load(path, weights_only=False, pickle_module=unpickling)
    except UnpicklingError as error:
        raise WeightsError(f"{path} was not loaded, and nothing in it ran: {_said(error)}", _OWN_PAGE) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # torch raises many kinds on damaged archives
        raise WeightsError(f"{path} is damaged: {_said(error)}", _DAMAGED) from error


def _torch_load(path: Path, **options: Any) -> Any:
    if path.suffix == ".safetensors":  # torch would believe the name
        with open(path, "rb") as file:
            return torch.load(file, map_location="cpu", **options)
    return torch.load(path, map_location="cpu", mmap=zipfile.is_zipfile(path), **options)


class ShardedFolder:
    """A folder of shards read through its index; shards that hold nothing of interest need not be there."""

    note = ""

    def __init__(self, index: Path) -> None:
        self.path = index
        self._shards: dict[str, TensorFile] = {}
        table = read_fields(index) or Fields(str(index), {})
        if not table.has("weight_map"):
            raise WeightsError(f"{index} is no index of shards: it has no weight_map", _DAMAGED)
        self._shard_of = {str(name): str(file) for name, file in table.below("weight_map").values.items()}
        if any(Path(file).name != file for file in self._shard_of.values()):
            raise WeightsError(f"{index} names files outside its own folder", _DAMAGED)

    def names(self) -> Iterable[str]:
        return self._shard_of.keys()

    def read(self, name: str) -> torch.Tensor:
        return self._shard(name).read(name)

    def outline(self, name: str) -> torch.Tensor:
        return self._shard(name).outline(name)

    def stored(self, name: str) -> tuple[Hashable, int]:
        run, size_bytes = self._shard(name).stored(name)
        return (self._shard_of[name], run), size_bytes

    def _shard(self, name: str) -> TensorFile:
        file = self._shard_of[name]
        if file not in self._shards:
            path = self.path.with_name(file)
            if not path.exists():
                raise WeightsError(f"{path} is missing; the index says that it holds {clean(name)}", "download it")
            self._shards[file] = open_tensor_file(path)
        shard = self._shards[file]
        if name not in shard.names():
            raise WeightsError(f"{shard.path} lacks {clean(name)}, which the index says it holds", _DAMAGED)
        return shard


_OPENERS: Mapping[Kind, Callable[[Path], TensorFile]] = {
    "safetensors": SafetensorsFile,
    "archive": PickleFile,
    "script": ScriptFile,
    "pickle": PickleFile,
    "index": ShardedFolder,
}
_open: ContextVar[dict[Path, TensorFile] | None] = ContextVar("open_tensor_files", default=None)


@contextmanager
def kept_open() -> Iterator[None]:
    """Open each file once within the block: a network may be made of several parts of it."""
    token = _open.set({})
    try:
        yield
    finally:
        _open.reset(token)


def open_tensor_file(path: Path) -> TensorFile:
    """Return a reader for a checkpoint file, by its first bytes; raises WeightsError."""
    known = _open.get()
    if known is not None and path in known:
        return known[path]
    file = _opened(path)
    if known is not None:
        known[path] = file
    return file


def _opened(path: Path) -> TensorFile:
    try:
        other, kind = not_a_checkpoint(path), kind_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if other is not None:
        raise WeightsError(f"{path} is {other[0]}", other[1])
    return _OPENERS[kind or ("safetensors" if path.suffix == ".safetensors" else "pickle")](path)
