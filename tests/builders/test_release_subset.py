"""The rows of a part of the release: whole retrieval sets within a number of rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.mimic.release.subset import first_rows
from symile_data.errors import SourceError, UsageError


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Admissions and the sets of each: itself and some others."""
    ids = draw(st.lists(st.integers(1, 10_000), min_size=4, max_size=25, unique=True))
    size = draw(st.integers(2, 4))
    others = [draw(st.permutations([other for other in ids if other != own])) for own in ids]
    return ids, [[own, *found[: size - 1]] for own, found in zip(ids, others, strict=True)]


@given(split=splits(), most=st.integers(4, 30))
def test_sets_are_whole_and_rows_are_few(split: tuple[list[int], list[list[int]]], most: int) -> None:
    ids, sets = split
    rows, kept = first_rows("test", ids, sets, most)
    assert rows == sorted(set(rows)) and len(rows) <= most and len(kept) == len(rows)
    there = {ids[row] for row in rows}
    needed: set[int] = set()
    for row, found in zip(rows, kept, strict=True):
        assert (found == sets[row]) == (set(sets[row]) <= there)  # every set that is there is used
        assert found in (None, sets[row])
        needed |= set(found or ())
    assert needed == there  # no row is there for nothing
    assert kept[0 if rows[0] == 0 else rows.index(0)] == sets[0]  # the first query is always there
    unseen = [found for row, found in enumerate(sets) if row not in rows or kept[rows.index(row)] is None]
    assert all(len(there | set(found)) > most for found in unseen)


@given(count=st.integers(1, 12), most=st.integers(1, 15))
def test_training_rows_are_the_first_ones(count: int, most: int) -> None:
    rows, kept = first_rows("train", list(range(50, 50 + count)), [None] * count, most)
    assert rows == list(range(min(count, most))) and kept == [None] * len(rows)


def test_what_cannot_be_chosen_is_said() -> None:
    with pytest.raises(UsageError, match=r"more rows than `rows` \(test\); got 2\. Ask for at least 3"):
        first_rows("test", [1, 2, 3], [[1, 2, 3], [2, 1, 3], [3, 1, 2]], 2)
    with pytest.raises(SourceError, match=r"names an admission of another split .*got 9"):
        first_rows("test", [1, 2], [[1, 2], [2, 9]], 2)
