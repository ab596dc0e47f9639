"""Protocol between front end and engine over the socket: JSON lines.

The engine first sends a `Hello`. Then it receives commands and sends events (`core/events.py`):

    {"cmd": "watch"}                                   Attached, the last run so far, CaughtUp; then what happens
    {"cmd": "survey" | "plan", "request": {...}}       Survey or PlanReady, to the client that asked
    {"cmd": "look", "path": "..."}                     DataFound: the datasets below a folder, to the client that asked
    {"cmd": "run", "request": {...}}                   RunAsked ... RunFinished or RunRefused, to everybody
    {"cmd": "queue", "do": "add", "request": {...}}    QueueChanged, to everybody; also do: drop, move, pause, resume
    {"cmd": "cancel"}                                  CancelAsked, to everybody
    {"cmd": "quit"}                                    the engine leaves, unless a run is under way

`Hello`, `cancel` and `quit` are the same in all versions, so that programs of two releases can still disconnect.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from medvlm_tui.version import VERSION

PROTOCOL = 1
"""Raised when a command or an event changes its meaning."""
GREETING = "medvlm-tui engine"
# A survey of every model times every dataset is one line of some 200 kB; asyncio's own limit is 64 kB.
LINE_LIMIT_BYTES = 64 << 20
# Variables that a process reads only when it starts, and that a front end may have changed since.
_SURROUNDINGS = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TORCH_HOME",
    "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MEDVLM_OFFLINE",
    "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip

Command = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine's first line."""

    greeting: str = ""
    protocol: int = 0
    version: str = ""
    pid: int = 0
    busy: bool = False
    """A run is under way."""
    others: int = 0
    """Front ends that are connected already."""
    salt: str = ""
    surroundings: Mapping[str, str] = field(default_factory=dict)
    """Variables of the engine's environment as digests, with which a front end compares its own."""

    @property
    def is_ours(self) -> bool:
        """Return whether this program and the engine are of the same release."""
        return (self.protocol, self.version) == (PROTOCOL, VERSION)

    def differing(self) -> list[str]:
        """Return the variables that are set otherwise here than in the engine."""
        mine = surroundings(self.salt)
        return [name for name in _SURROUNDINGS if mine.get(name) != self.surroundings.get(name)]


def surroundings(salt: str) -> dict[str, str]:
    """Return the variables that are set, each as a digest: values (a token) stay where they are."""
    values = {name: os.environ[name] for name in _SURROUNDINGS if os.environ.get(name)}
    return {name: hmac.new(salt.encode(), f"{name}={value}".encode(), hashlib.sha256).hexdigest()[:16]
            for name, value in values.items()}  # fmt: skip


def hello_line(hello: Hello) -> bytes:
    """Return a greeting as its line."""
    return json.dumps(asdict(hello)).encode() + b"\n"


def read_hello(line: bytes) -> Hello | None:
    """Return the greeting of an engine of any release, None for anything else."""
    try:
        record = json.loads(line)
        known = {f.name for f in fields(Hello)}
        hello = Hello(**{key: value for key, value in record.items() if key in known})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return hello if hello.greeting == GREETING else None


def command_line(command: Command) -> bytes:
    """Return a command as its line."""
    return json.dumps(command).encode() + b"\n"


def read_command(line: bytes) -> Command:
    """Return the command of a line; raises ValueError for anything else."""
    try:
        command = json.loads(line)
    except RecursionError as error:
        raise ValueError("too many brackets in each other") from error
    if not isinstance(command, dict) or not isinstance(command.get("request", {}), dict):
        raise ValueError("not a command")
    return command


def is_own_peer(connected: Any) -> bool:
    """Return whether the peer process belongs to this user; without SO_PEERCRED only the socket's mode protects."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _pid, uid, _gid = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return bool(uid == os.getuid())
