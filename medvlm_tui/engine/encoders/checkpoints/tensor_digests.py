"""The digest of a model's own tensors in a checkpoint: what else the file holds does not count. Imports no torch.

Tensors are chosen by name, by the family's `reads` pattern; what a family loads beyond them is an error (`families`).
A file that is neither safetensors nor an archive of torch is digested as a whole.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import xxhash

from medvlm_tui.core.digests import FileDigests, of_file, of_record
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.torch_archives import read_slots

_CHUNK_BYTES = 1 << 20
# Raised when a digest would come out differently for the same tensors: remembered ones are then made anew.
_VERSION = "tensors-1"


def chosen(names: Iterable[str], pattern: str) -> set[str]:
    """Return the names that match, all of them where none does: files that hold a tower alone name it otherwise."""
    listed = list(names)
    found = {name for name in listed if re.search(pattern, name)}
    return found or set(listed)


def digest_of(path: Path, pattern: str, digests: FileDigests) -> str:
    """Return the digest of a checkpoint file's chosen tensors, remembered while the file is unchanged."""
    return digests.of(path, f"{_VERSION} {pattern}", partial(_digest, pattern=pattern))


def _digest(path: Path, pattern: str) -> str:
    try:
        parts = _safetensors(path, pattern) if path.suffix == ".safetensors" else _archive(path, pattern)
        return of_record(sorted(parts))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, EOFError, zipfile.BadZipFile):
        return of_file(path)  # damaged, or of an older format: loading it will say what is wrong, if anything is


def _safetensors(path: Path, pattern: str) -> Iterator[list[str]]:
    header = read_header(path)
    with open(path, "rb") as file:
        for name in chosen(header, pattern):
            place = header[name]
            file.seek(place.begin)
            digest = _of_stream(file.read, place.end - place.begin)
            yield [name, place.dtype, str(place.shape), digest]


def _archive(path: Path, pattern: str) -> Iterator[list[str]]:
    slots = read_slots(path)
    if not slots:
        raise ValueError("it holds no tensors by name")
    with zipfile.ZipFile(path) as archive:
        for name in chosen(slots, pattern):
            slot = slots[name]
            member = archive.getinfo(slot.storage.member)
            with archive.open(member) as file:
                digest = _of_stream(file.read, member.file_size)
            yield [name, slot.storage.kind, f"{slot.shape} {slot.offset} {slot.stride}", digest]


def _of_stream(read: Callable[[int], bytes], count: int) -> str:
    hasher = xxhash.xxh3_128()
    while count > 0:
        part = read(min(count, _CHUNK_BYTES))
        if not part:
            raise EOFError("the file ended while it was read")
        hasher.update(part)
        count -= len(part)
    return hasher.hexdigest()
