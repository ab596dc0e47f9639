"""Contents of the store by kind, model and dataset, for `store stats`, `prune` and `export`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medvlm_tui.core.specs import EncoderKey
from medvlm_tui.core.store import keys, packing
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import CorruptEntryError

ItemKind = Literal["block", "result", "part", "table"]
UNKNOWN = ""
_HEAD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Origin:
    """Which step of a run made an entry."""

    kind: str
    model: str
    dataset: str
    step_key: str


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the journal, or one sealed table."""

    kind: ItemKind
    """`part`: what an interrupted step goes on from: scores of masks, features of changed images."""
    key: str
    size_bytes: int
    stored_s: float
    origin: Origin

    @property
    def label(self) -> str:
        """Return the step's kind where it is known, else the item's kind."""
        return self.origin.kind if self.kind == "result" and self.origin.kind else self.kind


def contents(store: Store, runs: Path) -> Iterator[Item]:
    """Yield everything in the store; `runs` is the workspace's folder of run journals, which say what is whose."""
    origins = read_origins(runs)
    models: dict[str, str] = {}
    for found in store.journal.entries():
        key = keys.parse(found.key)
        if key.kind == "block":
            if key.owner not in models:
                models[key.owner] = _model_of_block(store, found.key)
            origin = origins.get(found.key, Origin("extract", models[key.owner], UNKNOWN, UNKNOWN))
            yield Item("block", found.key, found.size_bytes, found.stored_s, origin)
        else:
            step = key.owner if key.kind == "result" else _step_of_part(store, found.key)
            origin = origins.get(step, Origin(UNKNOWN, UNKNOWN, UNKNOWN, step))
            yield Item(key.kind, found.key, found.size_bytes, found.stored_s, origin)
    yield from _tables(store, origins)


def _tables(store: Store, origins: Mapping[str, Origin]) -> Iterator[Item]:
    for key in store.tables.listed():
        record = store.tables.manifest(key)
        model = EncoderKey(**record["encoder"]).model if record is not None else UNKNOWN
        origin = origins.get(key, Origin("extract", model, UNKNOWN, key))
        files = [path.stat() for path in (store.tables.tensor_path(key), store.tables.manifest_path(key))]
        yield Item("table", key, sum(file.st_size for file in files), files[0].st_mtime, origin)


def read_origins(runs: Path) -> dict[str, Origin]:
    """Return which step made which key, from the events of all runs: step keys from plans, block keys from blocks."""
    origins: dict[str, Origin] = {}
    for journal in sorted(runs.glob("*/events.jsonl")) if runs.is_dir() else []:
        steps: dict[str, Origin] = {}
        with open(journal, "rb") as lines:
            for line in lines:
                if b"PlanReady" in line or b"BlockStored" in line:
                    _learn(line, steps, origins)
    return origins


def _learn(line: bytes, steps: dict[str, Origin], origins: dict[str, Origin]) -> None:
    """Take what one event says; a line cut off by a crash says nothing."""
    try:
        event = json.loads(line)
        if event["type"] == "PlanReady":
            for step in event["plan"]["steps"]:
                origin = Origin(*(str(step[name]) for name in ("kind", "model", "dataset", "key")))
                steps[step["id"]] = origin
                if step["key"]:
                    origins[step["key"]] = origin
        elif event["type"] == "BlockStored" and event["step"] in steps:
            origins[event["key"]] = steps[event["step"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return


def _model_of_block(store: Store, key: str) -> str:
    """Return the model a block's header names; it is shown and filtered by, never computed with."""
    encoder = _header(store, key).get("encoder")
    return str(encoder.get("model", UNKNOWN)) if isinstance(encoder, Mapping) else UNKNOWN


def _step_of_part(store: Store, key: str) -> str:
    """Return the key of the step that stored a part: its header names it, or its own key does.

    Parts of saliency that release 0.1.0 stored name no step: nothing tells that they are no longer needed.
    """
    return str(_header(store, key).get("step", keys.parse(key).owner))


def _header(store: Store, key: str) -> Mapping[str, Any]:
    """Return the record of an entry's header, an empty one where it cannot be read."""
    try:
        return packing.record_of(store.journal.head(key, _HEAD_BYTES))
    except (OSError, ValueError, KeyError, TypeError, CorruptEntryError):
        return {}
