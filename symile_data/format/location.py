"""Where a dataset's files are: a local directory, or a directory behind an fsspec URL (s3://, hf://, https://, ...).

A read names a file relative to the directory and the wanted byte ranges; nothing else is fetched. A failed remote read
is repeated a few times, unless another attempt cannot help. Local files are read without fsspec. Untrusted contents are
bounded: whole files and listings in size, local files to regular ones, web servers by `symile_data.format.web`.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from symile_data.errors import UsageError
from symile_data.files import RefusedError, open_regular
from symile_data.progress import note

from .remote_cache import RemoteCache
from .typed_json import MOST_BYTES, read_text

RETRY_PAUSES_S = (0.5, 2.0, 8.0)  # between the attempts of a remote read
_ANSWERED: set[str] = set()  # hosts that answered this process at least once
_MOST_REASON = 200  # letters of an error in a note
MOST_ENTRIES = 1 << 18  # of a folder; 33 million rows in shards of 1,000 are 33,000 files

_PASSING_STATUS = (408, 425, 429)  # HTTP statuses below 500 after which another attempt may succeed

Range = tuple[int, int]  # [start, stop) in bytes
Piece = bytes | memoryview  # a view of a file that is in memory already

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Location:
    """A directory, made by `Location.of`.

    Args:
        url: The path or URL as given, without a final slash; messages show it.
        root: The path within the file system.
        system: An fsspec file system; None for local directories.
        cache: Keeps the bytes that are read; None for local directories and where none is wanted.
    """

    url: str
    root: str
    system: Any = None
    cache: RemoteCache | None = None

    @classmethod
    def of(cls, place: str | Path | Location) -> Location:
        """Make a location from a path or an fsspec URL.

        Raises:
            UsageError: the kind of URL is unknown, or needs another package.
        """
        if isinstance(place, Location):
            return place
        text = str(place)
        if isinstance(place, Path) or ("://" not in text and "::" not in text):
            return cls(text, text)
        if text.startswith(("http://", "https://")) and "::" not in text:
            from .web import WebServer

            return cls(text.rstrip("/"), text.rstrip("/"), WebServer())
        import fsspec

        try:
            system, root = fsspec.core.url_to_fs(text)
        except (ImportError, ValueError) as error:  # both say what is missing
            raise UsageError("this kind of location cannot be opened", got=text, do=str(error)) from None
        found = cls(text.rstrip("/"), root.rstrip("/"), system)
        return cls(root, root) if "file" in found._protocols else found

    def __str__(self) -> str:
        return self.url

    def with_cache(self, cache: RemoteCache | None) -> Location:
        """Return the directory with its reads going through a cache; a local one stays as it is."""
        return self if self.system is None else replace(self, cache=cache)

    def where(self, name: str) -> str:
        """Return the full name of a file of the directory, for messages."""
        return f"{self.url}/{name}"

    def path(self, name: str) -> Path | None:
        """Return a file's local path, or None if the directory is remote."""
        return Path(self.root, name) if self.system is None else None

    def is_directory(self) -> bool:
        """Tell whether the directory exists; remote ones are assumed to, as not all servers can list."""
        return Path(self.root).is_dir() if self.system is None else True

    def size(self, name: str) -> int:
        """Return the size of a file in bytes.

        Raises:
            OSError: the file does not exist, or the server does not tell its size.
        """
        if self.system is None:
            return Path(self.root, name).stat().st_size
        if self.cache is not None:
            return self.cache.size(self, name)
        found = _persistently(self._host, lambda: self.system.size(f"{self.root}/{name}"))
        if found is None:
            raise OSError("the server does not tell the file's size")
        return int(found)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read the byte range [start, stop).

        Raises:
            OSError: the file does not exist or cannot be reached, or fewer bytes arrive.
        """
        return bytes(self.read_ranges(name, [(start, stop)])[0])

    def read_ranges(self, name: str, ranges: Sequence[Range]) -> Sequence[Piece]:
        """Read several byte ranges, remote ones concurrently.

        Raises:
            OSError: the file does not exist or cannot be reached, or fewer bytes arrive.
        """
        if self.cache is not None:
            return self.cache.read(self, name, ranges)
        if self.system is not None:
            return self.fetch(name, ranges)
        with open_regular(Path(self.root, name)) as file:
            return [_whole(_pread(file.fileno(), stop - start, start), (start, stop)) for start, stop in ranges]

    def fetch(self, name: str, ranges: Sequence[Range]) -> Sequence[Piece]:
        """Read byte ranges of a remote file, past any cache.

        Raises:
            OSError: the file does not exist or cannot be reached, or fewer bytes arrive.
        """
        return _persistently(self._host, lambda: self._fetch(name, ranges))

    def describe(self, name: str) -> dict[str, Any]:
        """Return what the file system says of a remote file: its size, and what tells its version.

        Raises:
            OSError: the file does not exist or cannot be reached.
        """
        return dict(_persistently(self._host, lambda: self.system.info(f"{self.root}/{name}")))

    def read_text(self, name: str, most_bytes: int = MOST_BYTES) -> str:
        """Read a whole UTF-8 file.

        Raises:
            OSError: the file does not exist, is no regular file, or cannot be reached.
            ValueError: the file is larger than `most_bytes` or no UTF-8.
        """
        if self.system is None:
            return read_text(Path(self.root, name), most_bytes)
        from .web import WebServer

        full = f"{self.root}/{name}"
        if isinstance(self.system, WebServer):  # the size that it reports may be wrong
            data = _persistently(self._host, lambda: self.system.read_at_most(full, most_bytes))
        elif self.size(name) <= most_bytes:
            data = _persistently(self._host, lambda: self.system.cat_file(full))
        else:
            raise ValueError(f"more than {most_bytes >> 20} MiB")
        return bytes(data).decode("utf-8")

    def listed(self, folder: str = "") -> list[str]:
        """Return sorted names, relative to the directory, of everything in a folder but folders; none if it does not
        exist. Names of devices and the like are included, so that no shard is skipped silently.

        Raises:
            OSError: the folder cannot be listed, or has more than `MOST_ENTRIES` entries.
        """
        return self._entries(folder, "file")

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders in a folder, as `listed` does for files."""
        return self._entries(folder, "directory")

    def _entries(self, folder: str, kind: str) -> list[str]:
        prefix = f"{folder}/" if folder else ""
        found = _local_entries(Path(self.root, folder)) if self.system is None else self._remote_entries(folder)
        return sorted(prefix + name for name, type_ in found if type_ == kind)

    def _remote_entries(self, folder: str) -> set[tuple[str, str]]:
        path = f"{self.root}/{folder}".rstrip("/")
        try:
            # A web server's folder is an HTML page, under an address that ends in a slash.
            found = _persistently(self._host, lambda: self.system.ls(f"{path}/", detail=True))
        except FileNotFoundError:
            return set()
        if len(found) > MOST_ENTRIES:
            raise RefusedError(f"a folder of more than {MOST_ENTRIES} entries")
        inside = path.rpartition("://")[2]
        parts = [(*entry["name"].rstrip("/").rpartition("/"), entry.get("type", "file")) for entry in found]
        return {(name, type_) for parent, _, name, type_ in parts if parent.endswith(inside)}

    @property
    def _host(self) -> str:
        """Scheme and host of a web server or the like; of other systems the first part of the path."""
        scheme, marks, rest = self.url.partition("://")
        return scheme + marks + rest.partition("/")[0]

    @property
    def _protocols(self) -> tuple[str, ...]:
        protocol = getattr(self.system, "protocol", ())
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def _fetch(self, name: str, ranges: Sequence[Range]) -> list[Piece]:
        full = f"{self.root}/{name}"
        starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
        # The Hub's files would read five megabytes ahead of what is asked for.
        options = {"cache_type": "none"} if "hf" in self._protocols else {}
        if len(ranges) == 1:
            found = [self.system.cat_file(full, start=starts[0], end=stops[0], **options)]
        else:
            found = self.system.cat_ranges([full] * len(ranges), starts, stops, on_error="raise", **options)
        pieces = [data if isinstance(data, memoryview) else bytes(data) for data in found]
        return [_whole(piece, asked) for piece, asked in zip(pieces, ranges, strict=True)]


def _pread(descriptor: int, count: int, offset: int) -> bytes:
    """Read the range as far as the file goes; one system call stops at 2 GiB or at a signal."""
    data = os.pread(descriptor, count, offset)
    if len(data) == count:
        return data
    parts = [data]
    while data:
        got = sum(map(len, parts))
        data = os.pread(descriptor, count - got, offset + got)
        parts.append(data)
    return b"".join(parts)


def _whole(data: Piece, asked: Range) -> Piece:
    expected = asked[1] - asked[0]
    if len(data) != expected:
        raise OSError(
            f"{len(data)} bytes where {expected} were asked for: the file is shorter, or its server knows no ranges"
        )
    return data


def _local_entries(folder: Path) -> list[tuple[str, str]]:
    try:
        with os.scandir(folder) as entries:
            found = [
                (entry.name, "directory" if entry.is_dir() else "file")
                for entry in itertools.islice(entries, MOST_ENTRIES + 1)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    if len(found) > MOST_ENTRIES:
        raise RefusedError(f"a folder of more than {MOST_ENTRIES} entries")
    return found


def _persistently(host: str, attempt: Callable[[], _Found]) -> _Found:
    """Make a remote call, and repeat it after failures that may pass, which is said once.

    A host that has never answered and does not exist or refuses connections is asked twice only: its address is
    probably misspelt.

    Raises:
        OSError: every attempt failed, or another attempt cannot help.
    """
    for count, pause_s in enumerate((*RETRY_PAUSES_S, None)):
        try:
            found = attempt()
        except Exception as error:  # file systems raise errors of their own client libraries
            hopeless = _is_final(error) or (count > 0 and host not in _ANSWERED and _is_unreachable(error))
            if pause_s is not None and not hopeless:
                if count == 1 or (count == 0 and not _is_unreachable(error)):
                    note(f"{host} does not answer as it should ({_reason(error)}); trying again")
                time.sleep(pause_s)
            elif isinstance(error, OSError):
                raise
            else:
                raise OSError(f"{type(error).__name__}: {error}") from error
        else:
            _ANSWERED.add(host)
            return found
    raise AssertionError("the last attempt returns or raises")


def _is_unreachable(error: Exception) -> bool:
    """Tell whether a host does not exist, or refuses connections."""
    cause = getattr(error, "os_error", None) or error  # aiohttp's, when connecting
    return isinstance(cause, ConnectionRefusedError | socket.gaierror) or type(error).__name__.endswith("DNSError")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:_MOST_REASON] or type(error).__name__


def _is_final(error: Exception) -> bool:
    """Tell whether another attempt would fail too: the file does not exist, or one side refuses."""
    if isinstance(error, FileNotFoundError | PermissionError | RefusedError):
        return True
    if isinstance(getattr(error, "os_error", None), RefusedError):  # aiohttp's, when connecting
        return True
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and 300 <= status < 500 and status not in _PASSING_STATUS
