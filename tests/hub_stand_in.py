"""A Hugging Face Hub of one process: the requests that `HfApi` makes for an upload without Xet, and `datasets` for
streaming, over real HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from served import running, send

COMMIT = "0" * 40


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
    with running(Hub()) as server:
        yield server


def git_hash(data: bytes) -> str:
    """The id that git, and so the Hub, gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Trees and descriptions of repositories, and files."""
        asked = urlsplit(self.path)
        match = re.match(r"/api/datasets/([^/]+/[^/]+)(?:/(tree|revision)/[^/]+)?(?:/(.+))?", asked.path)
        if match is None:
            return self._file()
        repo, step, folder = match.groups()
        if repo not in self.server.files:
            return self._answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        files = self.server.files[repo]
        if step == "tree":
            return self._answer(_listed(files, folder, recursive="recursive=true" in asked.query.lower()))
        siblings = [{"rfilename": path} for path in files]
        return self._answer({"id": repo, "sha": COMMIT, "private": False, "siblings": siblings, "tags": []})

    def do_HEAD(self) -> None:
        """What is known of a file."""
        self._file()

    def _file(self) -> None:
        """A file, or the bytes of it that are asked for."""
        match = re.match(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.+)", urlsplit(self.path).path)
        data = self.server.files.get(match.group(1), {}).get(unquote(match.group(2))) if match else None
        if data is None:
            return self._answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = {"ETag": f'"{git_hash(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if span:
            first, last = int(span.group(1)), int(span.group(2) or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
            data = data[first : last + 1]
        send(self, 206 if span else 200, data, {"Content-Type": "application/octet-stream", **headers})

    def do_POST(self) -> None:
        """Making repositories, and the three steps of a commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = re.match(r"/api/datasets/([^/]+/[^/]+)/paths-info/", self.path)
        if known:  # anybody may ask
            asked = parse_qs(body.decode())["paths"] if body[:1] != b"{" else json.loads(body)["paths"]
            files = self.server.files[known.group(1)]
            return self._answer([entry for path in asked for entry in _described(files, path)])
        if self.headers.get("Authorization") != "Bearer a-token":
            return self._answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            exists = repo in self.server.files
            self.server.files.setdefault(repo, {".gitattributes": b"*.parquet filter=lfs\n"})
            self.server.private.setdefault(repo, asked.get("visibility") == "private" or bool(asked.get("private")))
            return self._answer({"url": f"{self.server.endpoint}/datasets/{repo}"}, 409 if exists else 200)
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        asked_for = re.match(r"/api/datasets/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
        assert asked_for
        repo, step = asked_for.groups()
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
        send(self, status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def _listed(files: dict[str, bytes], folder: str | None, recursive: bool) -> list[dict[str, Any]]:
    """What is in a folder, or below it."""
    start = f"{folder}/" if folder else ""
    inside = [path.removeprefix(start) for path in files if path.startswith(start)]
    names = inside if recursive else list(dict.fromkeys(path.partition("/")[0] for path in inside))
    return [entry for name in names for entry in _described(files, start + name)]


def _described(files: dict[str, bytes], path: str) -> list[dict[str, Any]]:
    """One entry of a tree, where there is such a file or folder."""
    if path in files:
        data = files[path]
        return [{"type": "file", "path": path, "size": len(data), "oid": git_hash(data)}]
    if any(other.startswith(f"{path}/") for other in files):
        return [{"type": "directory", "path": path, "size": 0, "oid": git_hash(path.encode())}]
    return []
