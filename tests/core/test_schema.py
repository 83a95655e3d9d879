"""Tests of a dataset's schema: every column of a missing modality is null, and a modality names its id column."""

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from symile_data.datasets.mimic.schema import mimic_schema
from symile_data.format.schema import MODALITIES_KEY, DatasetSchema, Modality, mask_problems

MODALITIES = (
    Modality(name="image", kind="image", column="image", null_columns=("image", "image_id")),
    Modality(name="text", kind="text", column="text", null_columns=("text", "words", "target_text")),
)
WHOLE: dict[str, Any] = {
    "image": [b"a", None, b"c"],
    "image_id": ["a", None, "c"],
    "text": ["x", "y", None],
    "words": [["x"], ["y"], None],
    "target_text": ["x", "y", None],
    "image_missing": [False, True, False],
    "text_missing": [False, False, True],
}


def test_masks_that_agree_with_every_column_are_no_problem() -> None:
    assert list(mask_problems(pa.table(WHOLE), MODALITIES)) == []


@pytest.mark.parametrize(
    ("column", "row", "value", "clause"),
    [
        ("image", 1, b"b", "row 1: image is not null but image_missing is True"),
        ("image_id", 1, "b", "row 1: image_id is not null but image_missing is True"),
        ("words", 2, ["z"], "row 2: words is not null but text_missing is True"),
        ("target_text", 2, "z", "row 2: target_text is not null but text_missing is True"),
        ("image_id", 2, None, "row 2: image_id is null but image_missing is False"),
        ("words", 0, None, "row 0: words is null but text_missing is False"),
    ],
)
def test_every_column_of_a_modality_is_compared_with_its_mask(
    column: str, row: int, value: object, clause: str
) -> None:
    values = list(WHOLE[column])
    values[row] = value
    assert list(mask_problems(pa.table(WHOLE | {column: values}), MODALITIES)) == [clause]


@pytest.mark.parametrize(
    ("null_columns", "found"),
    [
        (("cxr", "cxr_dicom_id", "cxr_study_id"), "cxr_dicom_id"),
        (("text", "words"), None),
        (("x", "idx", "_ids", "x_id2"), None),
    ],
)
def test_a_description_of_an_older_version_names_its_id_column_by_the_ending(
    null_columns: tuple[str, ...], found: str | None
) -> None:
    older = {"name": "x", "kind": "image", "column": null_columns[0], "null_columns": list(null_columns)}
    assert Modality.from_json(older).id_column == found


@pytest.mark.parametrize("id_column", [None, "image_id", "file"])
def test_an_id_column_that_is_named_wins_over_the_ending(id_column: str | None) -> None:
    columns = ("image", "image_id", "file")
    modality = Modality(name="image", kind="image", column="image", null_columns=columns, id_column=id_column)
    assert modality.id_column == id_column
    assert Modality.from_json(json.loads(json.dumps(modality.to_json()))) == modality
    assert replace(modality, kind="features").id_column == id_column


def test_shards_name_only_id_columns_that_the_ending_would_not_find() -> None:
    schema = mimic_schema()

    def stored(schema: DatasetSchema) -> list[dict[str, object]]:
        return json.loads(schema.arrow.metadata[MODALITIES_KEY])

    # These are the keys that version 0.1.0 wrote, whose bytes are kept.
    assert all(
        {"name", "kind", "column", "null_columns", "mask", "details", "suffix"} == set(m) for m in stored(schema)
    )
    other = replace(schema.modalities[0], id_column="cxr_study_id")
    changed = replace(schema, modalities=(other, *schema.modalities[1:]))
    assert [modality.get("id_column") for modality in stored(changed)] == ["cxr_study_id", None, None]
    assert tuple(map(Modality.from_json, stored(changed))) == changed.modalities
