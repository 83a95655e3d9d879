"""The copy of a file that verification hashes, and from which it opens the shard."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symile_data.files import RefusedError
from symile_data.format.deduplicated import Deduplicated, MediaTable
from symile_data.format.manifest import BuildFingerprint, FileEntry, Manifest
from symile_data.format.shards import open_shard
from symile_data.format.verify.deduplicated import MediaTables
from symile_data.format.verify.file_copy import FileCopy, file_copy


def test_a_shard_is_opened_from_the_bytes_that_were_hashed(tmp_path: Path) -> None:
    table = pa.table({"x": list(range(9))})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=4)
    with file_copy(tmp_path, "x.parquet") as (location, sha256):
        data = (tmp_path / "x.parquet").read_bytes()
        (tmp_path / "x.parquet").write_bytes(b"another file")
        assert open_shard(location, "x.parquet", size=len(data), rows=9).read_all(["x"]).equals(table)
        assert sha256 == hashlib.sha256(data).hexdigest()
    assert location.size("x.parquet") == 0  # kept footers must not keep the bytes


@pytest.mark.parametrize(("start", "end", "expected"), [(0, 4, b"abcd"), (1, 3, b"bc"), (4, 4, b"")])
def test_a_copy_gives_any_range_of_the_file(start: int, end: int, expected: bytes) -> None:
    assert bytes(FileCopy(b"abcd").cat_file("x", start, end)) == expected


def test_a_range_beyond_the_end_is_refused_at_once() -> None:
    with pytest.raises(RefusedError, match="bytes 2 to 5 of a file that has 4"):
        FileCopy(b"abcd").cat_ranges(["x", "x"], [0, 2], [4, 5], "raise")


@pytest.mark.parametrize(("row", "problems"), [(None, []), (0, ["t: image_row points outside the pool of 0"])])
def test_rows_of_a_media_table_without_files_may_refer_to_nothing(row: int | None, problems: list[str]) -> None:
    table = MediaTable(
        column="image", id_column="image_id", row_column="image_row", folder="images", names={"train": "train"}
    )
    manifest = Manifest(
        identity=BuildFingerprint(dataset="x", spec={}, sources={}, versions={}),
        modalities=(),
        splits={"train": 1},
        pooled=Deduplicated(columns=("image",), pools=(table,)),
    )
    rows = pa.table({"image_row": pa.array([row], pa.int64()), "image_id": pa.array([None], pa.string())})
    entry = FileEntry(path="t", bytes=1, sha256="", rows=1, split="train")
    assert list(MediaTables(manifest).compare(entry, rows)) == problems
