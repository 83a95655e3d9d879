"""A web server of one directory that serves byte ranges and notes what was asked, for tests of remote datasets."""

import contextlib
import re
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from served import running


class _Server(ThreadingHTTPServer):
    served: list[tuple[str, int, int]]


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def log_message(self, *_):
        """Nothing on the terminal."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not asked or not path.is_file():
            super().do_GET()
            return
        first, last = map(int, asked.groups())
        data = path.read_bytes()[first : last + 1]
        self.server.served.append((path.name, first, first + len(data)))
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def serving(directory):
    """Yield the address, and the list of (file name, first byte, end) that grows as ranges are served."""
    server = _Server(("127.0.0.1", 0), lambda *arguments: _Handler(*arguments, directory=str(directory)))
    server.served = []
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}", server.served
