"""Checkpoint files, read tensor by tensor where the format allows it. Nothing in them is ever executed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.checkpoints import unpickling
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.stand_ins import WRAPPERS
from medvlm_tui.errors import WeightsError

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip
_DAMAGED = "download the file again"


class TensorFile(Protocol):
    """Tensors by name."""

    path: Path

    def names(self) -> Iterable[str]:
        """Return the names of all tensors."""

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor on the CPU, in the precision it is stored in."""


class SafetensorsFile:
    """One .safetensors file: its header, and then exactly the bytes of the tensors that are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._header = read_header(path)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise WeightsError(f"{path} is damaged: {clean(str(error))}", _DAMAGED) from error
        except OSError as error:
            raise WeightsError(f"{path} cannot be read: {error.strerror}", "check the path") from error

    def names(self) -> Iterable[str]:
        return self._header.keys()

    def read(self, name: str) -> torch.Tensor:
        place = self._header[name]
        dtype = _DTYPES[place.dtype]
        buffer = bytearray(place.end - place.begin)
        if buffer:
            with open(self.path, "rb", buffering=0) as file:
                _read_exactly(file.fileno(), memoryview(buffer), place.begin, self.path)
            return torch.frombuffer(buffer, dtype=dtype).reshape(place.shape)
        return torch.empty(place.shape, dtype=dtype)


def _read_exactly(descriptor: int, view: memoryview, offset: int, path: Path) -> None:
    while view:
        count = os.preadv(descriptor, [view], offset)
        if count == 0:
            raise WeightsError(f"{path} ended while it was read", _DAMAGED)
        view, offset = view[count:], offset + count


class PickleFile:
    """A .bin, .pt, .pth or .tar file of torch: plain tensors only, read whole through a memory map."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors = unwrap(_load_plain(path), path)

    def names(self) -> Iterable[str]:
        return self._tensors.keys()

    def read(self, name: str) -> torch.Tensor:
        return self._tensors[name]


def _load_plain(path: Path) -> Any:
    """Load through torch's own restricted reader; where the file also holds foreign objects, without them."""
    mapped = zipfile.is_zipfile(path)
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except UnpicklingError:
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=unpickling, mmap=mapped)
    except UnpicklingError as error:
        message = f"{path} was not loaded, and nothing in it ran: {clean(str(error))[:200]}"
        raise WeightsError(message, "get the weights from the page that `medvlm-tui models ID` names") from error
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}", "check the path") from error
    except Exception as error:  # torch raises many kinds on damaged archives
        raise WeightsError(f"{path} is damaged: {clean(str(error))[:200]}", _DAMAGED) from error


def unwrap(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict inside training checkpoints: {state_dict: ...}, {model: ...}, {module: ...}."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[name] for name in WRAPPERS if isinstance(loaded.get(name), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path} holds no state dict", "this file is not a checkpoint of the model")
    return {str(key): value for key, value in loaded.items() if isinstance(value, torch.Tensor)}


class ShardedFolder:
    """A folder of shards read through its index; shards that hold nothing of interest need not be there."""

    def __init__(self, index: Path) -> None:
        self.path = index
        self._shards: dict[str, TensorFile] = {}
        try:
            table = json.loads(index.read_bytes())["weight_map"]
            self._shard_of = {str(name): str(file) for name, file in table.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{index} cannot be read: {error}", _DAMAGED) from error
        if any(Path(file).name != file for file in self._shard_of.values()):
            raise WeightsError(f"{index} names files outside its own folder", _DAMAGED)

    def names(self) -> Iterable[str]:
        return self._shard_of.keys()

    def read(self, name: str) -> torch.Tensor:
        file = self._shard_of[name]
        if file not in self._shards:
            path = self.path.with_name(file)
            if not path.exists():
                raise WeightsError(f"{path} is missing; the index says that it holds {clean(name)}", "download it")
            self._shards[file] = open_tensor_file(path)
        return self._shards[file].read(name)


def open_tensor_file(path: Path) -> TensorFile:
    """Return a reader for a checkpoint file by its suffix; raises WeightsError."""
    openers: Mapping[str, Callable[[Path], TensorFile]] = {".safetensors": SafetensorsFile, ".json": ShardedFolder}
    return openers.get(path.suffix, PickleFile)(path)
