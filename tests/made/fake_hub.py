"""A hub on 127.0.0.1 that answers as the real one does, or as it does on a bad day."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MISSING = (404, "RepoNotFound", "Repository not found")
GATED = (403, "GatedRepo", "Access to this repository is restricted")
DISABLED = (403, None, "Access to this resource is disabled.")
WRONG_TOKEN = (401, None, "Invalid credentials in Authorization header")


class FakeHub(ThreadingHTTPServer):
    """`repositories` holds files by repository, or the refusal that every request for it meets."""

    def __init__(self, repositories):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories
        self.asked: list[tuple[str, str, str]] = []
        """(method, path, Range) of every request."""
        self.break_after: int | None = None
        """Bytes of a file after which the connection breaks."""
        self.breaks_left = 0
        self.sent = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path, self.headers.get("Range", "")))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+)?", path):
            return self.list_files(match[1])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            return self.send_repository_file(match[1], match[2], body)
        return self.refuse((404, None, "nothing here"))

    def found(self, repository):
        held = self.server.repositories.get(repository, MISSING)
        if isinstance(held, tuple):
            self.refuse(held)
            return None
        return held

    def refuse(self, refusal):
        status, code, message = refusal
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def list_files(self, repository):
        files = self.found(repository)
        if files is None:
            return
        siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
        text = json.dumps({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def send_repository_file(self, repository, name, body):
        files = self.found(repository)
        if files is None or name not in files:
            if files is not None:
                self.refuse((404, "EntryNotFound", "Entry not found"))
            return
        data = files[name]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{abs(hash((repository, name))):x}"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self.send_body(data[begin:])

    def send_body(self, data):
        server = self.server
        breaks = server.break_after is not None and server.breaks_left > 0 and len(data) > server.break_after
        part = data[: server.break_after] if breaks else data
        self.wfile.write(part)
        self.wfile.flush()
        server.sent += len(part)
        if breaks:
            server.breaks_left -= 1
            self.close_connection = True
            self.connection.close()


@contextmanager
def serving(repositories):
    server = FakeHub(repositories)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
