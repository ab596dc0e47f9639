"""Blocks of feature rows on their way to the journal: in a thread beside a GPU, which the disk does not hold up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]
Put = Callable[[list[str], Row], str]
"""Stores the rows of the images with these digests, returns the block's key once they are durable."""
Stored = tuple[str, int]
"""Key and rows of a block that is durable."""


class BlockWriter:
    """Stores blocks in the order in which they come; at most one is on its way."""

    def __init__(self, put: Put, threads: ThreadPoolExecutor | None) -> None:
        self._put, self._threads = put, threads
        self._waiting: tuple[Future[str], int] | None = None

    def write(self, digests: Sequence[str], rows: Row) -> list[Stored]:
        """Begin to store a block; return the blocks that have become durable. Raises what storing an earlier one did.

        Without a thread it is stored at once.
        """
        if self._threads is None:
            return [(self._put(list(digests), rows), len(digests))]
        before = self.finish()
        self._waiting = self._threads.submit(self._put, list(digests), rows), len(digests)
        return before

    def finish(self) -> list[Stored]:
        """Wait for the block that is on its way, and return it."""
        if self._waiting is None:
            return []
        (future, count), self._waiting = self._waiting, None
        return [(future.result(), count)]


@contextmanager
def block_writer(device: str, put: Put) -> Iterator[BlockWriter]:
    """Lend a writer; leaving waits for the block that is on its way."""
    if not device.startswith("cuda"):
        yield BlockWriter(put, None)
        return
    with ThreadPoolExecutor(1, "blocks") as threads:
        yield BlockWriter(put, threads)
