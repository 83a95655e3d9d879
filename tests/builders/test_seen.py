"""What was seen is told as a set would tell it, in far less memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.format.id_set import IdSet

numbers = st.integers(-5, 60) | st.sampled_from([-(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1])


@given(st.lists(st.lists(numbers, max_size=12), max_size=12))
def test_numbers_that_came_before_are_told(arrays: list[list[int]]) -> None:
    seen, known = IdSet(), set()
    for array in arrays:
        again = []
        for number in array:
            again.append(number in known)
            known.add(number)
        assert seen.add(np.array(array, dtype=np.int64)).tolist() == again
        probe = np.array([*array, -6, 61, 0], dtype=np.int64)
        assert seen.holds(probe).tolist() == [int(number) in known for number in probe]


@pytest.mark.parametrize(("scattered", "kept_bytes", "peak_bytes"), [(False, 20_000, 100_000), (True, 17, 60)])
def test_memory_stays_small(scattered: bool, kept_bytes: int, peak_bytes: int) -> None:
    """Of all numbers where they are consecutive, for each where they are scattered."""
    each = 200_000 if scattered else 1
    order = np.random.default_rng(0).permutation(200_000) * 7 if scattered else np.arange(200_000)
    seen = IdSet()
    tracemalloc.start()
    try:
        for start in range(0, 200_000, 1000):
            assert not seen.add(order[start : start + 1000]).any()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < kept_bytes * each and peak < peak_bytes * each
    assert seen.holds(order).all() and seen.add(order[:5]).all()
