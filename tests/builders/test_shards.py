"""Shards: typed, small row groups, the same bytes each time, whole or not there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.datasets.m3.schema import m3_schema
from symile_data.errors import OutputError
from symile_data.format.shards.writer import shard_path, shard_ranges, write_shard

SCHEMA = m3_schema()


def batches(sizes: list[int], media: bytes = b"\xff\xd8 picture") -> Iterator[pa.RecordBatch]:
    start = 0
    for size in sizes:
        rows = [
            {
                **dict.fromkeys(SCHEMA.arrow.names),
                "sample_id": index,
                "text": f"word_{index}",
                "image": {"bytes": media, "path": "x.JPEG"},
                "words": [{"text": "word", "lang": "en", "cls_id": 3}],
            }
            for index in range(start, start + size)
        ]
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA.arrow)
        start += size


def test_each_batch_is_one_row_group(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "x.parquet", SCHEMA, batches([50, 50, 7])) == 107
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)] == [50, 50, 7]
    assert file.read(["sample_id"])["sample_id"].to_pylist() == list(range(107))


def test_a_shard_carries_its_types(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.parquet", SCHEMA, batches([2]))
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert schema.equals(SCHEMA.arrow)
    assert schema.metadata[b"huggingface"] == SCHEMA.arrow.metadata[b"huggingface"]
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"]["_type"] == "Image"
    assert (features["audio"]["_type"], features["audio"]["sampling_rate"]) == ("Audio", 16_000)
    assert len(features["cls_id"]["names"]) == 1000


def test_media_are_stored_as_they_are_and_the_rest_is_compressed(tmp_path: Path) -> None:
    media = bytes(range(256)) * 8
    write_shard(tmp_path / "x.parquet", SCHEMA, batches([3], media))
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    compressed = {path for path, column in columns.items() if column.compression == "ZSTD"}
    assert set(columns) - compressed == {"image.bytes", "audio.bytes"}
    assert not columns["image.bytes"].has_dictionary_page
    assert columns["sample_id"].statistics.max == 2
    assert (tmp_path / "x.parquet").read_bytes().count(media) == 3


@pytest.mark.parametrize("column", ["image", "text", "sample_id", "words", "image_missing", "cls_id"])
def test_the_pages_of_every_column_have_checksums(tmp_path: Path, column: str) -> None:
    """The last bit of a column chunk is in the contents of a page, which pyarrow compares with its checksum."""
    path = tmp_path / "x.parquet"
    write_shard(path, SCHEMA, batches([50], media=bytes(range(256))))
    group, whole = pq.ParquetFile(path).metadata.row_group(0), path.read_bytes()
    chunks = [group.column(index) for index in range(group.num_columns)]
    for chunk in (chunk for chunk in chunks if chunk.path_in_schema.partition(".")[0] == column):
        end = chunk.data_page_offset + chunk.total_compressed_size
        if chunk.has_dictionary_page:
            end += chunk.dictionary_page_offset - chunk.data_page_offset
        damaged = bytearray(whole)
        damaged[end - 1] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(OSError, match="CRC"):
            pq.read_table(path, columns=[column], page_checksum_verification=True)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shard(tmp_path / name, SCHEMA, batches([20, 20]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_empty_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a shard would be empty.*Ask for at least one row in each split"):
        write_shard(tmp_path / "x.parquet", SCHEMA, iter(()))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_shard(tmp_path: Path) -> None:
    (tmp_path / ".x.parquet.partial").symlink_to("/dev/full")  # takes no byte
    with pytest.raises(OutputError, match=r"no space left on device .*x.parquet.*Free some space"):
        write_shard(tmp_path / "x.parquet", SCHEMA, batches([50] * 4, media=b"x" * 10_000))
    assert list(tmp_path.iterdir()) == []


def test_rows_that_fail_leave_no_shard(tmp_path: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield from batches([5])
        raise ValueError("a row that cannot be made")

    with pytest.raises(ValueError, match="cannot be made"):
        write_shard(tmp_path / "x.parquet", SCHEMA, failing())
    assert list(tmp_path.iterdir()) == []


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_ranges_cover_all_rows_evenly(rows: int, most: int) -> None:
    ranges = shard_ranges(rows, most)
    assert [row for start, stop in ranges for row in range(start, stop)] == list(range(rows))
    sizes = {stop - start for start, stop in ranges}
    assert max(sizes, default=0) <= most
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert len(ranges) == -(-rows // most)


def test_paths_sort_as_rows_do() -> None:
    paths = [shard_path("train", index, 12_345) for index in range(0, 12_345, 500)]
    assert paths == sorted(paths)
