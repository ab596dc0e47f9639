"""The program's own commands, run in a process of their own: they import what no screen may."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medvlm_tui.core.secrets import redact
from medvlm_tui.stages.request import RunRequest


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    said: str
    """On standard output."""
    complaint: str
    """On standard error, without secrets."""


def surroundings(request: RunRequest, workspace: Path) -> list[str]:
    """Return the flags that tell a command what the screens know."""
    words = ["--workspace", str(workspace), *(["--offline"] if request.offline else [])]
    return [*words, *(word for item in request.weights.items() for word in ("--weights", "=".join(item)))]


async def run_program(arguments: Sequence[str], columns: int = 80, lines: int = 24) -> Ended:
    """Run `medvlm-tui` with these arguments; a task that is cancelled takes the process with it."""
    # The size of this terminal, which a process without one cannot see.
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": str(lines)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "medvlm_tui.cli", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
    return Ended(process.returncode or 0, said.decode("utf-8", "replace"), redact(complaint.decode("utf-8", "replace")))
