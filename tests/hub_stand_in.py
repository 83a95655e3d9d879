"""A Hugging Face Hub of one process: the requests that `HfApi` makes for an upload without Xet, over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(ThreadingHTTPServer):
    """What it holds and was asked.

    Args:
        files: repository -> path -> bytes.
        commits: repository -> paths that each commit added.
        refused: Paths for which a commit is refused with the status given.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.commits: dict[str, list[list[str]]] = {}
        self.refused: dict[str, int] = {}
        self.spoiled: set[str] = set()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub() -> Iterator[Hub]:
    """A running hub."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def git_hash(data: bytes) -> str:
    """The id that git, and so the Hub, gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Trees and descriptions of repositories."""
        match = re.match(r"/api/datasets/([^/]+/[^/?]+)(/tree)?", self.path)
        if match is None or match.group(1) not in self.server.files:
            return self._answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        repo = match.group(1)
        files = self.server.files[repo]
        if match.group(2):
            listed = [
                {"type": "file", "path": path, "size": len(data), "oid": git_hash(data)} for path, data in files.items()
            ]
            return self._answer(listed)
        siblings = [{"rfilename": path} for path in files]
        return self._answer({"id": repo, "sha": "0" * 40, "private": False, "siblings": siblings, "tags": []})

    def do_POST(self) -> None:
        """Making repositories, and the three steps of a commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != "Bearer a-token":
            return self._answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            known = repo in self.server.files
            self.server.files.setdefault(repo, {".gitattributes": b"*.parquet filter=lfs\n"})
            self.server.private.setdefault(repo, asked.get("visibility") == "private" or bool(asked.get("private")))
            return self._answer({"url": f"{self.server.endpoint}/datasets/{repo}"}, 409 if known else 200)
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        repo, step = re.match(r"/api/datasets/([^/]+/[^/]+)/(preupload|commit)/main", self.path).groups()
        files = self.server.files[repo]
        if step == "preupload":
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "regular",
                    "shouldIgnore": False,
                    "oid": git_hash(files[file["path"]]) if file["path"] in files else None,
                }
                for file in json.loads(body)["files"]
            ]
            return self._answer({"files": modes})
        return self._commit(repo, [json.loads(line) for line in body.splitlines()])

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        added = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        for path, status in self.server.refused.items():
            if path in added:
                return self._answer({"error": f"no room for {path}"}, status)
        for line in lines:
            if line["key"] == "deletedFile":
                del self.server.files[repo][line["value"]["path"]]
        stored = {path: data + b"!" if path in self.server.spoiled else data for path, data in added.items()}
        self.server.files[repo] |= stored
        self.server.commits.setdefault(repo, []).append(sorted(added))
        url = f"{self.server.endpoint}/datasets/{repo}/commit/{'1' * 40}"
        return self._answer({"success": True, "commitOid": "1" * 40, "commitUrl": url, "hookOutput": ""})

    def _answer(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
