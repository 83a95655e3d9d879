"""What `own_schema` and `write_dataset` refuse before a row is written: taken names, and tables that are none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from datasets import Features, List, Value, load_dataset
from factories import rows_of

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.datasets import BUNDLED
from symile_data.errors import SourceError, UsageError
from symile_data.format.publication import Publication
from symile_data.format.schema import Modality
from symile_data.format.verify import verify
from symile_data.loaders import BatchLoader, open_split
from symile_data.workflows.datasets import DATASETS

VECTOR = List(Value("float32"), length=2)
TEXT = Value("string")
SCHEMA = own_schema(Features({"v": VECTOR, "t": TEXT}), {"v": "vector", "t": "text"})


def rows(count: int) -> list[dict[str, Any]]:
    return [{"v": [number, -number], "t": f"t{number}"} for number in range(count)]


def write(out: Path, splits: Any = None, **options: Any) -> Any:
    given = {"name": "mine", "schema": SCHEMA, "spec": {}, "splits": {"train": rows(3)} if splits is None else splits}
    return write_dataset(out, **{**given, **options})


def broken(count: int) -> Iterator[dict[str, Any]]:
    yield from rows(count)
    raise RuntimeError("the source broke off")


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ({}, r"`splits` names no split\. Write it like"),
        ({5: []}, r"a split's name is letters, digits and _; got 5\. Call it like train"),
        ({"": []}, "a split's name is letters, digits and _; got ''"),
        ({"1st": []}, "a split's name is letters, digits and _; got '1st'"),
        ({"x" * 201: []}, "a split's name is letters, digits and _; got 'xxx"),
        ({"all": []}, "`load_dataset` means all splits together by this name; got 'all'"),
        ({"train": None}, "the rows of split train cannot be gone through; got a value of type NoneType"),
        ({"train": broken}, "the rows of split train cannot be gone through; got a value of type function.*call a"),
    ],
)
def test_splits_that_cannot_be_written_are_refused_before_anything_is(
    tmp_path: Path, splits: Any, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        write(tmp_path / "out", splits)
    assert not (tmp_path / "out").exists()


def test_a_split_that_is_known_to_be_empty_is_refused_before_the_others_are_written(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a split has no rows \(test\)\. Leave it out"):
        write(tmp_path / "out", {"train": broken(1), "test": []})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"rate": float("nan")}, "`spec` holds a value that JSON cannot; got Out of range float"),
        ({"text": "\ud800"}, "`spec` holds a value that JSON cannot; got 'utf-8' codec"),
        ({1: 2}, "the names in `spec` are texts; got 1"),
        ({"format": "zip"}, "`spec` has a format of its own, which stands for that of the shards; got 'zip'"),
    ],
)
def test_specs_that_a_manifest_cannot_hold_are_refused(tmp_path: Path, spec: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        write(tmp_path / "out", spec=spec)
    assert not (tmp_path / "out").exists()


def test_names_of_bundled_datasets_are_taken(tmp_path: Path) -> None:
    assert set(BUNDLED) == set(DATASETS)
    for name in (*BUNDLED, "feature-set"):
        with pytest.raises(UsageError, match=f"is that of a dataset of this package, .*; got '{name}'"):
            write(tmp_path / "out", name=name)
    with pytest.raises(UsageError, match="`name` is an empty text"):
        write(tmp_path / "out", name="")


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"licence": "my own terms"}, "a licence is an SPDX identifier.*; got 'my own terms'"),
        ({"published": "1.12.2026"}, "the date of publication is YYYY-MM-DD; got '1.12.2026'"),
        ({"rai": {"dataBias": "none"}}, "this is no term of the Croissant RAI vocabulary; got dataBias"),
        ({"creators": "Ada"}, "`creators` is a list of texts; got 'Ada'"),
        ({"published": date(2026, 12, 1)}, "`published` is a text; got a value of type date"),
        ({"derived_from": {"name": "archive"}}, "`derived_from` is a list of tables of texts by name; got {'name'"),
    ],
)
def test_statements_that_no_card_can_show_are_refused_before_the_rows_are_written(
    tmp_path: Path, stated: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        write(tmp_path / "out", {"train": broken(1)}, publication=Publication(**stated))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("table", [pd.DataFrame(rows(3)), pa.Table.from_pylist(rows(3))])
def test_a_table_is_not_rows_and_the_error_says_how_to_make_them(tmp_path: Path, table: Any) -> None:
    with pytest.raises(SourceError, match=r'\(train, row 0\).*give to_dict\("records"\) \(pandas\) or to_pylist'):
        write(tmp_path / "out", {"train": table})


def test_an_unknown_column_is_not_called_a_missing_modality(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"got z\. Leave it out, or add it to the features"):
        write(tmp_path / "out", {"train": [{**rows(1)[0], "z": None}]})


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_shards_of_an_interrupted_writing_do_not_come_into_the_one_that_follows(
    tmp_path: Path, shard_format: str
) -> None:
    out, options = tmp_path / "out", {"rows_per_shard": 2, "shard_format": shard_format}
    with pytest.raises(RuntimeError):
        write(out, {"train": rows(5), "test": broken(3)}, **options)
    (out / "data" / "notes.txt").write_text("mine")
    partial = out / "data" / f".train-00000.{'parquet' if shard_format == 'parquet' else 'tar'}.partial"
    partial.write_text("of a process that was killed")
    write(out, {"train": rows(3), "validation": rows(1)}, **options)
    assert [problem.split(":")[0] for problem in verify(out)] == ["data/notes.txt"]
    if shard_format == "parquet":
        loaded = load_dataset(str(out), data_dir="data")
        assert {name: split["t"][:] for name, split in loaded.items()} == {
            "train": ["t0", "t1", "t2"],
            "validation": ["t0"],
        }


def modality(**changes: Any) -> Modality:
    return Modality(**{"name": "v", "kind": "vector", "column": "v", "null_columns": ("v",), **changes})


@pytest.mark.parametrize(
    ("modalities", "sentence"),
    [
        ({"missing": modality(name="missing")}, "a batch has an entry of its own of this name; got modality missing"),
        ({"padding": modality(name="padding")}, "got modality padding"),
        ({"source": modality(name="source")}, "got modality source"),
        ({"x": modality()}, "`modalities` has modality v under another name; got 'x'"),
        (
            {"v": modality(), "w": modality(column="w", null_columns=("w",))},
            "two modalities have the same name or mask",
        ),
        ({"v": modality(mask="m"), "w": modality(name="w", mask="m")}, "two modalities have the same .*; got v, m"),
        ({"v": None}, "name and kind of a modality are texts; got 'v': None"),
        ({"v": modality(null_columns=("w",))}, r"null_columns of v are a tuple with its column among them.*\('v',\)"),
        ({"v": modality(null_columns="v")}, "null_columns of v are a tuple .*; got 'v'"),
        ({"v": modality(null_columns=("v", "t"))}, "null_columns of v have a column that it does not own; got t"),
        ({"v": modality(null_columns=("v", "sample_id"))}, "a column that it does not own; got sample_id"),
        ({"v": modality(null_columns=("v", "v_missing"))}, "a column that it does not own; got v_missing"),
        ({"v": modality(mask="sample_id")}, "the mask of v cannot be sample_id"),
    ],
)
def test_modalities_that_rows_or_batches_could_not_tell_apart_are_refused(modalities: Any, sentence: str) -> None:
    features = Features({"v": VECTOR, "w": VECTOR, "t": TEXT})
    with pytest.raises(UsageError, match=sentence):
        own_schema(features, {**modalities, "t": "text"})


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (None, "`features` is a table of columns and their types; got None"),
        (["v", "t"], r"`features` is a table of columns and their types; got \['v', 't'\]"),
        ({"": VECTOR, "t": TEXT}, "a column's name is a text that is not empty; got ''"),
        ({1: VECTOR, "t": TEXT}, "a column's name is a text that is not empty; got 1"),
        ({"v": "float32", "t": TEXT}, "column v has no type of `datasets`; got 'float32'"),
    ],
)
def test_features_that_are_none_are_refused(features: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        own_schema(features, {"v": "vector", "t": "text"})


def test_a_kind_that_nobody_knows_warns() -> None:
    with pytest.warns(UserWarning, match=r"v is of kind vectr, which is neither bundled \(image, .* nor registered"):
        own_schema(Features({"v": VECTOR, "t": TEXT}), {"v": "vectr", "t": "text"})


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (("a/b", "t"), "at most 80 bytes and no /; got 'a/b'. Rename the column, or write Parquet"),
        (("x" * 80, "t"), "at most 80 bytes and no /; got 'xxx"),
        (("a", "A"), "called like those of a, as readers ignore case; got 'A'"),
    ],
)
def test_tars_refuse_columns_whose_files_readers_would_mistake(
    tmp_path: Path, columns: tuple[str, str], sentence: str
) -> None:
    schema = own_schema(Features(dict.fromkeys(columns, VECTOR)), dict.fromkeys(columns, "vector"))
    given = [{name: [1.0, 2.0] for name in columns}]
    with pytest.raises(UsageError, match=sentence):
        write(tmp_path / "tar", {"train": given}, schema=schema, shard_format="webdataset")
    assert not (tmp_path / "tar").exists()
    write(tmp_path / "parquet", {"train": given}, schema=schema)
    assert rows_of(tmp_path / "parquet", "train")[0][columns[0]] == [1.0, 2.0]


def test_a_tar_has_no_column_of_two_modalities(tmp_path: Path) -> None:
    features = Features({"v": VECTOR, "t": TEXT})
    schema = own_schema(features, {"x": modality(name="x"), "y": modality(name="y"), "t": "text"})
    with pytest.raises(UsageError, match="two modalities share it, and a member belongs to one; got 'v'"):
        write(tmp_path / "tar", schema=schema, shard_format="webdataset")


def test_the_longest_name_that_a_tar_holds_is_written(tmp_path: Path) -> None:
    name = "x" * 76  # and ".npy"
    schema = own_schema(Features({name: VECTOR, "t": TEXT}), {name: "vector", "t": "text"})
    given = [{name: [1.0, 2.0], "t": "a", "sample_id": 2**63 - 1}]
    write(tmp_path / "out", {"train": given}, schema=schema, shard_format="webdataset")
    batch = next(iter(BatchLoader(open_split(tmp_path / "out", "train"), 1)))
    assert batch[name].tolist() == [[1.0, 2.0]]
