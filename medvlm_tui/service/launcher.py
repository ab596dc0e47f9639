"""Starting an engine from a front end: `start_engine.py` in a process of its own, which returns once it listens."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import MedvlmError

ALREADY = 75
"""Exit code of a launch that found another engine in the workspace."""
# Libraries that draw progress bars or ask terminals would only fill the log.
_QUIET = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


class Launcher:
    """At most one launch at a time; on leaving the context none is left."""

    def __init__(self, workspace: Path, log: Path, command: Sequence[str] = ()) -> None:
        self._command = [
            *(command or (sys.executable, "-m", "medvlm_tui.service.start_engine")),
            "--workspace",
            str(workspace),
        ]
        self._workspace, self._log = workspace, log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()  # it only waits; an engine that it has started is a process of its own
            await process.wait()

    async def ensure_running(self) -> None:
        """Start a launch when none runs; raises the MedvlmError with which the last one failed."""
        if self._process is not None and self._process.returncode is None:
            return
        if self._process is not None and self._process.returncode not in (0, ALREADY):
            raise await self._failure(self._process)
        try:
            self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = open_own(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, **_QUIET},
                    start_new_session=True,
                )
        except OSError as error:
            raise Workspace(self._workspace).refusal(error) from error

    async def _failure(self, process: asyncio.subprocess.Process) -> MedvlmError:
        assert process.stdout is not None
        said = await process.stdout.read()
        try:
            record = json.loads(said)
            return MedvlmError(str(record["message"]), str(record["hint"]))
        except (ValueError, KeyError, TypeError):
            return MedvlmError(
                f"the engine could not be started (exit status {process.returncode})", f"log: {self._log}"
            )
