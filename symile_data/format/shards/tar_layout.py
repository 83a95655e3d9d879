"""Define how rows lie in a WebDataset tar: which member holds which column, and the index at the end of the archive.

A row consists of `<key>.json` and one member for each modality that it has: `<key>.jpg`, `<key>.flac`, `<key>.txt`, or
`<key>.<column>.npy` for lists of numbers. The JSON holds every other column, masks included. The last member,
`__index__`, serves the archive as the footer serves a Parquet file: it has the typed schema and the size and checksum
of every member, so that rows can be read in any order, and labels without media. WebDataset readers skip such names.

The index begins with an Arrow stream. It has one record batch for each row group, an int64 column of sizes for each
kind of member (-1 where absent), as many uint32 columns with the members' CRC-32 (0 where absent), and the rows' schema
in its metadata. Zeros fill the member up to a multiple of 512 bytes. Its last 24 bytes are the CRC-32 and the length of
the stream (little-endian) and a mark. Two zero blocks end the archive. Archives of symile-data 0.1 have another mark
and no checksums.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.schema import DatasetSchema, Modality

from .arrow_numpy import numbers
from .limits import ChecksumError

if TYPE_CHECKING:
    from datasets import Features

FIELDS = "json"  # suffix of the member that holds the columns without a member of their own
INDEX_NAME = "__index__"
BLOCK_BYTES = 512
END_BYTES = 2 * BLOCK_BYTES  # of zeros
MARK = b"SYMILE02"
LOCATOR_BYTES = 8 + 8 + len(MARK)
ABSENT = -1
_MOST_SUFFIX_BYTES = 80  # a header holds 100, and a key has 9 digits, or 19 where ids are as long

_MEDIA_FIELDS = {("bytes", pa.binary()), ("path", pa.string())}

_UNCHECKED_MARK = b"SYMILE01"
_UNCHECKED_LOCATOR_BYTES = 8 + len(_UNCHECKED_MARK)

_MEMBERS, _SCHEMA = b"members", b"schema"

Sizes = npt.NDArray[np.int64]
Checksums = npt.NDArray[np.uint32]
Kind = Literal["fields", "media", "text", "array"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One kind of member.

    Args:
        suffix: The part of its name after the key and a dot.
        column: The column that it holds; empty for the JSON.
        kind: The encoding: "fields" is JSON, "media" the bytes of a media file, "text" UTF-8, "array" a .npy file.
    """

    suffix: str
    column: str
    kind: Kind


def members_of(schema: pa.Schema, modalities: Sequence[Modality]) -> tuple[Member, ...]:
    """Return the kinds of members of a row, in the order in which they lie.

    >>> words = Modality(name="text", kind="text", column="text", null_columns=("text",))
    >>> bits = Modality(name="a", kind="vector", column="a", null_columns=("a",))
    >>> schema = pa.schema([("text", pa.string()), ("a", pa.list_(pa.float32(), 5))])
    >>> [member.suffix for member in members_of(schema, (words, bits))]
    ['json', 'txt', 'a.npy']
    """
    own: dict[Modality, Kind] = {
        m: kind for m in modalities if (kind := _kind(schema.field(m.column).type)) is not None
    }
    suffixes = [modality.suffix for modality in own]
    members = [Member(suffix=FIELDS, column="", kind="fields")]
    for modality, kind in own.items():
        # Arrays always carry the column's name, because "npy" does not tell what they hold.
        alone = kind != "array" and suffixes.count(modality.suffix) == 1
        suffix = modality.suffix if alone else f"{modality.column}.{modality.suffix}"
        members.append(Member(suffix=suffix, column=modality.column, kind=kind))
    return tuple(members)


def check_suffixes(schema: pa.Schema, modalities: Sequence[Modality]) -> None:
    """Refuse columns after which no member can be called: `webdataset` and `datasets` would read other rows.

    Raises:
        UsageError: the message names the column.
    """
    taken: dict[str, str] = {}
    for member in members_of(schema, modalities):
        suffix = member.suffix.lower()
        if any(letter in suffix for letter in "/\0") or len(suffix.encode()) > _MOST_SUFFIX_BYTES:
            reason = f"after its key, a member's name has at most {_MOST_SUFFIX_BYTES} bytes and no /"
        elif member.column in taken.values():
            reason = "two modalities share it, and a member belongs to one"
        elif suffix in taken:
            reason = f"its members are called like those of {taken[suffix] or 'the labels'}, as readers ignore case"
        else:
            taken[suffix] = member.column
            continue
        raise UsageError(
            f"a tar cannot hold a column in files of its own: {reason}",
            got=repr(member.column),
            do="rename the column, or write Parquet",
        )


def field_columns(schema: pa.Schema, members: Sequence[Member]) -> list[str]:
    """Return the columns that the JSON holds."""
    own = {member.column for member in members}
    return [name for name in schema.names if name not in own]


def hub_features(schema: DatasetSchema) -> Features:
    """Return the columns as `datasets` finds them in the tar: one for each kind of member, with the JSON as one struct.

    Audio stays bytes, because `datasets` cannot even list it otherwise without torchcodec.
    """
    from datasets import Features, Value

    members = members_of(schema.arrow, schema.modalities)
    columns: dict[str, Any] = {"__key__": Value("string"), "__url__": Value("string")}
    for member in members:
        if member.kind == "fields":
            columns[member.suffix] = {name: schema.features[name] for name in field_columns(schema.arrow, members)}
        elif type(schema.features[member.column]).__name__ == "Audio":
            columns[member.suffix] = Value("binary")
        else:
            columns[member.suffix] = schema.features[member.column]
    return Features(columns)


@dataclass(frozen=True)
class Index:
    """The index of one archive. Rows are numbered through all row groups; there are K kinds of members.

    Args:
        schema: Arrow schema of the rows.
        members: The K kinds of members, in the order in which they lie.
        group_rows: Rows in each row group.
        sizes: (rows, K) int64 sizes of the members in bytes, -1 where absent.
        checksums: (rows, K) uint32 CRC-32 of each member's contents, 0 where absent; None in archives without them.
    """

    schema: pa.Schema
    members: tuple[Member, ...]
    group_rows: tuple[int, ...]
    sizes: Sizes
    checksums: Checksums | None

    @cached_property
    def starts(self) -> Sizes:
        """The (rows, K) int64 first byte of each member's contents; without meaning where it is absent."""
        spans = occupied(self.sizes).ravel()
        return (np.cumsum(spans) - spans + BLOCK_BYTES).reshape(self.sizes.shape)

    @property
    def end(self) -> int:
        """The bytes that all rows occupy, which is the offset of the index's own header."""
        return int(occupied(self.sizes).sum())

    def rows_of(self, groups: range) -> slice:
        """Return the rows of consecutive row groups."""
        first = sum(self.group_rows[: groups.start])
        return slice(first, first + sum(self.group_rows[groups.start : groups.stop]))


def occupied(sizes: Sizes) -> Sizes:
    """Return the bytes that members of these sizes occupy with header and padding; 0 for absent members.

    >>> occupied(np.array([-1, 0, 1, 512, 513])).tolist()
    [0, 512, 1024, 1024, 1536]
    """
    blocks = -(-sizes // BLOCK_BYTES) + 1
    return np.where(sizes < 0, 0, blocks * BLOCK_BYTES)


def pack_index(schema: pa.Schema, members: Sequence[Member], groups: Sequence[tuple[Sizes, Checksums]]) -> bytes:
    """Return the contents of the index member.

    Args:
        schema: Arrow schema of the rows.
        members: The K kinds of members.
        groups: For each row group the (rows, K) sizes and checksums of its members.
    """
    described: Mapping[bytes, bytes] = {
        _MEMBERS: json.dumps([asdict(member) for member in members]).encode(),
        _SCHEMA: schema.serialize().to_pybytes(),
    }
    sizes = [(member.suffix, pa.int64()) for member in members]
    checksums = [(f"{member.suffix} CRC-32", pa.uint32()) for member in members]
    columns = pa.schema([*sizes, *checksums], metadata=described)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns) as writer:
        for group in groups:
            arrays = [pa.array(np.ascontiguousarray(column)) for part in group for column in part.T]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=columns))
    stream = sink.getvalue().to_pybytes()
    padding = -(len(stream) + LOCATOR_BYTES) % BLOCK_BYTES
    numbers = [number.to_bytes(8, "little") for number in (zlib.crc32(stream), len(stream))]
    contents: bytes = stream + bytes(padding) + b"".join(numbers) + MARK
    return contents


@dataclass(frozen=True)
class Locator:
    """The end of the index, from which its beginning is found.

    Args:
        length: Bytes of the Arrow stream.
        occupied: Bytes of the index's contents, with padding and locator.
        checksum: CRC-32 of the stream; None in archives without one.
    """

    length: int
    occupied: int
    checksum: int | None


def find_index(tail: bytes) -> Locator:
    """Find the index from the last bytes of an archive, of which `LOCATOR_BYTES + END_BYTES` are needed.

    Raises:
        ValueError: the archive does not end in an index.
    """
    end = len(tail) - END_BYTES
    mark = tail[max(end - len(MARK), 0) : max(end, 0)]
    if mark not in (MARK, _UNCHECKED_MARK) or end < LOCATOR_BYTES or any(tail[end:]):
        raise ValueError("it does not end in an index: cut short, repacked, or not written by symile-data")
    checked = mark == MARK
    length = int.from_bytes(tail[end - len(MARK) - 8 : end - len(MARK)], "little")
    checksum = int.from_bytes(tail[end - LOCATOR_BYTES : end - LOCATOR_BYTES + 8], "little") if checked else None
    locator = LOCATOR_BYTES if checked else _UNCHECKED_LOCATOR_BYTES
    return Locator(length, -(-(length + locator) // BLOCK_BYTES) * BLOCK_BYTES, checksum)


def unpack_index(contents: bytes, checksum: int | None = None) -> Index:
    """Read what `pack_index` wrote.

    Args:
        contents: The Arrow stream.
        checksum: Its CRC-32, or None in archives without one.

    Raises:
        ValueError: the stream is no index.
        ChecksumError: it does not match its checksum.
    """
    if checksum is not None and zlib.crc32(contents) != checksum:
        raise ChecksumError("its index does not match its checksum")
    try:
        with pa.ipc.open_stream(contents) as reader:
            described = reader.schema.metadata or {}
            members = tuple(Member(**value) for value in json.loads(described[_MEMBERS]))
            schema = pa.ipc.read_schema(pa.py_buffer(described[_SCHEMA]))
            with_checksums = len(reader.schema) == 2 * len(members)
            groups = [_group(batch, len(members)) for batch in reader]
    except (pa.ArrowException, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"its index cannot be read ({error})") from None
    _check_members(members, schema)
    none = np.empty((0, len(members)))
    sizes = np.concatenate([none.astype(np.int64), *(sizes for sizes, _ in groups)])
    checksums = np.concatenate([none.astype(np.uint32), *(found for _, found in groups)]) if with_checksums else None
    return Index(schema, members, tuple(len(sizes) for sizes, _ in groups), sizes, checksums)


def _check_members(members: Sequence[Member], schema: pa.Schema) -> None:
    """Refuse members that rows of this schema cannot have.

    Raises:
        ValueError: the members are not the JSON followed by columns of fitting types, each once.
    """
    if "" in schema.names or len(set(schema.names)) != len(schema.names):
        raise ValueError("its index has a column without a name, or one name twice")
    first, *others = members or (None,)
    if first != Member(suffix=FIELDS, column="", kind="fields") or any(o.column not in schema.names for o in others):
        raise ValueError("its index names no JSON, or a column that its schema lacks")
    if len({member.column for member in members}) != len(members):
        raise ValueError("its index has two members for one column")
    for member in others:
        if member.kind != _kind(schema.field(member.column).type):
            raise ValueError(f"its index has column {member.column!r} as {member.kind!r}, which its type cannot be")


@lru_cache(maxsize=64)
def array_header(kind: pa.DataType) -> bytes:
    """Return the header of the .npy file of a fixed-size list of numbers; its little-endian numbers follow."""
    described = {
        "descr": np.lib.format.dtype_to_descr(array_dtype(kind)),
        "fortran_order": False,
        "shape": (kind.list_size,),
    }
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def array_dtype(kind: pa.DataType) -> np.dtype[Any]:
    """Return the little-endian dtype in which the numbers of a fixed-size list are stored."""
    dtype: np.dtype[Any] = np.dtype(kind.value_type.to_pandas_dtype())
    return dtype.newbyteorder("<")


def _kind(kind: pa.DataType) -> Kind | None:
    """Return the encoding of a modality's column, or None if it stays in the JSON."""
    if pa.types.is_binary(kind) or _is_media(kind):
        return "media"
    if pa.types.is_string(kind):
        return "text"
    if pa.types.is_fixed_size_list(kind) and (
        pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)
    ):
        return "array"
    return None


def _is_media(kind: pa.DataType) -> bool:
    """Tell whether a column has the type that `datasets` gives images and audio: bytes and a path. A forged index may
    ask for other fields, whose nulls alone could fill the memory (a list of two thousand million numbers in each row).
    """
    return pa.types.is_struct(kind) and {(field.name, field.type) for field in kind} == _MEDIA_FIELDS


def _group(batch: pa.RecordBatch, members: int) -> tuple[Sizes, Checksums]:
    """Return the (rows, K) sizes and checksums of one row group of an index that may be forged; the checksums are 0 if
    the archive has none.
    """
    batch.validate(full=True)
    types = [pa.int64()] * members + [pa.uint32()] * (batch.num_columns - members)
    if batch.num_columns not in (members, 2 * members) or batch.schema.types != types:
        raise ValueError("sizes that are no whole numbers")
    if any(column.null_count for column in batch.columns):
        raise ValueError("a size or checksum is null")
    columns = [numbers(column) for column in batch.columns]
    sizes = np.stack(columns[:members], axis=1)
    if len(columns) == members:
        return sizes, np.zeros(sizes.shape, dtype=np.uint32)
    return sizes, np.stack(columns[members:], axis=1)
