"""Images for the screens, decoded by a process of their own that starts with the first one asked for.

Knows neither the engine's code nor any screen.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvlm_tui.core.atomic_files import open_own
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ImageError
from medvlm_tui.stages.request import RunRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_LINE_BYTES = 4 << 20
# 64 x 64 x 3 bytes each: 3 MB.
KEPT = 256


@dataclass(frozen=True, slots=True)
class BurnedIn:
    """Overlay of the bias lab, for a picture that shows it (engine/bias/overlay.py)."""

    word: str
    kind: str
    """`text` or one of its controls."""
    position: str
    height: float
    contrast: float
    seed: int
    drawn: bool = True
    """False: the image as it is, at the same place."""
    closer: bool = False
    """The overlay's place alone, with a little of what is around it."""


class PictureClient:
    """Asks for pictures by dataset and image id; answers are kept, the newest 256 of them."""

    def __init__(self, workspace: Path, command: Sequence[str] | None = None) -> None:
        """`command` replaces the process's own command line (tests)."""
        self._log = workspace / "logs" / "pictures.log"
        self._command = list(command or [sys.executable, "-m", "medvlm_tui.service.pictures"])
        self._command += ["--workspace", str(workspace)]
        self._reads_only = Workspace(workspace).is_read_only
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._kept: dict[tuple[str, str, int, str, BurnedIn | None], Picture] = {}

    async def picture(
        self, request: RunRequest, dataset: str, image: str, side_px: int = 64, burned_in: BurnedIn | None = None
    ) -> Picture:
        """Return the image, (h, w, 3), no side above `side_px`; raises ImageError with the reason."""
        name = (dataset, image, side_px, f"{request.window} {request.data.get(dataset, '')}", burned_in)
        if name not in self._kept:
            record = {**request.to_record(), "datasets": [dataset]}
            asked = {"dataset": dataset, "image": image, "side_px": side_px, "request": record}
            if burned_in is not None:
                asked["burned_in"] = asdict(burned_in)
            pixels = await self._ask(asked)
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[name] = pixels
        return self._kept[name]

    async def stop(self) -> None:
        """End the process; it keeps nothing."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._listener is not None:
            await self._listener

    async def _ask(self, asked: dict[str, Any]) -> Picture:
        process = await self._running()
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"number": number, **asked}).encode() + b"\n")
            await process.stdin.drain()
            return _pixels(await self._waiting[number])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ended(self._log) from error
        finally:
            self._waiting.pop(number, None)

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await self._start()
                self._listener = asyncio.create_task(self._listen(self._process))
            return self._process

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            with os.fdopen(self._descriptor(), "wb") as log:
                return await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    limit=_LINE_BYTES,
                    start_new_session=True,
                )
        except OSError as error:
            raise ImageError(f"images cannot be shown: {error}", "check the workspace's path") from error

    def _descriptor(self) -> int:
        """Return where the process writes what went wrong: nowhere in a workspace that can only be read."""
        if self._reads_only:
            return os.open(os.devnull, os.O_WRONLY)
        self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_own(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            answer = json.loads(line)
            future = self._waiting.get(answer.get("number"))
            if future is not None and not future.done():
                future.set_result(answer)
        await process.wait()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(_ended(self._log))


def _pixels(answer: Mapping[str, Any]) -> Picture:
    if "error" in answer:
        raise ImageError(str(answer["error"]), str(answer.get("hint", "")))
    import numpy as np

    return np.frombuffer(base64.b64decode(answer["pixels"]), np.uint8).reshape(answer["shape"])


def _ended(log: Path) -> ImageError:
    return ImageError("the process that reads images ended", f"its last words are in {log}")
