"""The user's Hugging Face and torch hub caches: where they are, and what is in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}")


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def _hf_home() -> Path:
    named = os.environ.get("HF_HOME")
    return Path(named).expanduser() if named else _cache_home() / "huggingface"


def hub_cache() -> Path:
    """Return the folder of the Hugging Face cache, by its own environment variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if named := os.environ.get(variable):
            return Path(named).expanduser()
    return _hf_home() / "hub"


def endpoint() -> str:
    """Return the hub's address, by HF_ENDPOINT."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def torchvision_url() -> str:
    """Return the address below which torchvision's checkpoints lie."""
    return "https://download.pytorch.org/models/"


def token_file() -> Path:
    """Return where `hf auth login` keeps the token; only its existence is ever looked at."""
    named = os.environ.get("HF_TOKEN_PATH")
    return Path(named).expanduser() if named else _hf_home() / "token"


def torch_checkpoints() -> Path:
    """Return the folder of torch's hub cache, by TORCH_HOME."""
    named = os.environ.get("TORCH_HOME")
    home = Path(named).expanduser() if named else _cache_home() / "torch"
    return home / "hub" / "checkpoints"


def split_repository(name: str) -> tuple[str, str]:
    """Return (`model` or `dataset`, ORG/NAME) of a hub name; data sets begin with `datasets/`."""
    if name.startswith("datasets/"):
        return "dataset", name.removeprefix("datasets/")
    return "model", name


def repository_folder(name: str) -> Path:
    """Return where the cache keeps a repository."""
    kind, repository = split_repository(name)
    return hub_cache() / f"{kind}s--{repository.replace('/', '--')}"


def snapshot(name: str, revision: str = "") -> Path | None:
    """Return the cached snapshot of a repository: the pinned revision, or what `main` was when it was fetched."""
    return snapshot_in(repository_folder(name), revision)


def snapshot_in(folder: Path, revision: str = "") -> Path | None:
    """Return the snapshot in a repository's folder of the cache: of the revision, or of `main`.

    A cache that was filled by commit, or copied without its `refs`, does not say what `main` was; where it holds one
    snapshot, that one is meant.
    """
    commit = revision if _COMMIT.fullmatch(revision) else _commit_of(folder / "refs" / (revision or "main"))
    found = folder / "snapshots" / commit
    if _COMMIT.fullmatch(commit) and found.is_dir():
        return found
    held = snapshots_in(folder)
    return held[0] if not revision and len(held) == 1 else None


def snapshots_in(folder: Path) -> list[Path]:
    """Return every snapshot in a repository's folder of the cache, by commit."""
    try:
        return sorted(
            path for path in (folder / "snapshots").iterdir() if _COMMIT.fullmatch(path.name) and path.is_dir()
        )
    except OSError:
        return []


def without_main(folder: Path) -> str:
    """Return in words what a folder holds where `snapshot_in` cannot choose; empty where it holds nothing."""
    held = snapshots_in(folder)
    if not held:
        return ""
    return f"it has snapshots {', '.join(path.name for path in held[:8])}, but no refs/main that leads to one of them"


def _commit_of(reference: Path) -> str:
    try:
        return reference.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
