"""Tar shards: what is written is read, only what is asked is read, and what is wrong is named."""

import io
import json
import re
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from datasets import Audio, ClassLabel, Features, Image, List, Value
from hypothesis import given
from hypothesis import strategies as st
from tar_files import grouped, reindex

from symile_data.errors import DamageError
from symile_data.format.location import Location
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards import open_shard
from symile_data.format.shards.tar_layout import (
    END_BYTES,
    INDEX_NAME,
    Index,
    members_of,
    occupied,
    pack_index,
    unpack_index,
)
from symile_data.format.shards.writer import write_shard

SCHEMA = DatasetSchema(
    features=Features(
        {
            "sample_id": Value("int64"),
            "image": Image(),
            "scan": Image(),
            "audio": Audio(sampling_rate=16_000),
            "text": Value("string"),
            "signal": List(Value("int16"), length=6),
            "labs": List(Value("float32"), length=3),
            "features": List(Value("float16"), length=2),
            "flags": List(Value("bool"), length=2),
            "words": List({"text": Value("string"), "cls_id": Value("int32")}),
            "cls_id": ClassLabel(names=["a", "b"]),
            "score": Value("float32"),
        }
    ),
    modalities=tuple(
        Modality(name=name, kind=kind, column=name, null_columns=(name,), suffix=suffix)
        for name, kind, suffix in (
            ("image", "image", ""),
            ("scan", "image", "png"),
            ("audio", "audio", ""),
            ("text", "text", ""),
            ("signal", "ecg", ""),
            ("labs", "labs", ""),
            ("features", "features", ""),
        )
    ),
)
NAMES = SCHEMA.arrow.names
PATH = "data/train-00000-of-00001.tar"

texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=5)
media = st.none() | st.binary(max_size=600).map(lambda data: {"bytes": data, "path": None})
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
row_values = st.fixed_dictionaries(
    {
        "image": media,
        "scan": media,
        "audio": media,
        "text": texts,
        "signal": st.none() | st.lists(st.integers(-32768, 32767), min_size=6, max_size=6),
        "labs": st.none() | st.lists(st.none() | floats, min_size=3, max_size=3),
        "features": st.none() | st.lists(st.floats(width=16, allow_nan=False), min_size=2, max_size=2),
        "flags": st.lists(st.booleans(), min_size=2, max_size=2),
        "words": st.none() | st.lists(st.fixed_dictionaries({"text": texts, "cls_id": st.integers(0, 1)}), max_size=3),
        "cls_id": st.none() | st.integers(0, 1),
        "score": st.none() | floats,
    }
)


def row(index: int, **changes: Any) -> dict[str, Any]:
    """A complete row."""
    value: dict[str, Any] = {
        "sample_id": index,
        "image": {"bytes": b"jpeg %d" % index, "path": None},
        "scan": {"bytes": b"png", "path": None},
        "audio": {"bytes": b"flac", "path": None},
        "text": f"text {index}",
        "signal": [index] * 6,
        "labs": [1.0, None, float(index)],
        "features": [0.5, 0.25],
        "flags": [True, False],
        "words": [{"text": "w", "cls_id": 1}],
        "cls_id": 1,
        "score": 0.1,
    }
    return value | changes


def batches(rows: list[dict[str, Any]], group: int = 3) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), group):
        yield pa.RecordBatch.from_pylist(rows[start : start + group], schema=SCHEMA.arrow)


def write(directory: Path, rows: list[dict[str, Any]], path: str = PATH) -> Location:
    write_shard(directory / path, SCHEMA, batches(rows))
    return Location.of(directory)


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """The path of a shard of eight rows."""
    write(tmp_path, [row(index) for index in range(8)])
    return tmp_path / PATH


def problem_of(path: Path) -> str:
    """The error on reading every row."""
    with pytest.raises(DamageError) as caught:
        opened = open_shard(Location.of(path.parents[1]), PATH)
        opened.read_all(NAMES)
    return str(caught.value)


@given(st.lists(row_values, min_size=1, max_size=7))
def test_both_formats_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, Any]]
) -> None:
    rows = [{"sample_id": index, **value} for index, value in enumerate(values)]
    directory = tmp_path_factory.mktemp("formats")
    location = write(directory, rows)
    write(directory, rows, "data/train-00000-of-00001.parquet")
    tar, parquet = open_shard(location, PATH), open_shard(location, "data/train-00000-of-00001.parquet")
    assert tar.group_rows == parquet.group_rows
    assert tar.schema.equals(parquet.schema)
    assert tar.read_all(NAMES).to_pylist() == parquet.read_all(NAMES).to_pylist()
    for group in range(len(tar.group_rows)):
        assert tar.read(group, ["labs", "text"]).to_pylist() == parquet.read(group, ["labs", "text"]).to_pylist()
    assert tar.problems() == ()


def test_members_have_their_own_files_and_nothing_of_the_machine(tmp_path: Path) -> None:
    write(tmp_path, [row(7), row(8, image=None, text=None, signal=None, words=None)])
    with tarfile.open(tmp_path / PATH) as archive:
        headers = archive.getmembers()
    assert [header.name for header in headers] == [
        *(f"000000007.{suffix}" for suffix in ("json", "jpg", "png", "flac", "txt", "signal.npy", "labs.npy",
                                               "features.npy")),
        *(f"000000008.{suffix}" for suffix in ("json", "png", "flac", "labs.npy", "features.npy")),
        INDEX_NAME,
    ]  # fmt: skip
    assert {(h.mtime, h.uid, h.gid, h.uname, h.gname, h.mode) for h in headers} == {(0, 0, 0, "", "", 0o644)}


def test_what_is_in_the_members(tmp_path: Path) -> None:
    write(tmp_path, [row(7, text="λέξη")])
    with tarfile.open(tmp_path / PATH) as archive:
        contents: dict[str, Any] = {
            header.name.partition(".")[2]: file.read() for header in archive if (file := archive.extractfile(header))
        }
    assert json.loads(contents["json"]) == {
        "sample_id": 7,
        "flags": [True, False],
        "words": [{"text": "w", "cls_id": 1}],
        "cls_id": 1,
        "score": float(np.float32(0.1)),
    }
    assert contents["jpg"] == b"jpeg 7" and contents["txt"].decode() == "λέξη"
    assert np.load(io.BytesIO(contents["signal.npy"])).tolist() == [7] * 6
    labs = np.load(io.BytesIO(contents["labs.npy"]))
    assert labs.dtype == np.float32 and labs[0] == 1.0 and np.isnan(labs[1])


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, [row(index) for index in range(20)])
    assert (tmp_path / "a" / PATH).read_bytes() == (tmp_path / "b" / PATH).read_bytes()


def read_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the byte ranges that are read from memory:// from now on."""
    sizes: list[int] = []
    system = fsspec.filesystem("memory")
    real = system.cat_file

    def counted(path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        data = real(path, start=start, end=end, **options)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(system, "cat_file", counted)
    return sizes


def test_only_what_is_asked_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(index, image={"bytes": bytes(200_000), "path": None}) for index in range(12)]
    write(tmp_path, rows)
    fsspec.filesystem("memory").pipe_file(f"/pruned/{PATH}", (tmp_path / PATH).read_bytes())
    sizes = read_bytes(monkeypatch)
    shard = open_shard(Location.of("memory://pruned"), PATH)
    assert sum(sizes) <= 1 << 16
    sizes.clear()
    shard.read(1, ["cls_id", "words"])
    assert sum(sizes) < 3 * 300 + (1 << 16)  # three JSONs; and the index, once
    sizes.clear()
    shard.read(2, ["cls_id"])
    assert 0 < sum(sizes) < 3 * 300
    sizes.clear()
    shard.read(2, ["image"])
    assert 600_000 <= sum(sizes) < 600_000 + 2 * (1 << 16)  # what lies between two pictures costs less than a request
    assert len(sizes) == 1


def test_bytes_by_column(shard: Path) -> None:
    counts = open_shard(Location.of(shard.parents[1]), PATH).column_bytes()
    assert counts["image"] == 8 * 6 and counts["audio"] == 8 * 4 and counts["json"] > 8 * 50
    assert counts["signal"] == 8 * (128 + 12)


@pytest.mark.parametrize("kept", [0, 600, 5000, -1, -600])
def test_a_tar_that_is_cut_while_it_is_open_was_written_meanwhile(shard: Path, kept: int) -> None:
    opened, whole = open_shard(Location.of(shard.parents[1]), PATH), shard.read_bytes()
    shard.write_bytes(whole[:kept])
    said = (
        rf"replaced or written while it was read .*{shard.name}.*{len(whole[:kept]):,} bytes, and {len(whole):,} when"
    )
    for read in (lambda: opened.read(0, ["signal", "image"]), opened.column_bytes, opened.problems):
        with pytest.raises(DamageError, match=said):
            read()


@pytest.mark.parametrize("kept", [0, 1, 511, 512, 5000, -1, -512, -1024, -1025, -2000])
def test_a_truncated_tar_is_named(shard: Path, kept: int) -> None:
    shard.write_bytes(shard.read_bytes()[:kept])
    assert "truncated or no tar shard with an index" in problem_of(shard)
    assert str(shard) in problem_of(shard)


def test_a_tar_of_others_is_refused_with_the_reason(shard: Path) -> None:
    with tarfile.open(shard, "w") as archive:
        archive.addfile(tarfile.TarInfo("x.jpg"))
    assert "does not end in an index: cut short, repacked, or not written by symile-data" in problem_of(shard)


@pytest.mark.parametrize(
    ("place", "size", "words"),
    [
        ((3, 1), 1 << 40, "more than the 268435456 that are accepted"),
        ((3, 1), -5, "impossible sizes"),
        ((3, 0), -1, "impossible sizes"),
        ((3, 1), 5000, "bytes of rows, the archive has"),
        ((3, 1), 0, "bytes of rows, the archive has"),
        ((7, 3), -1, "bytes of rows, the archive has"),
    ],
)
def test_an_index_that_cannot_be_true_is_refused(shard: Path, place: tuple[int, int], size: int, words: str) -> None:
    def change(index: Index) -> tuple[pa.Schema, Any, list[Any]]:
        sizes = index.sizes.copy()
        sizes[place] = size
        return index.schema, index.members, [sizes]

    reindex(shard, change)
    assert words in problem_of(shard)


def test_an_index_of_columns_that_are_not_there_is_refused(shard: Path) -> None:
    reindex(shard, lambda index: (index.schema.remove(1), index.members, grouped(index)))
    assert "names no JSON, or a column that its schema lacks" in problem_of(shard)


@pytest.mark.parametrize("seed", range(40))
def test_noise_in_the_index_never_ends_in_anything_but_an_error_of_ours(shard: Path, seed: int) -> None:
    data = bytearray(shard.read_bytes())
    rng = np.random.default_rng(seed)
    for _ in range(20):
        data[-int(rng.integers(END_BYTES, 5000))] = int(rng.integers(256))
    shard.write_bytes(bytes(data))
    try:
        opened = open_shard(Location.of(shard.parents[1]), PATH)
        opened.read_all(opened.schema.names)
    except DamageError as error:
        assert str(shard) in str(error)


def test_an_index_that_claims_to_be_huge_is_refused(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[-END_BYTES - 16 : -END_BYTES - 8] = struct.pack("<Q", 1 << 60)
    shard.write_bytes(bytes(data))
    assert "its index claims 1152921504606846976 bytes" in problem_of(shard)


def overwritten(path: Path, old: bytes, new: bytes) -> None:
    assert len(old) == len(new)
    data = path.read_bytes()
    at = data.index(old)
    path.write_bytes(data[:at] + new + data[at + len(old) :])


def rewritten(path: Path, old: bytes, new: bytes) -> None:
    """As `overwritten`, by somebody who gives the index the right checksums."""
    overwritten(path, old, new)
    reindex(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'{"sample_id":3', b'["sample_id":3', "the .json member of a row cannot be read"),
        (b'{"sample_id":3', b'{"sample_ix":3', "KeyError: 'sample_id'"),
        (b'{"sample_id":3', b'{"sample_id":"', "row 3"),
        (b"text 3", b"te\xff\xfe 3", "the .txt member of a row cannot be read"),
        (b"'shape': (6,)", b"'shape': (9,)", "the .signal.npy member of a row cannot be read"),
        (b"'descr': '<i2'", b"'descr': '|O8'", "no .npy file of fixed_size_list"),
    ],
)
def test_a_member_that_is_not_what_its_column_needs_is_named(shard: Path, old: bytes, new: bytes, words: str) -> None:
    rewritten(shard, old, new)
    assert words in problem_of(shard)


def test_a_value_of_another_type_names_its_column(shard: Path) -> None:
    rewritten(shard, b'[{"text":"w"', b'[{"text":123')
    assert "got column words is not of its type in every row" in problem_of(shard)


def test_a_shard_that_is_replaced_while_it_is_open_is_named(shard: Path) -> None:
    opened: Any = open_shard(Location.of(shard.parents[1]), PATH)
    write(shard.parents[1], [row(index, text="other") for index in range(7)])
    shard.write_bytes(shard.read_bytes().ljust(opened.size, b"\0")[: opened.size])
    with pytest.raises(DamageError):
        opened.read(0, ["text"])
    shard.unlink()
    with pytest.raises(DamageError, match="a shard is missing"):
        opened.read(0, ["text"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"000000003.jpg", b"../../003.jpg", "row 3: member '../../003.jpg' lies where the index has '000000003.jpg'"),
        (b"000000003.json", b"../00/etc.json", "row 3: its key '' is no plain name"),
        (b"000000003.json", b"000000002.json", "row 3: its key '000000002' is no plain name, or is used twice"),
    ],
)
def test_headers_that_other_readers_would_trip_over_are_found(shard: Path, old: bytes, new: bytes, words: str) -> None:
    data = shard.read_bytes()
    at = data.index(old)
    header = tarfile.TarInfo.frombuf(data[at : at + 512], "utf-8", "strict")
    header.name = new.decode()
    shard.write_bytes(data[:at] + header.tobuf(tarfile.USTAR_FORMAT) + data[at + 512 :])
    (problem,) = open_shard(Location.of(shard.parents[1]), PATH).problems()
    assert problem.startswith(words)


def test_a_link_among_the_members_is_found(shard: Path) -> None:
    data = shard.read_bytes()
    at = data.index(b"000000003.jpg")
    header = tarfile.TarInfo.frombuf(data[at : at + 512], "utf-8", "strict")
    header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
    shard.write_bytes(data[:at] + header.tobuf(tarfile.USTAR_FORMAT) + data[at + 512 :])
    assert open_shard(Location.of(shard.parents[1]), PATH).problems()


def test_the_index_says_where_everything_is() -> None:
    members = members_of(SCHEMA.arrow, SCHEMA.modalities)
    sizes = np.array([[5, -1, 0, 512, -1, -1, 513, 1], [1, 1, 1, 1, 1, 1, 1, 1]])
    checksums = np.arange(16, dtype=np.uint32).reshape(sizes.shape)
    groups = [(sizes[:1], checksums[:1]), (sizes[1:], checksums[1:])]
    index = unpack_index(pack_index(SCHEMA.arrow, members, groups)[:-24])
    assert index.checksums is not None and index.checksums.tolist() == checksums.tolist()
    assert index.group_rows == (1, 1) and index.members == members and index.schema.equals(SCHEMA.arrow)
    assert index.starts[0, [0, 2, 3, 6, 7]].tolist() == [512, 1536, 2048, 3072, 4608]
    assert index.end == occupied(sizes).sum()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\0jpeg 3", b"\0jpeg 2"),
        (b"\0png", b"\0qng"),
        (b"\0flac", b"\0flab"),
        (b"\0text 3", b"\0text 2"),
        (b'"cls_id":1', b'"cls_id":0'),
        (b"'fortran_order': False", b"'fortran_order': Falsd"),
    ],
)
def test_a_flipped_bit_in_a_member_of_any_kind_is_named(shard: Path, old: bytes, new: bytes) -> None:
    overwritten(shard, old, new)
    problem = problem_of(shard)
    assert re.search(r", row \d\); got its bytes do not match its checksum: they were damaged or edited", problem), (
        problem
    )


def test_only_members_that_are_asked_for_are_compared(shard: Path) -> None:
    overwritten(shard, b"jpeg 3", b"jpeg 4")
    opened = open_shard(Location.of(shard.parents[1]), PATH)
    assert opened.read_all(["text", "cls_id"]).num_rows == 8
    assert opened.read(0, ["image"]).num_rows == 3
    with pytest.raises(DamageError, match="row 3"):
        opened.read(1, ["image"])


def test_every_bit_of_the_index_counts(shard: Path) -> None:
    whole = shard.read_bytes()
    start = whole.index(b"__index__") + 512
    length = int.from_bytes(whole[-END_BYTES - 16 : -END_BYTES - 8], "little")
    # But for the zeros between the stream and its locator.
    places = [*range(start, start + length, 43), *range(len(whole) - END_BYTES - 24, len(whole), 5)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        shard.write_bytes(damaged)
        with pytest.raises(DamageError, match=r"truncated or no tar shard|was damaged or edited"):
            open_shard(Location.of(shard.parents[1]), PATH)


def test_only_bytes_and_a_path_are_a_medium() -> None:
    modality = Modality(name="a", kind="image", column="a", null_columns=("a",))
    bomb = pa.list_(pa.int8(), 2**31 - 1)  # two thousand million numbers in each row, null or not
    for path, kinds in ((pa.string(), ["fields", "media"]), (bomb, ["fields"])):
        schema = pa.schema([("a", pa.struct([("bytes", pa.binary()), ("path", path)]))])
        assert [member.kind for member in members_of(schema, (modality,))] == kinds
