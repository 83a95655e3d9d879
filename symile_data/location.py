"""Where a dataset's files are: a local directory, or a directory behind an fsspec URL (s3://, hf://, https://, ...).

Reads name a file relative to the directory and the byte ranges that are wanted; nothing else is fetched. A remote
read that fails is repeated a few times before it is an error. Local files cost no copy through fsspec.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from symile_data.errors import UsageError

RETRY_PAUSES_S = (0.5, 2.0, 8.0)  # between the attempts of a remote read

Range = tuple[int, int]  # [start, stop) in bytes

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Location:
    """A directory. Made by `Location.of`.

    Args:
        url: As given, without a final slash; what messages show.
        root: Its path within the file system.
        system: An fsspec file system; None for local directories.
    """

    url: str
    root: str
    system: Any = None

    @classmethod
    def of(cls, place: str | Path | Location) -> Location:
        """From a path or an fsspec URL.

        Raises:
            UsageError: a URL of an unknown kind, or of one that needs another package.
        """
        if isinstance(place, Location):
            return place
        text = str(place)
        if isinstance(place, Path) or ("://" not in text and "::" not in text):
            return cls(text, text)
        import fsspec

        try:
            system, root = fsspec.core.url_to_fs(text)
        except (ImportError, ValueError) as error:  # both say what is missing
            raise UsageError("this kind of location cannot be opened", got=text, do=str(error)) from None
        if "file" in ([system.protocol] if isinstance(system.protocol, str) else system.protocol):
            return cls(root, root)
        return cls(text.rstrip("/"), root.rstrip("/"), system)

    def __str__(self) -> str:
        return self.url

    def where(self, name: str) -> str:
        """A file of the directory, for messages."""
        return f"{self.url}/{name}"

    def path(self, name: str) -> Path | None:
        """A file's local path; None where the directory is remote."""
        return Path(self.root, name) if self.system is None else None

    def is_directory(self) -> bool:
        """Whether it exists. Servers without listings are given the benefit of the doubt."""
        return Path(self.root).is_dir() if self.system is None else True

    def size(self, name: str) -> int:
        """Bytes of a file.

        Raises:
            OSError: no such file, or the server does not say.
        """
        if self.system is None:
            return Path(self.root, name).stat().st_size
        found = _persistently(lambda: self.system.size(f"{self.root}/{name}"), final=(FileNotFoundError,))
        if found is None:
            raise OSError("the server does not tell the file's size")
        return int(found)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """One byte range; shorter only where nothing was asked.

        Raises:
            OSError: the file is gone, shorter than that, or cannot be reached.
        """
        return self.read_ranges(name, [(start, stop)])[0]

    def read_ranges(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """Several byte ranges, remote ones at the same time.

        Raises:
            OSError: the file is gone, too short, or cannot be reached.
        """
        if self.system is not None:
            return _persistently(lambda: self._fetch(name, ranges))
        with Path(self.root, name).open("rb", buffering=0) as file:
            return [_whole(_pread(file.fileno(), stop - start, start), (start, stop)) for start, stop in ranges]

    def read_text(self, name: str) -> str:
        """A whole UTF-8 file.

        Raises:
            OSError: there is none, or it cannot be reached.
        """
        if self.system is None:
            return Path(self.root, name).read_text(encoding="utf-8")
        data = _persistently(lambda: self.system.cat_file(f"{self.root}/{name}"), final=(FileNotFoundError,))
        return bytes(data).decode("utf-8")

    def listed(self, folder: str = "") -> list[str]:
        """Names of the files in a folder, relative to the directory and sorted; none where it does not exist."""
        return self._entries(folder, "file")

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders in a folder, as `listed`."""
        return self._entries(folder, "directory")

    def _entries(self, folder: str, kind: str) -> list[str]:
        prefix = f"{folder}/" if folder else ""
        if self.system is None:
            base = Path(self.root, folder)
            paths = list(base.iterdir()) if base.is_dir() else []
            wanted = [path.name for path in paths if (path.is_dir() if kind == "directory" else path.is_file())]
        else:
            wanted = self._remote_entries(folder, kind)
        return sorted(prefix + name for name in wanted)

    def _remote_entries(self, folder: str, kind: str) -> list[str]:
        path = f"{self.root}/{folder}".rstrip("/")
        try:
            # A web server's folder is an HTML page, under an address that ends in a slash.
            found = _persistently(lambda: self.system.ls(f"{path}/", detail=True), final=(FileNotFoundError,))
        except FileNotFoundError:
            return []
        named = [(entry["name"], entry.get("type", "file")) for entry in found]
        # Of a page's links only those that lead into the folder; its folders end in a slash.
        inside = [(name.rstrip("/"), "directory" if name.endswith("/") else type_) for name, type_ in named]
        return list(
            {
                name.rpartition("/")[2]
                for name, type_ in inside
                if type_ == kind and name.rpartition("/")[0].endswith(path.rpartition("://")[2])
            }
        )

    def _fetch(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        full = f"{self.root}/{name}"
        starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
        if len(ranges) == 1:
            found = [self.system.cat_file(full, start=starts[0], end=stops[0])]
        else:
            found = self.system.cat_ranges([full] * len(ranges), starts, stops, on_error="raise")
        return [_whole(bytes(data), asked) for data, asked in zip(found, ranges, strict=True)]


def _pread(descriptor: int, count: int, offset: int) -> bytes:
    """All of the range that the file has; a single call stops at 2 GiB or at a signal."""
    data = os.pread(descriptor, count, offset)
    if len(data) == count:
        return data
    parts = [data]
    while data:
        got = sum(map(len, parts))
        data = os.pread(descriptor, count - got, offset + got)
        parts.append(data)
    return b"".join(parts)


def _whole(data: bytes, asked: Range) -> bytes:
    expected = asked[1] - asked[0]
    if len(data) != expected:
        raise OSError(
            f"{len(data)} bytes where {expected} were asked for: the file is shorter, or its server knows no ranges"
        )
    return data


def _persistently(attempt: Callable[[], _Found], final: tuple[type[Exception], ...] = ()) -> _Found:
    """The result of a remote call, repeated where it fails.

    Args:
        attempt: The call.
        final: Errors that repeating cannot help.

    Raises:
        OSError: it failed each time.
    """
    for pause_s in RETRY_PAUSES_S:
        try:
            return attempt()
        except final:
            raise
        except Exception:  # file systems raise what their own client library raises
            time.sleep(pause_s)
    try:
        return attempt()
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
