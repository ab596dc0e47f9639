"""Fetching weights into the caches of their own libraries. The only module here that uses the network."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import fsync_directory
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.registry import family_entry
from medvlm_tui.engine.encoders.weights import hub
from medvlm_tui.engine.encoders.weights.hub_errors import told_plainly
from medvlm_tui.engine.encoders.weights.location import USUAL_FILES, shards_of
from medvlm_tui.errors import MissingInputError

Advance = Callable[[int], None]
_CHUNK_BYTES = 1 << 20
_PROBE_S = 5.0


@dataclass(frozen=True, slots=True)
class Download:
    """Files that one model lacks, as its source lists them."""

    spec: ModelSpec
    files: tuple[str, ...]
    size_bytes: int
    """Of all files together; 0 where the source does not say."""


def can_fetch(spec: ModelSpec) -> bool:
    """Return whether the model's weights come from somewhere that can be downloaded."""
    return spec.source.startswith(("hub:", "torchvision:"))


def reachable(spec: ModelSpec) -> bool:
    """Ask the model's source once: any answer will do. Without network each file would cost 23 s of retries."""
    url = hub.endpoint() if spec.source.startswith("hub:") else hub.torchvision_url()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PROBE_S):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def look_up(spec: ModelSpec) -> Download:
    """Ask the source which files a model needs, and how large they are; fetches nothing but the index of shards.

    The repository's own list decides, so that no fallback to another format happens unseen. Raises
    MissingInputError with a one-line hint: terms not accepted, not logged in, no network, no such file.
    """
    kind, _, name = spec.source.partition(":")
    if kind == "hub":
        return _look_up_hub(spec, name)
    request = urllib.request.Request(hub.torchvision_url() + spec.files[0], method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return Download(spec, spec.files[:1], int(answer.headers.get("Content-Length") or 0))
    except OSError as error:
        raise MissingInputError(f"{request.full_url} cannot be read: {error}", "check the network") from error


def fetch(wanted: Download, advance: Advance) -> None:
    """Download a model's files into the cache of their library, telling `advance` the bytes as they come.

    A file that does not come whole is not there afterwards. Raises MissingInputError.
    """
    spec = wanted.spec
    kind, _, name = spec.source.partition(":")
    if kind == "hub":
        for file in wanted.files:
            _fetch_hub(spec, name, file, advance)
    else:
        file = spec.files[0]
        fetch_checked(hub.torchvision_url() + file, hub.torch_checkpoints() / file, advance)


def _look_up_hub(spec: ModelSpec, name: str) -> Download:
    import huggingface_hub

    kind, repository = hub.split_repository(name)
    with told_plainly(spec, name):
        api = huggingface_hub.HfApi(endpoint=hub.endpoint())
        info = api.repo_info(repository, repo_type=kind, revision=spec.revision or None, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in getattr(info, "siblings", None) or ()}
    candidates = spec.files or USUAL_FILES
    checkpoint = next((file for file in candidates if file in sizes), None)
    if checkpoint is None:
        raise MissingInputError(
            f"{repository} holds none of {', '.join(candidates)}", f"get the weights from {spec.homepage}"
        )
    entry = family_entry(spec)
    files = [*(file for file in (*entry.config_files, *entry.fetched) if file in sizes), checkpoint]
    if checkpoint.endswith(".index.json"):
        index = _fetch_hub(spec, name, checkpoint, lambda count: None)
        files += shards_of(spec, index)
    return Download(spec, tuple(files), sum(sizes.get(file, 0) for file in files))


def _fetch_hub(spec: ModelSpec, name: str, file: str, advance: Advance) -> Path:
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars, tqdm

    class Bar(tqdm):
        """Hands the bytes on instead of drawing them."""

        def update(self, n: float | None = 1) -> bool | None:
            advance(int(n or 0))
            super().update(n)
            return True

    kind, repository = hub.split_repository(name)
    disable_progress_bars()
    arguments: dict[str, Any] = {"repo_type": kind, "revision": spec.revision or None, "tqdm_class": Bar}
    with told_plainly(spec, name):
        return Path(
            huggingface_hub.hf_hub_download(
                repository, file, cache_dir=hub.hub_cache(), endpoint=hub.endpoint(), **arguments
            )
        )


def fetch_named(spec: ModelSpec, repository: str, files: Sequence[str]) -> None:
    """Download named files of a repository of the hub that belongs to a model; raises MissingInputError."""
    for file in files:
        _fetch_hub(replace(spec, revision=""), repository, file, lambda count: None)


def fetch_checked(url: str, target: Path, advance: Advance) -> None:
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
                advance(len(chunk))
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
