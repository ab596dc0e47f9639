"""Several decoding processes behind one queue: images go in and come out in order, whatever dies between."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import PreprocessSpec, Sample
from medvlm_tui.core.workspace.logs import log_path
from medvlm_tui.engine.images.decoder import ring_of
from medvlm_tui.engine.images.decoding_task import Read, Reduced, Task
from medvlm_tui.engine.step.processes import cause_of_death
from medvlm_tui.errors import ImageError, MedvlmError, StoreError

Decoded = NDArray[np.uint8] | Reduced | ImageError
"""Framed or whole, (H, W, 3), what the reader kept instead, or why there is none.

A framed one is valid until its slot is given out again.
"""
_POLL_S = 0.05
# Two processes that die before their first word are no accident of an image.
_STARTS = 2
_TRIES = 2
# More would wait in a socket's buffer, and a process that is sending a whole image reads no tasks meanwhile.
_MOST_GIVEN = 32


@dataclass(slots=True)
class _Decoder:
    """One process and the positions it was given and has not answered, the oldest first."""

    process: subprocess.Popen[bytes]
    connection: Connection
    ready: bool = False
    given: deque[int] = field(default_factory=deque)


class DecoderPool:
    """`submit` images, `take` them in the same order. Belongs to one thread."""

    def __init__(self, workers: int, slots: int, size_px: int) -> None:
        """`slots` images can wait at a time, framed ones of `size_px`; the processes start at once."""
        self.shape = (slots, size_px)
        self._ring = _shared_memory(slots * size_px * size_px * 3)
        self._frames = ring_of(self._ring, slots, size_px)
        self._tasks: dict[int, Task] = {}
        self._queue: deque[int] = deque()
        self._answers: dict[int, Decoded] = {}
        self._strikes: dict[int, str] = {}
        self._submitted = self._taken = 0
        self._failed_starts = 0
        self.deaths: list[str] = []
        """Causes of death of processes, for the log; the reader empties it."""
        self.hidden: set[str] = set()
        """Ids of framed images of which their window left nothing; the reader empties it."""
        self.framed_too: dict[str, list[NDArray[np.uint8] | None]] = {}
        """Ids of framed images -> their further framings, None for one that does not fit; the reader empties it."""
        self._decoders = [self._start() for _ in range(workers)]

    @property
    def workers(self) -> int:
        """Return the number of processes."""
        return len(self._decoders)

    @property
    def waiting(self) -> int:
        """Images that were submitted and not taken."""
        return self._submitted - self._taken

    def submit(
        self, sample: Sample, read: Read, spec: PreprocessSpec | None, also: tuple[PreprocessSpec, ...] = ()
    ) -> None:
        """Queue an image, and further framings of it; no more may wait than there are slots."""
        assert self.waiting < self.shape[0]
        position = self._submitted
        self._submitted += 1
        self._tasks[position] = Task(sample, read, spec, position % self.shape[0], also)
        self._queue.append(position)
        self._give()

    def take(self, check: Callable[[], None]) -> Decoded:
        """Return the oldest image; calls `check` while it waits. Raises MedvlmError when no process can be started."""
        while self._taken not in self._answers:
            check()
            for connection in wait([each.connection for each in self._decoders], _POLL_S):
                self._listen(next(each for each in self._decoders if each.connection is connection))
        answer = self._answers.pop(self._taken)
        del self._tasks[self._taken]
        self._strikes.pop(self._taken, None)
        self._taken += 1
        return answer

    def close(self) -> None:
        """End the processes."""
        for decoder in self._decoders:
            decoder.connection.close()
            decoder.process.kill()
        for decoder in self._decoders:
            decoder.process.wait()
        self._decoders = []
        os.close(self._ring)

    def _start(self) -> _Decoder:
        ours, theirs = socket.socketpair()
        slots, size_px = self.shape
        module = "medvlm_tui.engine.images.decoder"
        numbers = (theirs.fileno(), self._ring, slots, size_px)
        with theirs, _errors() as errors:
            process = subprocess.Popen(
                # -P: a folder that the program is started in is no place to import from.
                [sys.executable, "-P", "-m", module, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=numbers[:2],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path), **_ONE_THREAD},
            )
        return _Decoder(process, Connection(ours.detach()))

    def _give(self) -> None:
        """Hand out what is queued, to the process that has least."""
        while self._queue:
            decoder = min(self._decoders, key=lambda each: len(each.given))
            if len(decoder.given) >= _MOST_GIVEN:
                return
            position = self._queue.popleft()
            decoder.given.append(position)
            self._send(decoder, position)

    def _send(self, decoder: _Decoder, position: int) -> None:
        # One that died is seen by `take`, which gives its images to the next one.
        with suppress(BrokenPipeError, ConnectionResetError):
            decoder.connection.send(self._tasks[position])

    def _listen(self, decoder: _Decoder) -> None:
        try:
            answer = json.loads(decoder.connection.recv_bytes())
            if not decoder.ready:
                decoder.ready, self._failed_starts = True, 0
                return
            position = decoder.given[0]
            self._answers[position] = self._decoded(answer, self._tasks[position], decoder.connection)
            decoder.given.popleft()
            self._give()
        except (EOFError, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            self._replace(decoder)

    def _decoded(self, answer: dict[str, Any], task: Task, connection: Connection) -> Decoded:
        if "error" in answer:
            return ImageError(clean(str(answer["error"])), clean(str(answer["hint"])))
        if task.spec is not None:
            if answer.get("hidden") is True:
                self.hidden.add(task.sample.id)
            if task.also:
                self.framed_too[task.sample.id] = [_framing(connection.recv_bytes(), spec) for spec in task.also]
            framed: NDArray[np.uint8] = self._frames[task.slot]
            return framed
        shape = [int(side) for side in answer["shape"]]
        pixels = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(shape)
        texts = answer.get("texts")
        return pixels if texts is None else Reduced(pixels, {str(name): str(text) for name, text in texts.items()})

    def _replace(self, dead: _Decoder) -> None:
        """Start another process for one that died; the image it was at is tried once more, then quarantined."""
        dead.connection.close()
        dead.process.kill()
        how = _cause(dead.process.wait())
        if not dead.ready:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise MedvlmError(f"the processes that decode images cannot be started ({how})", "see the worker's log")
        fresh = self._start()
        fresh.given = dead.given
        if dead.ready and dead.given:
            self._strike(fresh, how)
        self._decoders[self._decoders.index(dead)] = fresh
        for position in fresh.given:
            self._send(fresh, position)

    def _strike(self, decoder: _Decoder, how: str) -> None:
        position = decoder.given[0]
        name = clean(self._tasks[position].sample.id)
        if position not in self._strikes:
            self._strikes[position] = how
            self.deaths.append(f"a decoding process died ({how}) at {name}: the image is tried once more")
            return
        decoder.given.popleft()
        message = f"decoding it killed {_TRIES} processes ({self._strikes[position]}; {how})"
        self._answers[position] = ImageError(message, "the file is damaged or hostile: get it again, or remove it")


_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _framing(raw: bytes, spec: PreprocessSpec) -> NDArray[np.uint8] | None:
    return None if not raw else np.frombuffer(raw, np.uint8).reshape(spec.size_px, spec.size_px, 3)


def _cause(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "it ran in circles"
    return cause_of_death(code)


def _shared_memory(size: int) -> int:
    """Return a descriptor of memory without a name: nothing is left behind, whoever is killed."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("frames", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


@contextmanager
def _errors() -> Iterator[int | None]:
    """Open the log of this process for what a decoder prints: a C++ library that aborts says so before it does."""
    path = log_path()
    try:
        descriptor = None if path is None else open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except (OSError, StoreError):
        descriptor = os.open(os.devnull, os.O_WRONLY)  # a log is not worth an error
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)
