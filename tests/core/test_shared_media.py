"""Media of two splits are compared by their bytes, whichever way they are stored."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.format.schema import Modality
from symile_data.format.verify import shared_media
from symile_data.format.verify.shared_media import MediaBySplit, media_hashes

IMAGE = Modality(name="image", kind="image", column="image", null_columns=("image",))
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

files = st.lists(st.lists(st.none() | st.integers(0, 12), max_size=6), min_size=1, max_size=3)


def table(values: list[int | None]) -> pa.Table:
    rows = [None if value is None else {"bytes": b"picture %d" % value, "path": "x"} for value in values]
    return pa.table({"image": pa.array(rows, STRUCT)})


@pytest.mark.parametrize("pending", [0, 1 << 18])
@given(splits=st.dictionaries(st.sampled_from(["train", "validation", "test"]), files, min_size=1))
def test_every_medium_of_two_splits_is_counted_once_and_the_first_is_named(pending: int, splits: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_media, "_PENDING", pending)
        check(splits)


def check(splits: dict[str, Any]) -> None:
    found = MediaBySplit()
    places: dict[str, dict[int, str]] = {split: {} for split in splits}
    for split, contents in splits.items():
        for number, values in enumerate(contents):
            found.add(split, f"{split}-{number}", media_hashes(table(values), [IMAGE]))
            for row, value in enumerate(values):
                if value is not None:
                    places[split].setdefault(value, f"{split}-{number}: row {row}")
    names, expected = sorted(splits), []
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            shared = [value for value in places[first] if value in places[second]]
            if shared:
                expected.append(
                    f"{places[first][shared[0]]} and {places[second][shared[0]]} have the same image, "
                    f"and {len(shared) - 1} more occur in both {first} and {second}"
                )
    assert list(found.problems()) == expected


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("image", pa.array([b"a", None, b"b", b"a"], pa.binary())),
        (
            "audio",
            pa.array([{"bytes": b"a"}, None, {"bytes": b"b"}, {"bytes": b"a"}], pa.struct([("bytes", pa.binary())])),
        ),
        ("ecg", pa.array([[1, 2], None, [1, 3], [1, 2]], pa.list_(pa.int16(), 2))),
    ],
)
def test_media_of_any_type_are_told_apart(kind: str, column: pa.Array) -> None:
    modality = Modality(name="m", kind=kind, column="m", null_columns=("m",))
    hashes, rows = media_hashes(pa.table({"m": column}), [modality])["m"]
    assert sorted(rows.tolist()) == [0, 2]
    assert len(np.unique(hashes)) == 2


def test_texts_and_constant_signals_may_occur_again() -> None:
    text = Modality(name="t", kind="text", column="t", null_columns=("t",))
    ecg = Modality(name="e", kind="ecg", column="e", null_columns=("e",))
    signals = pa.array([[5, 5, 5], [0, 0, 0]], pa.list_(pa.int16(), 3))
    found = media_hashes(pa.table({"t": ["a", "a"], "e": signals}), [text, ecg])
    assert [len(hashes) for hashes, _ in found.values()] == [0]
