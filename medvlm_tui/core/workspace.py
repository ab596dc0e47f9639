"""A workspace: one directory that holds a study's store, runs, exports and logs."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medvlm_tui.errors import StoreError


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
        """What libraries print, and tracebacks of unknown errors."""
        return self.root / "logs"

    @property
    def phantom(self) -> Path:
        """Where the built-in phantom is made."""
        return self.root / "phantom"

    def run_directory(self, run_id: str) -> Path:
        """Where a run's events.jsonl lies."""
        return self.root / "runs" / run_id

    def export_directory(self, run_id: str) -> Path:
        """Where a run's tables and figures go unless the user said otherwise."""
        return self.root / "exports" / run_id

    def make(self) -> None:
        """Make the folders; raises StoreError when the place refuses."""
        try:
            for folder in (self.root, self.logs, self.root / "runs"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the workspace {self.root} cannot be made: {error.strerror}",
                "choose another with --workspace DIR or MEDVLM_WORKSPACE",
            ) from error
        owner = self.root.stat().st_uid
        if owner != os.getuid():
            raise StoreError(
                f"the workspace {self.root} belongs to another user (uid {owner})",
                "choose your own with --workspace DIR; features travel as sealed files",
            )

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Hold the workspace for one run; raises StoreError when a run is under way in it."""
        self.make()
        descriptor = os.open(self.root / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"a run is under way in the workspace {self.root}",
                "wait for it, cancel it, or use another --workspace",
            ) from error
        try:
            yield
        finally:
            os.close(descriptor)


def new_run_id() -> str:
    """Return an id that sorts by time: 20260131-235959-1a2b."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
