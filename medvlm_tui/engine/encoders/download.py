"""Fetching weights into the caches of their own libraries. The only module here that uses the network."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from medvlm_tui.core.files import fsync_directory
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders import hub
from medvlm_tui.engine.encoders.families import family_entry
from medvlm_tui.engine.encoders.weights import USUAL_FILES
from medvlm_tui.errors import MissingInputError

_TORCHVISION_URL = "https://download.pytorch.org/models/"
_CHUNK_BYTES = 1 << 20


def can_fetch(spec: ModelSpec) -> bool:
    """Say whether the model's weights come from somewhere that can be downloaded."""
    return spec.source.startswith(("hub:", "torchvision:"))


def fetch(spec: ModelSpec) -> None:
    """Download a model's weights into the cache of their library; never called offline.

    Raises MissingInputError with a one-line hint: terms not accepted, not logged in, no network, no such file.
    """
    kind, _, name = spec.source.partition(":")
    if kind == "hub":
        wanted = spec.files or USUAL_FILES
        download(name, spec.revision, wanted, family_entry(spec).config_files, f"get them from {spec.homepage}")
    elif kind == "torchvision":
        download_checked(_TORCHVISION_URL + spec.files[0], hub.torch_checkpoints() / spec.files[0])


def download(name: str, revision: str, files: Sequence[str], configs: Sequence[str], where: str) -> Path:
    """Fetch the first of `files` that the repository has, and its `configs`, into the cache.

    The repository's own list decides, so that no fallback to another format happens unseen. `where` is what
    the hint says about the page. Raises MissingInputError; its text never holds a token.
    """
    import huggingface_hub
    from huggingface_hub import errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    kind, repository = hub.split_repository(name)
    disable_progress_bars()
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
