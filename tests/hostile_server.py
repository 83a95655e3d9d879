"""A web server that answers as a test says, for tests of servers that nobody vouches for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from served import running


class Request(BaseHTTPRequestHandler):
    """One request; what the answering function gets."""

    server: HostileServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer as the test says; the client may hang up."""
        self.server.asked.append((self.command, urlsplit(self.path).path))
        with contextlib.suppress(ConnectionError):
            self.server.answer(self)

    def do_HEAD(self) -> None:
        """The same without a body."""
        self.do_GET()

    def do_POST(self) -> None:
        """The same after reading what was sent."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def reply(self, status: int, data: bytes = b"", **headers: str) -> None:
        """A whole answer. Underscores in the headers' names stand for hyphens."""
        self.start(status, Content_Length=str(len(data)), **headers)
        if self.command != "HEAD":
            self.wfile.write(data)

    def start(self, status: int, **headers: str) -> None:
        """The beginning of an answer."""
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()

    def endless(self, status: int, piece: bytes, **headers: str) -> None:
        """An answer that goes on until the client leaves, or has taken far more than it may."""
        self.start(status, **headers)
        if self.command != "HEAD":
            for _ in range((256 << 20) // len(piece)):
                self.wfile.write(piece)
                self.server.sent += len(piece)

    def file(self, directory: Path) -> None:
        """The file of a directory, or the range of it that is asked for."""
        path = directory / urlsplit(self.path).path.lstrip("/")
        if not path.is_file():
            return self.reply(404)
        data, span = path.read_bytes(), self.headers.get("Range")
        if span is None:
            return self.reply(200, data)
        first, last = map(int, span.removeprefix("bytes=").split("-"))
        return self.reply(206, data[first : last + 1])


class HostileServer(ThreadingHTTPServer):
    """What it was asked, as (method, path), and how many bytes of endless answers it sent."""

    daemon_threads = True

    def __init__(self, address: str, answer: Callable[[Request], None]) -> None:
        super().__init__((address, 0), Request)
        self.answer, self.sent = answer, 0
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"


@contextlib.contextmanager
def hostile(answer: Callable[[Request], None], address: str = "127.0.0.1") -> Iterator[HostileServer]:
    """A running server."""
    with running(HostileServer(address, answer)) as server:
        yield server
