"""`python -m medvlm_tui.service.start_engine --workspace DIR`: start the engine process, wait until it listens, return.

The engine is a session of its own without a terminal: whoever started it may go, be killed, or hang up. What kept it
from starting is one JSON line on stdout, and the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import fcntl
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode, MedvlmError
from medvlm_tui.service.launcher import ALREADY

# An engine that is leaving holds its lock until its worker has ended.
_LOCK_PATIENCE_S = 6.0


def main(argv: Sequence[str] | None = None) -> int:
    """Start the engine and return when it listens or has failed."""
    parser = argparse.ArgumentParser(prog="medvlm_tui.service.start_engine")
    parser.add_argument("--workspace", type=Path, required=True)
    workspace: Path = parser.parse_args(argv).workspace.absolute()
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        return _engine(workspace, _Starter(writing))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    sys.stdout.write(said)
    sys.stdout.flush()
    return int(json.loads(said)["code"]) if said else int(ExitCode.STEPS_FAILED)


class _Starter:
    """Whoever started the engine; told once whether it listens."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, code: int = 0, message: str = "", hint: str = "") -> None:
        """Report the outcome to the process that started this one; it may have ended by now."""
        if self._pipe < 0:
            return
        with suppress(BrokenPipeError):
            os.write(self._pipe, json.dumps({"code": code, "message": message, "hint": hint}).encode() + b"\n")
        os.close(self._pipe)
        self._pipe = -1


def _engine(workspace: Path, starter: _Starter) -> int:
    """Run the engine in this process."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return _serve(workspace, starter)
    except MedvlmError as error:
        refusal = error
    except OSError as error:
        refusal = Workspace(workspace).refusal(error)
    except Exception as error:
        logging.getLogger(__name__).exception("starting the engine")
        log = Workspace(workspace).logs / "engine.log"
        refusal = MedvlmError(f"{type(error).__name__}: {error}", f"the traceback is in {log}")
    logging.getLogger(__name__).error("%s; %s", refusal.message, refusal.hint)
    starter.tell(int(refusal.exit_code), refusal.message, refusal.hint)
    return int(refusal.exit_code)


def _serve(workspace: Path, starter: _Starter) -> int:
    # After the fork: what these import may start threads, which a fork would not take along.
    from medvlm_tui.core.secrets import leave_no_core
    from medvlm_tui.core.workspace.logs import point_output_at
    from medvlm_tui.service import address
    from medvlm_tui.service.server import Server
    from medvlm_tui.settings import sources as settings

    place = Workspace(workspace)
    place.make()
    lock = open_own(workspace / address.LOCK, os.O_RDWR | os.O_CREAT)
    if not _is_ours(lock):
        starter.tell(ALREADY, "another engine has the workspace")
        return ALREADY
    _leave_terminal()
    point_output_at(place.logs / "engine.log")
    logging.getLogger("medvlm_tui.service").setLevel(logging.INFO)
    faulthandler.enable(sys.stderr)
    leave_no_core()
    os.chdir(workspace)  # what is still relative is looked for here, and no other disk is kept from being unmounted
    idle_s = settings.load(str(workspace)).engine_idle_s

    async def serve() -> int:
        return await Server(place, idle_s).serve(starter.tell)

    return asyncio.run(serve())


def _is_ours(lock: int) -> bool:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _leave_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
