"""Tests of the numbers of unique media, against a loop over the rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.format.unique_media import number_media

ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.booleans()), min_size=1, max_size=12)


def slowly(ids: list[str | None], missing: list[bool]) -> tuple[list[int], list[int]]:
    """Go through the rows one by one."""
    numbers: list[Any] = []
    owners: list[Any] = []
    known: dict[Any, Any] = {}
    for row, (key, gone) in enumerate(zip(ids, missing, strict=True)):
        if gone:
            numbers.append(-1)
        elif key is not None and key in known:
            numbers.append(known[key])
        else:
            if key is not None:
                known[key] = len(owners)
            numbers.append(len(owners))
            owners.append(row)
    return numbers, owners


@given(rows=ROWS, cut=st.integers(0, 12), encoded=st.booleans())
def test_media_are_numbered_by_their_first_row(rows: list[tuple[str | None, bool]], cut: int, encoded: bool) -> None:
    ids, missing = [key for key, _ in rows], [gone for _, gone in rows]
    chunks = [pa.array(part, pa.string()) for part in (ids[:cut], ids[cut:]) if part]
    given_ids = [chunk.dictionary_encode() for chunk in chunks] if encoded else chunks
    numbers, owners = number_media(given_ids, np.array(missing))
    assert (numbers.tolist(), owners.tolist()) == slowly(ids, missing)
    numbers, owners = number_media(None, np.array(missing))
    assert (numbers.tolist(), owners.tolist()) == slowly([None] * len(ids), missing)


@pytest.mark.parametrize("kind", [pa.int64(), pa.large_string(), pa.binary()])
def test_ids_of_any_type_are_compared(kind: pa.DataType) -> None:
    values = [7, 3, 7] if pa.types.is_integer(kind) else ["7", "3", "7"]
    numbers, owners = number_media([pa.array(values).cast(kind)], np.zeros(3, dtype=bool))
    assert numbers.tolist() == [0, 1, 0] and owners.tolist() == [0, 1]
