"""A decoding process: reads foreign bytes under a memory cap and writes framed pixels into shared memory.

    python -P -m medvlm_tui.engine.images.decoder SOCKET RING SLOTS SIZE_PX

Tasks come pickled from the process that started it; answers go back as JSON and raw pixels, because what reads foreign
bytes is not believed. Holds no torch: 0.2 s until the first image. Ends when the other end of the socket closes.
"""

from __future__ import annotations

import json
import logging
import mmap
import resource
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.secrets import leave_no_core
from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.images.decoding_task import Reduced, Task
from medvlm_tui.engine.images.framing import framed
from medvlm_tui.engine.images.windowing import is_hidden
from medvlm_tui.errors import ImageError

MEMORY_BYTES = 4 << 30
"""Of address space: Pillow's largest allowed image with alpha, several copies of it, and the libraries."""
CPU_SECONDS = 120
"""For one image; a decoder that runs in circles is ended by the kernel."""


def ring_of(descriptor: int, slots: int, size_px: int) -> NDArray[np.uint8]:
    """Map the shared memory: (slots, size_px, size_px, 3)."""
    memory = mmap.mmap(descriptor, slots * size_px * size_px * 3)
    return np.frombuffer(memory, np.uint8).reshape(slots, size_px, size_px, 3)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the socket closes."""
    socket, ring, slots, size_px = (int(text) for text in (sys.argv[1:] if argv is None else argv))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the plan's process decides
    leave_no_core()
    cap(resource.RLIMIT_AS, MEMORY_BYTES)
    connection = Connection(socket)
    frames = ring_of(ring, slots, size_px)
    try:
        _answer(connection, {"ready": True})
        while True:
            _serve(connection, connection.recv(), frames)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return 0  # nobody is there any more


def _serve(connection: Connection, task: Task, frames: NDArray[np.uint8]) -> None:
    allow_time()
    try:
        found = task.read(task.sample)
        hidden = not isinstance(found, Reduced) and is_hidden(found)
        pixels, texts = _pixels(found, task.spec), found.texts if isinstance(found, Reduced) else None
        also = [_framed_too(found, spec) for spec in task.also]
    except ImageError as error:
        _answer(connection, {"error": error.message, "hint": error.hint})
    except MemoryError:
        message = f"it needs more than the {MEMORY_BYTES >> 30} GiB of memory that a decoder may use"
        _answer(connection, {"error": message, "hint": "scale it down or cut tiles from it first"})
    except Exception as error:  # one image costs itself, whatever its decoder raises
        logging.getLogger(__name__).exception("decoding")
        _answer(connection, {"error": f"{type(error).__name__}: {error}", "hint": "the traceback is in the log"})
    else:
        if task.spec is not None:
            frames[task.slot] = pixels
            _answer(connection, {"slot": task.slot, "hidden": hidden})
            for each in also:
                connection.send_bytes(each)
        else:
            _answer(connection, {"shape": pixels.shape} | ({} if texts is None else {"texts": dict(texts)}))
            connection.send_bytes(np.ascontiguousarray(pixels).tobytes())


def _framed_too(found: Image.Image | Reduced, spec: PreprocessSpec) -> bytes:
    """Return the bytes of a further framing; none of an image that it does not fit, as its own model will say."""
    try:
        return b"" if isinstance(found, Reduced) else framed(found, spec).tobytes()
    except (ImageError, MemoryError):
        return b""


def _pixels(found: Image.Image | Reduced, spec: PreprocessSpec | None) -> NDArray[np.uint8]:
    if isinstance(found, Reduced):
        return found.pixels
    return np.asarray(found if spec is None else framed(found, spec), dtype=np.uint8)


def allow_time() -> None:
    """Allow this process CPU_SECONDS of computing from now; the kernel ends it after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cap(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + CPU_SECONDS)


def _answer(connection: Connection, record: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(record).encode())


def cap(limit: int, value: int) -> None:
    """Lower a limit of this process; a stricter one of the system stays."""
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.exit(main())
