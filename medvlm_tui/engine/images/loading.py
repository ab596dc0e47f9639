"""Images decoded and preprocessed in a few threads, ahead of the network that eats them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import torch

from medvlm_tui.core.specs import Sample
from medvlm_tui.errors import ImageError

Prepared = torch.Tensor | ImageError


def default_workers() -> int:
    """Return how many threads decode: one for each core this process may use, four at most."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def prepared(
    samples: Sequence[Sample], prepare: Callable[[Sample], torch.Tensor], workers: int, ahead: int
) -> Generator[tuple[Sample, Prepared], None, None]:
    """Yield every sample with its input tensor, or with the reason why there is none, in the given order.

    At most `ahead` images are held at a time. Closing the iterator stops the threads.
    """
    source = iter(samples)
    waiting: deque[tuple[Sample, Future[Prepared]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def submit() -> None:
        with suppress(StopIteration):
            sample = next(source)
            waiting.append((sample, pool.submit(_prepare, prepare, sample)))

    try:
        for _ in range(ahead):
            submit()
        while waiting:
            sample, future = waiting.popleft()
            result = future.result()
            submit()
            yield sample, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare(prepare: Callable[[Sample], torch.Tensor], sample: Sample) -> Prepared:
    try:
        return prepare(sample)
    except ImageError as error:
        return error
