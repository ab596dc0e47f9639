"""The engine's door: a Unix socket at which front ends of the same user come and go."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from medvlm_tui.core.workspace.run_journal import Said
from medvlm_tui.service.protocol import Command, Hello, hello_line, is_own_peer, read_command

# A run file of a whole study replayed, or an hour of events for a front end that has been stopped.
UNREAD_LIMIT_BYTES = 32 << 20
_COMMAND_LIMIT_BYTES = 4 << 20
_log = logging.getLogger(__name__)


class Guest:
    """One front end, as the engine sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.watches = False
        self._heard = ("", 0)

    def has_heard(self, run_id: str, lines: int) -> None:
        """Note that the first `lines` lines of a run were sent already."""
        self._heard = (run_id, lines)

    def send(self, line: str) -> None:
        """Send a line without waiting; one who reads nothing for too long is shown out, and may come again."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(line.encode("ascii") + b"\n")
        if transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
            _log.warning("a front end has not read %s bytes: its connection is cut", UNREAD_LIMIT_BYTES)
            transport.abort()

    def close(self) -> None:
        """End the connection once what was said is sent."""
        self._writer.close()

    def hear(self, said: Said) -> None:
        """Send an event of a run unless it was sent with what came before."""
        run_id, lines = self._heard
        if self.watches and not (said.run_id == run_id and said.number < lines):
            self.send(said.line)


class Door:
    """Lets front ends in, hands their commands on, and tells them all what happens."""

    def __init__(self, path: Path, hello: Callable[[], Hello], handle: Callable[[Guest, Command], None]) -> None:
        self.path = path
        self.guests: set[Guest] = set()
        self._hello, self._handle = hello, handle
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen; whoever calls this holds the engine's lock, so that a socket that lies there is a dead engine's."""
        self.path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(str(self.path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._receive, sock=listening, limit=_COMMAND_LIMIT_BYTES)

    def close(self) -> None:
        """Accept no new connection, and close the present ones once their pending data is sent."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for guest in self.guests:
            guest.close()

    def tell(self, line: str) -> None:
        """Send a line to all who watch."""
        for guest in list(self.guests):
            if guest.watches:
                guest.send(line)

    def tell_said(self, said: Said) -> None:
        """Send an event of a run to all who watch and have not heard it."""
        for guest in list(self.guests):
            guest.hear(said)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_own_peer(writer.get_extra_info("socket")):
            _log.warning("another user's process knocked and was turned away")
            writer.close()
            return
        guest = Guest(writer)
        writer.write(hello_line(self._hello()))
        self.guests.add(guest)
        try:
            await self._listen(reader, guest)
        except (OSError, ValueError) as error:  # the front end was killed, or its line is longer than any command
            _log.info("a front end has gone: %s", error)
        finally:
            self.guests.discard(guest)
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, guest: Guest) -> None:
        while line := await reader.readline():
            try:
                command = read_command(line)
            except ValueError:
                _log.error("not a command: %.200r", line)
                continue
            self._handle(guest, command)
