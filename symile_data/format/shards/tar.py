"""Read one WebDataset tar through its index: chosen columns of one row group, from any place.

A tar may come from a stranger. Nothing is extracted to disk, sizes are bounded before memory is allocated, and a
contradiction is an error that names the file and the row.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.location import Location, Range

from .limits import AGAIN, check_rows, check_size, unreadable
from .opened import OpenedShard
from .spans import SpanFile, Spans, fetch_spans
from .tar_headers import header_problem, header_ranges
from .tar_layout import ABSENT, BLOCK_BYTES, END_BYTES, FIELDS, Index, Member, field_columns, find_index, unpack_index
from .tar_members import MemberError, Payload, column_of, fields_of

MOST_MEMBER_BYTES = 1 << 28  # more than any image or audio of a dataset
MOST_JSON_BYTES = 1 << 22  # more than the labels of any row
MOST_INDEX_BYTES = 1 << 28

_KIND = "tar shard with an index of ours"
_FIRST_READ_BYTES = 1 << 16  # the index of most shards is within that of the end
_INDICES_KEPT = 64


class TarShard(OpenedShard):
    """An opened tar. Its index is read again where it is needed, and the last few indices are kept."""

    kind = _KIND

    @property
    def members(self) -> tuple[Member, ...]:
        """The kinds of members of a row.

        Raises:
            DamageError: the file is missing or was replaced.
        """
        return self._index().members

    def column_bytes(self) -> dict[str, int]:
        """Return the bytes of each column's members, and those of the JSON under "json".

        Raises:
            DamageError: the file is missing or was replaced.
        """
        index = self._index()
        totals = np.maximum(index.sizes, 0).sum(axis=0).tolist()
        return {member.column or FIELDS: total for member, total in zip(index.members, totals, strict=True)}

    def problems(self) -> Sequence[str]:
        """Return a clause about the first header of the archive that differs from its index, or nothing.

        Raises:
            DamageError: the file is missing or was replaced.
        """
        index = self._index()
        try:
            headers = fetch_spans(self.location, self.name, header_ranges(index))
            problem = header_problem(SpanFile(headers, self.size), index)
        except OSError as error:
            raise self.unreadable(error) from None
        return () if problem is None else (problem,)

    def _index(self) -> Index:
        try:
            return _index_of(self.location, self.name, self.size, self.footer_sha256)
        except (OSError, ValueError) as error:
            raise self.unreadable(error) from None

    def _spans(self, groups: range, columns: Sequence[str]) -> Spans:
        index = self._index()
        try:
            return fetch_spans(self.location, self.name, _ranges(index, index.rows_of(groups), _kinds(index, columns)))
        except OSError as error:
            raise self.unreadable(error) from None

    def _read(self, groups: range, columns: Sequence[str]) -> pa.Table:
        index, spans = self._index(), self._spans(groups, columns)
        rows = index.rows_of(groups)
        fields = [name for name in field_columns(index.schema, index.members) if name in columns]
        kinds = _kinds(index, columns)
        found: dict[str, pa.Array] = {}
        for kind in kinds:
            member = index.members[kind]
            try:
                payloads = _payloads(index, rows, kind, spans)
                if member.kind == "fields":
                    found |= fields_of(payloads, index.schema, fields)
                else:
                    found[member.column] = column_of(payloads, member.kind, index.schema.field(member.column).type)
            except MemberError as error:
                place = f"{self.location.where(self.name)}, row {rows.start + error.row}"
                raise _damaged(member.suffix, place, error.problem) from None
            except ValueError as error:
                raise _damaged(member.suffix, self.location.where(self.name), str(error)) from None
        wanted = pa.schema([index.schema.field(name) for name in columns], metadata=index.schema.metadata)
        return pa.Table.from_arrays([found[name] for name in columns], schema=wanted)


def open_tar(location: Location, name: str, *, size: int | None = None, rows: int | None = None) -> TarShard:
    """Read a shard's index.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Size in bytes according to the manifest.
        rows: Number of rows according to the manifest.

    Raises:
        DamageError: the file is missing or truncated, has no index or an impossible one, or differs from the manifest.
    """
    actual = check_size(location, name, size)
    try:
        contents, checksum, start = _read_index(location, name, actual)
        index = unpack_index(contents, checksum)
        _check(index, start)
    except (OSError, ValueError) as error:
        raise unreadable(location, name, error, _KIND) from None
    check_rows(location, name, sum(index.group_rows), rows)
    sha256 = hashlib.sha256(contents).hexdigest()
    return TarShard(
        location=location,
        name=name,
        size=actual,
        group_rows=index.group_rows,
        footer_sha256=sha256,
        schema=index.schema,
    )


@lru_cache(maxsize=_INDICES_KEPT)
def _index_of(location: Location, name: str, size: int, sha256: str) -> Index:
    """Read the index of an open shard again.

    Raises:
        OSError: the file is missing or was replaced.
        ValueError: the file has no index.
    """
    contents, checksum, _ = _read_index(location, name, size)
    if hashlib.sha256(contents).hexdigest() != sha256:
        raise OSError("it was replaced by another file since it was opened")
    return unpack_index(contents, checksum)


def _read_index(location: Location, name: str, size: int) -> tuple[bytes, int | None, int]:
    """Read the index's Arrow stream, its checksum (None in archives without one), and the byte at which it starts.

    Raises:
        OSError: the file is missing or became shorter.
        ValueError: the file has no index.
    """
    tail = location.read(name, max(size - _FIRST_READ_BYTES, 0), size)
    found = find_index(tail)
    start = size - END_BYTES - found.occupied
    if found.length > MOST_INDEX_BYTES or start < BLOCK_BYTES:
        raise ValueError(f"its index claims {found.length} bytes")
    within = start - (size - len(tail))
    if within < 0:
        return location.read(name, start, start + found.length), found.checksum, start
    return tail[within : within + found.length], found.checksum, start


def _check(index: Index, start: int) -> None:
    """Refuse an impossible index.

    Args:
        index: The index as it was read.
        start: The byte of the file at which the index's contents start.

    Raises:
        ValueError: a size is impossible, or the described rows do not fill the archive.
    """
    if (index.sizes < ABSENT).any() or (index.sizes[:, 0] == ABSENT).any():
        raise ValueError("its index has impossible sizes")
    if (index.sizes > MOST_MEMBER_BYTES).any():
        raise ValueError(f"a member of {index.sizes.max()} bytes, more than the {MOST_MEMBER_BYTES} that are accepted")
    if (index.sizes[:, 0] > MOST_JSON_BYTES).any():
        raise ValueError(
            f"a row's JSON of {index.sizes[:, 0].max()} bytes, more than the {MOST_JSON_BYTES} that are accepted"
        )
    if index.end + BLOCK_BYTES != start:
        raise ValueError(f"its index describes {index.end} bytes of rows, the archive has {start - BLOCK_BYTES}")


def _kinds(index: Index, columns: Sequence[str]) -> list[int]:
    """Return the numbers of the members that hold the named columns; the first one is the JSON of a row."""
    fields = any(name in columns for name in field_columns(index.schema, index.members))
    return [kind for kind, member in enumerate(index.members) if member.column in columns or (kind == 0 and fields)]


def _ranges(index: Index, rows: slice, kinds: Sequence[int]) -> Iterator[Range]:
    for kind in kinds:
        starts, sizes = index.starts[rows, kind], index.sizes[rows, kind]
        present = sizes >= 0
        yield from zip(starts[present].tolist(), (starts + sizes)[present].tolist(), strict=True)


def _payloads(index: Index, rows: slice, kind: int, spans: Spans) -> list[Payload]:
    """Return the contents of the members of one kind, None where a row has none.

    Raises:
        MemberError: the bytes of a member do not match its checksum.
    """
    starts, sizes = index.starts[rows, kind].tolist(), index.sizes[rows, kind].tolist()
    found = [None if size < 0 else spans.get(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    if index.checksums is not None:
        for row, (payload, checksum) in enumerate(zip(found, index.checksums[rows, kind].tolist(), strict=True)):
            if payload is not None and zlib.crc32(payload) != checksum:
                raise MemberError(row, "its bytes do not match its checksum: they were damaged or edited")
    return found


def _damaged(suffix: str, where: str, got: str) -> DamageError:
    return DamageError(
        f"the .{suffix} member of a row cannot be read", where=where, got=" ".join(got.split())[:200], do=AGAIN
    )
