"""How a row lies in a WebDataset tar: which member holds which column, and the index that ends the archive.

A row is `<key>.json` and one member for each modality that is present: `<key>.jpg`, `<key>.flac`, `<key>.txt`, or
`<key>.<column>.npy` for lists of numbers. The JSON holds every other column, masks among them. The last member,
`__index__`, is to the archive what the footer is to a Parquet file: the typed schema and the size and checksum of every
member, so that rows can be read in any order, and labels without media. WebDataset readers pass over names like that.

Its contents: an Arrow stream with one record batch for each row group, an int64 column of sizes for each kind of member
(-1 where absent) and then as many uint32 columns of the members' CRC-32 (0 where absent), the rows' schema in its
metadata; zeros up to a multiple of 512; in their last 24 bytes the stream's CRC-32 and length (little-endian) and a
mark. Two zero blocks follow and end the archive. Archives of symile-data 0.1 have no checksums, and another mark.
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

from symile_data.format.schema import DatasetSchema, Modality

if TYPE_CHECKING:
    from datasets import Features

FIELDS = "json"  # suffix of the member that holds the columns without a member of their own
INDEX_NAME = "__index__"
BLOCK_BYTES = 512
END_BYTES = 2 * BLOCK_BYTES  # of zeros
MARK = b"SYMILE02"
LOCATOR_BYTES = 8 + 8 + len(MARK)
ABSENT = -1

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
        suffix: What follows the key and a dot in its name.
        column: The column it holds; empty for the JSON.
        kind: How: "fields" as JSON, "media" as the file's own bytes, "text" as UTF-8, "array" as .npy.
    """

    suffix: str
    column: str
    kind: Kind


def members_of(schema: pa.Schema, modalities: Sequence[Modality]) -> tuple[Member, ...]:
    """The members of a row, in the order in which they lie.

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
        # Arrays are always told apart by name: their file type says nothing of what is in them.
        alone = kind != "array" and suffixes.count(modality.suffix) == 1
        suffix = modality.suffix if alone else f"{modality.column}.{modality.suffix}"
        members.append(Member(suffix=suffix, column=modality.column, kind=kind))
    return tuple(members)


def field_columns(schema: pa.Schema, members: Sequence[Member]) -> list[str]:
    """The columns that are in the JSON."""
    own = {member.column for member in members}
    return [name for name in schema.names if name not in own]


def hub_features(schema: DatasetSchema) -> Features:
    """The columns as `datasets` finds them in the tar: one for each kind of member, the JSON's as one struct.

    Sound stays bytes, since `datasets` cannot even list it otherwise without torchcodec.
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
    """Where everything lies in one archive. Rows are numbered through all groups; K kinds of member.

    Args:
        schema: Arrow schema of the rows.
        members: (K,).
        group_rows: Rows of each row group.
        sizes: (rows, K) bytes of each member, -1 where absent.
        checksums: (rows, K) CRC-32 of each member's contents, 0 where absent; None in archives that have none.
    """

    schema: pa.Schema
    members: tuple[Member, ...]
    group_rows: tuple[int, ...]
    sizes: Sizes
    checksums: Checksums | None

    @cached_property
    def starts(self) -> Sizes:
        """(rows, K) first byte of each member's contents; meaningless where absent."""
        spans = occupied(self.sizes).ravel()
        return (np.cumsum(spans) - spans + BLOCK_BYTES).reshape(self.sizes.shape)

    @property
    def end(self) -> int:
        """Bytes of all rows: where the index's own header is."""
        return int(occupied(self.sizes).sum())

    def group_slice(self, group: int) -> slice:
        """Rows of a group."""
        first = sum(self.group_rows[:group])
        return slice(first, first + self.group_rows[group])


def occupied(sizes: Sizes) -> Sizes:
    """Bytes that members of these sizes take, header and padding included; 0 for those that are absent.

    >>> occupied(np.array([-1, 0, 1, 512, 513])).tolist()
    [0, 512, 1024, 1024, 1536]
    """
    blocks = -(-sizes // BLOCK_BYTES) + 1
    return np.where(sizes < 0, 0, blocks * BLOCK_BYTES)


def pack_index(schema: pa.Schema, members: Sequence[Member], groups: Sequence[tuple[Sizes, Checksums]]) -> bytes:
    """Contents of the index member.

    Args:
        schema: Of the rows.
        members: K kinds.
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
    """What the end of the index says of its beginning.

    Args:
        length: Bytes of the Arrow stream.
        occupied: Bytes of the index's contents, with padding and locator.
        checksum: CRC-32 of the stream; None in archives that have none.
    """

    length: int
    occupied: int
    checksum: int | None


def find_index(tail: bytes) -> Locator:
    """Where the index is, from the last bytes of an archive: at least `LOCATOR_BYTES + END_BYTES` of them.

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
    """The inverse of `pack_index`.

    Args:
        contents: The Arrow stream.
        checksum: Its CRC-32, where the archive has it.

    Raises:
        ValueError: these are no contents of an index, or not those that were written.
    """
    if checksum is not None and zlib.crc32(contents) != checksum:
        raise ValueError("its index does not match its checksum: it was damaged or edited")
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
        ValueError: they are not the JSON and columns of their kinds, each once.
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
    """How the .npy file of a fixed-size list of numbers begins; its little-endian numbers follow and end it."""
    described = {
        "descr": np.lib.format.dtype_to_descr(array_dtype(kind)),
        "fortran_order": False,
        "shape": (kind.list_size,),
    }
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, described)
    return file.getvalue()


def array_dtype(kind: pa.DataType) -> np.dtype[Any]:
    """Of the numbers of a fixed-size list, as they are stored."""
    dtype: np.dtype[Any] = np.dtype(kind.value_type.to_pandas_dtype())
    return dtype.newbyteorder("<")


def _kind(kind: pa.DataType) -> Kind | None:
    """How a modality's column is stored; None where it stays in the JSON."""
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
    """Whether a column is of `datasets`' type of images and audio: bytes and a path. A forged index may ask for other
    fields, whose nulls alone could fill the memory (a list of two thousand million numbers in each row).
    """
    return pa.types.is_struct(kind) and {(field.name, field.type) for field in kind} == _MEDIA_FIELDS


def _group(batch: pa.RecordBatch, members: int) -> tuple[Sizes, Checksums]:
    """(rows, K) sizes and checksums of one row group of an index that may be forged; 0 checksums where it has none."""
    batch.validate(full=True)
    types = [pa.int64()] * members + [pa.uint32()] * (batch.num_columns - members)
    if batch.num_columns not in (members, 2 * members) or batch.schema.types != types:
        raise ValueError("sizes that are no whole numbers")
    if any(column.null_count for column in batch.columns):
        raise ValueError("a size or checksum is null")
    columns = [column.to_numpy() for column in batch.columns]
    sizes = np.stack(columns[:members], axis=1)
    if len(columns) == members:
        return sizes, np.zeros(sizes.shape, dtype=np.uint32)
    return sizes, np.stack(columns[members:], axis=1)
