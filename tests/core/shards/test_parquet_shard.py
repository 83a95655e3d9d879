"""Parquet shards: what a hostile footer or page says ends in one of our errors, never the process or its memory."""

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from symile_data.errors import DamageError
from symile_data.format.location import Location
from symile_data.format.shards import Shard, open_shard
from symile_data.format.shards import parquet as shard_parquet
from symile_data.format.shards.seal import seal_footer

FUZZER = Path(__file__).with_name("fuzz_footers.py")
EXAMPLES = 1500


def opened(path: Path) -> Shard:
    return open_shard(Location.of(path.parent), path.name)


def elsewhere(path: Path) -> Shard:
    """The same file behind a URL."""
    fsspec.filesystem("memory").pipe_file(f"/{path.name}", path.read_bytes())
    return open_shard(Location.of("memory://"), path.name)


def write(path: Path, table: pa.Table, rows: int = 3) -> Path:
    pq.write_table(table, path, row_group_size=rows, write_page_checksum=True, compression="zstd")
    return path


def test_no_damaged_footer_ends_the_process(tmp_path: Path) -> None:
    """Among them those that pyarrow's getters do not survive; reading here, from elsewhere, and counting bytes."""
    table = pa.table({"i": range(6), "s": ["a", None] * 3, "l": [[{"t": "x", "n": 1}]] * 6, "b": [True] * 6})
    path = write(tmp_path / "whole.parquet", table.replace_schema_metadata({"huggingface": "{}"}))
    command = [sys.executable, str(FUZZER), str(path), str(EXAMPLES)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    answers = run.stdout.splitlines()
    assert len(answers) == EXAMPLES
    for fatal in ("histogram size mismatch", "does not match ColumnDescriptor", "Invalid column metadata"):
        assert any(fatal in answer for answer in answers)
    assert 100 < answers.count("read") < EXAMPLES - 100


@pytest.mark.parametrize("read", [lambda s: s.read(0, ["x"]), lambda s: s.read_all(["x"])], ids=["group", "all"])
@pytest.mark.parametrize("place", [opened, elsewhere])
def test_a_row_group_that_inflates_without_end_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[[Path], Shard], read: Callable[[Shard], pa.Table]
) -> None:
    monkeypatch.setattr("symile_data.format.shards.limits.ALWAYS_ALLOWED_BYTES", 1 << 20)
    monkeypatch.setattr("symile_data.format.shards.limits.MOST_INFLATION", 10)
    bomb = write(tmp_path / "bomb.parquet", pa.table({"x": ["same long text" * 5000] * 2000}), rows=2000)
    shard, usual = place(bomb), pa.default_memory_pool()
    counting = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counting)
    try:
        with pytest.raises(DamageError, match="it inflates beyond 1048576 bytes"):
            read(shard)
    finally:
        pa.set_memory_pool(usual)
    assert 1 << 20 < counting.max_memory() < 32 << 20  # of 140 million bytes


@pytest.mark.parametrize(
    ("varint", "answer"),
    [
        (b"\x80\x01", 64),  # as it was
        (b"\x8a\x00", 5),
        (b"\x80\x7d", "64 rows, its footer says 8000"),
        (b"\xff\x00", "its footer claims -32 rows"),
        (b"\xfe\x7f", "its footer claims 8223 rows"),
    ],
)
def test_a_footer_that_claims_other_rows_than_there_are_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, varint: bytes, answer: int | str
) -> None:
    monkeypatch.setattr("symile_data.format.shards.limits.ALWAYS_ALLOWED_BYTES", 8192)
    monkeypatch.setattr("symile_data.format.shards.limits.MOST_INFLATION", 1)
    path = write(tmp_path / "a.parquet", pa.table({"i": range(96)}), rows=64)
    head, mark, tail = path.read_bytes().rpartition(b"\x16\x80\x01\x26\x08")  # rows of the first group, its offset
    path.write_bytes(head + mark.replace(b"\x80\x01", varint) + tail)
    if isinstance(answer, int):
        assert opened(path).read(0, ["i"]).num_rows == opened(path).group_rows[0] == answer
    else:
        with pytest.raises(DamageError, match=answer):
            opened(path).read(0, ["i"])


def test_a_group_of_many_batches_is_one_table(tmp_path: Path) -> None:
    table = pa.table({"i": range(1000), "s": [str(i) for i in range(1000)]})
    shard = opened(write(tmp_path / "a.parquet", table, rows=300))
    assert pa.concat_tables([shard.read(group, ["s", "i"]) for group in range(4)]).equals(table.select(["s", "i"]))
    assert shard.read_all(["i"]).equals(table.select(["i"]))


def test_no_rows_are_a_table_of_the_same_types(tmp_path: Path) -> None:
    table = pa.table({"i": pa.array([], pa.int16()), "s": pa.array([], pa.string())})
    shard = opened(write(tmp_path / "empty.parquet", table))
    assert shard.read_all(["s", "i"]).schema == table.select(["s", "i"]).schema


def test_columns_whose_names_hold_dots(tmp_path: Path) -> None:
    """Their chunks are found by name, also where a name begins another's path."""
    table = pa.table({"a": [1] * 3, "a.b": [2] * 3, "a.c": [{"d": "x"}] * 3})
    shard = elsewhere(write(tmp_path / "dots.parquet", table))
    assert shard.read(0, ["a.c"]).to_pylist() == [{"a.c": {"d": "x"}}] * 3
    assert set(shard.column_bytes()) == {"a", "a.b", "a.c"}


def test_bytes_by_column_are_those_between_the_marks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", pa.table({"i": range(9), "s": [{"t": "x", "u": "y"}] * 9}))
    counts = opened(path).column_bytes()
    footer = int.from_bytes(path.read_bytes()[-8:-4], "little")
    assert set(counts) == {"i", "s"} and sum(counts.values()) == path.stat().st_size - footer - 12


def test_texts_that_are_no_utf_8_are_named(tmp_path: Path) -> None:
    bad = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
    shard = opened(write(tmp_path / "a.parquet", pa.table({"s": bad})))
    with pytest.raises(DamageError, match="UTF8"):
        shard.read(0, ["s"])


def sealed(path: Path) -> Path:
    """A small file as builds write them: pages and footer with checksums."""
    write(path, pa.table({"i": range(6), "class": ["tench", "goldfish"] * 3}))
    seal_footer(path)
    return path


@pytest.mark.parametrize("place", [opened, elsewhere])
def test_every_bit_of_the_footer_counts(tmp_path: Path, place: Callable[[Path], Shard]) -> None:
    path = sealed(tmp_path / "a.parquet")
    whole = path.read_bytes()
    assert pq.read_table(path).equals(place(path).read_all(["i", "class"]))  # other readers pass over the checksum
    footer = int.from_bytes(whole[-8:-4], "little")
    for back in range(1, footer + 9, 5 if place is opened else 41):
        damaged = bytearray(whole)
        damaged[-back] ^= 1 << back % 8
        path.write_bytes(damaged)
        with pytest.raises(DamageError, match=r"is truncated or no Parquet file|was damaged or edited"):
            place(path)


@pytest.mark.parametrize("kept", [0, 4, 60, -1, -9, -40])
def test_a_file_that_is_cut_while_it_is_open_was_written_meanwhile(tmp_path: Path, kept: int) -> None:
    path = sealed(tmp_path / "a.parquet")
    shard, whole = opened(path), path.read_bytes()
    path.write_bytes(whole[:kept])
    said = rf"replaced or written while it was read .*a\.parquet.*{len(whole[:kept]):,} bytes, and {len(whole):,} when"
    for read in (lambda: shard.read(0, ["i"]), lambda: shard.read_all(["class"]), shard.column_bytes):
        with pytest.raises(DamageError, match=said):
            read()


def test_an_edited_footer_is_called_so_and_an_open_shard_notices(tmp_path: Path) -> None:
    path = sealed(tmp_path / "a.parquet")
    shard, whole = opened(path), path.read_bytes()
    shard_parquet._footer.cache_clear()
    path.write_bytes(whole[:-20] + bytes([whole[-20] ^ 4]) + whole[-19:])
    for read in (lambda: opened(path), lambda: shard.read_all(["i"])):
        with pytest.raises(DamageError, match=r"shard was damaged or edited .*; got its footer does not match"):
            read()


def test_the_checksum_of_a_footer_is_crc_32_and_stands_before_it(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.parquet", pa.table({"i": range(3)})).read_bytes()
    (tmp_path / "sealed.parquet").write_bytes(plain)
    seal_footer(tmp_path / "sealed.parquet")
    start = len(plain) - 8 - int.from_bytes(plain[-8:-4], "little")
    checksum = zlib.crc32(plain[start:-8]).to_bytes(8, "little")
    expected = plain[:start] + checksum + b"\xffSYMCRC\x00" + plain[start:]
    assert (tmp_path / "sealed.parquet").read_bytes() == expected


@pytest.mark.parametrize("size", [1, 70_000])
def test_a_file_of_others_without_checksums_is_read(tmp_path: Path, size: int) -> None:
    """Also one whose footer is longer than what is read of a file first."""
    table = pa.table({"x": [1]}).replace_schema_metadata({"long": "y" * size})
    pq.write_table(table, tmp_path / "a.parquet")
    for place in (opened, elsewhere):
        assert place(tmp_path / "a.parquet").read_all(["x"]).equals(table)
    seal_footer(tmp_path / "a.parquet")
    for place in (opened, elsewhere):
        assert place(tmp_path / "a.parquet").read_all(["x"]).equals(table)


@pytest.mark.parametrize("place", [opened, elsewhere])
def test_a_page_that_was_damaged_is_called_so(tmp_path: Path, place: Callable[[Path], Shard]) -> None:
    path = write(tmp_path / "a.parquet", pa.table({"x": ["some text"] * 6, "y": range(6)}))
    chunk, data = pq.read_metadata(path).row_group(0).column(0), bytearray(path.read_bytes())
    data[4 + chunk.total_compressed_size - 1] ^= 1  # the first chunk follows the four bytes of the file's mark
    path.write_bytes(data)
    shard = place(path)
    with pytest.raises(
        DamageError,
        match=r"shard was damaged or edited \(.*a\.parquet\); got a page of it does not match",
    ):
        shard.read(0, ["x"])
    assert shard.read(0, ["y"]).num_rows == 3


def test_a_file_that_took_the_place_of_an_open_one_is_refused(tmp_path: Path) -> None:
    """It has the same size; its footer differs, though the one of the former file is still kept."""
    path, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    for place, first in ((path, 1), (other, 2)):
        pq.write_table(pa.table({"x": [first, 3]}), place, compression="none", use_dictionary=False)
    assert path.stat().st_size == other.stat().st_size
    shard = opened(path)
    assert shard.read(0, ["x"])["x"].to_pylist() == [1, 3]
    other.replace(path)
    with pytest.raises(DamageError, match=r"^a shard was replaced .*; got another file than the one that was opened"):
        shard.read(0, ["x"])
