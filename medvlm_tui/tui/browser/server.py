"""A server of the screens for browsers of this machine: on 127.0.0.1 alone, at an address that holds a secret token."""

from __future__ import annotations

import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware
from textual_serve.server import Server

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalServer(Server):
    """Starts the screens anew for each page that is opened; they share the workspace's engine.

    Every address lies below the token. Another page in the same browser can neither guess it nor, since the names of
    host and origin are checked, reach the server by a name of its own that points here.
    """

    def __init__(self, command: str, port: int, say: Callable[[str], object]) -> None:
        """`port` 0 takes a free one; raises OSError where the port is taken."""
        self.token = secrets.token_urlsafe(24)
        self._say = say
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        port = self._socket.getsockname()[1]
        super().__init__(
            command, HOST, port, "medvlm-tui", f"http://{HOST}:{port}", templates_path=Path(__file__).parent
        )

    @property
    def address(self) -> str:
        """The page's address, token and all."""
        return f"{self.public_url}/{self.token}/"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        web.run_app(self._make_app(), sock=self._socket, print=None, access_log=None)

    async def _make_app(self) -> web.Application:
        pages = await super()._make_app()
        whole = web.Application(middlewares=[self._guard()])
        whole.on_response_prepare.append(self._headers)
        whole.add_subapp(f"/{self.token}/", pages)
        return whole

    async def on_startup(self, app: web.Application) -> None:
        """Print where the page is."""
        self._say(f"the screens are at {self.address}")
        self._say("whoever has this address and an account on this machine can use them; Ctrl-C ends the server")

    def _guard(self) -> Middleware:
        hosts = {f"{name}:{self.port}" for name in _NAMES}
        origins = {f"http://{host}" for host in hosts}

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            first = request.path.split("/")[1]
            if not secrets.compare_digest(first.encode(), self.token.encode()):
                raise web.HTTPForbidden(text="this address lacks the token that the server has printed")
            if request.host not in hosts or request.headers.get("Origin", next(iter(origins))) not in origins:
                raise web.HTTPForbidden(text="this page is for browsers of this machine")
            return await handler(request)

        return guard

    async def _headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Keep the token out of caches and of other pages' logs, and everything from elsewhere out of the page."""
        sockets = " ".join(f"ws://{name}:{self.port}" for name in _NAMES)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
            f"font-src 'self'; img-src 'self' data: blob:; connect-src 'self' {sockets}; frame-ancestors 'none'"
        )


def serve(arguments: Sequence[str], port: int, say: Callable[[str], object]) -> None:
    """Serve the screens that the command line `arguments` opens until the user ends it; raises OSError."""
    command = shlex.join([sys.executable, "-m", "medvlm_tui", *arguments])
    LocalServer(command, port, say).run()
