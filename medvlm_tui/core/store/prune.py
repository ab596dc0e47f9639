"""Choosing and removing what is no longer needed (`store prune`)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medvlm_tui.core.store import keys
from medvlm_tui.core.store.contents import Item
from medvlm_tui.core.store.store import Store


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items are meant; an empty filter means those that nothing needs any more."""

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    older_than_s: float | None = None
    """Seconds since an item was stored."""

    @property
    def empty(self) -> bool:
        """Return whether nothing was chosen."""
        return not self.models and not self.datasets and self.older_than_s is None

    def takes(self, item: Item, now_s: float) -> bool:
        """Return whether the item meets every condition; unknown origin meets none on model or dataset."""
        return (
            (not self.models or item.origin.model in self.models)
            and (not self.datasets or item.origin.dataset in self.datasets)
            and (self.older_than_s is None or now_s - item.stored_s > self.older_than_s)
        )


def choose(items: Sequence[Item], chosen: Filter) -> list[Item]:
    """Return the items to remove.

    With a filter all that pass it. Without one what nothing needs any more: blocks whose table is sealed (the table
    holds their rows) and the parts of steps whose result is stored.
    """
    if not chosen.empty:
        now_s = time.time()
        return [item for item in items if chosen.takes(item, now_s)]
    sealed = {item.key for item in items if item.kind == "table"}
    results = {keys.parse(item.key).owner for item in items if item.kind == "result"}
    return [
        item
        for item in items
        if (item.kind == "block" and item.origin.step_key in sealed)
        or (item.kind == "part" and item.origin.step_key in results)
    ]


def remove(store: Store, items: Iterable[Item]) -> int:
    """Remove the items; returns how many bytes that freed."""
    freed = 0
    for item in items:
        if item.kind == "table":
            with store.lock.shared():
                store.tables.remove(item.key)
        else:
            store.discard(item.key)
        freed += item.size_bytes
    return freed
