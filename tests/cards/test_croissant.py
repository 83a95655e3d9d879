from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import mlcroissant
import numpy as np
import pandas as pd
import pytest
from datasets import Features, Image, List, Value
from mlcroissant._src.core import constants
from tiny_datasets import Tiny, mimic_tiny, xor_tiny

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import write_card
from symile_data.format.manifest import Dropped
from symile_data.format.publication import Publication


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch, documented: Tiny) -> None:
    """Figures have their own tests; cards written here do without (`documented` has them)."""
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])


def test_it_is_valid_and_lists_every_hash(documented: Tiny) -> None:
    path = documented.directory / "croissant.json"
    metadata = mlcroissant.Dataset(jsonld=path).metadata
    assert not metadata.ctx.issues.errors
    hashes = {file.id: file.sha256 for file in metadata.file_objects}
    assert hashes == {entry.path: entry.sha256 for entry in documented.manifest.shards()}
    assert "saporta2024symile" in metadata.cite_as


def test_records_have_their_split_media_and_nulls(documented: Tiny) -> None:
    dataset = mlcroissant.Dataset(jsonld=documented.directory / "croissant.json")
    records = {record["default/sample_id"]: record for record in dataset.records("default")}
    for split, rows in documented.rows.items():
        for row in rows:
            record = records.pop(row["sample_id"])
            assert record["default/split"].decode() == split
            assert record["default/audio"] == (row["audio"] and row["audio"]["bytes"])
            assert (record["default/image"] is None) == row["image_missing"]
            assert record["default/text_missing"] is row["text_missing"]
            if row["words"]:
                texts = [word["default/words/text"].decode() for word in record["default/words"]]
                assert texts == [word["text"] for word in row["words"]]
    assert not records


def test_splits_are_a_record_set(documented: Tiny) -> None:
    dataset = mlcroissant.Dataset(jsonld=documented.directory / "croissant.json")
    assert [(record["splits/name"], record["splits/rows"]) for record in dataset.records("splits")] == [
        (split, len(rows)) for split, rows in documented.rows.items()
    ]


def test_every_column_is_a_field(documented: Tiny) -> None:
    document = json.loads((documented.directory / "croissant.json").read_text(encoding="utf-8"))
    fields = [field["@id"] for field in document["recordSet"][1]["field"]]
    assert fields == ["default/split", *(f"default/{name}" for name in documented.schema.features)]


@pytest.mark.parametrize("make", [xor_tiny, mimic_tiny])
def test_lists_of_numbers_are_read(make: object, tmp_path: Path) -> None:
    tiny = make(tmp_path)  # type: ignore[operator]
    tiny.card()
    dataset = mlcroissant.Dataset(jsonld=tiny.directory / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert len(list(islice(dataset.records("default"), 3))) == 3


def test_columns_of_any_name_and_type_are_read_as_they_were_written(tmp_path: Path) -> None:
    text, vector = Value("string"), List(Value("float32"), length=2)
    features = {
        "a b": vector,
        "a_b": text,
        "split": text,
        "c\nd": Value("int64"),
        "day": Value("date32"),
        "time": Value("timestamp[us]"),
        "clock": Value("time64[us]"),
        "price": Value("decimal128(8, 2)"),
        "took": Value("duration[s]"),
        "box": {"x y": Value("int64"), "tags": List(text)},
        "views": List(Image()),
    }
    now = datetime(2026, 12, 1, 10, 30)
    full = {
        "a b": [1.0, 2.0],
        "a_b": "one",
        "split": "mine",
        "c\nd": 7,
        "day": now.date(),
        "time": now,
        "clock": now.time(),
        "price": Decimal("1.25"),
        "took": timedelta(seconds=3),
        "box": {"x y": 3, "tags": ["a", "b"]},
        "views": [np.zeros((2, 3), dtype=np.uint8)] * 2,
    }
    write_dataset(
        tmp_path,
        name="mine",
        schema=own_schema(Features(features), {"a b": "vector", "a_b": "text"}),
        splits={"train": [full, dict.fromkeys(full)]},
        spec={},
        write_card=write_card,
    )
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors and len(dataset.metadata.ctx.issues.warnings) == 1  # no date
    record, empty = dataset.records("default")
    assert record["default/split"] == b"train"
    assert [image.size for image in record["default/views"]] == [(3, 2)] * 2
    for name, expected in {
        "a_b_": [1.0, 2.0],
        "a_b": b"one",
        "split_": b"mine",
        "c_d": 7,
        "day": pd.Timestamp(now.date()),
        "time": pd.Timestamp(now),
        "clock": now.time(),
        "price": 1.25,
        "box": {"default/box/x_y": 3, "default/box/tags": [b"a", b"b"]},
    }.items():
        assert record[f"default/{name}"] == expected
        assert empty[f"default/{name}"] in (None, {"default/box/x_y": None, "default/box/tags": None})


def test_responsible_use_is_described(documented: Tiny, tmp_path: Path) -> None:
    metadata = mlcroissant.Dataset(jsonld=documented.directory / "croissant.json").metadata
    assert "http://mlcommons.org/croissant/RAI/1.0" in metadata.conforms_to
    assert "Twemoji" in metadata.data_collection
    assert "A note of the build." in metadata.data_limitations
    assert metadata.data_biases and metadata.data_use_cases and metadata.personal_sensitive_information
    tiny = mimic_tiny(tmp_path)
    tiny.card(dropped=[Dropped(reason="unreadable", count=3, examples=["x"])])
    said = mlcroissant.Dataset(jsonld=tiny.directory / "croissant.json").metadata.data_preprocessing_protocol
    assert said == ["left out (withheld): unreadable"]  # a small number of patients is not published


def test_a_document_of_the_hub_leads_to_the_rows_by_itself(
    documented: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that has the JSON alone clones the repository, which here is a copy of the directory."""
    page = "https://huggingface.co/datasets/me/m3"
    tiny = replace(documented, directory=tmp_path / "m3")
    shutil.copytree(documented.directory, tiny.directory)
    tiny.card(publication=Publication(creators=("Ada",), published="2026-12-01", url=page))
    document = json.loads((tiny.directory / "croissant.json").read_text(encoding="utf-8"))
    files = {file["@id"]: file for file in document["distribution"]}
    assert files["data/test-00000-of-00002.parquet"]["contentUrl"] == (
        f"{page}/resolve/main/data/test-00000-of-00002.parquet"
    )
    cloned: list[str] = []

    def clone(url: str, place: Path) -> None:
        cloned.append(url)
        shutil.copytree(tiny.directory, place)

    monkeypatch.setattr(constants, "DOWNLOAD_PATH", type(constants.DOWNLOAD_PATH)(tmp_path / "downloads"))
    git = SimpleNamespace(Repo=SimpleNamespace(clone_from=clone))
    monkeypatch.setattr("mlcroissant._src.operation_graph.operations.download.deps", SimpleNamespace(git=git))
    dataset = mlcroissant.Dataset(jsonld=document)
    assert not dataset.metadata.ctx.issues.errors and not dataset.metadata.ctx.issues.warnings
    records = [(record["default/split"].decode(), record["default/sample_id"]) for record in dataset.records("default")]
    expected = [(split, row["sample_id"]) for split, rows in documented.rows.items() for row in rows]
    assert sorted(records) == sorted(expected) and cloned == [page]
    here = mlcroissant.Dataset(jsonld=document, mapping={"repository": tiny.directory})
    assert len(list(here.records("default"))) == len(expected) and cloned == [page]
