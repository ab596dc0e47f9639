"""Threads for work that is many small products: each has one BLAS thread, however many cores BLAS would take.

BLAS's own threads wait for each other by spinning. On cores that others use too, each product then takes as long as
the slowest of its threads, and the work of the probe took up to ten times its time. Threads that take whole classes
or blocks of rows meet a few times per step instead, and sleep while they wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Found = TypeVar("Found")


class _Place(threading.local):
    """Place of this thread: within a lane, or not."""

    in_lane = False

    def enter(self) -> None:
        self.in_lane = True


_place = _Place()


class Lanes:
    """Threads that share a loop; with one there is no thread but the caller's.

    A loop within a loop is the lane's own: lanes that waited for a free one would wait for each other.
    """

    def __init__(self, pool: ThreadPoolExecutor | None) -> None:
        self._pool = pool

    def map(self, function: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
        """Return the function's values in the items' order; what it raises is raised here."""
        if self._pool is None or _place.in_lane:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))


@contextmanager
def lanes(most: int) -> Iterator[Lanes]:
    """Yield as many threads as BLAS has, at most `most`; BLAS itself has one thread for each of them meanwhile."""
    count = min(most, blas_threads())
    with _controller().limit(limits=1, user_api="blas"):
        if count <= 1:
            yield Lanes(None)
            return
        with ThreadPoolExecutor(count, thread_name_prefix="lane", initializer=_place.enter) as pool:
            yield Lanes(pool)


def blas_threads() -> int:
    """Return how many threads BLAS uses: the cores, or what OMP_NUM_THREADS and the like say."""
    return max((int(library["num_threads"]) for library in _controller().select(user_api="blas").info()), default=1)


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
