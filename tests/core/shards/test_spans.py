"""Ranges that are fetched together are what was asked for, and little more."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.format.location import Location
from symile_data.format.shards.spans import SpanFile, fetch_spans, merge_ranges

CONTENTS = bytes(range(256)) * 4


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 50)), min_size=1), st.integers(0, 30))
def test_merged_ranges_cover_what_was_asked_and_no_wide_gap(pairs: list[tuple[int, int]], gap: int) -> None:
    ranges = [(start, start + length) for start, length in pairs]
    merged = merge_ranges(ranges, gap)
    asked = {byte for start, stop in ranges for byte in range(start, stop)}
    fetched = {byte for start, stop in merged for byte in range(start, stop)}
    assert asked <= fetched
    assert all(later[0] - earlier[1] > gap for earlier, later in pairwise(merged))
    if gap == 0:
        assert fetched == asked


def test_fetched_spans_are_a_file_of_what_was_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENTS)
    spans = fetch_spans(Location.of(tmp_path), "a.bin", [(10, 20), (700, 800)])
    assert spans.get(12, 20) == CONTENTS[12:20]
    file = SpanFile(spans, 1024)
    file.seek(-324, 2)
    assert file.tell() == 700 and file.read(100) == CONTENTS[700:800]
    with pytest.raises(OSError, match="bytes 5 to 15 were not fetched"):
        spans.get(5, 15)
    with pytest.raises(OSError, match="bytes 19 to 21 were not fetched"):
        file.seek(19)
        file.read(2)
