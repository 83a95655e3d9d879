"""Choose a part of the release's rows: the first ones of the training split, and whole retrieval sets of the others."""

from __future__ import annotations

from collections.abc import Sequence

from symile_data.errors import SourceError, UsageError

Sets = Sequence[list[int] | None]


def first_rows(split: str, hadm_ids: Sequence[int], sets: Sets, most: int) -> tuple[list[int], Sets]:
    """Choose at most `most` rows of a split.

    Where rows have retrieval sets, queries are taken in their order, each with its whole set, as long as the rows that
    they need are not too many. A row that is only needed as a candidate has no set of its own then, unless all of its
    set is there by chance.

    Args:
        split: Name of the split, for messages.
        hadm_ids: (N,) admissions of the split.
        sets: (N,) retrieval set of each row, None in the training split.
        most: The largest number of rows.

    Returns:
        The chosen rows, ascending, and their retrieval sets.

    Raises:
        UsageError: one retrieval set has more rows.
        SourceError: a set names an admission that the split does not have.

    >>> first_rows("test", [7, 8, 9, 10], [[7, 9], [8, 10], [9, 7], [10, 8]], 3)
    ([0, 2], [[7, 9], [9, 7]])
    >>> first_rows("train", [7, 8, 9], [None, None, None], 2)
    ([0, 1], [None, None])
    """
    if all(found is None for found in sets):
        return list(range(min(most, len(hadm_ids)))), list(sets[:most])
    place = {hadm_id: row for row, hadm_id in enumerate(hadm_ids)}
    needed = [_rows(split, found, place) for found in sets]
    kept: set[int] = set()
    for rows in needed:
        if len(kept | rows) <= most:
            kept |= rows
    if not kept:
        raise UsageError(
            "a retrieval set has more rows than `rows`",
            where=split,
            got=most,
            do=f"ask for at least {min(map(len, needed))}",
        )
    chosen = sorted(kept)
    return chosen, [sets[row] if needed[row] <= kept else None for row in chosen]


def _rows(split: str, found: list[int] | None, place: dict[int, int]) -> set[int]:
    unknown = [hadm_id for hadm_id in found or () if hadm_id not in place]
    if unknown:
        raise SourceError(
            "a retrieval set names an admission of another split",
            where=split,
            got=unknown[0],
            do="download the release again",
        )
    return {place[hadm_id] for hadm_id in found or ()}
