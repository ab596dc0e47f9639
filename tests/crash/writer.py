"""What the crash tests kill: a forked process that writes blocks and says so, a line after each `put` has returned."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.store import packing
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import MedvlmError

DIM = 256
ROWS = 64


def key_of(number: int) -> str:
    """Return the key of a block."""
    return f"crash/{number:06d}"


def value_of(number: int, rows: int = ROWS) -> bytes:
    """Return the bytes of a block: any process can make them again and compare."""
    matrix = np.random.default_rng(number).normal(size=(rows, DIM)).astype(np.float32)
    return packing.pack({"rows": matrix}, {"number": number})


def write_blocks(path: Path, first: int, count: int, say: Callable[[str], None], rows: int = ROWS) -> None:
    """Write blocks `first` and after, saying each number when its `put` has returned, `refused ...` at an error."""
    try:
        with Store(path) as store:
            say("open")
            for number in range(first, first + count):
                store.put(key_of(number), value_of(number, rows))
                say(str(number))
    except MedvlmError as error:
        say(f"refused {error.message.replace(' ', '_')}")


@dataclass
class Child:
    """A forked writer."""

    pid: int
    output: int
    start: int

    @classmethod
    def fork(cls, work: Callable[[Callable[[str], None]], None]) -> Child:
        """Fork a process that does `work(say)` once it is told to begin."""
        output, said = os.pipe()
        begin, start = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(output)
                os.close(start)
                os.read(begin, 1)
                work(lambda line: os.write(said, f"{line}\n".encode()) and None)
            except BaseException as error:
                os.write(said, f"failed {type(error).__name__}\n".encode())
                os._exit(3)
            os._exit(0)
        os.close(said)
        os.close(begin)
        return cls(pid, output, start)

    def begin(self) -> None:
        """Let it work: by a byte, as processes forked later hold copies of the pipe's end."""
        os.write(self.start, b".")
        os.close(self.start)

    def stop(self) -> None:
        """Let it say nothing more: a system call under way ends, but does not return to it."""
        os.kill(self.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)

    def finish(self) -> list[str]:
        """Wait for its end and return what it said; a line cut off by its death counts as not said."""
        said = b""
        while part := os.read(self.output, 65536):
            said += part
        os.close(self.output)
        os.waitpid(self.pid, 0)
        return said[: said.rfind(b"\n") + 1].decode().split("\n")[:-1]


def writer(path: Path, first: int, count: int, rows: int = ROWS) -> Child:
    """Fork a writer of blocks."""
    return Child.fork(lambda say: write_blocks(path, first, count, say, rows))


def numbers(lines: list[str]) -> set[int]:
    """Return the acknowledged blocks among a writer's lines."""
    return {int(line) for line in lines if line.isdigit()}


def traced(child: Child, *options: str) -> list[str]:
    """Run a child under strace with these options from the moment it begins, and return what it said."""
    command = ["strace", "-f", "-qq", *options, "-p", str(child.pid)]
    tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while "TracerPid:\t0\n" in Path(f"/proc/{child.pid}/status").read_text():
        if tracer.poll() is not None:
            child.kill()
            child.finish()
            pytest.skip("strace may not trace here")
        time.sleep(0.002)
    child.begin()
    said = child.finish()
    tracer.wait()
    return said


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
