"""The process that does the work: models, decoding and UMAP run here, never in the process that keeps the plan.

A worker that dies (segmentation fault, out of memory, kill -9) is started again once, and the step goes on from the
store; when that one dies too, it is a failed step with its reason, and the next step gets a new one.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import cast

from medvlm_tui.core.events import Event, Log
from medvlm_tui.core.secrets import leave_no_core
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.logs import point_output_at
from medvlm_tui.engine.step.freed_memory import keep_freed_memory
from medvlm_tui.engine.step.job import AnyJob, Job, StepContext, step_function
from medvlm_tui.engine.step.processes import cause_of_death, end_with_parent
from medvlm_tui.errors import Cancelled, MedvlmError

# A co-operative step stops between batches; one that does not within this time is killed.
GRACE_S = 0.8
_POLL_S = 0.05
# Libraries draw progress bars and warnings; they belong in the log.
_QUIET = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True, slots=True)
class Done:
    """The worker's last word on a step that ended well."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker's last word on a step that did not."""

    error: MedvlmError


class WorkerDiedError(MedvlmError):
    """The process ended without a last word."""


class Worker:
    """A worker process, started when first needed and again after it died."""

    def __init__(self, store: Path, log: Path) -> None:
        self._store = store
        self._log = log
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._context = multiprocessing.get_context("spawn")
        self._cancel: Flag = self._context.Event()

    def run(self, job: AnyJob, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Yield the events of a job; raises the MedvlmError it failed with, or Cancelled."""
        try:
            yield from self._try(job, cancelled)
        except WorkerDiedError as death:
            yield Log("warning", f"{death.message}: it is started again, once", job.step.id)
            yield from self._try(job, cancelled)

    def _try(self, job: AnyJob, cancelled: Callable[[], bool]) -> Iterator[Event]:
        connection = self._ensure_started()
        self._cancel.clear()
        try:
            connection.send(job)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death() from None
        deadline: float | None = None
        while True:
            if deadline is None and cancelled():
                self._cancel.set()
                deadline = time.monotonic() + GRACE_S
            if deadline is not None and time.monotonic() > deadline:
                self.kill()
                raise Cancelled("cancelled", "run the same command again: it goes on from here")
            if not connection.poll(_POLL_S):
                self._raise_if_dead()
                continue
            message = self._receive(connection)
            if isinstance(message, Done):
                return
            if isinstance(message, Failed):
                raise message.error
            yield message

    def close(self) -> None:
        """End the process; it has nothing that is not stored."""
        if self._connection is not None and self._process is not None and self._process.is_alive():
            self._connection.close()
            self._process.join(GRACE_S)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._connection = None

    def _ensure_started(self) -> Connection:
        if self._connection is None or self._process is None or not self._process.is_alive():
            ours, theirs = self._context.Pipe()
            arguments = (theirs, self._cancel, self._store, self._log)
            self._process = self._context.Process(target=_serve, args=arguments, daemon=False)
            self._process.start()
            theirs.close()
            self._connection = ours
        return self._connection

    def _receive(self, connection: Connection) -> Event | Done | Failed:
        try:
            message: Event | Done | Failed = connection.recv()
        except (EOFError, OSError):
            if self._process is not None:
                self._process.join(GRACE_S)
            raise self._death() from None
        return message

    def _raise_if_dead(self) -> None:
        connection, process = self._connection, self._process
        if process is not None and not process.is_alive() and not (connection is not None and connection.poll()):
            raise self._death()

    def _death(self) -> WorkerDiedError:
        code = None if self._process is None else self._process.exitcode
        self._process = self._connection = None
        # The kernel's out-of-memory killer sends SIGKILL; nobody else sends it unasked.
        memory = "too little memory is the usual cause: try a smaller --batch-size; " if code == -signal.SIGKILL else ""
        hint = f"{memory}run the same command again to go on\nits last words are in {self._log}"
        return WorkerDiedError(f"the worker process died ({cause_of_death(code)})", hint)


def _serve(connection: Connection, cancel: Flag, store: Path, log: Path) -> None:
    """The worker's main loop: a job in, events out, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the plan's process decides
    os.environ.update(_QUIET)
    point_output_at(log)
    leave_no_core()
    keep_freed_memory()
    end_with_parent()  # what counts is stored
    with Store(store) as opened:
        context = StepContext(opened, cancel.is_set)
        while True:
            try:
                job: AnyJob = connection.recv()
            except (EOFError, OSError):
                return
            try:
                _work(connection, job, context, log)
            except (BrokenPipeError, ConnectionResetError):
                return  # the process that keeps the plan has gone; everything acknowledged is stored


def _work(connection: Connection, job: AnyJob, context: StepContext, log: Path) -> None:
    try:
        for event in step_function(job.step.kind)(cast(Job, job), context):
            connection.send(event)
    except MedvlmError as error:
        connection.send(Failed(error))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("step %s", job.step.id)
        message = f"{type(error).__name__}: {error}"
        connection.send(Failed(MedvlmError(message, f"this should not happen; the traceback is in {log}")))
    else:
        connection.send(Done())
