"""A server with the three requests of the S3 API by which files are read: descriptions, byte ranges and listings."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from served import running, send

WHEN = "Mon, 02 Nov 2026 10:00:00 GMT"


class S3(ThreadingHTTPServer):
    """One bucket, and the ranges that were served: (key, first byte, end)."""

    def __init__(self, bucket: str, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bucket = bucket
        paths = [path for path in sorted(directory.rglob("*")) if path.is_file()]
        self.files = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
        self.served: list[tuple[str, int, int]] = []

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def s3(bucket: str, directory: Path) -> Iterator[S3]:
    """A running server of a directory's files."""
    with running(S3(bucket, directory)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: S3
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """HeadObject, the description of a file."""
        self._object()

    def do_GET(self) -> None:
        """GetObject or ListObjectsV2."""
        asked = urlsplit(self.path)
        if asked.path.strip("/") == self.server.bucket:
            self._list({name: values[0] for name, values in parse_qs(asked.query).items()})
        else:
            self._object()

    def _object(self) -> None:
        bucket, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        data = self.server.files.get(key) if bucket == self.server.bucket else None
        if data is None:
            return send(self, 404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", {})
        headers = {"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"', "Last-Modified": WHEN}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            return send(self, 200, data, headers)
        first, last = int(span[1]), min(int(span[2] or len(data)), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self.server.served.append((key, first, last + 1))
        send(self, 206, data[first : last + 1], headers)

    def _list(self, asked: dict[str, str]) -> None:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        keys = [key for key in sorted(self.server.files) if key.startswith(prefix)]
        rest = {key: key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "") for key in keys}
        folders = sorted({prefix + first + delimiter for first, between, _ in rest.values() if between})
        files = [key for key, (_, between, _) in rest.items() if not between]
        text = "".join(
            f"<Contents><Key>{quote(key)}</Key><Size>{len(self.server.files[key])}</Size><ETag>x</ETag>"
            "<LastModified>2026-11-02T10:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for key in files
        )
        text += "".join(f"<CommonPrefixes><Prefix>{quote(folder)}</Prefix></CommonPrefixes>" for folder in folders)
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><EncodingType>url</EncodingType>'
            f"<Name>{escape(self.server.bucket)}</Name><KeyCount>{len(files) + len(folders)}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{text}</ListBucketResult>"
        )
        send(self, 200, body.encode(), {"Content-Type": "application/xml"})
