"""Withhold the statistics of patients' data that may not be published: `publishable` removes small counts and those
from which a small one could be calculated. `format.disclosure` has the rules for one partition of rows; this module
knows which statistics partition which rows.

The rows that lack a modality are a group that many statistics share: a category is null there, an id absent, a test
not measured. Where that count is withheld, each of these statistics is treated as one that shares a withheld group.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from symile_data.format.disclosure import LEAST, is_small, withheld
from symile_data.format.schema import Modality

from ..descriptions import Description
from .collect import Statistics

NULL = "null"

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class _Absences:
    """The rows of each split that lack each modality.

    Args:
        rows: Split -> number of its rows.
        counts: (split, modality) -> number of rows without it.
        withheld: The keys of `counts` whose count is withheld.
        owners: Column -> the modality without which it is null.
    """

    rows: Mapping[str, int]
    counts: Mapping[tuple[str, str], int]
    withheld: frozenset[tuple[str, str]]
    owners: Mapping[str, str]

    def of(self, split: str, column: str) -> tuple[int, bool]:
        """Return the number of a split's rows in which a column is null because its modality is missing, and whether
        that count is withheld.
        """
        place = split, self.owners.get(column, "")
        return self.counts.get(place, 0), place in self.withheld

    def present(self, splits: Iterable[str], column: str) -> tuple[int, bool]:
        """Return the number of rows of some splits that have a column's modality, and whether that is withheld."""
        found = [self.of(split, column) for split in splits]
        total = sum(self.rows[split] for split in splits)
        return total - sum(count for count, _ in found), any(hidden for _, hidden in found)


def publishable(statistics: Statistics, modalities: tuple[Modality, ...], description: Description) -> Statistics:
    """Return the statistics without counts from 1 to 9 and without those that would reveal them.

    Withheld values of a category, combinations of missing modalities and sizes of images are left out; other withheld
    counts and rates are None. The rows and bytes of splits are always published.

    Args:
        statistics: The results of `compute_statistics` and `clinical_statistics`.
        modalities: Modalities of the dataset.
        description: Description of the dataset.
    """
    result = dict(statistics)
    patterns = {split: withheld(missing["patterns"]) for split, missing in statistics.get("missing", {}).items()}
    absences = _absences(statistics, modalities, description, patterns)
    result["missing"] = {
        split: _missing(missing, patterns[split]) for split, missing in statistics.get("missing", {}).items()
    }
    result["categories"] = {
        column: {
            split: (
                _null_at_once(counts)
                if (group := description.group_of(column)) and group.null_at_once
                else _category(counts, split, column, absences)
            )
            for split, counts in splits.items()
        }
        for column, splits in statistics.get("categories", {}).items()
    }
    result["identifiers"] = {
        column: _identifiers(found, column, absences) for column, found in statistics.get("identifiers", {}).items()
    }
    result["vectors"] = {
        column: {split: _vector(found, split, column, absences) for split, found in splits.items()}
        for column, splits in statistics.get("vectors", {}).items()
    }
    result["media"] = {column: _media(found, column, absences) for column, found in statistics.get("media", {}).items()}
    items = next((modality for modality in modalities if "items" in modality.details), None)
    if "measured" in statistics and items is not None:
        result["measured"] = {
            split: _measured(counts, split, items.column, absences) for split, counts in statistics["measured"].items()
        }
    if "hours" in statistics:
        lists = () if items is None else items.null_columns
        result["hours"] = {
            column: {**of, "counts": _hours(of["counts"], column, absences, statistics, result, column in lists)}
            for column, of in statistics["hours"].items()
        }
    return {name: result[name] for name in statistics}


def _absences(
    statistics: Statistics,
    modalities: tuple[Modality, ...],
    description: Description,
    patterns: Mapping[str, frozenset[str]],
) -> _Absences:
    counts: dict[tuple[str, str], int] = {}
    hidden = set()
    for split, missing in statistics.get("missing", {}).items():
        for pattern, count in missing["patterns"].items():
            for name in filter(None, pattern.split("+")):
                counts[split, name] = counts.get((split, name), 0) + count
                if pattern in patterns[split]:
                    hidden.add((split, name))
    owners = {column: modality.name for modality in modalities for column in modality.null_columns}
    for column in statistics.get("categories", {}):
        if (group := description.group_of(column)) and group.of:
            owners[column] = group.of
    return _Absences(statistics["rows"], counts, frozenset(hidden), owners)


def _missing(missing: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    lacking = {name for pattern in hidden for name in pattern.split("+")}
    return {
        "rates": {name: None if name in lacking else rate for name, rate in missing["rates"].items()},
        "patterns": _without(missing["patterns"], hidden),
    }


def _category(counts: Mapping[str, int], split: str, column: str, absences: _Absences) -> dict[str, int]:
    """Withhold values of a category. Null rows that have the modality are a group of their own where their count may be
    published; otherwise they belong to the unpublished rows.
    """
    absent, shared = absences.of(split, column)
    null = counts.get(NULL, 0)
    if null < absent:  # some rows have a value without the modality, so the column does not depend on it
        absent, shared = 0, False
    null_present = null - absent
    values = {value: count for value, count in counts.items() if value != NULL}
    if null_present >= LEAST or (null_present == 0 and not shared):
        return _without(counts, withheld({**values, NULL: null_present}))
    return _without(counts, {NULL, *withheld(values, unpublished=null_present, shared=shared)})


def _null_at_once(counts: Mapping[str, int]) -> dict[str, int]:
    """Withhold values of a category whose null rows are those of other categories too. Such a group must be published
    in all of them or in none, and by its size alone.
    """
    null = counts.get(NULL, 0)
    values = {value: count for value, count in counts.items() if value != NULL}
    small = is_small(null)
    return _without(counts, {*({NULL} if small else ()), *withheld(values, shared=small)})


def _identifiers(found: Mapping[str, Mapping[str, int]], column: str, absences: _Absences) -> dict[str, Any]:
    """Withhold counts of ids. A split's rows are its distinct ids and the rows that repeat one; the ids of two splits
    are those in both and those in one of them.
    """
    distinct: dict[str, int | None] = {}
    for split, count in found["distinct"].items():
        absent, shared = absences.of(split, column)
        distinct[split] = None if _parts({split: count}, absences.rows[split] - absent, shared) else count
    both: dict[str, int | None] = {}
    for pair, count in found["shared"].items():
        sizes = [distinct[split] for split in pair.split("+")]
        safe = count == 0 or not any(size is None or is_small(count) or is_small(size - count) for size in sizes)
        both[pair] = count if safe else None
    return {"distinct": distinct, "shared": both}


def _vector(found: Mapping[str, Any], split: str, column: str, absences: _Absences) -> dict[str, Any]:
    absent, shared = absences.of(split, column)
    hidden = _parts({column: found["rows"]}, absences.rows[split] - absent, shared)
    # The fraction of nulls would reveal their count.
    share = None if found["null_share"] else found["null_share"]
    others = {name: None for name, count in found.items() if name == "non_finite" and is_small(count)}
    return {**found, **others, "rows": None if hidden else found["rows"], "null_share": share}


def _media(found: Mapping[str, Any], column: str, absences: _Absences) -> dict[str, Any]:
    """Withhold counts of media: the measured and the unreadable ones, and the measured ones by format and by size."""
    present, shared = absences.present(absences.rows, column)
    hidden = _parts({name: found[name] for name in ("measured", "unreadable")}, present, shared)
    result = {**found, **dict.fromkeys(hidden)}
    total = found["measured"]
    if "measured" in hidden:
        total = present
        result |= {name: {**found[name], "count": None} for name in ("width", "height", "bytes") if name in found}
    else:
        shared = False
    if "formats" in found:
        formats = _parts(found["formats"], total, shared)
        result["formats"] = {value: None if value in formats else count for value, count in found["formats"].items()}
    if "sizes" in found:
        counts = {(width, height): count for width, height, count in found["sizes"]}
        sizes = _parts(counts, total, shared)
        result["sizes"] = [[*size, count] for size, count in counts.items() if size not in sizes]
    return result


def _measured(counts: Mapping[str, int], split: str, column: str, absences: _Absences) -> dict[str, int | None]:
    """Withhold counts of tests. Each test divides the rows into those with it, those with other tests, and those
    without any.
    """
    absent, shared = absences.of(split, column)
    total = absences.rows[split] - absent
    return {test: None if _parts({test: count}, total, shared) else count for test, count in counts.items()}


def _hours(
    counts: list[int], column: str, absences: _Absences, statistics: Statistics, told: Statistics, of_tests: bool
) -> list[int | None]:
    """Withhold counts of events by time, over all splits. The events of tests add up to the measured tests; for each
    withheld count of these, the withheld times must contain `LEAST` more events.
    """
    least = LEAST
    if of_tests:
        total = sum(sum(tests.values()) for tests in statistics["measured"].values())
        unknown = sum(count is None for tests in told["measured"].values() for count in tests.values())
        shared, least = unknown > 0, LEAST * max(unknown, 1)
    else:
        total, shared = absences.present(absences.rows, column)
    hidden = _parts(dict(enumerate(counts)), total, shared, least)
    return [None if place in hidden else count for place, count in enumerate(counts)]


def _parts(counts: Mapping[_Key, int], total: int, shared: bool, least: int = LEAST) -> frozenset[_Key]:
    """Return the withheld groups among `counts`, which together with the unpublished rows have `total` rows."""
    return withheld(counts, unpublished=max(total - sum(counts.values()), 0), shared=shared, least=least)


def _without(counts: Mapping[str, int], hidden: Iterable[str]) -> dict[str, int]:
    left_out = set(hidden)
    return {value: count for value, count in counts.items() if value not in left_out}
