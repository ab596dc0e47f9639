"""The process that does the work: models, decoding and UMAP run here, never in the process that keeps the plan.

A worker that dies (segmentation fault, out of memory, kill -9) is started again once, and the step goes on from the
store; when that one dies too, it is a failed step with its reason, and the next step gets a new one. A worker whose GPU
context an error has broken leaves by itself, with an exit code of its own, and is started again in the same way.
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
from pathlib import Path

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.events import Event, Log
from medvlm_tui.core.secrets import leave_no_core
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.system_errors import in_words
from medvlm_tui.core.workspace.logs import point_output_at
from medvlm_tui.engine.step import device_session
from medvlm_tui.engine.step.cancellation import Cancellation, Canceller
from medvlm_tui.engine.step.device_memory import release_memory
from medvlm_tui.engine.step.freed_memory import keep_freed_memory
from medvlm_tui.engine.step.job import AnyJob, StepContext, step_function
from medvlm_tui.engine.step.numba_cache import place_numba_cache
from medvlm_tui.engine.step.processes import cause_of_death, end_with_parent
from medvlm_tui.engine.step.threads import choose_threads, restore_threads
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
    "HF_HUB_OFFLINE": "1",  # what is missing was fetched before the run; no library asks for more
}


@dataclass(frozen=True, slots=True)
class Done:
    """The worker's last word on a step that ended well."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker's last word on a step that did not."""

    error: MedvlmError


@dataclass(frozen=True, slots=True)
class Leaving:
    """Sent before the process ends itself: after this error every later call to its GPU would fail."""

    error: MedvlmError


class WorkerDiedError(MedvlmError):
    """The process ended without a last word, or left because its GPU context is broken."""


class Worker:
    """A worker process, started when first needed and again after it died."""

    def __init__(self, store: Path, log: Path) -> None:
        self._store = store
        self._log = log
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._canceller: Canceller | None = None
        self._context = multiprocessing.get_context("spawn")

    def run(self, job: AnyJob, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Yield the events of a job; raises the MedvlmError it failed with, or Cancelled."""
        try:
            yield from self._try(job, cancelled)
        except WorkerDiedError as death:
            yield Log("warning", f"{death.message}: it is started again, once", job.step.id)
            yield from self._try(job, cancelled)

    def _try(self, job: AnyJob, cancelled: Callable[[], bool]) -> Iterator[Event]:
        connection, canceller = self._ensure_started()
        try:
            connection.send((canceller.next_job(), job))
        except (BrokenPipeError, ConnectionResetError):
            raise self._death() from None
        deadline: float | None = None
        while True:
            if deadline is None and cancelled():
                canceller.cancel()
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
            if isinstance(message, Leaving):
                raise self._departure(message.error)
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
        self._forget()

    def _forget(self) -> None:
        """Close the pipes of a process that has ended, and forget it."""
        for pipe in (self._connection, self._canceller):
            if pipe is not None:
                pipe.close()
        self._process = self._connection = self._canceller = None

    def _ensure_started(self) -> tuple[Connection, Canceller]:
        if self._connection is None or self._canceller is None or self._process is None or not self._process.is_alive():
            self._forget()
            self._connection, self._canceller = self._start()
        return self._connection, self._canceller

    def _start(self) -> tuple[Connection, Canceller]:
        """Start a process; raises MedvlmError when the system or the log refuses."""
        heard, asked = self._context.Pipe(duplex=False)
        ours, theirs = self._context.Pipe()
        try:
            os.close(open_own(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            arguments = (theirs, heard, self._store, self._log)
            self._process = self._context.Process(target=_serve, args=arguments, daemon=False)
            self._process.start()
        except OSError as error:
            self._process = None
            raise in_words(error) or MedvlmError(f"the worker process cannot be started: {error}") from error
        finally:
            theirs.close()
            heard.close()
        return ours, Canceller(asked)

    def _receive(self, connection: Connection) -> Event | Done | Failed | Leaving:
        try:
            message: Event | Done | Failed | Leaving = connection.recv()
        except (EOFError, OSError):
            if self._process is not None:
                self._process.join(GRACE_S)
            raise self._death() from None
        return message

    def _raise_if_dead(self) -> None:
        connection, process = self._connection, self._process
        if process is not None and not process.is_alive() and not (connection is not None and connection.poll()):
            raise self._death()

    def _departure(self, error: MedvlmError) -> WorkerDiedError:
        """Return what the process said before it left, once it has gone."""
        if self._process is not None:
            self._process.join(GRACE_S)
        self.kill()
        return WorkerDiedError(error.message, error.hint)

    def _death(self) -> WorkerDiedError:
        code = None if self._process is None else self._process.exitcode
        self._forget()
        # The kernel's out-of-memory killer sends SIGKILL; nobody else sends it unasked.
        memory = "too little memory is the usual cause: try a smaller --batch-size; " if code == -signal.SIGKILL else ""
        hint = f"{memory}run the same command again to go on\nits last words are in {self._log}"
        return WorkerDiedError(f"the worker process died ({cause_of_death(code)})", hint)


def _serve(connection: Connection, cancelling: Connection, store: Path, log: Path) -> None:
    """The worker's main loop: a job in, events out, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the plan's process decides
    os.environ.update(_QUIET)
    device_session.prepare_environment()
    point_output_at(log)
    choose_threads()
    place_numba_cache(store.parent)
    leave_no_core()
    keep_freed_memory()
    end_with_parent()  # what counts is stored
    with Store(store) as opened:
        cancellation = Cancellation(cancelling)
        context = StepContext(opened, cancellation.is_set)
        try:
            while True:
                number, job = connection.recv()
                cancellation.begin(number)
                _work(connection, job, context, log)
        except (EOFError, OSError):
            return  # the process that keeps the plan has gone; everything acknowledged is stored
        finally:
            context.resources.close()


def _work(connection: Connection, job: AnyJob, context: StepContext, log: Path) -> None:
    restore_threads()
    try:
        for event in step_function(job.step.kind)(job, context):
            connection.send(event)
        release_memory()  # what torch has cached of a GPU would be lost to the other processes of this program
    except MedvlmError as error:
        _leave_if_broken(connection, job, error, error)
        connection.send(Failed(error))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("step %s", job.step.id)
        unknown = MedvlmError(f"{type(error).__name__}: {error}", f"this should not happen; the traceback is in {log}")
        known = in_words(error) or unknown
        _leave_if_broken(connection, job, error, known)
        connection.send(Failed(known))
    else:
        connection.send(Done())


def _leave_if_broken(connection: Connection, job: AnyJob, error: Exception, known: MedvlmError) -> None:
    """End this process when the error broke its GPU context; what is acknowledged is stored."""
    reason = device_session.broken_by(error)
    if not reason:
        return
    logging.getLogger(__name__).error("step %s: the process leaves after %s", job.step.id, reason)
    message = (
        known.message
        if isinstance(error, MedvlmError)
        else f"the GPU failed ({reason}), and the worker process with it"
    )
    connection.send(Leaving(MedvlmError(message, f"{known.hint}\nrun the same command again to go on")))
    # At once: tensors that are freed on a broken context would abort the process with a signal.
    logging.shutdown()
    os._exit(device_session.BROKEN_EXIT)
