"""Decide which counts of patients may be published: no small count, and none from which a small one can be calculated.

A count from 1 to 9 is withheld (primary suppression), and so are other counts until no withheld one can be calculated,
or shown to be below 10, from what is published (secondary suppression). A withheld count is `None` in every file, which
does not say for which of the two reasons, because the reason would itself be information.

Counts come in partitions: disjoint groups of rows whose total is known. One partition is safe when its withheld groups
are at least two and hold at least `LEAST` rows together. Several partitions may share groups, such as the rows without
an X-ray; each is then safe by itself when the withheld groups that no other partition has hold at least `LEAST` rows,
because they make up for any change of the shared ones. The test of this module solves the linear programs that an
attacker would.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

LEAST = 10  # the smallest count of patients, other than 0, that is published

_Key = TypeVar("_Key", bound=Hashable)


def is_small(count: int) -> bool:
    """Tell whether a count is too small to be published; 0 is not.

    >>> [is_small(count) for count in (0, 1, 9, 10)]
    [False, True, True, False]
    """
    return 0 < count < LEAST


def told(count: int | None) -> str:
    """Return a count as people read it.

    >>> told(12345), told(None)
    ('12,345', 'withheld')
    """
    return "withheld" if count is None else f"{count:,}"


def withheld(
    counts: Mapping[_Key, int], *, unpublished: int = 0, shared: bool = False, least: int = LEAST
) -> frozenset[_Key]:
    """Return the groups of a partition whose counts are withheld.

    Args:
        counts: Group -> number of rows, for the groups that would be published.
        unpublished: Number of rows of one more group that is not published in any case.
        shared: Whether another group, which other partitions share, is withheld too; its rows are not counted here.
        least: Number of rows that the withheld groups, without the shared one, must hold together.

    >>> sorted(withheld({"AP": 80, "PA": 12, "lateral": 3}))
    ['PA', 'lateral']
    >>> withheld({"AP": 80, "PA": 20})
    frozenset()
    """
    hidden = [key for key, count in counts.items() if is_small(count)]
    if not hidden and not is_small(unpublished) and not shared:
        return frozenset()
    rest = sorted((count, place, key) for place, (key, count) in enumerate(counts.items()) if count >= LEAST)
    held = unpublished + sum(counts[key] for key in hidden)
    for count, _, key in rest:
        if held >= least:  # no small group alone holds so many, so at least two are withheld
            break
        hidden.append(key)
        held += count
    return frozenset(hidden)


def withheld_steps(counts: Sequence[int | None], total: int) -> frozenset[int]:
    """Return the steps of a selection whose counts are withheld, so that any two of the published counts and `total`
    are equal or differ by at least `LEAST`.

    The first step, which counts the whole source, is published if possible, since its size is often known elsewhere.

    Args:
        counts: Number of items that each step left; None where it is withheld already.
        total: Number of rows of the dataset, which is published.

    >>> sorted(withheld_steps([1000, 997, 500, 497], 497))
    [1, 2]
    """
    published = [total]
    hidden = []
    order = sorted(range(len(counts)), key=lambda place: (place != 0, -place))
    for place in order:
        count = counts[place]
        if count is None or is_small(count) or any(is_small(abs(count - other)) for other in published):
            hidden.append(place)
        else:
            published.append(count)
    return frozenset(hidden)
