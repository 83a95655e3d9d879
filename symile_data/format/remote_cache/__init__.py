"""Keep bytes of remote datasets on the local disk, within a limit, for all processes and later runs.

    open_split("s3://bucket/dataset", "train", remote_cache=RemoteCache("/scratch/cache", limit="50GB"))

What is kept are byte ranges of files: aligned blocks of a mebibyte for large reads, and small reads (footers, columns
of labels) as they were asked for. A key has the address of the file and what its server says of its version, so a file
that is replaced is fetched anew. `store` is the folder on the disk, which drops what was not used for longest.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.arguments import PLACE, check_argument
from symile_data.errors import UsageError
from symile_data.files import digest
from symile_data.progress.amounts import counted

from .store import BlockStore

if TYPE_CHECKING:
    from symile_data.format.location import Location, Piece, Range

BLOCK_BYTES = 1 << 20
SMALL_BYTES = BLOCK_BYTES // 8  # reads of at most so many bytes are kept as they are

_LEAST = "16 MiB"  # sixteen blocks
_SIZES = "give bytes as a whole number, or a text such as 500MB or 50GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?")

# What file systems say of a file that differs when the file is replaced; its size is always part of the key.
_VERSION = (
    *("ETag", "etag", "Content-MD5", "Digest", "md5Hash", "content_md5", "checksum", "sha256", "oid", "blob_id"),
    *("xet_hash", "VersionId", "version_id", "generation", "Last-Modified", "LastModified", "last_modified"),
    *("mtime", "modified", "updated", "created"),
)

_Entry = tuple[str, int, int]  # key of the file, first byte, byte after the last


class RemoteCache:
    """A local cache of the bytes of remote datasets; any number of datasets, threads and processes may share one.

    Args:
        directory: Folder on a local disk, made if it does not exist.
        limit: Most bytes that it may take, 16 MiB at least: "500MB", "50GB" or "2TB", or a number of bytes. Give it
            room for a few windows of row groups.

    Raises:
        UsageError: the limit is no size, or less than 16 MiB.
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, directory: str | Path, limit: int | str = "10GB") -> None:
        check_argument("directory", directory, PLACE)
        self.limit = bytes_of(limit, "limit")
        if self.limit < bytes_of(_LEAST):
            raise UsageError(
                f"a cache of remote data needs a `limit` of {_LEAST} or more",
                got=f"{limit!r}, which is {counted(self.limit, 'byte')}",
                do='give a text with a unit, such as "10GB"; a number counts bytes',
            )
        self._store = BlockStore(Path(directory), self.limit)
        self._files: dict[tuple[str, str], tuple[str, int]] = {}
        self._coming: dict[_Entry, Future[bytes]] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process, as a loader may be sent to another one."""
        return {"limit": self.limit, "_store": self._store}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _files={}, _coming={}, _lock=threading.Lock())

    def size(self, location: Location, name: str) -> int:
        """Return the size of a file in bytes, as `Location.size` does."""
        return self._file(location, name)[1]

    def read(self, location: Location, name: str, ranges: Sequence[Range]) -> list[Piece]:
        """Read byte ranges of a file; those that are not here are fetched, ranges that touch in one request.

        Raises:
            OSError: the file does not exist or cannot be reached, or is shorter.
        """
        key, size = self._file(location, name)
        for _, stop in ranges:
            if stop > size:
                raise OSError(f"{size} bytes where {stop} were asked for: the file is shorter")
        asked = [_entries(key, start, stop, size) for start, stop in ranges]
        found = self._found(location, name, list(dict.fromkeys(entry for entries in asked for entry in entries)))
        return [_piece(entries, found, span) for entries, span in zip(asked, ranges, strict=True)]

    def _file(self, location: Location, name: str) -> tuple[str, int]:
        """Return a key of a file as it is now, and its size; the server is asked once."""
        place = (location.root, name)
        known = self._files.get(place)
        if known is None:
            told = location.describe(name)
            if told.get("size") is None:
                raise OSError("the server does not tell the file's size")
            version = {word: str(told[word]) for word in _VERSION if told.get(word) is not None}
            lfs = told.get("lfs")  # the Hub's record of a large file
            if isinstance(lfs, Mapping):
                version["lfs"] = str(lfs.get("sha256"))
            key = digest([location.url, name, int(told["size"]), version])
            known = self._files[place] = (key[:32], int(told["size"]))
        return known

    def _found(self, location: Location, name: str, entries: list[_Entry]) -> dict[_Entry, bytes]:
        """Return the bytes of entries from the disk, from another thread that is fetching them, or from the server."""
        found, missing = dict[_Entry, bytes](), list[_Entry]()
        for entry in entries:
            data = self._store.get(_file_name(entry), entry[2] - entry[1])
            if data is None:
                missing.append(entry)
            else:
                found[entry] = data
        with self._lock:
            others = {entry: self._coming[entry] for entry in missing if entry in self._coming}
            mine = {entry: Future[bytes]() for entry in missing if entry not in others}
            self._coming.update(mine)
        try:
            for entry, future in mine.items():  # another thread may have kept it since the first look
                data = self._store.get(_file_name(entry), entry[2] - entry[1])
                if data is not None:
                    future.set_result(data)
            self._fetch(location, name, {entry: future for entry, future in mine.items() if not future.done()})
        finally:
            with self._lock:
                for entry in mine:
                    del self._coming[entry]
        found |= {entry: future.result() for entry, future in mine.items()}
        for entry, future in others.items():
            try:
                found[entry] = future.result()
            except OSError:  # the other thread failed; this one reports its own error
                found |= self._found(location, name, [entry])
        return found

    def _fetch(self, location: Location, name: str, entries: Mapping[_Entry, Future[bytes]]) -> None:
        """Fetch entries, store them and fulfil their futures."""
        try:
            spans = _joined([(start, stop) for _, start, stop in entries])
            pieces = dict(zip(spans, location.fetch(name, spans), strict=True)) if spans else {}
            for entry, future in entries.items():
                _, start, stop = entry
                first, data = next((span[0], piece) for span, piece in pieces.items() if span[0] <= start < span[1])
                own = bytes(data[start - first : stop - first])
                self._store.put(_file_name(entry), own)
                future.set_result(own)
        except BaseException as error:
            for future in entries.values():
                if not future.done():
                    future.set_exception(error)
            raise


def bytes_of(size: int | str, argument: str = "size") -> int:
    """Return a number of bytes, from a number or a text such as "500MB" or "1.5 GiB".

    Args:
        size: The number or text.
        argument: Name of the argument that it was given as, for the message.

    Raises:
        UsageError: it is neither.

    >>> bytes_of("1.5GB"), bytes_of("2 MiB"), bytes_of(7)
    (1500000000, 2097152, 7)
    """
    check_argument(argument, size, int | str, _SIZES)
    match = _SIZE.fullmatch(str(size).strip().upper())
    if match is None:
        raise UsageError(f"`{argument}` is no number of bytes", got=repr(size), do=_SIZES)
    return int(float(match[1]) * _UNITS[match[2]])


def _entries(key: str, start: int, stop: int, size: int) -> list[_Entry]:
    """Return the entries that hold a byte range: itself where it is small, else aligned blocks."""
    if start == stop:
        return []
    if stop - start <= SMALL_BYTES:
        return [(key, start, stop)]
    blocks = range(start // BLOCK_BYTES * BLOCK_BYTES, stop, BLOCK_BYTES)
    return [(key, first, min(first + BLOCK_BYTES, size)) for first in blocks]


def _piece(entries: list[_Entry], found: Mapping[_Entry, bytes], asked: Range) -> bytes:
    """Put a byte range together from the entries that hold it."""
    if not entries:
        return b""
    first = entries[0][1]
    data = found[entries[0]] if len(entries) == 1 else b"".join(found[entry] for entry in entries)
    here = slice(asked[0] - first, asked[1] - first)
    return data if (here.start, here.stop) == (0, len(data)) else data[here]


def _joined(spans: list[Range]) -> list[Range]:
    """Join ranges that touch or overlap.

    >>> _joined([(4, 8), (0, 4), (10, 12)])
    [(0, 8), (10, 12)]
    """
    joined: list[Range] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _file_name(entry: _Entry) -> str:
    key, start, stop = entry
    return f"{key}-{start}-{stop}"
