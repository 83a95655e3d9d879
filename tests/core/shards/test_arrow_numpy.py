"""Arrow's buffers read as numpy arrays, beside pyarrow's own conversions."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.format.shards.arrow_numpy import arrow_int64, null_mask, numbers, one_chunk

TYPES = [
    pa.bool_(),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
]
SLICES = st.tuples(st.integers(0, 30), st.integers(0, 30))
VALUES = st.lists(st.one_of(st.none(), st.integers(0, 1)), max_size=40)


def of_type(values: list[int | None], kind: pa.DataType) -> pa.Array:
    if pa.types.is_float16(kind):
        return pa.array([None if value is None else np.float16(value) for value in values], kind)
    if pa.types.is_boolean(kind):
        return pa.array([None if value is None else bool(value) for value in values], kind)
    return pa.array(values, kind)


@pytest.mark.parametrize("kind", TYPES, ids=str)
@given(values=VALUES, cut=SLICES)
def test_numbers_and_nulls_are_those_of_pyarrow(
    kind: pa.DataType, values: list[int | None], cut: tuple[int, int]
) -> None:
    array = of_type(values, kind).slice(*cut)
    expected = array.to_pylist()
    assert null_mask(array).tolist() == [value is None for value in expected]
    found = numbers(array)
    assert found.dtype == np.dtype(kind.to_pandas_dtype())
    assert [value for value, absent in zip(found.tolist(), null_mask(array), strict=True) if not absent] == [
        value for value in expected if value is not None
    ]


@given(values=VALUES, cuts=st.lists(st.integers(0, 40), max_size=3))
def test_chunks_are_read_as_one_column(values: list[int | None], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(values)]
    whole = pa.array(values, pa.int64())
    column = pa.chunked_array(
        [whole.slice(start, max(stop - start, 0)) for start, stop in itertools.pairwise(edges)], pa.int64()
    )
    assert one_chunk(column).equals(pa.array(column.to_pylist(), pa.int64()))
    assert null_mask(column).tolist() == [value is None for value in column.to_pylist()]


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30), data=st.data())
def test_int64_goes_to_arrow_with_its_nulls(values: list[int], data: st.DataObject) -> None:
    null = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), dtype=bool)
    found = arrow_int64(np.array(values, dtype=np.int64), null)
    found.validate(full=True)
    expected = [None if absent else value for value, absent in zip(values, null, strict=True)]
    assert found.to_pylist() == expected
    assert arrow_int64(np.array(values, dtype=np.int64)[::-1]).to_pylist() == values[::-1]


def test_nulls_of_any_type_are_found() -> None:
    assert null_mask(pa.nulls(3)).tolist() == [True, True, True]
    assert null_mask(pa.array([["a"], None])).tolist() == [False, True]


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="string is no type of numbers"):
        numbers(pa.array(["1"]))
