"""Processes that lay out cells of a grid: one cell at a time each, and none outlives the process that made it."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import numpy as np

from medvlm_tui.engine.projection.layout import Layout, Row, lay_out_cell
from medvlm_tui.engine.step.processes import cause_of_death, end_with_parent
from medvlm_tui.errors import MedvlmError

_AGAIN = "often too little memory: try --umap-max-points; run the same command again, the other maps are kept"


@dataclass(frozen=True, slots=True)
class Task:
    """One cell to lay out."""

    cell: str
    """Names the cell in the answer."""
    row: Row
    min_dist: float
    seed: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Result of a cell: its layout, or the error that ended it."""

    cell: str
    outcome: Layout | MedvlmError


@dataclass(slots=True)
class _Hand:
    """A process with the pipe to it."""

    process: BaseProcess
    connection: Connection
    task: Task | None = None
    row: Row | None = None
    """The row that the process has already; sent once for all its cells."""


class LayoutPool:
    """Lays out tasks in the order they come; a process that dies costs the cell it was at, and is replaced.

    The processes are spawned, not forked: the caller has threads of torch and of BLAS. They start with the pool, so
    that umap-learn is imported and compiled in them while the caller makes their first row.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._hands = [_start() for _ in range(size)]
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Add a cell."""
        self._waiting.append(task)

    def collect(self, timeout_s: float) -> Iterator[Finished]:
        """Hand out work and yield what is finished, waiting at most `timeout_s` for the first of it."""
        self._hand_out()
        busy: dict[object, _Hand] = {hand.connection: hand for hand in self._hands if hand.task is not None}
        for connection in wait([hand.connection for hand in busy.values()], timeout_s) if busy else ():
            yield self._answer(busy[connection])
        self._hand_out()

    @property
    def hungry(self) -> bool:
        """A process would soon have nothing to do."""
        return len(self._waiting) < self._size

    def close(self) -> None:
        """End the processes at once."""
        self._waiting.clear()
        for hand in self._hands:
            hand.process.kill()
            hand.process.join()
            hand.connection.close()
        self._hands.clear()

    def _hand_out(self) -> None:
        while self._waiting:
            hand = next((hand for hand in self._hands if hand.task is None), None)
            if hand is None:
                if len(self._hands) >= self._size:
                    return
                hand = _start()
                self._hands.append(hand)
            hand.task = self._waiting.popleft()
            known = hand.row is hand.task.row
            try:
                hand.connection.send((None if known else hand.task.row, hand.task.min_dist, hand.task.seed))
                hand.row = hand.task.row
            except OSError:
                hand.row = None  # the process died; reading the answer says so

    def _answer(self, hand: _Hand) -> Finished:
        assert hand.task is not None
        cell, hand.task = hand.task.cell, None
        try:
            outcome: Layout | MedvlmError = hand.connection.recv()
        except (EOFError, OSError):
            hand.process.join()
            hand.connection.close()
            self._hands.remove(hand)
            return Finished(
                cell, MedvlmError(f"the layout process died ({cause_of_death(hand.process.exitcode)})", _AGAIN)
            )
        return Finished(cell, outcome)


def _start() -> _Hand:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Hand(process, ours)


def _serve(connection: Connection) -> None:
    """Lay out cells until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()  # a layout of minutes would otherwise go on for nobody
    _compile()
    row: Row | None = None
    while True:
        try:
            sent, min_dist, seed = connection.recv()
            row = row if sent is None else sent
            assert row is not None
            connection.send(_attempt(row, min_dist, seed))
        except (EOFError, OSError):
            return


def _compile() -> None:
    """Lay out three points, as umap-learn's layout is compiled by its first call; a failure shows in the first cell."""
    ring = np.arange(3, dtype=np.int32)
    start = np.array([[0, 0], [10, 0], [0, 10]], dtype=np.float32)
    _attempt(Row(2, ring, np.roll(ring, 1), np.ones(3, dtype=np.float32), start, epochs=11), 0.1, 0)


def _attempt(row: Row, min_dist: float, seed: int) -> Layout | MedvlmError:
    begun = time.monotonic()
    try:
        return replace(lay_out_cell(row, min_dist, seed), seconds=time.monotonic() - begun)
    except Exception as error:
        return MedvlmError(f"{type(error).__name__}: {error}", "this should not happen; the other maps are kept")
