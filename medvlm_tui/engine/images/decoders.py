"""The decoding processes that this process keeps, lent to whoever reads foreign files.

Everything that reads the pixels or the tags of a user's files goes through here (or, in batches for a network, through
`loading`): a file that kills, fills or stalls its decoder costs itself.
"""

from __future__ import annotations

import atexit
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from PIL import Image

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoder_pool import Decoded, DecoderPool
from medvlm_tui.engine.images.decoding_task import Read, Reduced
from medvlm_tui.engine.step.cores import cores
from medvlm_tui.errors import ImageError

# Of whole images, which wait in memory: enough that no process stands still.
_AHEAD = 3
# An .npz is unpacked whole in each process that reads from it.
ARCHIVE_WORKERS = 2
_idle: list[DecoderPool] = []


@contextmanager
def decoders(workers: int, slots: int, size_px: int, keep: bool = True) -> Iterator[DecoderPool]:
    """Lend a pool: one that fits is kept from user to user, and ended when a user fails.

    One pool is kept for framed images and one for whole ones (`size_px` 1), unless `keep` is off.
    """
    same_kind = [pool for pool in _idle if (pool.shape[1] == 1) == (size_px == 1)]
    pool = next((one for one in same_kind if (one.workers, *one.shape) == (workers, slots, size_px)), None)
    for one in same_kind:
        _idle.remove(one)
        if one is not pool:
            one.close()
    pool = pool or DecoderPool(workers, slots, size_px)
    try:
        yield pool
    except BaseException:
        pool.close()
        raise
    if pool.waiting or not keep:
        pool.close()
    else:
        _idle.append(pool)


@atexit.register
def end_decoders() -> None:
    """End the processes that are kept."""
    while _idle:
        _idle.pop().close()


def decoded(
    samples: Sequence[Sample],
    read: Read,
    workers: int = 0,
    check: Callable[[], None] = lambda: None,
    keep: bool = True,
) -> Generator[Decoded, None, None]:
    """Yield what `read` makes of each sample in a decoding process, in order; ImageError for one that it cannot.

    `workers` 0 is one process per core; `check` is called while it waits and may raise. The processes wait for the next
    files unless `keep` is off.
    """
    if not samples:
        return
    workers = workers or min(cores(), len(samples))
    if samples[0].path.suffix.lower() == ".npz":
        workers = min(workers, ARCHIVE_WORKERS)
    todo = deque(samples)
    with decoders(workers, _AHEAD * workers, 1, keep) as pool:
        for _ in samples:
            while todo and pool.waiting < pool.shape[0]:
                pool.submit(todo.popleft(), read, None)
            answer = pool.take(check)
            for death in pool.deaths:
                logging.getLogger(__name__).warning(death)
            pool.deaths.clear()
            yield answer


def whole_image(sample: Sample, read: Read, check: Callable[[], None] = lambda: None) -> Image.Image:
    """Return one image that a decoding process read; raises ImageError."""
    (answer,) = decoded([sample], read, 1, check)  # to its end, so that the process is kept
    return as_image(answer)


def as_image(answer: Decoded) -> Image.Image:
    """Return the image of an answer; raises the ImageError that it is."""
    if isinstance(answer, ImageError):
        raise answer
    return Image.fromarray(answer.pixels if isinstance(answer, Reduced) else answer)
