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


def snapshot(name: str, revision: str = "") -> Path | None:
    """Return the cached snapshot of a repository: the pinned revision, or what `main` was when it was fetched."""
    kind, repository = split_repository(name)
    folder = hub_cache() / f"{kind}s--{repository.replace('/', '--')}"
    commit = revision
    if not _COMMIT.fullmatch(revision):
        try:
            commit = (folder / "refs" / (revision or "main")).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
    found = folder / "snapshots" / commit
    return found if _COMMIT.fullmatch(commit) and found.is_dir() else None
