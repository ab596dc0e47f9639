"""The phase before a run in which missing weights are fetched: sizes first, then one model after the other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medvlm_tui.core.events import Event, Log, StepProgress
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.weights import hub
from medvlm_tui.engine.encoders.weights.download import Advance, Download, fetch, look_up, reachable
from medvlm_tui.errors import MissingInputError

Say = Callable[[Event], None]
Problems = dict[str, MissingInputError]
_MB = 1_000_000
_INTERVAL_S = 0.2


def download_missing(specs: Sequence[ModelSpec], say: Say) -> Problems:
    """Fetch the weights of `specs`; returns what became of those that could not be had, by model id.

    Each source is asked once whether it is there at all; one that is not costs its models, and nothing else.
    """
    problems: Problems = {}
    wanted: list[Download] = []
    sources = {spec.source.partition(":")[0]: spec for spec in specs}
    absent = {kind for kind, spec in sources.items() if not reachable(spec)}
    for spec in specs:
        if spec.source.partition(":")[0] in absent:
            problems[spec.id] = _unreachable(spec)
            continue
        try:
            wanted.append(look_up(spec))
        except MissingInputError as error:
            problems[spec.id] = error
    return problems | _fetch_all(wanted, say)


def _fetch_all(wanted: Sequence[Download], say: Say) -> Problems:
    problems: Problems = {}
    if wanted:
        sizes = ", ".join(f"{download.spec.id} {_size(download.size_bytes)}" for download in wanted)
        total = sum(download.size_bytes for download in wanted)
        say(Log("info", f"weights to download: {sizes}; {_size(total)} in all, to {hub.hub_cache()}"))
    for download in wanted:
        try:
            _refuse_full_disk(download)
            fetch(download, _progress(download, say))
        except MissingInputError as error:
            problems[download.spec.id] = error
    return problems


def _progress(download: Download, say: Say) -> Advance:
    done, began, said = 0, time.monotonic(), 0.0

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        if now - said < _INTERVAL_S and done < download.size_bytes:
            return
        said = now
        rate = done / max(now - began, 1e-9)
        left = (download.size_bytes - done) / rate if rate and download.size_bytes else None
        total = max(download.size_bytes, done) // _MB
        step = f"download:{download.spec.id}"
        say(StepProgress(step, done // _MB, total, rate / _MB, None if left is None else max(left, 0.0), unit="MB"))

    return advance


def _refuse_full_disk(download: Download) -> None:
    place = hub.hub_cache() if download.spec.source.startswith("hub:") else hub.torch_checkpoints()
    free = shutil.disk_usage(_existing(place)).free
    if download.size_bytes > free:
        raise MissingInputError(
            f"{download.spec.id} needs {_size(download.size_bytes)}, and {place} has {_size(free)} left",
            "make room, or name another disk: HF_HOME=DIR (hub), TORCH_HOME=DIR (torchvision)",
        )


def _existing(place: Path) -> Path:
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _unreachable(spec: ModelSpec) -> MissingInputError:
    return MissingInputError(
        f"{spec.id}: its weights are not here, and {spec.source} cannot be reached",
        f"check the network, or get them from {spec.homepage} elsewhere, then --weights {spec.id}=PATH",
    )


def _size(size_bytes: int) -> str:
    if not size_bytes:
        return "of unknown size"
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{max(size_bytes / 1e6, 0.1):.1f} MB"
