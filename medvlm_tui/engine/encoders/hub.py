"""The user's Hugging Face and torch hub caches: finding what is there, and downloading into them."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from medvlm_tui.core.files import fsync_directory
from medvlm_tui.errors import MissingInputError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK_BYTES = 1 << 20


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


def download(name: str, revision: str, files: Sequence[str], configs: Sequence[str], where: str) -> Path:
    """Fetch the first of `files` that the repository has, and its `configs`, into the cache.

    The repository's own list decides, so that no fallback to another format happens unseen. `where` is what
    the hint says about the page. Raises MissingInputError; its text never holds a token.
    """
    import huggingface_hub
    from huggingface_hub import errors

    kind, repository = split_repository(name)
    huggingface_hub.utils.disable_progress_bars()
    try:
        listed = huggingface_hub.HfApi().list_repo_files(repository, repo_type=kind, revision=revision or None)
        wanted = next((file for file in files if file in listed), None)
        if wanted is None:
            raise MissingInputError(f"{repository} holds none of {', '.join(files)}", where)
        patterns = [wanted, *(file for file in configs if file in listed)]
        path = huggingface_hub.snapshot_download(
            repository, repo_type=kind, revision=revision or None, allow_patterns=patterns
        )
    except errors.GatedRepoError as error:  # a subclass of RepositoryNotFoundError, so it comes first
        raise MissingInputError(
            f"{repository} is gated", f"accept its terms at https://huggingface.co/{name}, then `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise MissingInputError(f"there is no repository {repository} on the hub", where) from error
    except errors.RevisionNotFoundError as error:
        raise MissingInputError(f"{repository} has no revision {revision}", where) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        raise MissingInputError(f"the hub refused {repository} ({status})", "try again later, or --offline") from error
    except (OSError, errors.LocalEntryNotFoundError) as error:
        raise MissingInputError(
            f"{repository} cannot be downloaded: no network", f"run with --offline, or {where} on another machine"
        ) from error
    return Path(path)


def download_checked(url: str, target: Path) -> None:
    """Fetch a file whose name ends in the first eight digits of its sha256, as torch's hub names them.

    Raises MissingInputError when there is no network or the bytes are not the named ones.
    """
    match = re.search(r"-([0-9a-f]{8,})\.pth$", target.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(suffix=".part", dir=target.parent)
    hasher = hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb") as file, urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
            while chunk := answer.read(_CHUNK_BYTES):
                hasher.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if match is None or not hasher.hexdigest().startswith(match.group(1)):
            raise MissingInputError(f"{url} gave other bytes than its name promises", "try again later")
        os.replace(temporary, target)
        fsync_directory(target.parent)
    except OSError as error:
        raise MissingInputError(f"{url} cannot be downloaded: {error}", "check the network, or --offline") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
