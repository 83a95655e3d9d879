"""Random streams: numpy's Philox, the same values in any order of asking."""

import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.rng import Stream, below

seeds = st.integers(-(2**70), 2**70)
names = st.text(max_size=20)
widths = st.integers(1, 9)
starts = st.integers(0, 2**40)

# Values of released datasets depend on these.
PINNED = [[0.09536016533602398, 0.7931541716243312], [0.8692475819687313, 0.9073274947940476]]
PINNED_INTEGER = 2246929979312960406
PINNED_GENERATOR = [298, 476, 973, 26]


def philox(seed: int, name: str) -> np.random.Philox:
    """numpy's generator under the key that the stream is documented to have."""
    key = np.frombuffer(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:16], dtype="<u8")
    return np.random.Philox(key=key)


@given(seeds, names, starts, st.integers(0, 12), widths)
def test_both_readers_give_the_same_numbers(seed: int, name: str, start: int, count: int, width: int) -> None:
    stream = Stream(seed, name)
    rows = stream.rows(start, start + count, width)
    assert rows.shape == (count, width)
    np.testing.assert_array_equal(rows, stream.at(np.arange(start, start + count), width))


@given(seeds, names, st.integers(0, 1000), widths)
def test_the_numbers_are_those_of_numpy(seed: int, name: str, start: int, width: int) -> None:
    stored = -(-width // 4) * 4
    bits = philox(seed, name)
    bits.advance(start * stored // 4)
    expected = np.random.Generator(bits).random((3, stored))[:, :width]
    np.testing.assert_array_equal(Stream(seed, name).rows(start, start + 3, width), expected)


def test_the_numbers_never_change() -> None:
    drawn = Stream(7, "m3/rows/train").rows(1000, 1002, 2)
    assert drawn.tolist() == PINNED
    assert Stream(7, "m3/rows/train").integer() == PINNED_INTEGER
    assert Stream(7, "m3/rows/train").generator(3).integers(0, 1000, 4).tolist() == PINNED_GENERATOR


@given(starts, st.lists(st.integers(0, 40), min_size=1, max_size=30), widths)
def test_rows_can_be_asked_in_any_order_and_repeatedly(start: int, offsets: list[int], width: int) -> None:
    stream = Stream(0, "order")
    rows = stream.rows(start, start + 41, width)
    np.testing.assert_array_equal(stream.at(np.array(offsets) + start, width), rows[offsets])


@given(st.lists(st.integers(0, 60), max_size=6))
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    stream = Stream(1, "chunks")
    edges = [0, *sorted(cuts), 60]
    pieces = [stream.rows(a, b, 5) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(pieces), stream.rows(0, 60, 5))


def test_many_scattered_rows_equal_one_long_range() -> None:
    stream = Stream(2, "long")
    order = np.random.default_rng(0).permutation(40_000)
    np.testing.assert_array_equal(stream.at(order, 3), stream.rows(0, 40_000, 3)[order])


def test_a_row_keeps_its_numbers_as_int32_ids_too() -> None:
    ids = np.array([3, 1, 2], dtype=np.int32)
    np.testing.assert_array_equal(Stream(0, "x").at(ids, 2), Stream(0, "x").at(ids.astype(np.int64), 2))


def test_numbers_are_uniform() -> None:
    drawn = Stream(3, "uniform").rows(0, 20_000, 6)
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    for column in drawn.T:
        counts = np.bincount((column * 32).astype(int), minlength=32)
        assert ((counts - 625) ** 2 / 625).sum() < 61.1  # chi-square, 31 degrees of freedom, p = 0.001
    assert np.abs(np.corrcoef(drawn.T) - np.eye(6)).max() < 0.03


@pytest.mark.parametrize("other", [Stream(1, "a"), Stream(0, "b"), Stream(0, "a ")])
def test_other_names_and_seeds_give_unrelated_numbers(other: Stream) -> None:
    mine, theirs = Stream(0, "a").rows(0, 10_000, 1)[:, 0], other.rows(0, 10_000, 1)[:, 0]
    assert abs(np.corrcoef(mine, theirs)[0, 1]) < 0.04


def test_seed_and_name_are_not_confused() -> None:
    assert Stream(1, "2/x").rows(0, 1, 1) != Stream(12, "/x").rows(0, 1, 1)


def test_generators_of_different_rows_differ_and_repeat() -> None:
    stream = Stream(0, "generators")
    drawn = np.array([stream.generator(row).random(50) for row in range(20)])
    assert len(np.unique(drawn)) == drawn.size
    assert not np.isin(drawn, stream.rows(0, 5000, 4)).any()
    np.testing.assert_array_equal(drawn[7], stream.generator(7).random(50))


@given(st.integers(1, 2**40))
def test_the_largest_number_stays_below_the_bound(bound: int) -> None:
    edge = np.array([0.0, 1.0 - 2.0**-53])
    assert below(edge, bound).tolist() == [0, bound - 1]
