"""Masks and values: no column of a modality that is missing may hold anything."""

import pyarrow as pa
import pytest

from symile_data.format.schema import Modality, mask_problems

MODALITIES = (
    Modality(name="image", kind="image", column="image", null_columns=("image", "image_id")),
    Modality(name="text", kind="text", column="text", null_columns=("text", "words", "target_text")),
)
WHOLE = {
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
