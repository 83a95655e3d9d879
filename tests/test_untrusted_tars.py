"""Tar shards from strangers: any index, members and headers are read or refused, soon and in little memory."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tar_files import with_checksums

from symile_data.errors import SymileDataError
from symile_data.format.location import Location
from symile_data.format.shards import open_shard
from symile_data.format.shards.tar_layout import END_BYTES, INDEX_NAME, Member, occupied, pack_index

fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=2000)

FIELDS = Member(suffix="json", column="", kind="fields")
NAME = "x.tar"

types = st.sampled_from(
    [
        pa.string(),
        pa.binary(),
        pa.int64(),
        pa.bool_(),
        pa.float32(),
        pa.null(),
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        pa.struct([("bytes", pa.binary()), ("path", pa.list_(pa.int8(), 2**31 - 1))]),
        pa.struct([("path", pa.string())]),
        pa.struct([]),
        pa.list_(pa.int16(), 2),
        pa.list_(pa.float32(), 0),
        pa.list_(pa.float64(), 2**31 - 1),
        pa.list_(pa.float16(), 3),
        pa.list_(pa.decimal128(9, 2), 2),
        pa.list_(pa.string()),
        pa.list_(pa.struct([("a", pa.int8())])),
        pa.dictionary(pa.int8(), pa.string()),
        pa.timestamp("ns", "Nowhere/Nothing"),
        pa.month_day_nano_interval(),
        pa.large_string(),
        pa.string_view(),
        pa.run_end_encoded(pa.int32(), pa.string()),
        pa.map_(pa.string(), pa.int64()),
    ]
)
names = st.sampled_from(["a", "b", "json", "", "../a", "a/b", "\x1b[2J"]) | st.text(max_size=4)
kinds = st.sampled_from(["fields", "media", "text", "array", "none", ""])
contents = (
    st.none()
    | st.binary(max_size=40)
    | st.sampled_from(
        [b"{}", b"[" * 100_000, b'{"a": 1e999, "b": "\\ud800"}', b'{"a": ' + b"9" * 5000 + b"}", b"\xff\xfe", b"null"]
    )
    | st.dictionaries(names, st.none() | st.integers() | st.floats() | st.text(max_size=3), max_size=3).map(
        lambda value: json.dumps(value).encode()
    )
)


def member(name: str, data: bytes, kind: bytes = tarfile.REGTYPE, size: int | None = None, link: str = "") -> bytes:
    """One member as it lies in an archive."""
    header = tarfile.TarInfo(name)
    header.type, header.size, header.linkname = kind, len(data) if size is None else size, link
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogatepass") + data + bytes(-len(data) % 512)


def indexed(body: bytes, schema: pa.Schema, members: list[Member], groups: list[np.ndarray]) -> bytes:
    """An archive of these members, with its index and end."""
    packed = pack_index(schema, members, with_checksums(body, groups))
    return body + member(INDEX_NAME, packed) + bytes(END_BYTES)


def look(directory: Path) -> str:
    """What people do with a shard; our error, or nothing."""
    try:
        shard = open_shard(Location.of(directory), NAME)
        shard.column_bytes()
        assert all(problem.isprintable() for problem in shard.problems())
        for columns in (shard.schema.names[:1], shard.schema.names):
            for group in range(len(shard.group_rows)):
                assert shard.read(group, columns).num_rows == shard.group_rows[group]
            shard.read_all(columns)
    except SymileDataError as error:
        assert str(error).isprintable()
        return str(error)
    return ""


@fuzz
@given(st.data())
def test_an_index_of_any_kind_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Forged whole: the sizes are those of the members, so that nothing is refused for them alone."""
    columns = data.draw(st.lists(st.tuples(names, types), min_size=1, max_size=4))
    schema = pa.schema(columns)
    others = st.builds(Member, suffix=names, column=st.sampled_from(schema.names) | names, kind=kinds)
    members = [data.draw(st.just(FIELDS) | others), *data.draw(st.lists(others, max_size=3))]
    rows = data.draw(st.lists(st.lists(contents, min_size=len(members), max_size=len(members)), max_size=3))
    sizes = np.array([[-1 if cell is None else len(cell) for cell in row] for row in rows], dtype=np.int64)
    sizes = sizes.reshape(len(rows), len(members))
    body = b"".join(
        member(f"{row}.{kind.suffix}"[:90], cell)
        for row, cells in enumerate(rows)
        for kind, cell in zip(members, cells, strict=True)
        if cell is not None
    )
    assert len(body) == occupied(sizes).sum()
    (tmp_path / NAME).write_bytes(indexed(body, schema, members, [sizes]))
    look(tmp_path)


@fuzz
@given(st.data())
def test_sizes_of_any_kind_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    schema = pa.schema([("sample_id", pa.int64()), ("a", pa.binary())])
    members = [FIELDS, Member(suffix="jpg", column="a", kind="media")]
    numbers = st.integers(-2, 2000) | st.sampled_from([2**63 - 1, -(2**63), 2**62, 2**31, 2**28, 2**28 + 1])
    groups = [
        np.array(group, dtype=np.int64).reshape(-1, 2)
        for group in data.draw(st.lists(st.lists(st.tuples(numbers, numbers), max_size=3), max_size=3))
    ]
    body = member("0.json", b'{"sample_id": 1}') + member("0.jpg", b"x")
    (tmp_path / NAME).write_bytes(indexed(body, schema, members, groups))
    look(tmp_path)


SPECIAL = [
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, b"Z",
]  # fmt: skip
PAX = [
    b"11 size=-1\n", b"16 path=../../x\n", b"0 a=b\n", b"99999999999 a=b\n", b"22 GNU.sparse.major=1\n", b"\xff" * 30,
    b"25 GNU.sparse.realsize=9\n19 GNU.sparse.map=-1,9,9\n",
    b"30 hdrcharset=BINARY\n12 path=\xff\xff\n", b"21 size=99999999999\n",
]  # fmt: skip


@fuzz
@given(
    st.lists(
        st.tuples(st.sampled_from(SPECIAL), st.sampled_from(PAX) | st.binary(max_size=30)), min_size=1, max_size=4
    ),
    st.integers(0, 2),
    st.sampled_from([None, 0, -1, -512, -1024, -2048, 2**40, 8**11 - 1]),
)
def test_headers_of_any_kind_are_told(
    tmp_path: Path, extra: list[tuple[bytes, bytes]], place: int, size: int | None
) -> None:
    """Links, devices, sparse files, extended headers, sizes below zero: other readers meet them, this one says so."""
    schema = pa.schema([("sample_id", pa.int64()), ("a", pa.binary())])
    members = [FIELDS, Member(suffix="jpg", column="a", kind="media")]
    pieces = [member("0.json", b'{"sample_id": 1}'), member("0.jpg", b"x")]
    forged = b"".join(member("../../x", data, kind, size, link="/etc/passwd") for kind, data in extra)
    pieces.insert(place, forged)
    # The index counts the forged headers in, as the bytes of a member, so that the archive's length is right.
    sizes = np.array([[16, 1]], dtype=np.int64)
    sizes[0, min(place, 1)] += len(forged)
    (tmp_path / NAME).write_bytes(indexed(b"".join(pieces), schema, members, [sizes]))
    shard = open_shard(Location.of(tmp_path), NAME)
    assert shard.problems()
    look(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_chain_of_extended_headers_is_told(tmp_path: Path, kind: bytes) -> None:
    schema, links = pa.schema([("sample_id", pa.int64())]), member("x", b"10 a=12345\n", kind) * 3000
    body = links + member("0.json", b'{"sample_id": 1}')
    sizes = np.array([[len(links) + 16]], dtype=np.int64)
    (tmp_path / NAME).write_bytes(indexed(body, schema, [FIELDS], [sizes]))
    (problem,) = open_shard(Location.of(tmp_path), NAME).problems()
    assert problem.startswith("row 0: member 'x' lies where the index has 'x.json'")


@pytest.mark.parametrize("size", [-512, -1024, -2048, -3072])
def test_a_last_header_that_leads_back_does_not_hang(tmp_path: Path, size: int) -> None:
    schema = pa.schema([("sample_id", pa.int64())])
    body = member("0.json", b'{"sample_id": 1}')
    packed = pack_index(schema, [FIELDS], with_checksums(body, [np.array([[16]], dtype=np.int64)]))
    (tmp_path / NAME).write_bytes(body + member(INDEX_NAME, packed, size=size) + bytes(END_BYTES))
    assert open_shard(Location.of(tmp_path), NAME).problems()


def test_a_row_whose_json_is_huge_is_refused(tmp_path: Path) -> None:
    schema, text = pa.schema([("sample_id", pa.int64())]), b'{"sample_id": [' + b"[]," * (2 << 20) + b"[]]}"
    sizes = np.array([[len(text)]], dtype=np.int64)
    (tmp_path / NAME).write_bytes(indexed(member("0.json", text), schema, [FIELDS], [sizes]))
    assert "a row's JSON of 6291475 bytes, more than the 4194304 that are accepted" in look(tmp_path)


def test_an_array_that_is_absent_takes_no_memory_that_it_claims(tmp_path: Path) -> None:
    schema = pa.schema([("sample_id", pa.int64()), ("a", pa.list_(pa.float64(), 2**31 - 1))])
    members = [FIELDS, Member(suffix="a.npy", column="a", kind="array")]
    sizes = np.array([[16, -1]], dtype=np.int64)
    body = member("0.json", b'{"sample_id": 1}')
    (tmp_path / NAME).write_bytes(indexed(body, schema, members, [sizes]))
    assert "17179869176 bytes for 1 rows" in look(tmp_path)
