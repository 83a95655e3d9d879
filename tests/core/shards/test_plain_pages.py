"""Media read value by value from plainly stored columns, against what pyarrow reads."""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symile_data.errors import DamageError
from symile_data.format.location import Location
from symile_data.format.shards import Shard, open_shard
from symile_data.format.shards.pages import plain
from symile_data.format.shards.pages.files import OpenFiles
from symile_data.format.shards.pages.headers import page_header, varint
from symile_data.format.shards.pages.media import find_media
from symile_data.format.shards.pages.plain import definition_levels
from symile_data.format.shards.selected import select_from

FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
VALUES: st.SearchStrategy[dict[str, bytes | None] | None] = st.one_of(
    st.none(), st.just({"bytes": None}), st.builds(dict, bytes=st.binary(max_size=60))
)


def written(directory: Path, rows: list[Any], kind: pa.DataType = FILE, **options: Any) -> Shard:
    field = pa.field("image", kind, nullable=options.pop("nullable", True))
    table = pa.table(
        {"image": pa.array(rows, kind), "id": pa.array(range(len(rows)))}, pa.schema([field, ("id", "i8")])
    )
    given = {"compression": "none", "use_dictionary": False, "write_page_checksum": True, "row_group_size": 50}
    given["write_statistics"] = False
    pq.write_table(table, directory / "a.parquet", **(given | options))
    return open_shard(Location.of(directory), "a.parquet")


def found(shard: Shard, group: int = 0, **options: bool) -> tuple[list[bytes | None], list[bool]] | None:
    media = find_media(shard, group, ["image"], OpenFiles(), **options).get("image")
    return None if media is None else (media.read(range(len(media.starts))), media.null.tolist())


def read_by_pyarrow(shard: Shard, group: int = 0) -> tuple[list[bytes | None], list[bool]]:
    column = shard.read(group, ["image"])["image"].combine_chunks()
    values = column.field("bytes") if pa.types.is_struct(column.type) else column
    return values.to_pylist(), column.is_null().to_pylist()


@given(
    rows=st.lists(VALUES, min_size=1, max_size=130),
    page=st.sampled_from([1, 100, 1 << 20]),
    alone=st.booleans(),
    checksums=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_values_and_nulls_are_those_of_pyarrow(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], page: int, alone: bool, checksums: bool
) -> None:
    kind = pa.binary() if alone else FILE
    values = [row and row["bytes"] for row in rows] if alone else rows
    shard = written(tmp_path_factory.mktemp("shard"), values, kind, data_page_size=page, write_batch_size=7)
    for group in range(len(shard.group_rows)):
        assert found(shard, group, checksums=checksums) == read_by_pyarrow(shard, group)


def test_long_runs_of_missing_and_present_values(tmp_path: Path) -> None:
    rows = [{"bytes": b"a" * row} if row % 40 < 25 else None for row in range(400)]
    shard = written(tmp_path, rows, row_group_size=400)
    assert found(shard) == read_by_pyarrow(shard)


@pytest.mark.parametrize("piece", range(120, 152))
def test_pages_that_are_longer_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Ends of pieces meet every part of a value and of its length."""
    monkeypatch.setattr(plain, "_PIECE_BYTES", piece)
    shard = written(tmp_path, [{"bytes": bytes([row]) * (row * 7 % 190)} if row % 5 else None for row in range(40)])
    assert found(shard) == read_by_pyarrow(shard)
    path = tmp_path / "a.parquet"
    sound = path.read_bytes()
    last = sound.rindex(bytes([39]) * 83) + 82  # in the last piece
    path.write_bytes(sound[:last] + b"x" + sound[last + 1 :])
    assert found(shard) is None


@given(st.binary(max_size=9000), st.integers(0, 2**32 - 1))
def test_checksums_are_those_of_zlib(data: bytes, before: int) -> None:
    crc32 = vars(plain)["crc32"]
    assert crc32(memoryview(data), before) == zlib.crc32(data, before)


def test_a_required_column(tmp_path: Path) -> None:
    kind = pa.struct([pa.field("bytes", pa.binary(), nullable=False)])
    shard = written(tmp_path, [{"bytes": b"one"}, {"bytes": b""}], kind, nullable=False)
    assert found(shard) == ([b"one", b""], [False, False])


def test_selected_rows(tmp_path: Path) -> None:
    shard = written(tmp_path, [None if row % 3 == 0 else {"bytes": bytes([row])} for row in range(120)])
    selected = select_from(shard, np.arange(120) % 7 == 3, {})
    for group in range(len(selected.group_rows)):
        assert found(selected, group) == read_by_pyarrow(selected, group)


@pytest.mark.parametrize(
    "options",
    [{"compression": "zstd"}, {"use_dictionary": True}, {"data_page_version": "2.0"}],
    ids=["compressed", "dictionary", "pages of version 2"],
)
def test_other_kinds_of_storage_are_left_to_pyarrow(tmp_path: Path, options: dict[str, Any]) -> None:
    assert found(written(tmp_path, [{"bytes": b"same" * 9}] * 30, **options)) is None


def test_no_flipped_bit_changes_a_value(tmp_path: Path) -> None:
    """Pyarrow then reads the column and says what is wrong."""
    shard = written(tmp_path, [{"bytes": bytes(range(row, row + 9))} if row % 4 else None for row in range(20)])
    good, path = found(shard), tmp_path / "a.parquet"
    sound = path.read_bytes()
    column = pq.read_metadata(path).row_group(0).column(0)
    refused = 0
    for at in range(column.data_page_offset, column.data_page_offset + column.total_compressed_size):
        for bit in range(8):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << bit]) + sound[at + 1 :])
            read = found(shard)
            assert read in (good, None)
            refused += read is None
    assert refused > 7 * column.total_compressed_size  # some fields of a header say nothing of the values
    path.write_bytes(sound[: column.data_page_offset + 9])
    assert found(shard) is None


def test_checksums_can_be_left_unverified(tmp_path: Path) -> None:
    shard = written(tmp_path, [{"bytes": b"picture"}])
    path = tmp_path / "a.parquet"
    path.write_bytes(path.read_bytes().replace(b"picture", b"pictyre"))
    assert found(shard) is None
    assert found(shard, checksums=False) == ([b"pictyre"], [False])


def test_a_file_that_is_replaced_meanwhile_is_not_read_on(tmp_path: Path) -> None:
    shard, files = written(tmp_path, [{"bytes": b"one"}]), OpenFiles()
    media = find_media(shard, 0, ["image"], files)["image"]
    path = tmp_path / "a.parquet"
    path.rename(tmp_path / "old.parquet")
    path.write_bytes(b"something else")
    assert media.read([0]) == [b"one"]  # of the file that was verified
    files.close()
    with pytest.raises(DamageError, match=r"replaced or written while it was read.*a\.parquet"):
        media.read([0])


def test_a_file_that_replaced_another_is_opened_in_its_place(tmp_path: Path) -> None:
    """Labels are read by the path: images of the former file would not belong to them."""
    shard, files = written(tmp_path, [{"bytes": b"one"}]), OpenFiles()
    assert find_media(shard, 0, ["image"], files)["image"].read([0]) == [b"one"]
    (tmp_path / "new").mkdir()
    written(tmp_path / "new", [{"bytes": b"two"}])
    (tmp_path / "new/a.parquet").replace(tmp_path / "a.parquet")
    assert find_media(shard, 0, ["image"], files)["image"].read([0]) == [b"two"]


def test_a_file_that_is_written_in_place_meanwhile(tmp_path: Path) -> None:
    shard, files, path = written(tmp_path, [{"bytes": b"one"}]), OpenFiles(), tmp_path / "a.parquet"
    os.utime(path, ns=(1, 1))  # so that the write below gives it another time, however coarse the clock is
    media = find_media(shard, 0, ["image"], files)["image"]
    assert media.read([0]) == [b"one"]
    with path.open("r+b") as file:
        file.seek(media.starts[0])
        file.write(b"two")
    with pytest.raises(DamageError, match=r"replaced or written while it was read.*a\.parquet"):
        media.read([0])
    assert find_media(shard, 0, ["image"], files) == {}  # its checksum no longer fits


def test_a_file_that_is_cut_short_meanwhile(tmp_path: Path) -> None:
    shard, files = written(tmp_path, [{"bytes": b"one"}]), OpenFiles()
    media = find_media(shard, 0, ["image"], files)["image"]
    os.truncate(tmp_path / "a.parquet", 20)
    with pytest.raises(DamageError, match=r"written while it was read.*a\.parquet.*20 bytes, and \d+ when it"):
        media.read([0])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_few_files_stay_open(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / str(number)).write_text(f"file {number}")
    before, files = open_files(), OpenFiles()
    first = files.get(tmp_path / "0")
    for number in range(70):
        assert files.get(tmp_path / str(number)).read(5, 6) == str(number)[:1].encode()
    assert open_files() == before + 64 + 1
    assert first.read(0, 6) == b"file 0"  # one that is in use stays open
    del files, first
    assert open_files() == before


def test_levels_of_runs_and_of_packed_bits() -> None:
    """Three levels of 2, then 0 1 2 1 packed into two bits each, the lowest first."""
    page = memoryview(bytes([5, 0, 0, 0, 3 << 1, 2, 1 << 1 | 1, 0b01100100, 0]) + b"values")
    levels, end = definition_levels(page, 7, 2)
    assert (levels.tolist(), end) == ([2, 2, 2, 0, 1, 2, 1], 9)
    levels, end = definition_levels(page, 5, 0)
    assert (levels.tolist(), end) == ([0] * 5, 0)


@pytest.mark.parametrize(
    "page",
    [b"\2\0\0\0\6\3", b"\3\0\0\0\6\2\0", b"\1\0\0\0\0\0", b"\4\0\0\0\xff\xff\xff\x7f", b"\0\0\0\0"],
    ids=["a level of 3", "bytes left over", "a run of none", "more than there is", "none"],
)
def test_impossible_levels(page: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        definition_levels(memoryview(page), 3, 2)


def test_a_page_header() -> None:
    """Fields of `PageHeader` in the compact protocol: type 0, sizes 30 and 20, checksum -1, then `DataPageHeader`."""
    data_page = [0x15, 6 << 1, 0x15, 0, 0x15, 3 << 1, 0x15, 3 << 1, 0x1C, 0x18, 2, 1, 1, 0, 0]
    data = bytes([0x15, 0, 0x15, 30 << 1, 0x15, 20 << 1, 0x15, 1, 0x1C, *data_page, 0, 99])
    header, end = page_header(memoryview(data), 0)
    assert (header.kind, header.inflated, header.stored, header.checksum) == (0, 30, 20, 0xFFFFFFFF)
    assert (header.values, header.encoding, header.levels, data[end]) == (6, 0, 3, 99)


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x15\x01\x15\x02\x15\x02\x5c\x00\x00", b"\x19", b"\x1c" * 9, b"\x15" + b"\xff" * 11, b"\x15"],
    ids=["no fields", "negative", "a list", "too deep", "a long integer", "the end"],
)
def test_impossible_page_headers(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        page_header(memoryview(data), 0)


@given(st.integers(0, 2**64 - 1))
def test_integers_in_groups_of_seven_bits(value: int) -> None:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    data = bytes([*(group | 0x80 for group in groups[:-1]), groups[-1], 7])
    assert varint(memoryview(data), 0) == (value, len(groups))
