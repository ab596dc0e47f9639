"""A workspace: one directory that holds a study's store, runs, exports and logs."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.ownership import refuse_foreign, refuse_shared
from medvlm_tui.errors import StoreError

LOCK = "run.lock"
_ANOTHER = "choose another with --workspace DIR or MEDVLM_WORKSPACE"
_YOUR_OWN = "choose your own with --workspace DIR; features travel as sealed files"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a run under way in a workspace."""

    by: str = ""
    """`engine` or `batch`; empty where it could not be read."""
    pid: int = 0
    host: str = ""

    @property
    def who(self) -> str:
        """The process in words."""
        name = {"engine": "the engine's", "batch": "a --batch run"}.get(self.by, "another program's")
        return f"{name}, process {self.pid} on {self.host}"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders below one root; made on first use, readable by their owner only."""

    root: Path

    @property
    def store(self) -> Path:
        """Features and results."""
        return self.root / "store"

    @property
    def logs(self) -> Path:
        """Return the folder for the output of libraries and the tracebacks of unknown errors."""
        return self.root / "logs"

    @property
    def runs(self) -> Path:
        """A folder a run."""
        return self.root / "runs"

    @property
    def phantom(self) -> Path:
        """Return the folder of the built-in phantom."""
        return self.root / "phantom"

    def run_directory(self, run_id: str) -> Path:
        """Return the path of a run's events.jsonl."""
        return self.runs / run_id

    def export_directory(self, run_id: str) -> Path:
        """Return the default folder of a run's tables and figures."""
        return self.root / "exports" / run_id

    @property
    def is_read_only(self) -> bool:
        """Return whether it exists and nothing can be written into it."""
        return self.root.is_dir() and not os.access(self.root, os.W_OK)

    def make(self) -> None:
        """Make the folders; raises StoreError when the place refuses, or is not this user's alone."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            # First of all: what others may write to can hold folders and links of theirs.
            refuse_shared(self.root, "workspace", _YOUR_OWN)
            for folder in (self.logs, self.runs):
                folder.mkdir(mode=0o700, exist_ok=True)
                refuse_foreign(folder, "workspace's folder", _YOUR_OWN)
        except OSError as error:
            raise StoreError(f"the workspace {self.root} cannot be made: {error.strerror}", _ANOTHER) from error

    @contextmanager
    def busy(self, by: str) -> Iterator[None]:
        """Hold the workspace for one run of `by` (engine or batch); raises StoreError when one is under way in it."""
        self.make()
        with self._refusing():
            descriptor = open_own(self.root / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            with self._refusing():
                if not _taken(descriptor):
                    raise self._is_busy()
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(asdict(Holder(by, os.getpid(), socket.gethostname()))).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.refusal(error) from error

    def refusal(self, error: OSError) -> StoreError:
        """Return in words why nothing can be written into this workspace."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreError(f"the disk that holds {self.root} is full", "free some space; then run the same again")
        if error.errno == errno.EROFS:
            return self.read_only_refusal
        return StoreError(f"the workspace {self.root} cannot be written: {error.strerror or error}", _ANOTHER)

    @property
    def read_only_refusal(self) -> StoreError:
        """Return in words why no run can begin in a workspace that can only be read."""
        return StoreError(f"the workspace {self.root} is read-only: nothing can run in it", _ANOTHER)

    def holder(self) -> Holder | None:
        """Return who has a run under way in this workspace, None when nobody has."""
        try:
            descriptor = open_own(self.root / LOCK, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(
                f"the workspace {self.root} cannot be read: {error.strerror}", "check --workspace and its permissions"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _read_holder(descriptor)
        finally:
            os.close(descriptor)
        return None

    def _is_busy(self) -> StoreError:
        holder = self.holder()
        who = f" ({holder.who})" if holder is not None and holder.by else ""
        return StoreError(
            f"a run is under way in the workspace {self.root}{who}",
            "`medvlm-tui attach` watches it, `medvlm-tui cancel` ends it; or use another --workspace",
        )


def _taken(descriptor: int) -> bool:
    """Take the lock; somebody who only looks whether it is held has it for a moment too."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _read_holder(descriptor: int) -> Holder:
    try:
        record = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(str(record["by"]), int(record["pid"]), str(record["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder()  # it has the lock and has not written yet who it is


def new_run_id() -> str:
    """Return an id that sorts by time: 20260131-235959-1a2b."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
