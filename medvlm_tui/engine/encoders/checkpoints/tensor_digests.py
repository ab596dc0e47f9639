"""The digest of a model's own tensors in a checkpoint: what else the file holds does not count. Imports no torch.

Tensors are chosen by name, by the family's `reads` pattern; what a family loads beyond them is an error (`families`).
A file that is neither safetensors nor an archive of torch is digested as a whole.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import xxhash

from medvlm_tui.core.digests import FileDigests, of_file, of_record
from medvlm_tui.engine.encoders.checkpoints.file_kinds import kind_of
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.state_dicts import is_compiled, plain_name
from medvlm_tui.engine.encoders.checkpoints.torch_archives import DAMAGE, read_slots

_CHUNK_BYTES = 1 << 20
# Raised when a digest would come out differently for the same tensors: remembered ones are then made anew.
_VERSION = "tensors-1"


def chosen(names: Iterable[str], pattern: str) -> set[str]:
    """Return the names that match, all of them where none does: files that hold a tower alone name it otherwise.

    Names match as the file has them; only where none does, and the model was compiled, without its prefixes.
    """
    listed = list(names)
    found = {name for name in listed if re.search(pattern, name)}
    if not found and any(is_compiled(name) for name in listed):
        found = {name for name in listed if re.search(pattern, plain_name(name))}
    return found or set(listed)


def digest_of(path: Path, pattern: str, digests: FileDigests) -> str:
    """Return the digest of a checkpoint file's chosen tensors, remembered while the file is unchanged."""
    return digests.of(path, f"{_VERSION} {pattern}", partial(_digest, pattern=pattern))


def _digest(path: Path, pattern: str) -> str:
    try:
        parts = _safetensors(path, pattern) if kind_of(path) == "safetensors" else _archive(path, pattern)
        return of_record(sorted(parts))
    except (*DAMAGE, OSError):  # zipfile seeks to where a damaged archive points; a bad disk fails below again
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
    names = chosen(slots, pattern)
    with zipfile.ZipFile(path) as archive:
        # Each storage once, however many tensors are views of it.
        members = [archive.getinfo(member) for member in {slots[name].storage.member for name in names}]
        _refuse_more_than_the_file(members, path)
        digests = {}
        for member in members:
            with archive.open(member) as file:
                digests[member.filename] = _of_stream(file.read, member.file_size)
    for name in names:
        slot = slots[name]
        yield [
            name,
            slot.storage.kind,
            f"{slot.shape} {slot.offset} {slot.stride}",
            digests[slot.storage.member],
        ]


def _refuse_more_than_the_file(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Raise ValueError where the storages are more bytes than the file: torch neither compresses nor overlays them."""
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its storages are compressed, which torch does not do")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its storages are more than the file")


def _of_stream(read: Callable[[int], bytes], count: int) -> str:
    hasher = xxhash.xxh3_128()
    while count > 0:
        part = read(min(count, _CHUNK_BYTES))
        if not part:
            raise EOFError("the file ended while it was read")
        hasher.update(part)
        count -= len(part)
    return hasher.hexdigest()
