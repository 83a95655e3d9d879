"""Read files from an untrusted web server, through `fsspec`'s HTTP client with limits.

No more bytes are accepted than the requested range or the caller's limit allows. Compressed bodies are refused, since
they may inflate without end. Redirects are followed within the scheme of the address, and into a private network only
if the first address was in one. A folder's entries are the links of its page, which are found in linear time.
"""

from __future__ import annotations

import contextlib
import html
import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urljoin

import aiohttp
from fsspec.asyn import sync
from fsspec.implementations.http import HTTPFileSystem

from symile_data.files import RefusedError

MOST_PAGE_BYTES = 16 << 20  # limit of a folder's listing
MOST_LINKS = 1 << 18

_MOST_REDIRECTS = 5
_PIECE_BYTES = 1 << 16
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=30, sock_read=60)
_PLAIN = {"Accept-Encoding": "identity"}
_LINK = re.compile(r"""href\s{0,9}=\s{0,9}["']([^"'<>\s]{1,4096})["']""", re.IGNORECASE)


class WebServer(HTTPFileSystem):  # type: ignore[misc]  # fsspec is untyped
    """One web server, as `format.location` uses it. It shares its connections with no other server, because its first
    address decides which other addresses may be visited.
    """

    cachable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(get_client=_client, **options)

    def read_at_most(self, url: str, most_bytes: int) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: the server does not have the file.
            RefusedError: the file has more than `most_bytes`, or arrives compressed.
        """
        found: bytes = sync(self.loop, self._read, url, most_bytes)
        return found

    async def _cat_file(self, url: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Read the bytes [start, end) of a file."""
        if start is None or end is None:
            raise ValueError("a web server is asked for whole files with read_at_most")
        if start == end:
            return b""
        return await self._read(url, end - start, Range=f"bytes={start}-{end - 1}")

    async def _info(self, url: str, **options: Any) -> dict[str, Any]:
        """Describe a file as fsspec does, but raise the true error, where fsspec says that there is no such file."""
        try:
            found: dict[str, Any] = await super()._info(url, **options)
        except FileNotFoundError as error:
            cause = error.__cause__
            if isinstance(cause, aiohttp.ClientError | OSError) and getattr(cause, "status", 0) not in (404, 410):
                raise cause from None
            raise
        return found

    async def _ls_real(self, url: str, detail: bool = True, **_: Any) -> list[Any]:
        """List what the page of a folder links to directly below itself."""
        page = await self._read(url, MOST_PAGE_BYTES)
        names = sorted(set(_links(url, page.decode("utf-8", "replace"))))
        if not detail:
            return names
        return [{"name": name, "size": None, "type": "directory" if name.endswith("/") else "file"} for name in names]

    async def _read(self, url: str, most_bytes: int, **headers: str) -> bytes:
        try:
            return await self._fetch(url, most_bytes, headers)
        except aiohttp.ServerTimeoutError:  # nothing arrived for a while; another attempt may succeed
            raise
        except TimeoutError:
            raise RefusedError(f"more than the {_TIMEOUT.total:.0f} seconds that one answer may take") from None

    async def _fetch(self, url: str, most_bytes: int, headers: dict[str, str]) -> bytes:
        session = await self.set_session()
        async with session.get(self.encode_url(url), headers={**_PLAIN, **headers}, **self.kwargs) as answer:
            self._raise_not_found_for_status(answer, url)
            if answer.status not in (200, 206):
                raise RefusedError(f"the server answers with status {answer.status}")
            if answer.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
                raise RefusedError("the server compresses a file that was asked for as it is")
            data = bytearray()
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                data += piece
                if len(data) > most_bytes:
                    known = "" if answer.status == 206 or not headers else ": its server knows no ranges"
                    raise RefusedError(f"more than the {most_bytes} bytes that may come{known}")
        return bytes(data)


def _links(url: str, page: str) -> Iterator[str]:
    """Yield the addresses on a page that lie directly below the folder's own, without their escapes.

    Raises:
        RefusedError: the page has more links than any folder of a dataset.
    """
    folder = url.rstrip("/") + "/"
    for count, match in enumerate(_LINK.finditer(page)):
        if count >= MOST_LINKS:
            raise RefusedError(f"a folder's page of more than {MOST_LINKS} links")
        with contextlib.suppress(ValueError):  # the link is no address
            link = urljoin(folder, html.unescape(match[1]))
            name = link.removeprefix(folder)
            if link.startswith(folder) and name.rstrip("/") and not set(name.rstrip("/")) & set("?#/"):
                plain = unquote(name)
                # An address made of these letters would be read in another way, so they keep their escapes.
                yield folder + (name if set(plain.rstrip("/")) & set("%?#/\\") else plain)


async def _client(**options: Any) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_check_redirect)
    settings: dict[str, Any] = {"timeout": _TIMEOUT, "trace_configs": [trace], "auto_decompress": False}
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=_Gate()), **{**settings, **options})


async def _check_redirect(_: Any, request: Any, redirect: aiohttp.TraceRequestRedirectParams) -> None:
    """Refuse a redirect beyond the limit, and one to another scheme, even a safer one: a user can give that address."""
    request.redirects = getattr(request, "redirects", 0) + 1
    if request.redirects > _MOST_REDIRECTS:
        raise RefusedError(f"the server redirects more than {_MOST_REDIRECTS} times")
    here, headers = redirect.response.url, redirect.response.headers
    try:
        there = urljoin(str(here), headers.get("Location", headers.get("URI", "")))
    except ValueError:
        raise RefusedError("the server redirects to something that is no address") from None
    if there.partition(":")[0].lower() != here.scheme:
        raise RefusedError(f"the server redirects to another scheme ({there[:200]})")


class _Gate:
    """Makes the sockets of one server's connections. After a public first address it refuses private networks."""

    def __init__(self) -> None:
        self._starts_private: bool | None = None

    def __call__(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = address
        private = is_private(str(place[0]))
        if self._starts_private is None:
            self._starts_private = private
        if private and not self._starts_private:
            raise RefusedError(f"a public server leads into a private network ({place[0]})")
        return socket.socket(family, kind, protocol)


def is_private(address: str) -> bool:
    """Tell whether an IP address is outside the public Internet.

    >>> [is_private(address) for address in ("127.0.0.1", "10.1.2.3", "::ffff:192.168.0.1", "8.8.8.8")]
    [True, True, True, False]
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return not found.is_global or found.is_multicast
